//! What the package promises about itself: what the client alone pulls in, and the oldest Rust.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::process::Command;

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The crates that a user of the library compiles, with these features.
fn crates(features: &[&str]) -> Vec<String> {
    let tree = ["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let listed = cargo(&[&tree, features].concat());
    let mut names: Vec<_> =
        listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

fn holds(crates: &[String], name: &str) -> bool {
    crates.iter().any(|found| found == name || found.starts_with(&format!("{name}-")))
}

#[test]
fn the_client_alone_is_free_of_compression_stores_and_encryption() {
    let client = crates(&["--no-default-features"]);
    for foreign in [
        "zstd",
        "blake3",
        "age",
        "object_store",
        "tempfile",
        "rustls",
        "ring",
        "clap",
        "etcd-client",
        "tonic",
        "hyper",
    ] {
        assert!(!holds(&client, foreign), "the client alone pulls in {foreign}");
    }
    assert!(holds(&client, "h2") && client.len() <= 52, "{} crates: {client:?}", client.len());
}

#[test]
fn nothing_needs_openssl_protoc_or_another_etcd_client() {
    let all = crates(&["--all-features"]);
    for foreign in ["openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys", "etcd-client", "tonic-build"] {
        assert!(!holds(&all, foreign), "the crate pulls in {foreign}");
    }
    assert!(holds(&all, "zstd") && holds(&all, "rustls"));
}

#[test]
fn no_dependency_wants_a_newer_rust_than_the_package_states() {
    let stated = version(env!("CARGO_PKG_RUST_VERSION"));
    let metadata = cargo(&["metadata", "--locked", "--format-version", "1"]);
    let wanted = metadata.split("\"rust_version\":\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let newest = wanted.map(version).max().expect("dependencies state their Rust");
    assert!(newest <= stated, "a dependency wants Rust {newest:?}, the package states {stated:?}");
}

fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap_or(0))
}
