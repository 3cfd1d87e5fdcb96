//! What servers are started with, and the starting.

use std::process::Command;

use super::auth::RootPassword;
use super::cluster::Cluster;
use super::server::{NotStarted, Ports, Server};
use super::{Proxy, Tls, default_version};

/// The options of a server, or of all members of a cluster.
#[derive(Debug, Clone)]
pub struct Builder {
    pub(super) version: String,
    flags: Vec<String>,
    pub(super) tls: Option<Tls>,
    pub(super) client_certificates: bool,
    pub(super) failpoints: bool,
    peer_proxies: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            version: default_version(),
            flags: Vec::new(),
            tls: None,
            client_certificates: false,
            failpoints: false,
            peer_proxies: false,
        }
    }
}

impl Builder {
    /// Another version than the default.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// A flag of etcd's own, as `("--quota-backend-bytes", "16777216")`. Wins over the flags set here.
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.push(format!("{name}={value}"));
        self
    }

    /// Clients come by https; whoever they are.
    pub fn tls(mut self, tls: &Tls) -> Self {
        self.tls = Some(tls.clone());
        self
    }

    /// Clients come by https and show a certificate of the same CA.
    pub fn mtls(mut self, tls: &Tls) -> Self {
        self.client_certificates = true;
        self.tls(tls)
    }

    /// The build with failpoints, to be set by [`Server::set_failpoint`].
    pub fn failpoints(mut self) -> Self {
        self.failpoints = true;
        self.version("3.7.3-failpoints")
    }

    /// Members reach each other through proxies, so that [`Cluster::cut_off`] works.
    pub fn peer_proxies(mut self) -> Self {
        self.peer_proxies = true;
        self
    }

    /// One server, ready for clients.
    pub async fn start(self) -> Server {
        let mut members = self.start_members(1).await;
        members.remove(0)
    }

    /// A cluster with a leader, every member ready for clients.
    pub async fn start_cluster(self, size: usize) -> Cluster {
        let cluster = Cluster::of(self.start_members(size).await);
        cluster.leader().await;
        cluster
    }

    /// Ports are free when they are chosen but may be taken when etcd comes to use them: then with others.
    async fn start_members(self, size: usize) -> Vec<Server> {
        for _ in 0..5 {
            match self.try_start_members(size).await {
                Ok(members) => return members,
                Err(NotStarted::PortTaken) => {}
                Err(NotStarted::Other(why)) => panic!("etcd {} does not start: {why}", self.version),
            }
        }
        panic!("etcd {} found its ports taken time after time", self.version)
    }

    async fn try_start_members(&self, size: usize) -> Result<Vec<Server>, NotStarted> {
        let mut ports: Vec<Ports> = (0..size).map(|_| Ports::free()).collect();
        let mut proxies = Vec::new();
        if self.peer_proxies {
            for own in &mut ports {
                proxies.push(own.advertise_proxy().await);
            }
        }
        let password = RootPassword::default();
        let member = |own: &Ports| Server::new(self.clone(), *own, &ports, password.clone());
        let mut members: Vec<Server> = ports.iter().map(member).collect();
        for (member, proxy) in members.iter_mut().zip(proxies) {
            member.peer_proxy = Some(proxy);
        }
        members.iter_mut().for_each(Server::launch);
        for member in &mut members {
            member.wait_until_ready().await?;
        }
        Ok(members)
    }

    /// The flags that are no matter of addresses and folders.
    pub(super) fn add_flags(&self, command: &mut Command) {
        command.args(["--logger=zap", "--log-outputs=stderr", "--log-level=info"]);
        // Nobody's data; 3.4 takes the flag too, although its help does not tell.
        command.arg("--unsafe-no-fsync");
        if let Some(tls) = &self.tls {
            command.arg("--cert-file").arg(&tls.server().cert).arg("--key-file").arg(&tls.server().key);
            if self.client_certificates {
                command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(tls.ca());
            }
        }
        command.args(&self.flags);
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}
