//! Archives that are not good: whatever is wrong with one, verify says so and a restore writes nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use etcd_ark::backup::{ArchiveFile, Backup, Restore, RestoreMode, SalvagedFile, verify};
use etcd_ark::{Client, ErrorKind, Get, GrantLease, KeyRange, Put};
use tempfile::{TempDir, tempdir};
use tokio::fs::File;

use crate::client_of;
use crate::support::Server;

/// A server with a few keys and a lease, and the bytes of a backup of it.
struct Small {
    client: Client,
    archive: Vec<u8>,
    folder: TempDir,
    _server: Server,
}

impl Small {
    async fn new() -> Self {
        let server = Server::start().await;
        let client = client_of(&server).await;
        let folder = tempdir().unwrap();
        let lease = client.send(GrantLease::new(Duration::from_secs(600))).await.unwrap().id;
        client.put("a", "1").await.unwrap();
        client.send(Put::new("b", "2").lease(lease)).await.unwrap();
        let path = folder.path().join("good.ark");
        Backup::new().save(&client, &path).await.unwrap();
        client.delete(KeyRange::all()).await.unwrap();
        Self { client, archive: std::fs::read(path).unwrap(), folder, _server: server }
    }

    fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("bad.ark");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Verify finds something, and no restore gets as far as writing.
    async fn assert_refused(&self, bytes: &[u8], what: &str) {
        let path = self.write(bytes);
        let report = verify(File::open(&path).await.unwrap()).await.unwrap();
        assert!(!report.is_good() && !report.findings.is_empty(), "verify passed with {what}");
        let error = restore(&self.client, &path).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{what}: {error}");
    }

    async fn assert_nothing_was_written(&self) {
        let count = self.client.send(Get::new(KeyRange::all()).count_only()).await.unwrap().count;
        assert_eq!(count, 0);
    }
}

async fn restore(client: &Client, path: &Path) -> etcd_ark::Result<()> {
    let mut archive = ArchiveFile::open(path).await?;
    Restore::new(RestoreMode::Replace).plan(client, &mut archive).await?.apply().await.map(drop)
}

#[tokio::test]
async fn every_flipped_bit_is_found_and_nothing_of_it_is_written() {
    let small = Small::new().await;
    for bit in 0..small.archive.len() * 8 {
        let mut flipped = small.archive.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        small.assert_refused(&flipped, &format!("bit {bit} flipped")).await;
    }
    small.assert_nothing_was_written().await;
    assert!(
        restore(&small.client, &small.write(&small.archive)).await.is_ok(),
        "the good one is refused too"
    );
}

#[tokio::test]
async fn every_truncation_is_found_and_nothing_of_it_is_written() {
    let small = Small::new().await;
    for len in 0..small.archive.len() {
        small.assert_refused(&small.archive[..len], &format!("{len} bytes")).await;
    }
    small.assert_refused(&[&small.archive[..], b"\0"].concat(), "a byte more").await;
    small.assert_nothing_was_written().await;
}

#[tokio::test]
async fn what_an_archive_is_not_is_told() {
    let small = Small::new().await;
    let told = async |bytes: &[u8]| {
        let report = verify(File::open(small.write(bytes)).await.unwrap()).await.unwrap();
        report.findings[0].to_string()
    };
    assert!(told(b"").await.contains("ends before its footer"), "{}", told(b"").await);
    assert!(told(b"SQLite format 3\0").await.contains("not an archive"));
    let mut newer = small.archive.clone();
    newer[8] = 2;
    assert!(told(&newer).await.contains("format version 2.0"), "{}", told(&newer).await);
    let error = restore(&small.client, &small.write(&newer)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[tokio::test]
async fn what_is_left_of_a_damaged_archive_is_right_and_the_rest_is_told() {
    let small = Small::new().await;
    let saved = ["a", "b"];
    for at in (0..small.archive.len()).step_by(5) {
        let mut flipped = small.archive.clone();
        flipped[at] ^= 1 << (at % 8);
        for bytes in [&flipped[..], &small.archive[..at]] {
            let Ok(mut left) = SalvagedFile::open(small.write(bytes)).await else { continue };
            let mut found = Vec::new();
            let mut records = left.records(KeyRange::all());
            while let Some(kvs) = records.next_block().await.unwrap() {
                found.extend(kvs.into_iter().map(|kv| kv.key));
            }
            assert_eq!(left.report().records, found.len() as u64);
            let is_told =
                |key: &&str| left.report().lost.iter().any(|lost| lost.range.contains(key.as_bytes()));
            assert!(
                saved.iter().all(|key| found.iter().any(|there| there == key) || is_told(key)),
                "byte {at}"
            );
        }
    }
}

/// A lease of unknown length would take its keys away again.
#[tokio::test]
async fn keys_whose_leases_are_lost_stay() {
    let small = Small::new().await;
    // The LEASES frame is the one with type 83.
    let marker = small.archive.windows(5).position(|window| window == b"\xf7AFR\x83").unwrap();
    let mut damaged = small.archive.clone();
    damaged[marker + 14] ^= 1;
    let left = SalvagedFile::open(small.write(&damaged)).await.unwrap();
    assert_eq!((left.report().records, left.report().lost.len()), (2, 0));
    let restore = Restore::new(RestoreMode::Refuse);
    let report = restore.plan_salvaged(&small.client, &left).await.unwrap().apply().await.unwrap();
    assert_eq!((report.written, report.leases), (2, 0));
    assert_eq!(small.client.get("b").await.unwrap().unwrap().lease, None);
}
