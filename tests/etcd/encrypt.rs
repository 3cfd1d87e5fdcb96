//! Encrypted archives: who can read them, and that damage is found.

use std::io::{Cursor, Read};
use std::path::PathBuf;

use etcd_ark::archive::{Decoder, Event};
use etcd_ark::backup::{
    ArchiveFile, Backup, BackupReport, Encryption, Identities, Restore, RestoreMode, generate_identity,
};
use etcd_ark::{Client, ErrorKind, KeyRange};
use tempfile::{TempDir, tempdir};

use crate::client_of;
use crate::scan::load;
use crate::support::Server;

struct Encrypted {
    _server: Server,
    client: Client,
    folder: TempDir,
    identity: Identities,
    recipient: String,
}

impl Encrypted {
    async fn new() -> Self {
        let server = Server::start().await;
        let client = client_of(&server).await;
        let (file, recipient) = generate_identity();
        let identity = Identities::new().file(&file).unwrap();
        Self { _server: server, client, folder: tempdir().unwrap(), identity, recipient }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.ark")
    }

    async fn save(&self, encryption: Encryption) -> BackupReport {
        Backup::new().encrypt(encryption).save(&self.client, self.path()).await.unwrap()
    }
}

#[tokio::test]
async fn any_recipient_reads_what_was_saved_and_nobody_else() {
    let place = Encrypted::new().await;
    load(&place.client, "k", 3000, &"value".repeat(50)).await;
    let (file, second) = generate_identity();
    let report = place.save(Encryption::to_recipients([&place.recipient, &second]).unwrap()).await;

    for identity in [place.identity.clone(), Identities::new().file(&file).unwrap()] {
        let mut archive = ArchiveFile::open_with(place.path(), &identity).await.unwrap();
        assert_eq!(archive.summary(), report.summary);
        assert!(archive.verify().await.unwrap().is_good());
        archive.verify_structure().await.unwrap();
        assert!(archive.get("k00002999").await.unwrap().is_some());
        assert!(archive.get("k00000000").await.unwrap().is_some());
        assert_eq!(archive.get("absent").await.unwrap(), None);
    }
    let stranger = Identities::new().file(&generate_identity().0).unwrap();
    for identities in [stranger, Identities::new(), Identities::new().passphrase("guess")] {
        let error = ArchiveFile::open_with(place.path(), &identities).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    }
    assert_eq!(ArchiveFile::open(place.path()).await.unwrap_err().kind(), ErrorKind::Auth);
    let bytes = std::fs::read(place.path()).unwrap();
    assert!(!bytes.windows(5).any(|window| window == b"value" || window == b"k0000"));

    place.client.delete(KeyRange::all()).await.unwrap();
    let mut archive = ArchiveFile::open_with(place.path(), &place.identity).await.unwrap();
    let restore = Restore::new(RestoreMode::Refuse);
    let restored = restore.plan(&place.client, &mut archive).await.unwrap().apply().await.unwrap();
    assert_eq!(restored.written, 3000);
}

/// By the decryptor of the crate age, from front to back: without ours.
#[tokio::test]
async fn what_is_inside_is_an_archive() {
    let place = Encrypted::new().await;
    load(&place.client, "k", 500, &"value".repeat(500)).await;
    let (file, recipient) = generate_identity();
    let report = place.save(Encryption::to_recipients([recipient]).unwrap()).await;
    let identity: age::x25519::Identity = file.lines().nth(1).unwrap().parse().unwrap();
    let decryptor = age::Decryptor::new(Cursor::new(std::fs::read(place.path()).unwrap())).unwrap();
    let mut plain = Vec::new();
    let mut reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).unwrap();
    reader.read_to_end(&mut plain).unwrap();
    let mut decoder = Decoder::new();
    decoder.feed(&plain);
    let mut records = 0;
    while let Some(event) = decoder.next_event().unwrap() {
        records += if let Event::Block(block) = event { block.record_count() } else { 0 };
    }
    assert_eq!((records, decoder.finish().unwrap()), (500, report.summary));
}

#[tokio::test]
async fn a_passphrase_opens_what_it_closed() {
    let place = Encrypted::new().await;
    place.client.put("k", "v").await.unwrap();
    place.save(Encryption::with_passphrase("correct horse")).await;
    let right = Identities::new().passphrase("correct horse");
    let mut archive = ArchiveFile::open_with(place.path(), &right).await.unwrap();
    assert_eq!(archive.get("k").await.unwrap().unwrap().value, "v");
    for wrong in [place.identity.clone(), Identities::new().passphrase("wrong horse")] {
        assert_eq!(ArchiveFile::open_with(place.path(), &wrong).await.unwrap_err().kind(), ErrorKind::Auth);
    }
    let shown = format!("{right:?} {:?}", Encryption::with_passphrase("correct horse"));
    assert!(!shown.contains("horse"), "{shown}");
}

#[test]
fn what_is_no_recipient_or_identity_is_told_without_the_secret() {
    let (file, recipient) = generate_identity();
    let damaged = format!("{}x", file.trim_end());
    let error = Identities::new().file(&damaged).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error:?}").contains("AGE-SECRET"), "{error:?}");
    assert!(Identities::new().file("# nothing\n").is_err());
    for wrong in ["age1", "", &recipient[1..]] {
        assert_eq!(Encryption::to_recipients([wrong]).unwrap_err().kind(), ErrorKind::Config);
    }
    assert!(Encryption::to_recipients(std::iter::empty::<&str>()).is_err());
    let shown = format!("{:?}", Identities::new().file(&file).unwrap());
    assert!(!shown.contains("AGE-SECRET"), "{shown}");
}
