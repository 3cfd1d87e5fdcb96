//! Runs a command under a lock: of all who do so with the same name, one at a time.
//!
//! ```sh
//! cargo run --example lock -- http://127.0.0.1:2379 nightly-report ./report
//! ```
//!
//! The command finds the fencing token in FENCING_TOKEN, and is killed if the lock is lost.

use std::env;
use std::error::Error;
use std::time::Duration;

use etcd_ark::Client;
use tokio::process::Command;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [endpoint, name, program, rest @ ..] = &arguments[..] else {
        return Err("usage: lock ENDPOINT NAME COMMAND...".into());
    };
    let client = Client::connect([endpoint]).await?;
    let lease = client.grant_lease(Duration::from_secs(15)).await?;
    let lock = client.lock(name, &lease).await?;
    let mut command = Command::new(program);
    command.args(rest).env("FENCING_TOKEN", lock.fencing_token().to_string()).kill_on_drop(true);
    let status = tokio::select! {
        status = command.status() => status?,
        lost = lock.lost() => return Err(format!("the lock is lost: {lost}").into()),
    };
    lock.unlock().await?;
    lease.revoke().await?;
    if status.success() { Ok(()) } else { Err(format!("{program}: {status}").into()) }
}
