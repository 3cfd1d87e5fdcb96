//! Archives inside the age format that are damaged, or forged by somebody who knows the recipient.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use etcd_ark::backup::{
    ArchiveFile, Encryption, Identities, Import, SalvagedFile, TextFormat, generate_identity,
};

use super::*;

/// What age encrypts at once, and what it adds.
const CHUNK: usize = (64 << 10) + 16;

struct Place {
    folder: tempfile::TempDir,
    identities: Identities,
    encrypted: Vec<u8>,
    records: HashMap<Bytes, Bytes>,
}

impl Place {
    /// An archive of several blocks, in many chunks.
    async fn new() -> Self {
        let records: HashMap<_, _> =
            (0..4000_u32).map(|n| (Bytes::from(format!("key-{n:05}")), Bytes::from(noise(n, 500)))).collect();
        let mut lines = String::new();
        for (key, value) in &records {
            let [key, value] = [key, value].map(|part| BASE64_STANDARD.encode(part));
            lines.push_str(&format!("{key} : {value}\n"));
        }
        let (file, recipient) = generate_identity();
        let mut encrypted = Vec::new();
        let import = Import::new(TextFormat::Shield);
        let import = import.encrypt(Encryption::to_recipients([recipient]).unwrap());
        import.write_to(Cursor::new(lines), &mut encrypted).await.unwrap();
        assert!(encrypted.len() > 20 * CHUNK);
        let (folder, identities) = (tempfile::tempdir().unwrap(), Identities::new().file(&file).unwrap());
        Self { folder, identities, encrypted, records }
    }

    /// What is left of the archive, all of which is right; and whether all that is missing was told.
    async fn left(&self, bytes: &[u8]) -> etcd_ark::Result<usize> {
        let path: &Path = &self.folder.path().join("damaged");
        std::fs::write(path, bytes).unwrap();
        let mut salvaged = SalvagedFile::open_with(path, &self.identities, |_| {}).await?;
        let mut left = HashMap::new();
        let mut records = salvaged.records(KeyRange::all());
        while let Some(kvs) = records.next_block().await? {
            left.extend(kvs.into_iter().map(|kv| (kv.key, kv.value)));
        }
        assert!(left.iter().all(|(key, value)| self.records.get(key) == Some(value)), "a wrong record");
        let lost = &salvaged.report().lost;
        let is_told =
            |key: &&Bytes| left.contains_key(*key) || lost.iter().any(|lost| lost.range.contains(key));
        assert_eq!(self.records.keys().find(|key| !is_told(key)), None, "missing, but not in {lost:?}");
        Ok(left.len())
    }
}

fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

#[tokio::test]
async fn a_damaged_chunk_costs_the_blocks_in_it() {
    let place = Place::new().await;
    let (len, all) = (place.encrypted.len(), place.records.len());
    assert_eq!(place.left(&place.encrypted).await.unwrap(), all);
    for at in [len / 2, len / 3, len - 2 * CHUNK, len - 2 * CHUNK - len % CHUNK] {
        let mut damaged = place.encrypted.clone();
        damaged[at] ^= 4;
        let left = place.left(&damaged).await.unwrap();
        assert!(left >= all * 2 / 3 && left < all, "byte {at}: {left}");
    }
    let mut twice = place.encrypted.clone();
    twice[len / 4] ^= 1;
    twice[len / 4 * 3] ^= 1;
    assert!(place.left(&twice).await.unwrap() > all / 2);
}

#[tokio::test]
async fn a_truncated_or_headless_file_keeps_what_is_whole() {
    let place = Place::new().await;
    let (len, all) = (place.encrypted.len(), place.records.len());
    for cut in [len - 1, len - CHUNK, len / 2] {
        let left = place.left(&place.encrypted[..cut]).await.unwrap();
        assert!(left > all / 4 && (cut > len / 2 || left < all), "{cut} of {len} bytes: {left}");
    }
    let mut headless = place.encrypted.clone();
    headless[60] ^= 1;
    let error = place.left(&headless).await.unwrap_err();
    // The flip makes it another key's, or none that can be.
    assert!([ErrorKind::Auth, ErrorKind::Corrupt].contains(&error.kind()), "{error}");
}

/// Verification finds it, and who looks for a key is not told anything wrong.
#[tokio::test]
async fn every_flipped_bit_and_every_truncation_is_found() {
    let (file, recipient) = generate_identity();
    let identities = Identities::new().file(&file).unwrap();
    let import = Import::new(TextFormat::Shield).encrypt(Encryption::to_recipients([recipient]).unwrap());
    let mut good = Vec::new();
    // `k` and `v`.
    import.write_to(Cursor::new("aw== : dg==\n"), &mut good).await.unwrap();
    let is_good = async |bytes: &[u8]| {
        let bytes = Cursor::new(bytes.to_vec());
        let Ok(mut archive) = ArchiveFile::from_reader_with(bytes, &identities).await else { return false };
        if let Ok(found) = archive.get("k").await {
            assert_eq!(found.unwrap().value, "v");
        }
        archive.verify().await.is_ok_and(|report| report.is_good())
    };
    assert!(is_good(&good).await);
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut flipped = good.clone();
            flipped[at] ^= 1 << bit;
            assert!(!is_good(&flipped).await, "byte {at} bit {bit}");
        }
        assert!(!is_good(&good[..at]).await, "{at} bytes");
    }
    assert!(!is_good(&[&good[..], b"\0"].concat()).await);
}

/// A leaf that begins behind the end of the content, though inside of its last chunk.
#[tokio::test]
async fn an_index_that_leads_behind_the_end_is_refused() {
    let forged = draft::good().bent(|part| {
        if part.kind == INDEX_ROOT {
            part.payload[3..5].copy_from_slice(&[0xff, 0x7f]);
        }
    });
    let (file, recipient) = generate_identity();
    let recipient = age::x25519::Recipient::from_str(&recipient).unwrap();
    let encrypted = age::encrypt(&recipient, &forged).unwrap();
    let identities = Identities::new().file(&file).unwrap();
    let mut opened = ArchiveFile::from_reader_with(Cursor::new(encrypted), &identities).await.unwrap();
    assert_eq!(opened.get("a").await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(opened.verify_structure().await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(!opened.verify().await.unwrap().is_good());
}
