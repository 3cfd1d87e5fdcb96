//! The archive format as users of the crate, faulty programs and damaged disks meet it.
//!
//! Frames are taken apart and put together here by docs/format.md, not by the crate's own code.

#![cfg(feature = "backup")]
#![allow(missing_docs, reason = "tests name themselves")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may fail by panicking, their helpers too")]
#![allow(clippy::cast_possible_truncation, reason = "archives here are far below 4 GiB")]

#[path = "../support/draft.rs"]
#[allow(dead_code, reason = "the test of forged archives uses more of it")]
mod draft;
#[cfg(feature = "encrypt")]
mod encrypted;
#[path = "../support/frames.rs"]
#[allow(dead_code, reason = "the test of forged archives uses more of it")]
mod frames;
mod page;
mod salvage;
mod seek;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use etcd_ark::archive::{
    Block, Compression, Cutter, Decoder, EncodeError, Encoder, Event, Fault, Footer, FormatError, Header,
    IndexLeaf, IndexRoot, Lease, MAX_LEASES_PER_FRAME, MAX_RECORD_BYTES, RawBlock, Summary,
};
use etcd_ark::{ClusterId, Error, ErrorKind, KeyRange, KeyValue, LeaseId, MemberId, Revision};
use proptest::prelude::*;

use frames::{BLOCK, FOOTER, HEADER, INDEX_LEAF, INDEX_ROOT, LEASES, frame, seal};

const PREAMBLE_LEN: usize = 12;
const BLOCK_HEADER_LEN: usize = 84;

// Making archives.

fn kv(key: impl Into<Bytes>, value: impl Into<Bytes>) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: value.into(),
        create_revision: Revision(5),
        mod_revision: Revision(9),
        version: 2,
        lease: Some(LeaseId(0x1234)),
    }
}

fn header() -> Header {
    Header {
        cluster_id: ClusterId(0xc1),
        member_id: MemberId(0x3e),
        revision: Revision(1000),
        created_unix_ms: 1_790_000_000_000,
        server_version: "3.5.30".into(),
        writer: "format-test 1".into(),
        range: KeyRange::all(),
    }
}

fn lease(id: i64) -> Lease {
    Lease { id: LeaseId(id), granted_ttl: Duration::from_secs(60), remaining_ttl: Duration::from_secs(41) }
}

fn cut(records: &[KeyValue]) -> Vec<RawBlock> {
    let mut cutter = Cutter::new();
    let mut blocks = Vec::new();
    for record in records {
        blocks.extend(cutter.push(record).unwrap());
    }
    blocks.extend(cutter.finish());
    blocks
}

fn encode(records: &[KeyValue], leases: &[Lease], compression: Compression) -> (Vec<u8>, Summary) {
    let (mut encoder, start) = Encoder::new(&header()).unwrap();
    let mut archive = start.to_vec();
    for block in cut(records) {
        archive.extend_from_slice(&encoder.append(block.seal(compression)).unwrap());
    }
    archive.extend_from_slice(&encoder.leases(leases).unwrap());
    let (end, summary) = encoder.finish().unwrap();
    archive.extend_from_slice(&end);
    (archive, summary)
}

/// Records that make several blocks, and yet a short archive, since their values compress well.
fn several_blocks() -> Vec<KeyValue> {
    (0..12).map(|n| kv(format!("key-{n:02}"), vec![n; 40_000])).collect()
}

fn short_archive() -> Vec<u8> {
    let archive = encode(&several_blocks(), &[lease(1), lease(2)], Compression::default()).0;
    assert!(split(&archive).iter().filter(|frame| frame[4] == BLOCK).count() >= 3);
    assert!(archive.len() < 4000, "{}", archive.len());
    archive
}

fn tiny_archive() -> (Vec<u8>, Vec<KeyValue>) {
    let records = vec![kv("a", "1"), kv("b", ""), kv(&b"b\0\xff\n"[..], "two")];
    (encode(&records, &[lease(7)], Compression::None).0, records)
}

// Reading archives.

#[derive(Debug, Default)]
struct Content {
    header: Option<Header>,
    records: Vec<KeyValue>,
    leases: Vec<Lease>,
    skipped: Vec<u8>,
    end: Option<Summary>,
}

/// What comes out before the first fault, and how it ends.
fn decode_in(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> (Content, Result<Summary, FormatError>) {
    let mut decoder = Decoder::new();
    let mut content = Content::default();
    for piece in pieces {
        decoder.feed(piece.as_ref());
        loop {
            match decoder.next_event() {
                Ok(None) => break,
                Ok(Some(event)) => take(&mut content, event),
                Err(error) => return (content, Err(error)),
            }
        }
    }
    (content, decoder.finish())
}

fn take(content: &mut Content, event: Event) {
    match event {
        Event::Header(header) => content.header = Some(header),
        Event::Block(block) => content.records.extend(block.records()),
        Event::Leases(leases) => content.leases.extend(leases),
        Event::Skipped { frame, .. } => content.skipped.push(frame),
        Event::Auth(_) | Event::Members(_) | Event::Options(_) | Event::Index(_) => {}
        Event::End(summary) => content.end = Some(summary),
        other => panic!("{other:?}"),
    }
}

fn decode(archive: &[u8]) -> (Content, Result<Summary, FormatError>) {
    decode_in([archive])
}

fn fault(archive: &[u8]) -> Fault {
    decode(archive).1.expect_err("the archive must be refused").fault
}

/// Everything that can be got, past faults that are not fatal.
fn read_on(archive: &[u8]) -> (Content, Vec<FormatError>, Result<Summary, FormatError>) {
    let (mut decoder, mut content, mut faults) = (Decoder::new(), Content::default(), Vec::new());
    decoder.feed(archive);
    decoder.close();
    loop {
        match decoder.next_event() {
            Ok(None) => return (content, faults, decoder.finish()),
            Ok(Some(Event::Misplaced(_))) => {}
            Ok(Some(event)) => take(&mut content, event),
            Err(error) if error.is_fatal() => return (content, faults, decoder.finish()),
            Err(error) => faults.push(error),
        }
    }
}

/// A source that can seek, and what was read from it.
struct Seekable<'a> {
    archive: &'a [u8],
    spans: Vec<Range<u64>>,
}

impl<'a> Seekable<'a> {
    fn new(archive: &'a [u8]) -> Self {
        Self { archive, spans: Vec::new() }
    }

    /// Short at the end of the file, as reading from one is.
    fn read(&mut self, span: Range<u64>) -> Bytes {
        self.spans.push(span.clone());
        let end = (span.end as usize).min(self.archive.len());
        let start = (span.start as usize).min(end);
        Bytes::copy_from_slice(&self.archive[start..end])
    }

    fn find(&mut self, range: &KeyRange) -> Result<Vec<KeyValue>, FormatError> {
        let file_len = self.archive.len() as u64;
        let footer = Footer::parse(self.read(Footer::span(file_len)?), file_len)?;
        let root = IndexRoot::parse(self.read(footer.index_root()), &footer)?;
        let mut found = Vec::new();
        for entry in root.leaves_for(range) {
            let leaf = IndexLeaf::parse(self.read(entry.span()), entry)?;
            for entry in leaf.blocks_for(range) {
                let block = Block::parse(self.read(entry.span()), entry)?;
                found.extend(block.records().filter(|kv| range.contains(&kv.key)));
            }
        }
        Ok(found)
    }
}

// Frames by the book.

fn split(archive: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &archive[PREAMBLE_LEN..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize + 44;
        let (frame, behind) = rest.split_at(len);
        frames.push(frame.to_vec());
        rest = behind;
    }
    frames
}

fn join(archive: &[u8], frames: &[Vec<u8>]) -> Vec<u8> {
    [archive[..PREAMBLE_LEN].to_vec(), frames.concat()].concat()
}

fn payload(frame: &[u8]) -> &[u8] {
    &frame[12..frame.len() - 32]
}

/// The archive with these frames in front of its index root, and a root and a footer that agree with them: what
/// a newer program could write.
fn extended(archive: &[u8], minor: u16, extra: &[Vec<u8>]) -> Vec<u8> {
    let mut frames = split(archive);
    let footer = frames.pop().unwrap();
    let root = frames.pop().unwrap();
    let mut entries = payload(&root).to_vec();
    let mut at = PREAMBLE_LEN + frames.concat().len();
    for more in extra {
        let (number, bytes) = (draft::number, draft::bytes);
        let place = [number(1, more[4].into()), number(2, at as u64), number(3, more.len() as u64)].concat();
        let check = bytes(4, &more[more.len() - 32..]);
        entries.extend(bytes(2, &[place, check].concat()));
        at += more.len();
    }
    let root = frame(INDEX_ROOT, &entries);
    let file_len = (at + root.len() + footer.len()) as u64;
    frames.extend(extra.iter().cloned());
    frames.push(root.clone());
    let mut start = archive[..PREAMBLE_LEN].to_vec();
    start[10..12].copy_from_slice(&minor.to_le_bytes());
    let mut bound = [b"etcd-ark v1 archive root\n", &start[..]].concat();
    frames.iter().for_each(|frame| bound.extend_from_slice(&frame[frame.len() - 32..]));
    let mut fields = payload(&footer).to_vec();
    fields[..8].copy_from_slice(&(at as u64).to_le_bytes());
    fields[32..40].copy_from_slice(&file_len.to_le_bytes());
    fields[40..72].copy_from_slice(&root[root.len() - 32..]);
    fields[136..168].copy_from_slice(blake3::hash(&bound).as_bytes());
    frames.push(frame(FOOTER, &fields));
    [start, frames.concat()].concat()
}

/// An archive's start, then one block with these fields: what a faulty or hostile program could write.
fn with_block(
    ordinal: u64,
    raw_len: u32,
    records: u32,
    compression: u8,
    raw: &[u8],
    stored: &[u8],
) -> Vec<u8> {
    let mut block = ordinal.to_le_bytes().to_vec();
    block.extend_from_slice(&raw_len.to_le_bytes());
    block.extend_from_slice(&records.to_le_bytes());
    block.extend_from_slice(&[compression, 0, 0, 0]);
    block.extend_from_slice(blake3::hash(raw).as_bytes());
    block.extend_from_slice(&[0; 32]);
    assert_eq!(block.len(), BLOCK_HEADER_LEN);
    block.extend_from_slice(stored);
    let (_, start) = Encoder::new(&header()).unwrap();
    [start.to_vec(), frame(BLOCK, &block)].concat()
}

fn with_records(records: u32, raw: &[u8]) -> Vec<u8> {
    with_block(0, raw.len() as u32, records, 0, raw, raw)
}

// Round trips.

fn any_compression() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(Compression::None), Just(Compression::Zstd(1)), Just(Compression::Zstd(3))]
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0), Just(0xff), Just(b'\n'), Just(b'a'), any::<u8>()];
    prop::collection::vec(byte, 1..12)
}

fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..300),
        1 => (any::<u8>(), 0..90_000_usize).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

prop_compose! {
    fn any_records()(
        map in prop::collection::btree_map(any_key(), (any_value(), any::<[i64; 4]>()), 0..40),
    ) -> Vec<KeyValue> {
        map.into_iter().map(|(key, (value, [create, modified, version, lease]))| KeyValue {
            key: key.into(),
            value: value.into(),
            create_revision: Revision(create),
            mod_revision: Revision(modified),
            version,
            lease: (lease % 3 != 0).then_some(LeaseId(lease)),
        }).collect()
    }
}

fn any_leases() -> impl Strategy<Value = Vec<Lease>> {
    prop::collection::btree_set(1..i64::MAX, 0..6).prop_map(|ids| ids.into_iter().map(lease).collect())
}

/// The archive in pieces whose lengths repeat these.
fn pieces<'a>(archive: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = archive;
    lengths.iter().cycle().map_while(move |len| {
        let (piece, behind) = rest.split_at((*len).min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_written_is_read(
        records in any_records(),
        leases in any_leases(),
        compression in any_compression(),
        lengths in prop::collection::vec(1..5000_usize, 1..6),
    ) {
        let (archive, summary) = encode(&records, &leases, compression);
        prop_assert_eq!(&archive, &encode(&records, &leases, compression).0);
        let (content, end) = decode_in(pieces(&archive, &lengths));
        prop_assert_eq!(end.unwrap(), summary);
        prop_assert_eq!(content.end.unwrap(), summary);
        prop_assert_eq!(summary.file_len, archive.len() as u64);
        prop_assert_eq!(summary.records, records.len() as u64);
        let bytes: usize = records.iter().map(|kv| kv.key.len() + kv.value.len()).sum();
        prop_assert_eq!(summary.bytes, bytes as u64);
        prop_assert_eq!(content.header.unwrap(), header());
        prop_assert_eq!(content.records, records);
        prop_assert_eq!(content.leases, leases);
    }

    #[test]
    fn every_range_finds_its_keys(records in any_records(), start in any_key(), end in any_key()) {
        let (archive, _) = encode(&records, &[], Compression::default());
        let ranges = [
            KeyRange::all(),
            KeyRange::key(start.clone()),
            KeyRange::prefix(start.clone()),
            KeyRange::from_key(start.clone()),
            KeyRange::between(start, end),
        ];
        for range in ranges {
            let expected: Vec<_> = records.iter().filter(|kv| range.contains(&kv.key)).cloned().collect();
            prop_assert_eq!(Seekable::new(&archive).find(&range).unwrap(), expected);
        }
    }

    #[test]
    fn roots_tell_states_and_contents_apart(records in any_records(), change in 1..9_i64) {
        let compact = |records: &[KeyValue], leases: &[Lease]| encode(records, leases, Compression::None).1;
        let original = compact(&records, &[]);
        let compressed = encode(&records, &[], Compression::Zstd(1)).1;
        prop_assert_eq!(compressed.state_root, original.state_root);
        prop_assert_eq!(compressed.content_root, original.content_root);

        let leased = compact(&records, &[lease(3)]);
        prop_assert_eq!((leased.state_root, leased.content_root), (original.state_root, original.content_root));
        prop_assert_ne!(leased.archive_root, original.archive_root);

        let mut restored = records;
        restored.iter_mut().for_each(|kv| kv.mod_revision.0 = kv.mod_revision.0.wrapping_add(change));
        let moved = compact(&restored, &[]);
        prop_assert_eq!(moved.content_root, original.content_root);
        if let Some(first) = restored.first_mut() {
            prop_assert_ne!(moved.state_root, original.state_root);
            first.value = [&first.value[..], b"!"].concat().into();
            prop_assert_ne!(compact(&restored, &[]).content_root, original.content_root);
        }
    }

    /// Whatever the bytes behind a good start, reading them ends, without a panic, in a fault.
    #[test]
    fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 1..400), kind in 0x80..0x88_u8) {
        let (_, start) = Encoder::new(&header()).unwrap();
        prop_assert!(decode(&noise).1.is_err());
        prop_assert!(decode(&[&start[..], &noise].concat()).1.is_err());
        prop_assert!(decode(&[&start[..], &frame(kind, &noise)].concat()).1.is_err());
        prop_assert!(Seekable::new(&noise).find(&KeyRange::all()).is_err());
    }
}

#[test]
fn an_archive_without_records_is_an_archive() {
    let (archive, summary) = encode(&[], &[], Compression::default());
    let (content, end) = decode(&archive);
    assert_eq!((end.unwrap(), content.records.len(), summary.blocks), (summary, 0, 0));
    assert_eq!(summary.state_root.0, *blake3::hash(b"etcd-ark v1 state root\n").as_bytes());
    assert_eq!(summary.content_root.0, *blake3::hash(b"etcd-ark v1 content root\n").as_bytes());
    assert_eq!(Seekable::new(&archive).find(&KeyRange::all()).unwrap(), []);
}

#[test]
fn large_values_and_long_keys_survive() {
    let noise: Vec<u8> = blake3_noise(1_572_864);
    let records = [kv("a", noise), kv(vec![b'k'; 70_000], "v"), kv(vec![0xff; 1_500_000], "")];
    let (archive, summary) = encode(&records, &[], Compression::default());
    let (content, end) = decode_in(archive.chunks(4096));
    assert_eq!(end.unwrap(), summary);
    assert_eq!(content.records, records);
    for record in &records {
        let found = Seekable::new(&archive).find(&KeyRange::key(record.key.clone())).unwrap();
        assert_eq!(found, std::slice::from_ref(record));
    }
}

fn blake3_noise(len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut out);
    out
}

/// These are the bytes of version 1.0. If this fails, a change broke the format, or the cut rule, for
/// every archive that exists.
#[test]
fn the_bytes_of_version_1_stay() {
    let records: Vec<_> =
        (0..3000_u32).map(|n| kv(format!("/registry/pods/{n:05}"), vec![b'x'; (n % 700) as usize])).collect();
    let (archive, summary) = encode(&records, &[lease(1)], Compression::None);
    let file = blake3::hash(&archive).to_string();
    assert_eq!((summary.blocks, summary.file_len, file.as_str()), GOLDEN_FILE);
    assert_eq!(summary.state_root.to_string(), GOLDEN_ROOTS[0]);
    assert_eq!(summary.content_root.to_string(), GOLDEN_ROOTS[1]);
    assert_eq!(summary.archive_root.to_string(), GOLDEN_ROOTS[2]);
}

// Of a file that tests/reader/read_archive.py accepts, which recomputes every hash in it; the roots of state and
// content, hence the blocks, were computed by yet another program.
const GOLDEN_FILE: (u64, u64, &str) =
    (7, 1_107_796, "16caa685831f9ec66b0d3cf691188920fa5559e3c1e8a1f317d339c75a1c0fbb");
const GOLDEN_ROOTS: [&str; 3] = [
    "8fe547b86f0ac297cbfd31823d6bb9208a963db176e81a2054e18413877e97a6",
    "4b62b4ebe189aec4d6e2b242d8174f20a9dad9bebb6d02cdfcb092b8cb4fabe7",
    "05b79d247df727cb8996c8ee0a8890c85013d99208b12a4798970c4c078ec8b5",
];

#[test]
fn blocks_end_by_the_rule_of_the_page() {
    let records: Vec<_> = (0..4000_u32)
        .map(|n| kv(format!("{n:06}"), vec![0; blake3::hash(&n.to_le_bytes()).as_bytes()[0] as usize * 9]))
        .collect();
    let mut expected = Vec::new();
    let mut size = 0_u128;
    for (n, record) in records.iter().enumerate() {
        let len = (record.key.len() + record.value.len()) as u128;
        size += len;
        let hash = blake3::hash(&record.key);
        let h = u32::from_le_bytes(hash.as_bytes()[..4].try_into().unwrap());
        let chance = size >= 65_536 && u128::from(h) * 196_608 < len * (1 << 32);
        if size >= 1_048_576 || chance || n + 1 == records.len() {
            expected.push(record.key.clone());
            size = 0;
        }
    }
    let (archive, _) = encode(&records, &[], Compression::default());
    let mut last_keys = Vec::new();
    let mut decoder = Decoder::new();
    decoder.feed(&archive);
    while let Some(event) = decoder.next_event().unwrap() {
        if let Event::Block(block) = event {
            last_keys.push(block.last_key().clone());
        }
    }
    assert!(last_keys.len() > 8);
    assert_eq!(last_keys, expected);
}

#[test]
fn one_more_record_moves_few_blocks() {
    let mut records: Vec<_> = (0..20_000).map(|n| kv(format!("{n:06}"), vec![7; 200])).collect();
    let hashes = |records: &[KeyValue]| -> Vec<[u8; 32]> {
        let (archive, _) = encode(records, &[], Compression::None);
        let frames = split(&archive);
        let blocks = frames.iter().filter(|frame| frame[4] == BLOCK);
        blocks.map(|frame| payload(frame)[20..52].try_into().unwrap()).collect()
    };
    let before = hashes(&records);
    records.insert(1000, kv("000999+", "new"));
    let after = hashes(&records);
    let shared = after.iter().filter(|hash| before.contains(hash)).count();
    assert!(before.len() > 10 && shared + 3 >= after.len(), "{shared} of {}", after.len());
}

// Damage.

#[test]
fn every_flipped_bit_is_found() {
    let (archive, records) = tiny_archive();
    for at in 0..archive.len() {
        for bit in 0..8 {
            assert_flip_is_found(&archive, &records, at, bit);
        }
    }
}

#[test]
fn a_flip_in_every_byte_of_several_blocks_is_found() {
    let (archive, records) = (short_archive(), several_blocks());
    for at in 0..archive.len() {
        assert_flip_is_found(&archive, &records, at, at % 8);
    }
}

fn assert_flip_is_found(archive: &[u8], records: &[KeyValue], at: usize, bit: usize) {
    let mut damaged = archive.to_vec();
    damaged[at] ^= 1 << bit;
    let (content, _, end) = read_on(&damaged);
    assert!(end.is_err() && content.end.is_none(), "byte {at} bit {bit}");
    assert!(content.records.iter().all(|kv| records.contains(kv)), "byte {at} bit {bit}");
    // Who seeks need not notice damage elsewhere, but must not be told anything wrong.
    let target = &records[at % records.len()];
    if let Ok(found) = Seekable::new(&damaged).find(&KeyRange::key(target.key.clone())) {
        assert_eq!(found, std::slice::from_ref(target), "byte {at} bit {bit}");
    }
    let probe = &damaged[..Header::PROBE_LEN];
    let parsed = Header::span(probe).and_then(|span| {
        let end = (span.end as usize).min(damaged.len());
        Header::parse(Bytes::copy_from_slice(&damaged[..end]))
    });
    // The minor version is bound by the archive root alone.
    assert!(parsed.is_err() || parsed.unwrap() == header(), "byte {at} bit {bit}");
}

#[test]
fn no_part_of_an_archive_passes_for_the_whole() {
    let archive = short_archive();
    let (tiny, _) = tiny_archive();
    for archive in [archive, tiny] {
        for len in 0..archive.len() {
            let part = &archive[..len];
            assert!(matches!(fault(part), Fault::Incomplete { .. }), "{len} bytes");
            assert!(Seekable::new(part).find(&KeyRange::all()).is_err(), "{len} bytes");
        }
    }
}

#[test]
fn an_incomplete_archive_says_how_much_is_whole() {
    let archive = short_archive();
    let frames = split(&archive);
    let part = join(&archive, &frames[..3]);
    let (content, end) = decode(&part);
    let error = end.unwrap_err();
    let records = content.records.len() as u64;
    assert_eq!(error.fault, Fault::Incomplete { records, blocks: 2 });
    assert_eq!(error.offset, part.len() as u64);
    assert!(records > 0 && error.is_fatal());
}

#[test]
fn frames_can_be_neither_dropped_nor_doubled_nor_swapped() {
    let archive = short_archive();
    let frames = split(&archive);
    for at in 0..frames.len() {
        let mut fewer = frames.clone();
        let frame = fewer.remove(at);
        assert!(decode(&join(&archive, &fewer)).1.is_err(), "without frame {at}");
        for to in 0..frames.len() {
            let mut more = frames.clone();
            more.insert(to, frame.clone());
            assert!(decode(&join(&archive, &more)).1.is_err(), "frame {at} again at {to}");
            let mut swapped = frames.clone();
            swapped.swap(at, to);
            assert!(at == to || decode(&join(&archive, &swapped)).1.is_err(), "frames {at} and {to} swapped");
        }
    }
}

#[test]
fn frames_of_another_archive_do_not_fit() {
    let ours = split(&short_archive());
    let mut records = several_blocks();
    // The same lengths everywhere, so that nothing but hashes can tell.
    records.iter_mut().for_each(|kv| kv.mod_revision = Revision(8));
    let other = encode(&records, &[lease(1), lease(3)], Compression::default()).0;
    let theirs = split(&other);
    assert_eq!(ours.len(), theirs.len());
    for at in 1..ours.len() {
        let mut spliced = ours.clone();
        spliced[at].clone_from(&theirs[at]);
        assert!(decode(&join(&other, &spliced)).1.is_err(), "frame {at}");
    }
}

#[test]
fn what_is_whole_behind_damage_is_still_read() {
    let archive = short_archive();
    let frames = split(&archive);
    let mut damaged = frames.clone();
    damaged[2][100] ^= 1;
    let (content, faults, end) = read_on(&join(&archive, &damaged));
    let all = several_blocks();
    let at = (PREAMBLE_LEN + frames[0].len() + frames[1].len()) as u64;
    assert_eq!(faults.len(), 1);
    assert_eq!((faults[0].offset, &faults[0].fault), (at, &Fault::CheckMismatch { frame: BLOCK }));
    let lost = u32::from_le_bytes(payload(&frames[2])[12..16].try_into().unwrap());
    let good = all.len() as u64 - u64::from(lost);
    assert_eq!(content.records.len() as u64, good);
    assert_eq!(content.leases, [lease(1), lease(2)]);
    assert_eq!(end.unwrap_err().fault, Fault::Damaged { faults: 1, records: good, stated: all.len() as u64 });
}

#[test]
fn nothing_may_follow_the_footer() {
    let (archive, _) = tiny_archive();
    for tail in [&b"\0"[..], &archive] {
        let long = [&archive[..], tail].concat();
        let (_, end) = decode(&long);
        let error = end.unwrap_err();
        assert_eq!((error.offset, error.fault), (archive.len() as u64, Fault::TrailingBytes));
        assert_eq!(decode_in(long.chunks(1)).1.unwrap_err().fault, Fault::TrailingBytes);
    }
    assert!(Seekable::new(&[&archive[..], b"\0"].concat()).find(&KeyRange::all()).is_err());
}

#[test]
fn a_fatal_fault_stays() {
    let mut decoder = Decoder::new();
    decoder.feed(b"PK\x03\x04, which is no archive");
    let first = decoder.next_event().unwrap_err();
    decoder.feed(&tiny_archive().0);
    assert_eq!(decoder.next_event().unwrap_err(), first);
    assert_eq!(decoder.finish().unwrap_err(), first);
    assert_eq!(first.fault, Fault::NotAnArchive);
}

// Versions.

#[test]
fn other_files_are_told_apart() {
    assert_eq!(fault(b"SQLite format 3\0"), Fault::NotAnArchive);
    let encrypted = b"age-encryption.org/v1\n-> X25519 ";
    assert_eq!(fault(encrypted), Fault::Encrypted);
    assert_eq!(decode_in(encrypted.chunks(1)).1.unwrap_err().fault, Fault::Encrypted);
    assert_eq!(fault(b"\x89ARK\n\x1a\n\x01\0\0\0\0"), Fault::TextMode);
    assert_eq!(fault(b"\x09ARK\r\n\x1a\n\x01\0\0\0"), Fault::TextMode);
    assert_eq!(fault(b""), Fault::Incomplete { records: 0, blocks: 0 });
    assert_eq!(fault(b"\x89AR"), Fault::Incomplete { records: 0, blocks: 0 });
}

#[test]
fn a_newer_major_version_is_refused_by_name() {
    let (mut archive, _) = tiny_archive();
    archive[8..12].copy_from_slice(&[2, 0, 5, 0]);
    let error = decode(&archive).1.unwrap_err();
    assert_eq!(error.fault, Fault::NewerVersion { major: 2, minor: 5 });
    assert!(error.to_string().contains("2.5") && error.to_string().contains("newer etcd-ark"));
    assert_eq!(Error::from(error).kind(), ErrorKind::Unsupported);
    assert!(Header::span(&archive).is_err());
}

#[test]
fn what_a_newer_minor_version_adds_is_skipped() {
    let (archive, records) = tiny_archive();
    let newer = extended(&archive, 3, &[frame(0x0b, b"who knows"), frame(0x7f, b"")]);
    let (content, end) = decode(&newer);
    assert_eq!((content.skipped, content.records.clone()), (vec![0x0b, 0x7f], records));
    assert_eq!(end.unwrap().file_len, newer.len() as u64);
    assert_eq!(Seekable::new(&newer).find(&KeyRange::all()).unwrap(), content.records);

    // Fields 100 of all wire types behind the known ones.
    let mut frames = split(&archive);
    let strange = b"\xa0\x06\x05\xa1\x06\0\0\0\0\0\0\0\0\xa2\x06\x02hi\xa5\x06\0\0\0\0";
    frames[0] = frame(HEADER, &[payload(&frames[0]), strange].concat());
    assert_eq!(decode(&join(&archive, &frames[..1])).0.header.unwrap(), header());
}

#[test]
fn messages_are_refused_for_what_they_may_not_have() {
    let (archive, _) = tiny_archive();
    let frames = split(&archive);
    for fields in [
        &b"\x00\x00"[..],         // field number 0
        b"\x02\x00",              // the same, of another wire type
        b"\xa3\x06\xa4\x06",      // a group, though unknown
        b"\xa7\x06",              // wire type 7, though unknown
        b"\xa0\x06\x85\x00",      // a varint with padding in a field that is skipped
        b"\xa2\x06\x02h",         // beyond the end of the message
        b"\x0a\x01\x05",          // a number as bytes
        b"\x28\x05",              // a string as number
        b"\x32\x01\xff\x32\x01w", // not UTF-8, even if another one counts
    ] {
        let bent = frame(HEADER, &[payload(&frames[0]), fields].concat());
        assert_eq!(fault(&join(&archive, &[bent])), Fault::Malformed { what: "the header" }, "{fields:?}");
    }
}

#[test]
fn an_unknown_critical_frame_is_refused_with_the_writer() {
    let (archive, _) = tiny_archive();
    let error = decode(&extended(&archive, 1, &[frame(0x8a, b"events")])).1.unwrap_err();
    let writer = header().writer;
    assert_eq!(error.fault, Fault::UnknownCritical { frame: 0x8a, minor: 1, writer: writer.clone() });
    assert!(error.is_fatal() && error.to_string().contains(&writer));
    assert_eq!(Error::from(error).kind(), ErrorKind::Unsupported);
}

#[test]
fn nothing_unknown_stands_outside_header_and_index() {
    let (archive, _) = tiny_archive();
    let mut frames = split(&archive);
    frames.insert(frames.len() - 1, frame(0x0b, b""));
    assert_eq!(fault(&join(&archive, &frames)), Fault::FrameOrder { frame: 0x0b, after: INDEX_ROOT });
    assert_eq!(fault(&join(&archive, &[frame(0x0b, b"")])), Fault::FrameOrder { frame: 0x0b, after: 0 });
}

#[test]
fn reserved_bytes_must_be_zero() {
    let (archive, _) = tiny_archive();
    let mut frames = split(&archive);
    let mut covered = frames[1][..frames[1].len() - 32].to_vec();
    covered[6] = 1;
    frames[1] = seal(covered);
    assert_eq!(fault(&join(&archive, &frames)), Fault::Malformed { what: "a frame header" });
}

// Hostile input.

#[test]
fn lengths_beyond_the_limits_are_refused_at_once() {
    let (_, start) = Encoder::new(&header()).unwrap();
    for (kind, limit) in [(BLOCK, 64 << 20), (LEASES, 8 << 20), (0x7f, 8 << 20)] {
        let mut head = frame(kind, b"")[..12].to_vec();
        head[8..12].copy_from_slice(&(limit + 1_u32).to_le_bytes());
        let claimed = Fault::FrameTooLarge { frame: kind, bytes: limit + 1, limit };
        assert_eq!(fault(&[&start[..], &head].concat()), claimed);
        head[8..12].copy_from_slice(&limit.to_le_bytes());
        assert_eq!(fault(&[&start[..], &head].concat()), Fault::Incomplete { records: 0, blocks: 0 });
    }
}

#[test]
fn decompression_bombs_are_refused_unopened() {
    // zstd itself writes 1 GiB of zeros as some ten KiB.
    let bomb = zstd::bulk::compress(&vec![0; 1 << 30], 1).unwrap();
    assert!(bomb.len() < 100_000);
    for claimed in [100, 1 << 20, 64 << 20] {
        assert_eq!(fault(&with_block(0, claimed, 1, 1, b"", &bomb)), Fault::Decompression);
    }
    let header = Fault::Malformed { what: "a block header" };
    for claimed in [(64 << 20) + 1, 1 << 30, u32::MAX] {
        assert_eq!(fault(&with_block(0, claimed, 1, 1, b"", &bomb)), header);
    }
    // More records than could be, or none.
    assert_eq!(fault(&with_block(0, 100, 26, 0, b"", &[0; 100])), header);
    assert_eq!(fault(&with_block(0, 100, 0, 0, b"", &[0; 100])), header);
}

#[test]
fn compressed_blocks_are_one_honest_zstd_frame() {
    let raw = b"\x06\x0a\x01k\x2a\x01v";
    let good = zstd::bulk::compress(raw, 1).unwrap();
    let len = raw.len() as u32;
    // The content hash in these blocks is wrong: that is where a good one gets to.
    assert_eq!(fault(&with_block(0, len, 1, 1, raw, &good)), Fault::ContentHashMismatch);
    let bad = [
        [&good[..], &good].concat(),
        [&good[..], b"\0"].concat(),
        good[..good.len() - 1].to_vec(),
        [&b"\x50\x2a\x4d\x18\0\0\0\0"[..], &good].concat(),
        Vec::new(),
    ];
    for stored in bad {
        assert_eq!(fault(&with_block(0, len, 1, 1, raw, &stored)), Fault::Decompression);
    }
    assert_eq!(fault(&with_block(0, len + 1, 1, 1, raw, &good)), Fault::Decompression);
    assert_eq!(fault(&with_block(0, len, 1, 2, raw, raw)), Fault::UnknownCompression(2));
    assert_eq!(fault(&with_block(0, len, 1, 0, b"x", raw)), Fault::StateHashMismatch);
    assert_eq!(fault(&with_block(0, len + 1, 1, 0, raw, raw)), Fault::Malformed { what: "a block's length" });
}

#[test]
fn records_that_are_not_canonical_are_refused() {
    let malformed = Fault::Malformed { what: "a block's records" };
    let record = |fields: &[u8]| [&[fields.len() as u8], fields].concat();
    let good = record(b"\x0a\x01k\x10\x05\x18\x09\x20\x02\x2a\x01v\x30\x07");
    assert_eq!(fault(&with_records(1, &good)), Fault::ContentHashMismatch);
    for fields in [
        &b"\x2a\x03val"[..],                                          // no key
        b"\x0a\x00\x10\x05",                                          // an empty key
        b"\x0a\x01k\x10\x00",                                         // a zero that is written
        b"\x0a\x01k\x2a\x00",                                         // an empty value that is written
        b"\x0a\x01k\x18\x09\x10\x05",                                 // the wrong order
        b"\x0a\x01k\x10\x05\x10\x05",                                 // a field twice
        b"\x0a\x01k\x38\x01",                                         // a field that is not etcd's
        b"\x0a\x01k\x10\x85\x00",                                     // a varint with padding
        b"\x0a\x01k\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",     // beyond 64 bits
        b"\x0a\x01k\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", // 11 bytes long
        b"\x0a\x09k",                                                 // beyond its end
        b"\x8a\x00\x01k",                                             // a tag with padding
    ] {
        assert_eq!(fault(&with_records(1, &record(fields))), malformed, "{fields:?}");
    }
    // One record more, or less, than the count says.
    let two = [record(b"\x0a\x01a\x10\x01"), record(b"\x0a\x01b\x10\x01")].concat();
    assert_eq!(fault(&with_records(1, &two)), malformed);
    assert_eq!(fault(&with_records(3, &two)), malformed);
    assert_eq!(fault(&with_records(2, &two)), Fault::ContentHashMismatch);
}

#[test]
fn keys_out_of_order_are_refused() {
    let record = |key: u8| [5, 0x0a, 1, key, 0x10, 1];
    for keys in [*b"ba", *b"aa"] {
        let raw = [record(keys[0]), record(keys[1])].concat();
        assert_eq!(
            fault(&with_records(2, &raw)),
            Fault::KeyOrder { key: Bytes::copy_from_slice(&keys[1..]) }
        );
    }
    // Between blocks: the same block twice is found by its number, a block of another archive by its keys.
    let first = cut(&several_blocks()[..1]).remove(0).seal(Compression::None);
    let (mut encoder, _) = Encoder::new(&header()).unwrap();
    let block = encoder.append(first).unwrap().to_vec();
    let mut second = payload(&block).to_vec();
    second[0] = 1;
    let (_, start) = Encoder::new(&header()).unwrap();
    let key = Bytes::from_static(b"key-00");
    assert_eq!(
        fault(&[&start[..], &block, &frame(BLOCK, &second)].concat()),
        Fault::KeyOrder { key: key.clone() }
    );
    assert_eq!(fault(&[&start[..], &block, &block].concat()), Fault::Ordinal { expected: 1, found: 0 });
    second[0] = 2;
    assert_eq!(
        fault(&[&start[..], &block, &frame(BLOCK, &second)].concat()),
        Fault::Ordinal { expected: 1, found: 2 }
    );
}

#[test]
fn an_index_about_other_blocks_is_refused() {
    let archive = short_archive();
    let frames = split(&archive);
    let mut records = several_blocks();
    records[0].mod_revision = Revision(8);
    let other = split(&encode(&records, &[lease(1), lease(2)], Compression::default()).0);
    let mut mixed = frames.clone();
    let leaf = frames.len() - 3;
    mixed[leaf].clone_from(&other[leaf]);
    assert_eq!(fault(&join(&archive, &mixed)), Fault::IndexMismatch);
    mixed[leaf + 1].clone_from(&other[leaf + 1]);
    assert_eq!(fault(&join(&archive, &mixed)), Fault::IndexMismatch);
}

#[test]
fn a_footer_that_lies_is_refused() {
    let archive = short_archive();
    let mut frames = split(&archive);
    let footer = frames.pop().unwrap();
    for at in 0..payload(&footer).len() {
        let mut fields = payload(&footer).to_vec();
        fields[at] ^= 1;
        frames.push(frame(FOOTER, &fields));
        assert!(matches!(fault(&join(&archive, &frames)), Fault::FooterMismatch { .. }), "byte {at}");
        frames.pop();
    }
}

// Seeking.

#[test]
fn a_lookup_reads_footer_root_one_leaf_and_one_block() {
    // Values of this length make every record a block, hence more than two leaves.
    let value = Bytes::from(vec![0; 196_608]);
    let records: Vec<_> = (0..600).map(|n| kv(format!("key-{n:04}"), value.clone())).collect();
    let (archive, summary) = encode(&records, &[], Compression::default());
    assert_eq!(summary.blocks, 600);
    assert_eq!(decode_in(archive.chunks(1 << 16)).1.unwrap(), summary);
    for record in [&records[0], &records[255], &records[256], &records[599]] {
        let mut source = Seekable::new(&archive);
        let found = source.find(&KeyRange::key(record.key.clone())).unwrap();
        assert_eq!(found, std::slice::from_ref(record));
        assert_eq!(source.spans.len(), 4, "{:?}", source.spans);
    }
    let mut source = Seekable::new(&archive);
    assert_eq!(source.find(&KeyRange::key("zzz")).unwrap(), []);
    assert_eq!(source.spans.len(), 2);
    let (start, end) = ("key-0254", "key-0258");
    assert_eq!(Seekable::new(&archive).find(&KeyRange::between(start, end)).unwrap(), records[254..258]);
}

#[test]
fn keys_that_share_more_than_the_index_holds_are_found() {
    let long = |n: u32| [vec![b'k'; 5000], n.to_be_bytes().to_vec()].concat();
    let records: Vec<_> = (0..8).map(|n| kv(long(n), vec![0; 196_608])).collect();
    let (archive, _) = encode(&records, &[], Compression::default());
    for record in &records {
        let found = Seekable::new(&archive).find(&KeyRange::key(record.key.clone())).unwrap();
        assert_eq!(found, std::slice::from_ref(record));
    }
    assert_eq!(Seekable::new(&archive).find(&KeyRange::key(long(9))).unwrap(), []);
    let range = KeyRange::between(long(2), long(5));
    assert_eq!(Seekable::new(&archive).find(&range).unwrap(), records[2..5]);
}

#[test]
fn no_footer_or_index_makes_a_reader_fetch_gigabytes() {
    let footer = split(&tiny_archive().0).pop().unwrap();
    let mut fields = payload(&footer).to_vec();
    let file_len = 1_u64 << 40;
    fields[32..40].copy_from_slice(&file_len.to_le_bytes());
    for (root, accepted) in [(8 << 20, true), ((8 << 20) + 1, false), (1 << 39, false)] {
        let offset = file_len - 212 - 44 - root;
        fields[..8].copy_from_slice(&offset.to_le_bytes());
        let parsed = Footer::parse(frame(FOOTER, &fields).into(), file_len);
        assert_eq!(parsed.is_ok(), accepted, "{root}");
    }

    let (archive, _) = tiny_archive();
    let file_len = archive.len() as u64;
    let footer = Footer::parse(archive[archive.len() - 212..].to_vec().into(), file_len).unwrap();
    let root = &archive[footer.index_root().start as usize..footer.index_root().end as usize];
    let root = IndexRoot::parse(Bytes::copy_from_slice(root), &footer).unwrap();
    let mut entry = root.leaves()[0].clone();
    // A leaf with one block, of a key and the greatest length that a u32 can state.
    let leaf = frame(INDEX_LEAF, b"\x0a\x0c\x10\xff\xff\xff\xff\x0f\x2a\x01a\x32\x01a");
    entry.frame_len = leaf.len() as u32;
    entry.check = leaf[leaf.len() - 32..].try_into().unwrap();
    let error = IndexLeaf::parse(leaf.into(), &entry).unwrap_err();
    assert_eq!(error.fault, Fault::Malformed { what: "an index leaf" });
}

#[test]
fn the_header_is_read_alone() {
    let archive = short_archive();
    let span = Header::span(&archive[..Header::PROBE_LEN]).unwrap();
    assert!(span.end < 200);
    let bytes = Bytes::copy_from_slice(&archive[..span.end as usize]);
    assert_eq!(Header::parse(bytes).unwrap(), header());
    assert_eq!(Header::span(&archive[..20]).unwrap_err().fault, Fault::Truncated);
}

#[test]
fn a_block_finds_its_records() {
    let (archive, records) = tiny_archive();
    let mut decoder = Decoder::new();
    decoder.feed(&archive);
    let Some(Event::Header(_)) = decoder.next_event().unwrap() else { panic!() };
    let Some(Event::Block(block)) = decoder.next_event().unwrap() else { panic!() };
    assert_eq!(block.records().len(), 3);
    assert_eq!(block.get(b"b").as_ref(), Some(&records[1]));
    assert_eq!(block.get(b"aa"), None);
    assert_eq!((&block.first_key()[..], block.record_count()), (&b"a"[..], 3));
}

// Many threads.

#[test]
fn threads_make_and_read_the_same_archive() {
    let records = several_blocks();
    let (expected, summary) = encode(&records, &[], Compression::default());
    let blocks = cut(&records);
    let sealed: Vec<_> = std::thread::scope(|scope| {
        let seal = |block: RawBlock| scope.spawn(move || block.seal(Compression::default()));
        let workers: Vec<_> = blocks.into_iter().map(seal).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let (mut encoder, start) = Encoder::new(&header()).unwrap();
    let mut archive = start.to_vec();
    sealed.into_iter().for_each(|block| archive.extend_from_slice(&encoder.append(block).unwrap()));
    archive.extend_from_slice(&encoder.finish().unwrap().0);
    assert!(archive == expected);

    let mut decoder = Decoder::new();
    decoder.feed(&archive);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.pull().unwrap() {
        frames.push(std::thread::spawn(|| frame.open()));
    }
    let mut content = Content::default();
    for frame in frames {
        let accepted = decoder.accept(frame.join().unwrap());
        assert_eq!(accepted.fault, None);
        accepted.event.into_iter().for_each(|event| take(&mut content, event));
    }
    assert_eq!((content.records, content.end), (records, Some(summary)));
    assert_eq!(decoder.finish().unwrap(), summary);
}

// What a writer refuses.

#[test]
fn the_cutter_refuses_what_no_archive_may_hold() {
    let mut cutter = Cutter::new();
    assert_eq!(cutter.push(&kv("", "v")).unwrap_err(), EncodeError::EmptyKey);
    cutter.push(&kv("b", "v")).unwrap();
    for key in ["a", "b"] {
        let error = cutter.push(&kv(key, "v")).unwrap_err();
        assert_eq!(error, EncodeError::KeyOrder { key: key.into() });
        assert_eq!(Error::from(error).kind(), ErrorKind::Protocol);
    }
    let error = cutter.push(&kv("c\n", vec![0; MAX_RECORD_BYTES - 1])).unwrap_err();
    assert_eq!(error, EncodeError::RecordTooLarge { key: "c\n".into(), bytes: MAX_RECORD_BYTES + 1 });
    assert!(error.to_string().contains(r#""c\n""#), "{error}");
    assert_eq!(Error::from(error).kind(), ErrorKind::TooLarge);
    assert_eq!(cutter.finish().map(|block| block.seal(Compression::None).frame_bytes()), Some(144));
}

#[test]
fn the_largest_record_is_written_and_read() {
    let records = [kv("c", vec![0; MAX_RECORD_BYTES - 1])];
    let (archive, summary) = encode(&records, &[], Compression::None);
    let (content, end) = decode(&archive);
    assert_eq!(end.unwrap(), summary);
    assert!(content.records == records);
}

#[test]
fn the_encoder_keeps_its_order() {
    let mut blocks = cut(&several_blocks()).into_iter().map(|block| block.seal(Compression::None));
    let (first, second) = (blocks.next().unwrap(), blocks.next().unwrap());
    let (mut encoder, _) = Encoder::new(&header()).unwrap();
    let early = encoder.append(second.clone()).unwrap_err();
    assert_eq!(early, EncodeError::BlockOrder { expected: 0, found: 1 });
    encoder.append(first).unwrap();
    encoder.leases(&[]).unwrap();
    assert_eq!(encoder.leases(&[lease(2), lease(1)]).unwrap_err(), EncodeError::LeaseOrder);
    encoder.leases(&[lease(3)]).unwrap();
    assert_eq!(encoder.leases(&[lease(3)]).unwrap_err(), EncodeError::LeaseOrder);
    let late = encoder.append(second).unwrap_err();
    assert_eq!(late, EncodeError::FrameOrder { frame: "BLOCK", after: "LEASES" });
}

#[test]
fn the_encoder_refuses_a_lease_without_an_id() {
    let (mut encoder, _) = Encoder::new(&header()).unwrap();
    let error = encoder.leases(&[lease(-1), lease(0)]).unwrap_err();
    assert_eq!(error, EncodeError::LeaseZero);
    assert_eq!(Error::from(error).kind(), ErrorKind::Protocol);
    // Nothing of the call was taken, and a negative id is one.
    encoder.leases(&[lease(-2)]).unwrap();
}

#[test]
fn many_leases_take_many_frames() {
    let leases: Vec<_> = (1..=2 * MAX_LEASES_PER_FRAME as i64 + 1).map(lease).collect();
    let (archive, summary) = encode(&[], &leases, Compression::None);
    assert_eq!(split(&archive).iter().filter(|frame| frame[4] == LEASES).count(), 3);
    let (content, end) = decode(&archive);
    assert_eq!((content.leases, end), (leases, Ok(summary)));
    // Frames whose leases don't ascend from one to the next.
    let frames = split(&archive);
    assert_eq!(
        fault(&join(&archive, &[frames[0].clone(), frames[2].clone(), frames[1].clone()])),
        Fault::LeaseOrder
    );
}

#[test]
fn a_model_of_the_index_holds() {
    // Every key of a few thousand is found, and nothing between them.
    let records: Vec<_> = (0..900).map(|n| kv(format!("{:04}", n * 2), vec![1; 4000])).collect();
    let (archive, _) = encode(&records, &[], Compression::default());
    let model: BTreeMap<_, _> = records.iter().map(|kv| (kv.key.clone(), kv)).collect();
    for n in (0..1800).step_by(37) {
        let key = Bytes::from(format!("{n:04}"));
        let found = Seekable::new(&archive).find(&KeyRange::key(key.clone())).unwrap();
        assert_eq!(found.first(), model.get(&key).copied(), "{key:?}");
    }
}
