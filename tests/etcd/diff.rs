//! Comparing archives and clusters in any mix.

use etcd_ark::backup::{ArchiveFile, Backup, Diff, DiffSide, Selection};
use etcd_ark::{Client, ErrorKind, KeyRange};
use tempfile::tempdir;

use crate::client_of;
use crate::scan::load;
use crate::support::Server;

/// The differences as `+key`, `-key` and `~key`, and how many keys are the same.
async fn diff<'a>(
    left: impl Into<DiffSide<'a>>,
    right: impl Into<DiffSide<'a>>,
    selection: Selection,
) -> (Vec<String>, u64) {
    let mut diff = Diff::new(left, right, selection).await.unwrap();
    let mut lines = Vec::new();
    while let Some(difference) = diff.next().await.unwrap() {
        let sign = match (&difference.left, &difference.right) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        lines.push(format!("{sign}{}", String::from_utf8_lossy(&difference.key)));
    }
    (lines, diff.same())
}

async fn save(client: &Client, path: &std::path::Path, range: KeyRange) -> ArchiveFile {
    Backup::new().range(range).save(client, path).await.unwrap();
    ArchiveFile::open(path).await.unwrap()
}

#[tokio::test]
async fn archives_and_clusters_are_compared_in_any_mix() {
    let (one, two) = (Server::start().await, Server::start().await);
    let (one, two) = ((client_of(&one).await, one), (client_of(&two).await, two));
    let folder = tempdir().unwrap();
    for (client, _) in [&one, &two] {
        // Several blocks.
        load(client, "k/", 3000, &"v".repeat(300)).await;
    }
    let (one, two) = (&one.0, &two.0);
    // Other revisions, versions and leases are no differences.
    load(two, "k/", 200, &"v".repeat(300)).await;
    let (mut first, mut second) = (
        save(one, &folder.path().join("one.ark"), KeyRange::all()).await,
        save(two, &folder.path().join("two.ark"), KeyRange::all()).await,
    );
    assert_eq!(diff(&mut first, &mut second, Selection::new()).await, (vec![], 3000));
    assert_eq!(diff(one, two, Selection::new()).await, (vec![], 3000));
    two.put("k/00001500", "other").await.unwrap();
    two.put("k/00001500x", "new").await.unwrap();
    two.delete("k/00000007").await.unwrap();
    let expected = (vec!["-k/00000007".to_owned(), "~k/00001500".into(), "+k/00001500x".into()], 2998);
    let mut third = save(two, &folder.path().join("three.ark"), KeyRange::all()).await;
    assert_eq!(diff(&mut first, &mut third, Selection::new()).await, expected);
    assert_eq!(diff(&mut first, two, Selection::new()).await, expected);
    assert_eq!(diff(one, &mut third, Selection::new()).await, expected);
    assert_eq!(diff(one, two, Selection::new()).await, expected);
    let part = Selection::from(KeyRange::prefix("k/0000150"));
    assert_eq!(diff(&mut first, two, part.clone()).await, (expected.0[1..].to_vec(), 9));
    assert_eq!(diff(two, &mut first, part).await, (vec!["~k/00001500".into(), "-k/00001500x".into()], 9));
}

#[tokio::test]
async fn only_what_both_can_tell_about_is_compared() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    load(&client, "a/", 20, "v").await;
    load(&client, "b/", 30, "v").await;
    let mut a = save(&client, &folder.path().join("a.ark"), KeyRange::prefix("a/")).await;
    let mut b = save(&client, &folder.path().join("b.ark"), KeyRange::prefix("b/")).await;
    assert_eq!(diff(&mut a, &client, Selection::new()).await, (vec![], 20));
    let error = Diff::new(&mut a, &mut b, Selection::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[tokio::test]
async fn of_equal_blocks_nothing_is_read() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let folder = tempdir().unwrap();
    load(&client, "k/", 3000, &"v".repeat(300)).await;
    let path = folder.path().join("saved.ark");
    let mut whole = save(&client, &path, KeyRange::all()).await;
    // All blocks of the copy are destroyed: who reads one fails.
    let mut bytes = std::fs::read(&path).unwrap();
    let marker = b"\xf7AFR\x82";
    let blocks: Vec<_> = (0..bytes.len() - 5).filter(|at| bytes[*at..].starts_with(marker)).collect();
    assert!(blocks.len() > 2);
    blocks.iter().for_each(|at| bytes[at + 100] ^= 1);
    let path = folder.path().join("hollow.ark");
    std::fs::write(&path, bytes).unwrap();
    let mut hollow = ArchiveFile::open(&path).await.unwrap();
    assert_eq!(diff(&mut hollow, &client, Selection::new()).await, (vec![], 3000));
    assert_eq!(diff(&mut whole, &mut hollow, Selection::new()).await, (vec![], 3000));
    client.put("k/00002000", "other").await.unwrap();
    let mut unequal = Diff::new(&mut hollow, &client, Selection::new()).await.unwrap();
    assert_eq!(unequal.next().await.unwrap_err().kind(), ErrorKind::Corrupt);
}
