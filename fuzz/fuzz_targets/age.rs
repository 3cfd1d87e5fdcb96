//! Any bytes as an encrypted archive: what opens is the one that was encrypted, since nobody here can make another.

#![no_main]

use std::io::Cursor;

use etcd_ark::KeyRange;
use etcd_ark::backup::{ArchiveFile, Identities};
use etcd_ark_fuzz::text::wait;
use libfuzzer_sys::fuzz_target;

const IDENTITY: &str = include_str!("../../tests/golden/identity.txt");
const ENCRYPTED: &[u8] = include_bytes!("../../tests/golden/recipient.ark.age");

async fn keys(bytes: &[u8]) -> etcd_ark::Result<Vec<etcd_ark::KeyValue>> {
    let identities = Identities::new().file(IDENTITY)?;
    let mut archive = ArchiveFile::from_reader_with(Cursor::new(bytes.to_vec()), &identities).await?;
    let mut all = Vec::new();
    let mut records = archive.records(KeyRange::all());
    while let Some(kvs) = records.next_block().await? {
        all.extend(kvs);
    }
    Ok(all)
}

fuzz_target!(|bytes: &[u8]| {
    // Archives that are not encrypted are other targets' business.
    if bytes.starts_with(b"age-encryption.org/") {
        if let Ok(found) = wait(keys(bytes)) {
            assert_eq!(found, wait(keys(ENCRYPTED)).unwrap());
        }
    }
});
