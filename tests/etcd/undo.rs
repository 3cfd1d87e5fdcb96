//! Undoing restores: everything as it was, but for what others have changed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use etcd_ark::backup::{ArchiveFile, Backup, Restore, RestoreMode, RestoreReport, Selection, Undo};
use etcd_ark::{Client, ErrorKind, GrantLease, KeyRange, LeaseId, Put, Scan};
use futures_util::TryStreamExt;
use tempfile::{TempDir, tempdir};

use crate::client_of;
use crate::scan::load;
use crate::support::Server;

struct Place {
    client: Client,
    folder: TempDir,
    _server: Server,
}

type State = BTreeMap<Bytes, (Bytes, Option<LeaseId>)>;

impl Place {
    /// A server whose keys have changed in all ways since `saved.ark` was made.
    async fn changed() -> Self {
        let server = Server::start().await;
        let place = Self { client: client_of(&server).await, folder: tempdir().unwrap(), _server: server };
        load(&place.client, "a/", 400, "saved").await;
        let lease = place.client.send(GrantLease::new(Duration::from_secs(600))).await.unwrap().id;
        place.client.send(Put::new("leased", "saved").lease(lease)).await.unwrap();
        Backup::new().save(&place.client, place.folder.path().join("saved.ark")).await.unwrap();
        place.client.delete(KeyRange::between("a/00000000", "a/00000150")).await.unwrap();
        load(&place.client, "a/000002", 50, "changed").await;
        place.client.put("leased", "changed").await.unwrap();
        place.client.send(Put::new("extra", "extra").lease(lease)).await.unwrap();
        place
    }

    async fn open(&self, name: &str) -> ArchiveFile {
        ArchiveFile::open(self.folder.path().join(name)).await.unwrap()
    }

    async fn restore(&self, restore: Restore, undo: &str) -> RestoreReport {
        let restore = restore.save_undo(self.folder.path().join(undo));
        restore.plan(&self.client, &mut self.open("saved.ark").await).await.unwrap().apply().await.unwrap()
    }

    async fn undo(&self, undo: Undo, name: &str) -> etcd_ark::Result<RestoreReport> {
        let (mut saved, mut restored) = (self.open(name).await, self.open("saved.ark").await);
        undo.plan(&self.client, &mut saved, &mut restored).await?.apply().await
    }

    async fn state(&self) -> State {
        let kvs: Vec<_> = self.client.scan(Scan::all()).try_collect().await.unwrap();
        kvs.into_iter().map(|kv| (kv.key, (kv.value, kv.lease))).collect()
    }
}

#[tokio::test]
async fn every_mode_can_be_undone_and_undone_again() {
    for mode in [
        RestoreMode::Missing,
        RestoreMode::Unchanged,
        RestoreMode::Replace,
        RestoreMode::Mirror,
        RestoreMode::Overwrite,
    ] {
        let place = Place::changed().await;
        let before = place.state().await;
        place.restore(Restore::new(mode), "undo.ark").await;
        let restored = place.state().await;
        assert_ne!(restored, before);
        let report = place.undo(Undo::new(), "undo.ark").await.unwrap();
        assert_eq!(place.state().await, before, "{mode:?}");
        assert_eq!((report.left, report.deleted), (0, 150), "{mode:?}");
        let again = place.undo(Undo::new(), "undo.ark").await.unwrap();
        assert_eq!((again.written, again.deleted, again.left), (0, 0, 0), "{mode:?}");
    }
}

#[tokio::test]
async fn what_others_have_changed_since_is_not_undone() {
    let place = Place::changed().await;
    let before = place.state().await;
    place.restore(Restore::new(RestoreMode::Mirror), "undo.ark").await;
    // Created, updated and deleted by the restore.
    for key in ["a/00000001", "leased", "extra"] {
        place.client.put(key, "newest").await.unwrap();
    }
    place.client.delete("a/00000002").await.unwrap();
    let report = place.undo(Undo::new(), "undo.ark").await.unwrap();
    assert_eq!(report.kept, 4, "three that were changed, one that is as before");
    let mut expected = before;
    for key in ["a/00000001", "leased", "extra"] {
        expected.insert(key.into(), ("newest".into(), None));
    }
    assert_eq!(place.state().await, expected);
}

#[tokio::test]
async fn a_restore_to_other_names_is_undone_there() {
    let place = Place::changed().await;
    place.client.put("b/00000000", "mine").await.unwrap();
    let before = place.state().await;
    let selection = Selection::from(KeyRange::prefix("a/")).rename("a/", "b/");
    place.restore(Restore::new(RestoreMode::Replace).select(selection.clone()), "undo.ark").await;
    assert_eq!(place.state().await.len(), before.len() + 399);
    place.undo(Undo::new().select(selection), "undo.ark").await.unwrap();
    assert_eq!(place.state().await, before);
}

#[tokio::test]
async fn what_is_saved_for_undo_has_its_name_before_the_first_write_and_only_if_there_is_one() {
    let place = Place::changed().await;
    let path = place.folder.path().join("undo.ark");
    let mut archive = place.open("saved.ark").await;
    let restore = Restore::new(RestoreMode::Replace).save_undo(&path);
    drop(restore.plan(&place.client, &mut archive).await.unwrap());
    assert!(!path.exists(), "a plan that is not applied leaves nothing");
    let plan = restore.plan(&place.client, &mut archive).await.unwrap();
    std::fs::write(&path, "came first").unwrap();
    let before = place.state().await;
    assert_eq!(plan.apply().await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(place.state().await, before, "nothing is written that can't be undone");

    let nothing = Restore::new(RestoreMode::Mirror).select(KeyRange::prefix("z/"));
    assert_eq!(place.restore(nothing, "nothing.ark").await.written, 0);
    assert!(!place.folder.path().join("nothing.ark").exists());
}
