//! Members that come and go.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use etcd_ark::{
    AddMember, Client, ErrorKind, ListMembers, MemberId, MemberInfo, PromoteMember, RemoveMember,
    UpdateMember,
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::client_of;
use crate::support::{Server, binaries, free_port};

const PATIENCE: Duration = Duration::from_secs(60);

/// An etcd that joins a cluster which expects it.
struct Joining {
    process: Child,
    client_url: String,
    _home: TempDir,
}

impl Joining {
    fn start(server: &Server, known: &[MemberInfo], peer_url: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let client_url = free_url();
        let named = known.iter().map(|member| format!("{}={}", member.name, member.peer_urls[0]));
        let cluster: Vec<_> = named.chain([format!("joining={peer_url}")]).collect();
        let process = Command::new(binaries(server.version()).join("etcd"))
            .args(["--name=joining", "--initial-cluster-state=existing", "--unsafe-no-fsync"])
            .arg(format!("--initial-cluster={}", cluster.join(",")))
            .args([format!("--listen-peer-urls={peer_url}"), format!("--listen-client-urls={client_url}")])
            .arg(format!("--initial-advertise-peer-urls={peer_url}"))
            .arg(format!("--advertise-client-urls={client_url}"))
            .arg("--data-dir")
            .arg(home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, client_url, _home: home }
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn free_url() -> String {
    format!("http://127.0.0.1:{}", free_port())
}

async fn members(client: &Client) -> Vec<MemberInfo> {
    client.send(ListMembers::new()).await.unwrap().members
}

/// Until the learner has caught up.
async fn promote(client: &Client, id: MemberId) -> Vec<MemberInfo> {
    let promoted = async {
        loop {
            match client.send(PromoteMember::new(id)).await {
                Ok(result) => break result.members,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Rejected, "{error}"),
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, promoted).await.expect("the learner catches up")
}

#[tokio::test]
async fn a_learner_joins_is_promoted_leads_and_goes() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let first = members(&client).await;
    let peer_url = free_url();
    let added = client.send(AddMember::new([&peer_url]).learner()).await.unwrap();
    assert!(added.member.is_learner && added.member.peer_urls == [peer_url.clone()]);
    assert_eq!(added.members.len(), 2);
    let again = client.send(AddMember::new([&peer_url])).await.unwrap_err();
    assert!(matches!(again.kind(), ErrorKind::AlreadyExists | ErrorKind::Unavailable), "{again}");

    let joining = Joining::start(&server, &first, &peer_url);
    let id = added.member.id;
    let promoted = promote(&client, id).await;
    assert!(promoted.iter().all(|member| !member.is_learner) && promoted.len() == 2);
    let again = client.send(PromoteMember::new(id)).await.unwrap_err();
    assert_eq!((again.kind(), again.may_have_applied()), (ErrorKind::Rejected, false), "{again}");

    let both = Client::connect([server.endpoint(), joining.client_url.clone()]).await.unwrap();
    let [old, new] = &both.members()[..] else { panic!("{:?}", both.members()) };
    let refused = new.move_leader(first[0].id).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected, "{refused}");
    old.move_leader(id).await.unwrap();
    assert_eq!(new.status().await.unwrap().leader, Some(id));
    new.move_leader(first[0].id).await.unwrap();

    // Its client URL is known by now; a removal is refused while the new member is not seen for a while.
    let removed = timeout(PATIENCE, async {
        loop {
            match client.send(RemoveMember::new(id)).await {
                Ok(result) => break result.members,
                Err(error) => assert!(!error.may_have_applied(), "{error}"),
            }
            sleep(Duration::from_millis(200)).await;
        }
    });
    assert_eq!(removed.await.expect("the member is removed").len(), 1);
    let unknown = client.send(RemoveMember::new(MemberId(1))).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound, "{unknown}");
}

#[tokio::test]
async fn a_member_is_reached_elsewhere_from_now_on() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let id = members(&client).await[0].id;
    let moved = free_url();
    let updated = client.send(UpdateMember::new(id, [moved.clone()])).await.unwrap();
    assert_eq!((updated.members.len(), &updated.members[0].peer_urls), (1, &vec![moved]));
    assert_eq!(members(&client).await, updated.members);
    let unknown = client.send(UpdateMember::new(MemberId(1), [free_url()])).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound, "{unknown}");
    let invalid = client.send(AddMember::new(["nonsense"])).await.unwrap_err();
    assert_eq!((invalid.kind(), invalid.may_have_applied()), (ErrorKind::Rejected, false), "{invalid}");
}
