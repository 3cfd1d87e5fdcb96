//! One etcd process.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::auth::RootPassword;
use super::{Builder, Proxy, Tls, binaries, ports, process};

// Includes the election, on a machine that is busy with other tests.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const LOG_TAIL_LINES: usize = 40;

/// A running etcd with a data folder and ports of its own. Dropped, it is killed and its data removed; if
/// that is because a test fails, the end of its log is printed.
#[derive(Debug)]
pub struct Server {
    pub(super) options: Builder,
    pub(super) ports: Ports,
    initial_cluster: String,
    home: TempDir,
    process: Option<Child>,
    /// Length of the log when the process was started: what is before is of earlier runs.
    log_start: usize,
    pub(super) root_password: RootPassword,
    /// What the other members reach it through, if not directly.
    pub(super) peer_proxy: Option<Proxy>,
}

/// Where a server listens; on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    client: u16,
    peer: u16,
    /// Where the other members find it.
    advertised_peer: u16,
    pub(super) failpoints: u16,
}

/// Why a server is not ready.
pub(super) enum NotStarted {
    PortTaken,
    Other(String),
}

impl Ports {
    pub(super) fn free() -> Self {
        let peer = ports::free();
        Self { client: ports::free(), peer, advertised_peer: peer, failpoints: ports::free() }
    }

    /// Lets the other members come through a proxy.
    pub(super) async fn advertise_proxy(&mut self) -> Proxy {
        let proxy = Proxy::to(self.peer).await;
        self.advertised_peer = proxy.port();
        proxy
    }

    fn peer_url(self) -> String {
        format!("http://127.0.0.1:{}", self.peer)
    }

    fn advertised_peer_url(self) -> String {
        format!("http://127.0.0.1:{}", self.advertised_peer)
    }

    fn name(self) -> String {
        format!("member-{}", self.client)
    }
}

impl Server {
    /// A server of the default version, ready for clients.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A server with options.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn new(options: Builder, ports: Ports, all: &[Ports], password: RootPassword) -> Self {
        let peers = all.iter().map(|member| format!("{}={}", member.name(), member.advertised_peer_url()));
        let initial_cluster = peers.collect::<Vec<_>>().join(",");
        let home = tempfile::Builder::new().prefix("etcd-ark-").tempdir().expect("a temporary folder");
        Self {
            options,
            ports,
            initial_cluster,
            home,
            process: None,
            log_start: 0,
            root_password: password,
            peer_proxy: None,
        }
    }

    /// The URL for clients.
    pub fn endpoint(&self) -> String {
        format!("{}://127.0.0.1:{}", self.options.scheme(), self.port())
    }

    /// A server that is to join these, not started yet.
    pub(super) fn joining(members: &[Self]) -> Self {
        let first = &members[0];
        let mut all: Vec<Ports> = members.iter().map(|member| member.ports).collect();
        let own = Ports::free();
        all.push(own);
        let options = first.options.clone().flag("--initial-cluster-state", "existing");
        Self::new(options, own, &all, first.root_password.clone())
    }

    /// What etcd calls it.
    pub(super) fn name(&self) -> String {
        self.ports.name()
    }

    /// Where the other members find it.
    pub(super) fn peer_url(&self) -> String {
        self.ports.advertised_peer_url()
    }

    /// The port for clients.
    pub fn port(&self) -> u16 {
        self.ports.client
    }

    /// The port for the other members.
    pub fn peer_port(&self) -> u16 {
        self.ports.peer
    }

    /// The version that was asked for.
    pub fn version(&self) -> &str {
        &self.options.version
    }

    /// Where the server keeps its files.
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// All that the server has logged, over all its runs.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Ends the process as a crash does. A server that does not run is left alone.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Fails for one that ended by itself, which is as good.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Kills the server if it runs, starts it on the same data and ports, and waits until it is ready.
    pub async fn restart(&mut self) {
        self.kill();
        self.launch();
        if self.wait_until_ready().await.is_err() {
            panic!("{} does not come back: {}", self.endpoint(), self.log_tail());
        }
    }

    /// Goes on as another version, on the same data and ports.
    pub async fn upgrade(&mut self, version: &str) {
        self.options.version = version.to_owned();
        self.restart().await;
    }

    /// Shows these certificates from the next start on, and wants clients' certificates of the same CA.
    pub fn replace_certificates(&mut self, tls: &Tls) {
        self.options.tls = Some(tls.clone());
    }

    /// Starts the process and does not wait. A member without a majority gets no further than this.
    pub fn launch(&mut self) {
        assert!(!self.is_running(), "{} runs", self.endpoint());
        self.log_start = self.log().len();
        self.process = Some(process::spawn(self.command()).expect("etcd can be run"));
    }

    /// Stops the process in its tracks: its connections stay open and nobody answers.
    pub fn pause(&self) {
        process::signal(self.running(), Signal::SIGSTOP);
        process::wait_until_stopped(self.running());
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        process::signal(self.running(), Signal::SIGCONT);
    }

    /// Waits until clients are served by the process that was launched.
    pub(super) async fn wait_until_ready(&mut self) -> Result<(), NotStarted> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.is_ready().await {
            if let Some(status) = self.running_mut().try_wait().expect("a child's status") {
                return Err(self.not_started(&format!("ended with {status}")));
            }
            if Instant::now() > deadline {
                return Err(self.not_started(&format!("is not ready after {START_TIMEOUT:?}")));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Every version logs this line once it knows a leader; the socket accepts a moment later.
    async fn is_ready(&self) -> bool {
        self.log_of_this_run().contains("serving client traffic")
            && TcpStream::connect(("127.0.0.1", self.port())).await.is_ok()
    }

    fn not_started(&self, what: &str) -> NotStarted {
        if self.log_of_this_run().contains("address already in use") {
            return NotStarted::PortTaken;
        }
        NotStarted::Other(format!("{} {what}\n{}", self.endpoint(), self.log_tail()))
    }

    fn command(&self) -> Command {
        let mut command = process::bound_command(&self.program("etcd"));
        let (peer, advertised) = (self.ports.peer_url(), self.ports.advertised_peer_url());
        command.args(["--name", &self.ports.name(), "--initial-cluster", &self.initial_cluster]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &advertised]);
        command.args(["--listen-client-urls", &self.endpoint(), "--advertise-client-urls", &self.endpoint()]);
        command.arg("--data-dir").arg(self.data_dir());
        self.options.add_flags(&mut command);
        if self.options.failpoints {
            command.env("GOFAIL_HTTP", format!("127.0.0.1:{}", self.ports.failpoints));
        }
        let log = File::options().create(true).append(true).open(self.log_file()).expect("the log opens");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        binaries(&self.options.version).join(name)
    }

    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    fn running(&self) -> &Child {
        self.process.as_ref().expect("the server runs")
    }

    fn running_mut(&mut self) -> &mut Child {
        self.process.as_mut().expect("the server runs")
    }

    fn log_file(&self) -> PathBuf {
        self.home.path().join("log")
    }

    fn log_of_this_run(&self) -> String {
        self.log().split_off(self.log_start)
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let (endpoint, version) = (self.endpoint(), self.version());
            eprintln!("--- etcd {version} at {endpoint}, the end of its log:\n{}", self.log_tail());
        }
    }
}
