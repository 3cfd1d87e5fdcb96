//! Running the command.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use etcd_ark::{Client, Get, KeyRange, Put, Txn};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::Server;

/// Far more than anything here takes: a command that hangs fails its test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder to work in, and a server to talk to.
pub(crate) struct Place {
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(Server::start().await)
    }

    pub(crate) fn with(server: Server) -> Self {
        Self { server, folder: tempfile::tempdir().unwrap() }
    }

    /// A place whose server holds `count` keys `{prefix}{number}` with values of this many bytes.
    pub(crate) async fn holding(prefix: &str, count: usize, value_bytes: usize) -> Self {
        let place = Self::new().await;
        fill(&place.server, prefix, count, value_bytes).await;
        place
    }

    /// The command, to be run in the folder, for the server; arguments have no spaces in them.
    pub(crate) fn ark(&self, line: &str) -> Command {
        let mut command = ark(line);
        command.current_dir(self.folder.path()).env("ETCDCTL_ENDPOINTS", self.server.endpoint());
        command
    }

    pub(crate) async fn run(&self, line: &str) -> Outcome {
        run(&mut self.ark(line)).await
    }

    /// Runs it with this file as its standard input.
    pub(crate) async fn run_with(&self, line: &str, input: &str) -> Outcome {
        run(self.ark(line).stdin(std::fs::File::open(self.path(input)).unwrap())).await
    }

    /// Runs a command that works and prints one JSON object.
    pub(crate) async fn json(&self, line: &str) -> Value {
        self.run(&format!("{line} -w json")).await.succeeded().json()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Writes a copy of a file in which one bit in the middle is another, and says where.
    pub(crate) fn damage(&self, file: &str, copy: &str) -> usize {
        let mut content = std::fs::read(self.path(file)).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 0x10;
        self.write(copy, content);
        middle
    }

    /// The names of all files in the folder, hidden ones too.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// How many keys the server holds.
    pub(crate) async fn count(&self) -> u64 {
        let client = Client::connect([self.server.endpoint()]).await.unwrap();
        client.send(Get::new(KeyRange::all()).count_only()).await.unwrap().count
    }

    pub(crate) async fn wipe(&self) {
        self.server.etcdctl(&["del", "", "--prefix"]).await;
    }
}

/// Writes `count` keys `{prefix}{number}`, a hundred at a time.
pub(crate) async fn fill(server: &Server, prefix: &str, count: usize, value_bytes: usize) {
    let client = Client::connect([server.endpoint()]).await.unwrap();
    let keys: Vec<_> = (0..count).map(|number| format!("{prefix}{number:08}")).collect();
    for batch in keys.chunks(100) {
        let put = |key: &String| Put::new(key.clone(), noise(key, value_bytes));
        let txn = batch.iter().map(put).fold(Txn::new(), Txn::then);
        client.send(txn).await.unwrap();
    }
}

/// Bytes that do not compress, the same for the same key.
fn noise(key: &str, len: usize) -> Vec<u8> {
    let mut state = key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..len).map(|_| byte()).collect()
}

/// The command, in an environment without settings for etcd and without anything to read.
pub(crate) fn ark(line: &str) -> Command {
    let mut command = Command::new(&*PROGRAM);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ETCD") {
            command.env_remove(name);
        }
    }
    command.args(line.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// cargo tells tests where binaries are, but not examples: those lie beside the folder of the tests.
pub(crate) static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples/ark");
    assert!(program.exists(), "{} is missing: cargo build --example ark", program.display());
    program
});

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

pub(crate) async fn run(command: &mut Command) -> Outcome {
    finish(command.spawn().unwrap()).await
}

pub(crate) async fn finish(child: Child) -> Outcome {
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("the command ends").unwrap();
    let stderr = String::from_utf8(output.stderr).expect("messages are text");
    Outcome { code: output.status.code(), stdout: output.stdout, stderr }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        assert!(!self.stderr.contains("error"), "{}", self.stderr);
        self
    }

    /// It ended with this code, told this, and printed no result.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, told: &str) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stderr, self.text());
        assert!(self.stderr.contains("error: "), "{}", self.stderr);
        assert!(self.stderr.contains(told), "{:?} is not in: {}", told, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    /// The one object that was printed, on one line.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let text = self.text();
        assert_eq!(text.trim_end().lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}
