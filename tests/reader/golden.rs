//! The archives in `tests/golden/`: made once, and readable for ever, by every way of reading.

use std::path::PathBuf;

use etcd_ark::KeyRange;
use etcd_ark::backup::{ArchiveFile, RecordReader};
use serde_json::Value;

use super::{Verdict, hex, read_by_python, read_by_rust, record_line};

/// BLAKE3 of every file in the folder. A line here may be added; none may ever be changed.
const FILES: &str = include_str!("../golden/HASHES");

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// The archives that are not encrypted.
fn plain() -> Vec<(String, Vec<u8>)> {
    let names = FILES.lines().filter_map(|line| line.split_once("  ")).map(|(_, name)| name);
    names.filter(|name| name.ends_with(".ark")).map(|name| (name.to_owned(), read(name))).collect()
}

/// What an archive holds, as it was read when it was made.
fn expected(archive: &str) -> Vec<Value> {
    let lines = String::from_utf8(read(&archive.replace(".ark", ".jsonl"))).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The line with the hash of a value that is too long to be kept.
fn short(mut line: Value) -> Value {
    let value = line.pointer_mut("/record/value");
    if let Some(value) = value.filter(|value| value.as_str().is_some_and(|value| value.len() > 8192)) {
        *value = hex(blake3::hash(value.as_str().unwrap().as_bytes()).as_bytes()).into();
    }
    line
}

fn assert_as_expected(name: &str, lines: impl IntoIterator<Item = Value>, expected: &[Value]) {
    let lines: Vec<_> = lines.into_iter().map(short).collect();
    assert_eq!(lines.len(), expected.len(), "{name}: lines");
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(line, expected, "{name}");
    }
}

#[test]
fn golden_archives_never_change() {
    let mut found: Vec<_> = std::fs::read_dir(path("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| !path.ends_with("HASHES") && !path.ends_with("README.md"));
    let mut stated = Vec::new();
    for line in FILES.lines() {
        let (hash, name) = line.split_once("  ").unwrap();
        assert_eq!(blake3::hash(&read(name)).to_string(), hash, "{name} has changed: put the old file back");
        stated.push(path(name));
    }
    found.sort();
    stated.sort();
    assert_eq!(found, stated, "every golden file has a line in HASHES");
}

#[test]
fn golden_archives_are_read_front_to_back_by_rust_and_python() {
    let archives = plain();
    assert!(archives.len() > 4, "{archives:?}");
    for (Verdict { lines, fault }, (name, bytes)) in read_by_python(&archives).into_iter().zip(&archives) {
        assert_eq!(fault, None, "{name}");
        let expected = expected(name);
        assert_as_expected(name, lines.iter().map(|line| serde_json::from_str(line).unwrap()), &expected);
        assert_as_expected(name, read_by_rust(bytes), &expected);
    }
}

#[tokio::test]
async fn golden_archives_are_read_by_their_index() {
    for (name, _) in plain() {
        assert_sought(&name, ArchiveFile::open(path(&name)).await.unwrap(), &expected(&name)).await;
    }
}

/// Every record is found by its range and by its key, and the archive passes its own check.
async fn assert_sought(name: &str, mut archive: ArchiveFile, expected: &[Value]) {
    let expected: Vec<_> = expected.iter().filter(|line| line.get("record").is_some()).cloned().collect();
    let all = lines(archive.records(KeyRange::all())).await;
    assert_as_expected(name, all.clone(), &expected);
    for line in all {
        let key = line.pointer("/record/key").and_then(Value::as_str).unwrap();
        let found = archive.get(unhex(key)).await.unwrap().unwrap();
        assert_eq!(short(record_line(&found)), short(line), "{name}");
    }
    archive.verify_structure().await.unwrap();
    assert!(archive.verify().await.unwrap().is_good(), "{name}");
}

async fn lines(mut records: RecordReader<'_>) -> Vec<Value> {
    let mut lines = Vec::new();
    while let Some(kvs) = records.next_block().await.unwrap() {
        lines.extend(kvs.iter().map(record_line));
    }
    lines
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

/// The identity and the passphrase lie beside the archives: they protect nothing.
#[cfg(feature = "encrypt")]
#[tokio::test]
async fn golden_archives_that_are_encrypted_hold_what_the_plain_one_holds() {
    use etcd_ark::backup::Identities;
    let identity = Identities::new().file(&String::from_utf8(read("identity.txt")).unwrap()).unwrap();
    let keys =
        [("recipient.ark.age", identity), ("passphrase.ark.age", Identities::new().passphrase("golden"))];
    for (name, identities) in keys {
        let archive = ArchiveFile::open_with(path(name), &identities).await.unwrap();
        assert_sought(name, archive, &expected("backup.ark")).await;
    }
}
