//! The examples of leases, locks and elections, run as their readers run them.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use etcd_ark::{Client, Get, KeyRange, LeaseId, RevokeLease};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::ark::{PROGRAM, finish};
use crate::support::Server;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn example(name: &str, server: &Server, arguments: &[&str]) -> Command {
    let mut path = PathBuf::from(&*PROGRAM);
    path.set_file_name(name);
    assert!(path.exists(), "{} is missing: cargo build --examples", path.display());
    let mut command = Command::new(path);
    command.arg(server.endpoint()).args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running example, and what it says.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn says(&mut self, what: &str) -> String {
        let said = async {
            loop {
                let line = self
                    .lines
                    .next_line()
                    .await
                    .unwrap()
                    .unwrap_or_else(|| panic!("it ended before {what:?}"));
                if line.contains(what) {
                    return line;
                }
            }
        };
        timeout(PATIENCE, said).await.unwrap_or_else(|_| panic!("it does not say {what:?}"))
    }

    async fn interrupt(self) {
        kill(Pid::from_raw(self.child.id().unwrap().cast_signed()), Signal::SIGINT).unwrap();
        finish(self.child).await.succeeded();
    }
}

async fn count(client: &Client) -> u64 {
    client.send(Get::new(KeyRange::all()).count_only()).await.unwrap().count
}

#[tokio::test]
async fn a_service_is_registered_until_it_ends_or_its_lease_does() {
    let server = Server::start().await;
    let client = Client::connect([server.endpoint()]).await.unwrap();
    let service = || Running::start(example("lease", &server, &["/web/1", "10.0.0.7:80"]));
    let mut running = service();
    running.says("is registered").await;
    assert_eq!(client.get("/web/1").await.unwrap().unwrap().value, "10.0.0.7:80");
    running.interrupt().await;
    assert_eq!(count(&client).await, 0);

    let mut running = service();
    let line = running.says("is registered with lease").await;
    let id = i64::from_str_radix(line.rsplit(' ').next().unwrap(), 16).unwrap();
    client.send(RevokeLease::new(LeaseId(id))).await.unwrap();
    let outcome = finish(running.child).await;
    assert!(outcome.code == Some(1) && outcome.stderr.contains("registered no longer"), "{outcome:?}");
}

#[tokio::test]
async fn commands_run_one_at_a_time_each_with_a_higher_token() {
    let server = Server::start().await;
    let client = Client::connect([server.endpoint()]).await.unwrap();
    let run = || {
        example("lock", &server, &["job", "sh", "-c", "echo $FENCING_TOKEN; sleep 0.2; echo $FENCING_TOKEN"])
    };
    let runs: Vec<_> = (0..3).map(|_| run().spawn().unwrap()).collect();
    let mut tokens = Vec::new();
    for child in runs {
        let said = finish(child).await.succeeded().lines();
        assert_eq!(said[0], said[1]);
        tokens.push(said[0].clone());
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!((tokens.len(), count(&client).await), (3, 0));
    let outcome = finish(example("lock", &server, &["job", "false"]).spawn().unwrap()).await;
    assert!(outcome.code == Some(1) && outcome.stderr.contains("exit status: 1"), "{outcome:?}");
}

#[tokio::test]
async fn the_next_one_leads_when_the_leader_is_interrupted() {
    let server = Server::start().await;
    let candidate = |me| Running::start(example("election", &server, &["chair", me]));
    let mut one = candidate("one");
    one.says("one leads").await;
    let mut other = candidate("other");
    other.says("the leader is one").await;
    one.interrupt().await;
    other.says("other leads").await;
    other.interrupt().await;
}
