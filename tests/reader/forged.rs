//! Archives in which every hash is right, so that nothing but the rule that they bend can tell: what a faulty or
//! hostile program could write.

use crate::draft::{Draft, block, bytes, good, leases, number, pair, pairs, record, set_raw};
use crate::frames::{AUTH, BLOCK, FOOTER, HEADER, INDEX_LEAF, INDEX_ROOT, LEASES, MEMBERS, OPTIONS};

/// Compresses a block.
fn compress(payload: &mut Vec<u8>, with_size: bool) {
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    compressor.include_checksum(true).unwrap();
    compressor.include_contentsize(with_size).unwrap();
    let stored = compressor.compress(&payload[84..]).unwrap();
    payload[16] = 1;
    payload.truncate(84);
    payload.extend_from_slice(&stored);
}

/// Puts fields in front of those of the first entry.
fn prefix_entry(payload: &mut Vec<u8>, fields: &[u8]) {
    payload[1] += u8::try_from(fields.len()).unwrap();
    assert!(payload[1] < 0x80, "lengths must stay varints of one byte");
    payload.splice(2..2, fields.iter().copied());
}

/// Names, what the Python reader must say, and archives.
pub(crate) fn forged_archives() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    [
        versions_and_frames(),
        blocks(),
        records(),
        messages(),
        leases_out_of_order(),
        facts(),
        index_and_footer(),
    ]
    .concat()
}

type Forged = Vec<(&'static str, &'static str, Vec<u8>)>;

/// With the payload of one frame changed.
fn with(kind: u8, nth: usize, mut change: impl FnMut(&mut Vec<u8>)) -> Vec<u8> {
    good().bent(|part| {
        if (part.kind, part.nth) == (kind, nth) {
            change(part.payload);
        }
    })
}

fn versions_and_frames() -> Forged {
    let reserved = |kind| {
        Draft { others: vec![(0x0b, Vec::new())], ..good() }.bent(|part| {
            *part.reserved = (part.kind == kind).into();
        })
    };
    let late = vec![(LEASES, leases(&[1])), (BLOCK, block(2, &pairs(&[["e", "5"]])))];
    let late = Draft { others: late, ..good() }.unbent();
    let long = Draft { others: vec![(0x0b, vec![0; (8 << 20) + 1])], ..good() }.unbent();
    let other = |kind| Draft { others: vec![(kind, Vec::new())], ..good() }.unbent();
    vec![
        ("major version 0", "major version 0", Draft { version: [0, 1], ..good() }.unbent()),
        ("major version 2", "major version 2", Draft { version: [2, 0], ..good() }.unbent()),
        ("frame reserved", "frame reserved is not zero", reserved(BLOCK)),
        ("frame reserved, skipped", "frame reserved is not zero", reserved(0x0b)),
        ("an unknown critical frame", "unknown frame type 8a", other(0x8a)),
        ("a payload beyond the limit", "over the limit", long),
        ("a block behind leases", "type 82 after one of type 83", late),
        ("a second header", "HEADER must be the first frame", other(HEADER)),
    ]
}

fn blocks() -> Forged {
    let block = |at: usize, value| with(BLOCK, 1, |payload| payload[at] = value);
    let flipped = |at: usize| with(BLOCK, 1, |payload| payload[at] ^= 1);
    let stored = |change: fn(&mut Vec<u8>)| with(BLOCK, 1, change);
    vec![
        ("an ordinal left out", "block 2 stands where block 1 should", block(0, 2)),
        ("an ordinal twice", "block 0 stands where block 1 should", block(0, 0)),
        ("a raw length", "raw bytes, not", flipped(8)),
        ("a short block header", "too short for a block header", stored(|payload| payload.truncate(83))),
        ("a raw length beyond the limit", "over the limit", block(11, 5)),
        ("a record too many", "2 records, not 3", block(12, 3)),
        ("no records", "0 records cannot be", block(12, 0)),
        ("more records than fit", "records cannot be", block(12, 200)),
        ("an unknown compression", "unknown compression 2", block(16, 2)),
        ("block reserved", "block reserved is not zero", block(18, 1)),
        ("a state hash", "the state hash does not match", flipped(20)),
        ("a content hash", "the content hash does not match", flipped(52)),
        ("no content size", "does not state the raw length", stored(|payload| compress(payload, false))),
        (
            "a skippable frame",
            "not a Zstandard frame",
            stored(|payload| {
                compress(payload, true);
                payload.splice(84..84, *b"\x50\x2a\x4d\x18\0\0\0\0");
            }),
        ),
        (
            "something behind the Zstandard frame",
            "unused data",
            stored(|payload| {
                compress(payload, true);
                payload.push(0);
            }),
        ),
    ]
}

fn records() -> Forged {
    let keys =
        |blocks: [&[[&'static str; 2]]; 2]| Draft { blocks: blocks.map(pairs).to_vec(), ..good() }.unbent();
    // Another spelling of the same keys and values.
    let spelled = |between: &[u8]| {
        let raw = [record(&pair("c", "3"), between), record(&pair("d", "4"), b"")].concat();
        with(BLOCK, 1, |payload| set_raw(payload, &raw))
    };
    let cut = with(BLOCK, 1, |payload| {
        let raw = [&payload[84..], b"\x09\x0a\x01e"].concat();
        set_raw(payload, &raw);
    });
    let canonical = "a record is not canonical";
    vec![
        ("keys descend", "the keys do not ascend", keys([&[["b", "0"]], &[["d", "1"], ["c", "2"]]])),
        ("a key twice", "the keys do not ascend", keys([&[["b", "0"]], &[["d", "1"], ["d", "2"]]])),
        ("keys descend between blocks", "the keys do not ascend", keys([&[["c", "0"]], &[["b", "0"]]])),
        ("an empty key", canonical, keys([&[["", "1"]], &[["b", ""]]])),
        ("an empty value that is written", canonical, keys([&[["a", "1"]], &[["b", ""]]])),
        ("a zero that is written", canonical, spelled(&number(2, 0))),
        ("fields that descend", canonical, spelled(&[number(3, 5), number(2, 5)].concat())),
        ("a field twice", canonical, spelled(&[number(2, 5), number(2, 5)].concat())),
        ("a field that is not etcd's", canonical, spelled(&number(7, 5))),
        ("a padded varint", "shortest form", spelled(b"\x10\x85\x00")),
        ("a padded tag", "shortest form", spelled(b"\x90\x00\x05")),
        ("a record that is cut", "a record is cut short", cut),
        ("a number as bytes", "create_revision has wire type 2", spelled(&bytes(2, b"5"))),
    ]
}

fn messages() -> Forged {
    let header = |fields: &[u8]| with(HEADER, 0, |payload| payload.extend_from_slice(fields));
    let entry = |fields: &[u8]| with(INDEX_LEAF, 0, |payload| prefix_entry(payload, fields));
    vec![
        ("field number 0", "number 0", header(b"\x00\x00")),
        ("a group in an unknown field", "wire type 3", header(b"\xa3\x06\xa4\x06")),
        ("a tag without a value", "a varint is cut short", header(b"\x10")),
        ("a varint of 11 bytes", "too long", header(b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")),
        ("a varint of 65 bits", "more than 64 bits", header(b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")),
        ("a padded varint in an unknown field", "shortest form", header(b"\xa0\x06\x85\x00")),
        ("an unknown field that is cut", "cut short", header(b"\xa2\x06\x02h")),
        ("a known field of another type", "writer has wire type 0", header(&number(6, 1))),
        ("not UTF-8", "can't decode", header(b"\x2a\x01\xff")),
        ("a short hash before the right one", "a hash has 31 bytes", entry(&bytes(7, &[1; 31]))),
        ("more than 32 bits before the right number", "more than 32 bits", entry(&number(3, 1 << 32))),
        ("a frame length before the right one", "frame of 43 bytes", entry(&number(2, 43))),
        (
            "a leaf's length before the right one",
            "frame of 43 bytes",
            with(INDEX_ROOT, 0, |payload| prefix_entry(payload, &number(2, 43))),
        ),
        ("an empty key before the right one", "has 0 bytes", entry(&bytes(5, b""))),
    ]
}

fn leases_out_of_order() -> Forged {
    let frames = |payloads: [Vec<u8>; 2]| {
        Draft { others: payloads.map(|payload| (LEASES, payload)).to_vec(), ..good() }.unbent()
    };
    let lease = |fields: [Vec<u8>; 2]| frames([bytes(1, &fields.concat()), Vec::new()]);
    let many: Vec<_> = (1..=4097).collect();
    let ascend = "the ids of leases do not ascend";
    vec![
        ("leases descend", ascend, frames([leases(&[2, 1]), Vec::new()])),
        ("a lease twice, between frames", ascend, frames([leases(&[1, 2]), leases(&[2])])),
        ("ids as unsigned numbers", ascend, frames([leases(&[1, -1]), Vec::new()])),
        ("a lease with id 0", "id 0", frames([leases(&[0]), Vec::new()])),
        ("a lease without an id", "id 0", lease([number(2, 1), Vec::new()])),
        ("id 0 before the right one", "id 0", lease([number(1, 0), number(1, 5)])),
        ("a negative TTL", "a TTL is negative", lease([number(1, 5), number(3, u64::MAX)])),
        ("leases beyond the limit", "more than 4096 leases", frames([leases(&many), Vec::new()])),
    ]
}

fn facts() -> Forged {
    let other = |kind, fields: &[u8]| Draft { others: vec![(kind, fields.to_vec())], ..good() }.unbent();
    let two =
        |kinds: [u8; 2]| Draft { others: kinds.map(|kind| (kind, Vec::new())).to_vec(), ..good() }.unbent();
    let named = |names: &[&str]| -> Vec<u8> {
        names.iter().flat_map(|name| bytes(1, &bytes(1, name.as_bytes()))).collect()
    };
    let ids = |ids: &[u64]| -> Vec<u8> { ids.iter().flat_map(|id| bytes(1, &number(1, *id))).collect() };
    let role = |permission: &[u8]| bytes(2, &[bytes(1, b"r"), bytes(2, permission)].concat());
    let roles = bytes(2, b"r").repeat(65_536);
    vec![
        ("AUTH twice", "type 07 after one of type 07", two([AUTH, AUTH])),
        ("MEMBERS before AUTH", "type 07 after one of type 08", two([MEMBERS, AUTH])),
        ("leases behind OPTIONS", "type 83 after one of type 09", two([OPTIONS, LEASES])),
        ("users descend", "the names do not ascend", other(AUTH, &named(&["b", "a"]))),
        ("a user twice", "the names do not ascend", other(AUTH, &named(&["a", "a"]))),
        ("a user with an empty name", "a name is empty", other(AUTH, &named(&[""]))),
        ("a user without a name", "a name is missing", other(AUTH, &bytes(1, b""))),
        ("a user's role without a name", "a name is empty", other(AUTH, &bytes(1, b"\x0a\x01u\x12\x00"))),
        ("roles descend", "the names do not ascend", other(AUTH, b"\x12\x03\x0a\x01b\x12\x03\x0a\x01a")),
        ("an unknown access", "access 4", other(AUTH, &role(&number(1, 4)))),
        ("an unknown access before a known one", "access 4", other(AUTH, &role(b"\x08\x04\x08\x01"))),
        ("an unknown state", "state 3", other(AUTH, &number(3, 3))),
        (
            "more entries than may be",
            "more than 65536",
            other(AUTH, &bytes(1, &[bytes(1, b"u"), roles].concat())),
        ),
        ("members descend", "the ids of members do not ascend", other(MEMBERS, &ids(&[2, 1]))),
        ("a member twice", "the ids of members do not ascend", other(MEMBERS, &ids(&[1, 1]))),
        ("a URL that is not UTF-8", "can't decode", other(MEMBERS, &bytes(1, &bytes(3, b"\xff")))),
        ("an alarm of another type", "kind has wire type 2", other(MEMBERS, &bytes(2, &bytes(2, b"1")))),
        ("options descend", "the names do not ascend", other(OPTIONS, &named(&["b", "a"]))),
        ("an option without a name", "a name is missing", other(OPTIONS, &bytes(1, &bytes(2, b"v")))),
    ]
}

fn index_and_footer() -> Forged {
    let last_byte = |kind| with(kind, 0, |payload| *payload.last_mut().unwrap() ^= 1);
    let one_entry = with(INDEX_LEAF, 0, |payload| payload.truncate(2 + usize::from(payload[1])));
    let without = |kind| with(kind, 0, Vec::clear);
    let mut all = vec![
        ("a hash in the leaf", "the index does not agree with the blocks", last_byte(INDEX_LEAF)),
        ("a leaf without one block", "blocks are missing in the index", one_entry),
        ("a leaf without blocks", "an index leaf without blocks", without(INDEX_LEAF)),
        (
            "a check of a frame in the root",
            "the index root does not agree with the frames",
            last_byte(INDEX_ROOT),
        ),
        (
            "a check of a leaf in the root",
            "the index root does not agree with the leaves",
            with(INDEX_ROOT, 0, |payload| {
                let end = 2 + usize::from(payload[1]);
                payload[end - 1] ^= 1;
            }),
        ),
        (
            "a root without a frame",
            "the index root does not agree with the frames",
            with(INDEX_ROOT, 0, |payload| {
                let entry = 2 + usize::from(payload[1]);
                payload.drain(entry..entry + 2 + usize::from(payload[entry + 1]));
            }),
        ),
        (
            "a frame's type beyond a byte before the right one",
            "no frame has type 256",
            with(INDEX_ROOT, 0, |payload| {
                let entry = 2 + usize::from(payload[1]);
                payload[entry + 1] += 3;
                payload.splice(entry + 2..entry + 2, number(1, 256));
            }),
        ),
        ("a root without leaves", "the index root does not agree", without(INDEX_ROOT)),
        ("a longer footer", "168 bytes", with(FOOTER, 0, |payload| payload.push(0))),
    ];
    for (at, name) in [
        (0, "index_root_offset in the footer"),
        (8, "records in the footer"),
        (16, "blocks in the footer"),
        (24, "bytes in the footer"),
        (32, "file_len in the footer"),
        (40, "index_root_check in the footer"),
        (72, "state_root in the footer"),
        (104, "content_root in the footer"),
        (136, "archive_root in the footer"),
    ] {
        all.push((name, name, with(FOOTER, 0, |payload| payload[at] ^= 1)));
    }
    all
}

/// Archives that no rule refuses.
pub(crate) fn allowed_archives() -> Vec<(String, Vec<u8>)> {
    let header = |fields: &[u8]| with(HEADER, 0, |payload| *payload = [fields, &payload[..]].concat());
    let others = |others: Vec<(u8, Vec<u8>)>| Draft { others, ..good() }.unbent();
    let negative = u64::MAX;
    let all = [
        ("nothing bent", good().unbent()),
        ("a newer minor version", Draft { version: [1, 7], ..good() }.unbent()),
        ("frames to skip", others(vec![(0x0b, b"?".to_vec()), (LEASES, leases(&[1])), (0x7f, Vec::new())])),
        ("a lease frame without leases", others(vec![(LEASES, Vec::new())])),
        ("facts that are empty", others([AUTH, MEMBERS, OPTIONS].map(|kind| (kind, Vec::new())).to_vec())),
        ("facts in part", others(vec![(AUTH, bytes(1, &bytes(1, b"u"))), (OPTIONS, Vec::new())])),
        ("a permission for nothing", others(vec![(AUTH, bytes(2, b"\x0a\x01r\x12\x00"))])),
        ("a learner by another number", others(vec![(MEMBERS, bytes(1, &number(5, 7)))])),
        ("a TTL above the one granted", others(vec![(LEASES, bytes(1, b"\x08\x05\x18\x09"))])),
        ("zeros and empty fields that are written", header(b"\x10\x00\x18\x00\x2a\x00")),
        ("fields in another order, and one twice", header(&[bytes(6, b"?"), number(2, 9)].concat())),
        ("unknown fields", header(b"\xa0\x06\x05\xa1\x06\0\0\0\0\0\0\0\0\xa2\x06\x02hi\xa5\x06\0\0\0\0")),
        ("an unknown field with the highest number", header(&number(u64::MAX >> 3, 1))),
        ("a negative revision", header(&[number(3, negative), number(4, negative)].concat())),
        ("a field of an entry twice", with(INDEX_LEAF, 0, |payload| prefix_entry(payload, &number(1, 5)))),
        ("a Zstandard frame with a checksum", with(BLOCK, 0, |payload| compress(payload, true))),
    ];
    all.map(|(name, bytes)| (name.to_owned(), bytes)).to_vec()
}
