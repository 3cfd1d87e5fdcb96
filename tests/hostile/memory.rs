//! Forged archives of many megabytes, and the bounds of docs/format.md on what reading them takes.

use bytes::Bytes;
use tokio::sync::Mutex;

use crate::draft::{self, Draft, good, number, set_raw};
use crate::frames::{AUTH, BLOCK, INDEX_LEAF, INDEX_ROOT, LEASES, MEMBERS, OPTIONS, frame, seal};
use crate::{bound, peak, readers};

/// Memory is counted for the whole process.
pub(crate) static ALONE: Mutex<()> = Mutex::const_new(());

const META: usize = 8 << 20;
const BLOCK_PAYLOAD: usize = 64 << 20;

/// As often as the payload of a frame that is no block can hold it.
fn full_of(part: &[u8]) -> Vec<u8> {
    part.repeat(META / part.len())
}

/// The good archive with another payload of the first frame of this type.
fn with(kind: u8, payload: &[u8]) -> Vec<u8> {
    good().bent(|part| {
        if part.kind == kind && part.nth == 0 {
            *part.payload = payload.to_vec();
        }
    })
}

/// The good archive with one more frame in front of its index.
fn and(kind: u8, payload: Vec<u8>) -> Vec<u8> {
    let mut draft = good();
    draft.others.push((kind, payload));
    draft.unbent()
}

/// A block of zstd that decompresses to this many zeros and says so.
fn zeros(len: usize) -> Vec<u8> {
    let raw = vec![0; len];
    let mut payload = vec![0; 84];
    set_raw(&mut payload, &raw);
    payload[16] = 1;
    payload.truncate(84);
    payload.extend(zstd::bulk::compress(&raw, 1).unwrap());
    payload[12] = 1;
    payload[52..84].fill(1);
    payload
}

/// Its frame header promises 64 MiB, of which an eighth is there.
fn begun_block() -> Vec<u8> {
    let mut archive = start();
    archive.extend_from_slice(b"\xf7AFR\x82\0\0\0");
    archive.extend_from_slice(&u32::try_from(BLOCK_PAYLOAD).unwrap().to_le_bytes());
    archive.resize(archive.len() + BLOCK_PAYLOAD / 8, 7);
    archive
}

fn start() -> Vec<u8> {
    let archive = good().unbent();
    let header = 12 + 44 + usize::from(archive[20]);
    archive[..header].to_vec()
}

/// Its index names the same block for as many keys as the root has room for.
fn one_block_for_all() -> Vec<u8> {
    let archive = good().unbent();
    let at = archive.windows(5).rposition(|window| window == b"\xf7AFR\x85").unwrap();
    let entry = archive[at + 12..].to_vec();
    let len = usize::from(entry[1]) + 2;
    with(INDEX_ROOT, &full_of(&entry[..len]))
}

fn forged() -> Vec<(&'static str, Vec<u8>)> {
    let role = |name: u32| [draft::bytes(1, format!("{name:08}").as_bytes()), draft::bytes(2, b"")].concat();
    let roles: Vec<u8> = (0..400_000).flat_map(|name| draft::bytes(2, &role(name))).collect();
    let entry = [number(1, 3), number(3, 44), draft::bytes(4, &[1; 32])].concat();
    let stored = [&good_block_header()[..], &vec![7; BLOCK_PAYLOAD - 84]].concat();
    vec![
        ("a block of 64 MiB of zeros", and(BLOCK, zeros(BLOCK_PAYLOAD))),
        ("the same in the index", with(BLOCK, &zeros(BLOCK_PAYLOAD))),
        ("a block that says it has 4 GiB", and(BLOCK, huge_claim())),
        ("ten blocks of 64 MiB of zeros", [start(), frame(BLOCK, &zeros(BLOCK_PAYLOAD)).repeat(10)].concat()),
        ("a block of 64 MiB as it is", [start(), frame(BLOCK, &stored)].concat()),
        ("a block without its end", begun_block()),
        ("markers", [start(), b"\xf7AFR".repeat(1 << 20)].concat()),
        (
            "frames without payload",
            [start(), seal(b"\xf7AFR\x10\0\0\0\0\0\0\0".to_vec()).repeat(100_000)].concat(),
        ),
        ("empty leases", and(LEASES, full_of(&draft::bytes(1, b"")))),
        ("roles", and(AUTH, roles)),
        ("permissions", and(AUTH, full_of(&draft::bytes(2, &draft::bytes(2, b""))))),
        ("users", and(AUTH, full_of(&draft::bytes(1, &draft::bytes(1, b"u"))))),
        ("members", and(MEMBERS, full_of(&draft::bytes(1, b"")))),
        ("alarms", and(MEMBERS, full_of(&draft::bytes(2, b"")))),
        ("options", and(OPTIONS, full_of(&draft::bytes(1, &draft::bytes(1, b"o"))))),
        ("frames in the root", with(INDEX_ROOT, &full_of(&draft::bytes(2, &entry)))),
        ("leaves in the root", one_block_for_all()),
        ("blocks in a leaf", with(INDEX_LEAF, &full_of(&draft::bytes(1, b"")))),
        ("one long text that is none", and(MEMBERS, draft::bytes(3, &vec![0xff; META - 10]))),
    ]
}

fn good_block_header() -> Vec<u8> {
    let mut payload = vec![0; 84];
    payload[8..12].copy_from_slice(&u32::try_from(BLOCK_PAYLOAD - 84).unwrap().to_le_bytes());
    payload[12] = 1;
    payload[20..52].copy_from_slice(blake3::hash(&vec![7; BLOCK_PAYLOAD - 84]).as_bytes());
    payload
}

fn huge_claim() -> Vec<u8> {
    let mut payload = zeros(1 << 20);
    payload[8..12].fill(0xff);
    payload
}

#[tokio::test]
async fn no_archive_takes_more_memory_than_the_page_says() {
    let _alone = ALONE.lock().await;
    let mut most_sought = 0;
    for (name, archive) in forged() {
        let archive = Bytes::from(archive);
        let (streamed, _) = peak(async { readers::stream(&archive, drop) }).await;
        let (salvaged, _) = peak(async { readers::salvage(&archive, drop) }).await;
        let (sought, _) = peak(readers::seek(&archive, drop)).await;
        let (checked, good) = peak(readers::check(&archive)).await;
        assert!(!good, "{name} is accepted");
        assert!(streamed <= bound("one thread"), "{name}: {streamed}");
        assert!(salvaged <= bound("one thread"), "{name}: {salvaged}");
        most_sought = most_sought.max(sought);
        assert!(sought <= bound("by index"), "{name}: {sought}");
        assert!(checked <= bound("several threads"), "{name}: {checked}");
    }
    assert!(most_sought > BLOCK_PAYLOAD, "no archive was sought into: {most_sought}");
}

/// What the bounds are for: archives as they are made take little.
#[tokio::test]
async fn an_archive_with_blocks_as_writers_cut_them_takes_little() {
    let _alone = ALONE.lock().await;
    let record = |n: usize| [format!("{n:06}"), "v".repeat(900)].map(Bytes::from);
    let blocks = (0..200).map(|block| (0..1000).map(|n| record(block * 1000 + n)).collect());
    let archive = Draft { blocks: blocks.collect(), ..good() }.unbent();
    assert!(archive.len() > 150 << 20);
    let (streamed, records) = peak(async { readers::stream(&archive, drop) }).await;
    let (checked, _) = peak(readers::check(&archive)).await;
    assert_eq!(records, Some(200_000));
    assert!(streamed < 8 << 20 && checked < 32 << 20, "{streamed} {checked}");
}

/// Taken apart all at once they would exceed the bound.
const RECORDS: u32 = 2_700_000;

/// One block of as many of the smallest records.
fn many_records() -> Vec<u8> {
    let (mut raw, mut content) = (Vec::new(), Vec::new());
    for key in (1..=RECORDS).map(u32::to_be_bytes) {
        raw.extend_from_slice(&[6, 0x0a, 4]);
        raw.extend_from_slice(&key);
        content.extend_from_slice(&[4, 0, 0, 0]);
        content.extend_from_slice(&key);
        content.extend_from_slice(&[0; 4]);
    }
    let ends = [1, RECORDS].map(|key| [Bytes::copy_from_slice(&key.to_be_bytes()), Bytes::new()]);
    Draft { blocks: vec![ends.to_vec()], ..good() }.bent(|part| {
        if part.kind == BLOCK {
            set_raw(part.payload, &raw);
            part.payload[12..16].copy_from_slice(&RECORDS.to_le_bytes());
            part.payload[52..84].copy_from_slice(blake3::hash(&content).as_bytes());
        }
    })
}

#[tokio::test]
async fn a_block_of_millions_of_records_is_read_in_portions() {
    let _alone = ALONE.lock().await;
    let archive = Bytes::from(many_records());
    let mut records = 0;
    let (sought, outcome) = peak(readers::seek(&archive, |_| records += 1)).await;
    outcome.unwrap();
    assert_eq!(records, RECORDS);
    assert!(sought <= bound("by index"), "{sought}");
}

/// As plans, restores and diffs do it.
#[tokio::test]
async fn blocks_of_millions_of_records_are_compared_in_portions() {
    let _alone = ALONE.lock().await;
    let archive = Bytes::from(many_records());
    let (compared, same) = peak(readers::compare(&archive)).await;
    assert_eq!(same.unwrap(), u64::from(RECORDS));
    assert!(compared <= bound("comparing"), "{compared}");
}
