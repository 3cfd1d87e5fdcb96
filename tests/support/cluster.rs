//! Several members that know each other.

use std::time::{Duration, Instant};

use super::{Builder, Fault, Proxy, Server};

// Generous: a cluster that lost its leader elects another within about two seconds.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// The members of one cluster, numbered from 0.
#[derive(Debug)]
pub struct Cluster {
    members: Vec<Server>,
}

/// What a member tells of the leader.
struct Status {
    member: u64,
    leads: bool,
    term: u64,
}

impl Cluster {
    /// A cluster of the default version with a leader.
    pub async fn start(size: usize) -> Self {
        Self::builder().start_cluster(size).await
    }

    /// A cluster with options, to be started by [`Builder::start_cluster`].
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn of(members: Vec<Server>) -> Self {
        Self { members }
    }

    /// The members' URLs for clients.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(Server::endpoint).collect()
    }

    /// A member, to ask, pause or resume.
    pub fn member(&self, index: usize) -> &Server {
        &self.members[index]
    }

    /// A member, to kill or restart.
    pub fn member_mut(&mut self, index: usize) -> &mut Server {
        &mut self.members[index]
    }

    /// All members.
    pub fn members(&self) -> &[Server] {
        &self.members
    }

    /// Adds a member without a vote, the last one; it is ready for clients but may lag behind.
    pub async fn add_learner(&mut self) {
        let learner = Server::joining(&self.members);
        let peer_urls = format!("--peer-urls={}", learner.peer_url());
        let leader = &self.members[self.leader().await];
        leader.etcdctl(&["member", "add", &learner.name(), "--learner", &peer_urls]).await;
        self.members.push(learner);
        let learner = self.members.last_mut().expect("it was pushed");
        learner.launch();
        assert!(learner.wait_until_ready().await.is_ok(), "the learner does not start");
    }

    /// The leader's index; waits for an election, and fails the test if there is no leader in the end.
    pub async fn leader(&self) -> usize {
        let deadline = Instant::now() + ELECTION_TIMEOUT;
        loop {
            if let Some(leader) = self.find_leader().await {
                return leader;
            }
            assert!(Instant::now() < deadline, "no leader after {ELECTION_TIMEOUT:?}");
        }
    }

    /// A proxy for clients in front of each member.
    pub async fn client_proxies(&self) -> Vec<Proxy> {
        let mut proxies = Vec::new();
        for member in &self.members {
            proxies.push(Proxy::to(member.port()).await);
        }
        proxies
    }

    /// Parts a member from all others; clients still reach it. Needs [`Builder::peer_proxies`].
    pub async fn cut_off(&self, index: usize) {
        let member = self.member(index).id().await;
        for (other, proxy) in self.peer_proxies().enumerate() {
            proxy.set(if other == index { Fault::BlackHole } else { Fault::BlackHoleFrom(member) });
        }
    }

    /// All members reach each other again.
    pub fn heal(&self) {
        self.peer_proxies().for_each(|proxy| proxy.set(Fault::None));
    }

    fn peer_proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.members.iter().map(|member| member.peer_proxy.as_ref().expect("a cluster with peer proxies"))
    }

    /// A leader that was paused does not know that it was voted out: the latest term decides.
    async fn find_leader(&self) -> Option<usize> {
        let mut leaders = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            let status = member.status().await;
            leaders.extend(status.filter(|status| status.leads).map(|status| (status.term, index)));
        }
        leaders.into_iter().max().map(|(_, index)| index)
    }
}

impl Server {
    /// The member's id, as soon as it tells.
    async fn id(&self) -> u64 {
        let deadline = Instant::now() + ELECTION_TIMEOUT;
        loop {
            if let Some(status) = self.status().await {
                return status.member;
            }
            assert!(Instant::now() < deadline, "no answer within {ELECTION_TIMEOUT:?}");
        }
    }

    /// Nothing if the member is down or does not answer soon.
    async fn status(&self) -> Option<Status> {
        if !self.is_running() {
            return None;
        }
        let brief = ["--dial-timeout=3s", "--command-timeout=3s", "endpoint", "status", "--write-out=fields"];
        let output = self.try_etcdctl(&brief).await;
        let text = String::from_utf8_lossy(&output.stdout);
        let member = field(&text, "MemberID")?;
        let leads = member == field(&text, "Leader")?;
        Some(Status { member: member.parse().ok()?, leads, term: field(&text, "RaftTerm")?.parse().ok()? })
    }
}

/// The value in a line like `"RaftTerm" : 2`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut values = text.lines().filter_map(|line| line.split_once(" : "));
    Some(values.find(|(key, _)| key.trim_matches('"') == name)?.1)
}
