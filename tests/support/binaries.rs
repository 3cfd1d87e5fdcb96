//! Where the servers come from: `scripts/etcd`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex, PoisonError};

type Got = Result<PathBuf, String>;

/// The version that tests run on if they do not ask for another.
pub fn default_version() -> String {
    std::env::var("ETCD_ARK_ETCD").unwrap_or_else(|_| "3.5.1".to_owned())
}

/// Every version that can be had, without the builds with failpoints.
pub fn all_versions() -> Vec<String> {
    let listed = script("--list").expect("scripts/etcd --list");
    listed.lines().filter(|version| !version.contains('-')).map(str::to_owned).collect()
}

/// The folder with a version's `etcd` and `etcdctl`; a version that cannot be had fails the test.
pub fn binaries(version: &str) -> PathBuf {
    try_binaries(version).unwrap_or_else(|why| panic!("no etcd {version}: {why}"))
}

/// As [`binaries`], or why the version cannot be had. The script runs once per version.
pub fn try_binaries(version: &str) -> Got {
    static GOT: LazyLock<Mutex<HashMap<String, Got>>> = LazyLock::new(Mutex::default);
    // Held while the script builds, so that tests do not build several versions at once.
    let mut got = GOT.lock().unwrap_or_else(PoisonError::into_inner);
    got.entry(version.to_owned()).or_insert_with(|| script(version).map(PathBuf::from)).clone()
}

fn script(argument: &str) -> Result<String, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/etcd");
    let output = Command::new(script).arg(argument).output().map_err(|error| format!("{script}: {error}"))?;
    let Output { status, stdout, stderr } = output;
    if !status.success() {
        return Err(format!("{script} {argument}: {status}\n{}", String::from_utf8_lossy(&stderr)));
    }
    Ok(String::from_utf8_lossy(&stdout).trim_end().to_owned())
}
