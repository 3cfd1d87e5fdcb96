//! The page, the schema and the code say the same; and hand-written messages are what protobuf's own
//! implementation takes them for.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;

use super::facts::Facts;
use super::layout::*;
use super::record::{Record, put_record};
use super::wire::{Reader, put_varint, varint_len};
use super::*;
use crate::pb::{ark, mvccpb};
use crate::types::{ClusterId, KeyRange, KeyValue, LeaseId, MemberId, Revision};

const PAGE: &str = include_str!("../../docs/format.md");
const SCHEMA: &str = include_str!("../../proto/archive.proto");
const ETCD_SCHEMA: &str = include_str!("../../proto/kv.proto");

/// The rows of all tables under a heading, without the heads of the tables.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let is_heading = |line: &&str| line.trim_start_matches('#').trim() == heading && line.starts_with('#');
    let section = PAGE.lines().skip_while(|line| !is_heading(line)).skip(1);
    let lines: Vec<_> = section.take_while(|line| !line.starts_with('#')).collect();
    let head = |at: usize| lines.get(at + 1).is_some_and(|next| next.starts_with("| ---"));
    let rows = lines
        .iter()
        .enumerate()
        .filter(|(at, line)| line.starts_with("| ") && !line.starts_with("| ---") && !head(*at));
    let rows: Vec<Vec<_>> =
        rows.map(|(_, line)| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
    assert!(!rows.is_empty(), "docs/format.md has no table under \"{heading}\"");
    rows
}

/// Offset, size and name of every field of a fixed layout, offsets summed up here.
fn layout_of(fields: &[(&'static str, usize)]) -> Vec<Vec<String>> {
    let mut offset = 0;
    let mut rows = Vec::new();
    for (name, size) in fields {
        rows.push(vec![offset.to_string(), size.to_string(), (*name).to_string()]);
        offset += size;
    }
    rows
}

fn assert_layout(heading: &str, fields: &[(&'static str, usize)]) {
    let page: Vec<Vec<_>> = table(heading).iter().map(|row| row[..3].to_vec()).collect();
    assert_eq!(page, layout_of(fields), "{heading}");
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("`{}`", pairs.join(" "))
}

#[test]
fn the_page_has_the_layouts_of_the_code() {
    assert_layout("Preamble", &[("magic", MAGIC_LEN), ("major", MAJOR_LEN), ("minor", MINOR_LEN)]);
    let frame = [
        ("marker", MARKER_LEN),
        ("type", TYPE_LEN),
        ("frame reserved", FRAME_RESERVED_LEN),
        ("payload length", PAYLOAD_LEN_LEN),
    ];
    let (frame_rows, types) = frame_tables();
    assert_eq!(frame_rows, layout_of(&frame));
    assert_eq!(types, known_types());
    let block = [
        ("ordinal", ORDINAL_LEN),
        ("raw length", RAW_LEN_LEN),
        ("record count", RECORD_COUNT_LEN),
        ("compression", COMPRESSION_LEN),
        ("block reserved", BLOCK_RESERVED_LEN),
        ("state hash", HASH_LEN),
        ("content hash", HASH_LEN),
    ];
    assert_layout("Block", &block);
    let counters = ["index root offset", "records", "blocks", "bytes", "file length"];
    let hashes = ["index root check", "state root", "content root", "archive root"];
    assert_eq!((counters.len(), hashes.len()), (FOOTER_COUNTERS, FOOTER_HASHES));
    let counters = counters.map(|name| (name, FOOTER_COUNTER_LEN));
    let footer: Vec<_> = counters.into_iter().chain(hashes.map(|name| (name, HASH_LEN))).collect();
    assert_layout("Footer", &footer);
}

/// The two tables about frames: the frame header, and the types.
fn frame_tables() -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let rows = table("Frame").into_iter().map(|row| row[..3].iter().map(ToString::to_string).collect());
    let (header, types) = rows.partition(|row: &Vec<String>| row[1].parse::<usize>().is_ok());
    (header, types)
}

fn known_types() -> Vec<Vec<String>> {
    let known = FrameType::ALL.map(|known| (known.name(), known.byte()));
    let row = |(name, byte): (&str, u8)| {
        let critical = if byte & CRITICAL == 0 { "no" } else { "yes" };
        vec![format!("{byte:02x}"), name.to_string(), critical.to_string()]
    };
    known.into_iter().chain(RESERVED_TYPES).map(row).collect()
}

#[test]
fn the_page_has_the_values_of_the_code() {
    let meanings: Vec<_> = table("Preamble").iter().map(|row| row[3]).collect();
    assert_eq!(meanings, [hex(&MAGIC), MAJOR.to_string(), MINOR.to_string()]);
    assert_eq!(table("Frame")[0][3], hex(&MARKER));
    assert!(table("Block")[3][3].contains(&format!("{COMPRESSION_NONE}: stored bytes are the raw bytes")));
    assert!(table("Block")[3][3].contains(&format!("{COMPRESSION_ZSTD}: zstd")));
    let labels: Vec<_> =
        table("Hashes").iter().map(|row| row[1].trim_matches('`').to_owned() + "\n").collect();
    assert_eq!(
        labels.iter().map(String::as_bytes).collect::<Vec<_>>(),
        [STATE_LABEL, CONTENT_LABEL, ARCHIVE_LABEL]
    );
    for (what, len) in [
        ("payload is these", FOOTER_LEN),
        ("always the last", FOOTER_FRAME_LEN),
        ("frame is a block header of", BLOCK_HEADER_LEN),
        ("So a frame is", FRAME_OVERHEAD),
        ("The preamble is", PREAMBLE_LEN),
        ("These", FRAME_HEADER_LEN),
    ] {
        assert!(PAGE.contains(&format!("{what} {len} ")), "{what} {len}");
    }
}

#[test]
fn the_page_has_the_limits_of_the_code() {
    let numbers = |heading: &str| -> Vec<(String, u64)> {
        let rows = table(heading).into_iter();
        rows.map(|row| (row[0].to_string(), row[1].parse().unwrap())).collect()
    };
    let expected = |rows: &[(&str, u64)]| rows.iter().map(|(name, n)| ((*name).to_string(), *n)).collect();
    let cut: Vec<_> = expected(&[("cut minimum", CUT_MIN), ("cut span", CUT_SPAN), ("cut maximum", CUT_MAX)]);
    assert_eq!(numbers("Where blocks end"), cut);
    let limits: Vec<_> = expected(&[
        ("block payload", MAX_PAYLOAD_BYTES.into()),
        ("other payload", MAX_META_BYTES.into()),
        ("raw length", MAX_RAW_BYTES.into()),
        ("record", MAX_RECORD_BYTES as u64),
        ("leases", MAX_LEASES_PER_FRAME as u64),
        ("entries", MAX_ENTRIES as u64),
        ("leaf blocks", LEAF_BLOCKS as u64),
        ("index key", INDEX_KEY_BYTES as u64),
        ("record minimum", MIN_RECORD_LEN.into()),
    ]);
    assert_eq!(numbers("Limits"), limits);
}

/// The fields of every message of a schema, as rows of the page's tables.
fn messages(schema: &'static str) -> BTreeMap<&'static str, Vec<[String; 3]>> {
    let mut found = BTreeMap::new();
    let mut current = "";
    for line in schema.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("message ") {
            current = name.trim_end_matches(" {");
        }
        let field = line.split_once(" = ").filter(|_| !line.starts_with("//"));
        // What has no type in front is a value of an enum, or the line that names the syntax.
        let typed = field.and_then(|(field, number)| Some((field.rsplit_once(' ')?, number)));
        if let Some(((kind, name), number)) = typed {
            let row = [number.trim_end_matches(';'), kind, name].map(str::to_string);
            found.entry(current).or_insert_with(Vec::new).push(row);
        }
    }
    found
}

fn message_table(heading: &str) -> Vec<[String; 3]> {
    table(heading).iter().map(|row| [row[0], row[1], row[2]].map(str::to_string)).collect()
}

#[test]
fn the_page_has_the_messages_of_the_schema() {
    let mut ours = messages(SCHEMA);
    assert_eq!(ours.len(), 17);
    for (name, fields) in &mut ours {
        assert_eq!(message_table(name), *fields, "{name}");
    }
    let mut record = messages(ETCD_SCHEMA)["KeyValue"].clone();
    record.sort();
    assert_eq!(message_table("Record"), record);
}

fn any_i64() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), 1..1000_i64, any::<i64>()]
}

prop_compose! {
    fn any_record()(
        key in prop::collection::vec(any::<u8>(), 1..40),
        value in prop::collection::vec(any::<u8>(), 0..200),
        numbers in [any_i64(), any_i64(), any_i64(), any_i64()],
    ) -> KeyValue {
        let [create, modified, version, lease] = numbers;
        KeyValue {
            key: key.into(),
            value: value.into(),
            create_revision: Revision(create),
            mod_revision: Revision(modified),
            version,
            lease: LeaseId::from_wire(lease),
        }
    }
}

proptest! {
    #[test]
    fn records_are_what_protobuf_writes(kv in any_record()) {
        let mut ours = Vec::new();
        put_record(&mut ours, &kv);
        let theirs = mvccpb::KeyValue::from(kv.clone()).encode_length_delimited_to_vec();
        prop_assert_eq!(&ours, &theirs);
        let ours = Bytes::from(ours);
        let read = Record::read(&mut Reader::new(&ours)).unwrap().to_key_value(&ours);
        prop_assert_eq!(read, kv);
    }

    /// Whatever is read as a record is written as the same bytes again: there is no second spelling.
    #[test]
    fn records_have_one_spelling(kv in any_record(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = Vec::new();
        put_record(&mut bytes, &kv);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let bytes = Bytes::from(bytes);
        let mut reader = Reader::new(&bytes);
        if let Ok(record) = Record::read(&mut reader) {
            let taken = bytes.len() - reader.remaining();
            let mut again = Vec::new();
            put_record(&mut again, &record.to_key_value(&bytes));
            prop_assert_eq!(&again, &bytes[..taken]);
        }
    }
}

#[test]
fn messages_are_what_protobuf_writes() {
    let header = Header {
        cluster_id: ClusterId(u64::MAX),
        member_id: MemberId(7),
        revision: Revision(300),
        created_unix_ms: -1,
        server_version: "3.5.30".into(),
        writer: "etcd-ark 0.1.0".into(),
        range: KeyRange::prefix("/app/"),
    };
    let theirs = ark::Header {
        cluster_id: u64::MAX,
        member_id: 7,
        revision: 300,
        created_unix_ms: -1,
        server_version: "3.5.30".into(),
        writer: "etcd-ark 0.1.0".into(),
        range_start: Bytes::from_static(b"/app/"),
        range_end: Bytes::from_static(b"/app0"),
    };
    assert_eq!(header.encode(), theirs.encode_to_vec());
    assert_eq!(Header::decode(&header.encode().into()), Ok(header));

    let lease =
        Lease { id: LeaseId(-5), granted_ttl: Duration::from_secs(60), remaining_ttl: Duration::ZERO };
    let theirs = ark::Lease { id: -5, granted_ttl: 60, remaining_ttl: 0 };
    assert_eq!(lease::encode(&[lease]), ark::Leases { leases: vec![theirs] }.encode_to_vec());
    assert_eq!(Vec::<Lease>::decode(&lease::encode(&[lease]).into()), Ok(vec![lease]));
}

#[test]
fn index_entries_are_what_protobuf_writes() {
    let block = BlockEntry {
        offset: 1 << 40,
        frame_len: 300,
        raw_len: 1000,
        records: 3,
        first_key: Bytes::from_static(b"a"),
        last_key: Bytes::from_static(b"b"),
        state_hash: [1; 32],
        content_hash: [2; 32],
    };
    let theirs = ark::BlockEntry {
        offset: 1 << 40,
        frame_len: 300,
        raw_len: 1000,
        records: 3,
        first_key: block.first_key.clone(),
        last_key: block.last_key.clone(),
        state_hash: Bytes::from_static(&[1; 32]),
        content_hash: Bytes::from_static(&[2; 32]),
    };
    let mut ours = Vec::new();
    block.put(&mut ours);
    assert_eq!(ours, ark::IndexLeaf { blocks: vec![theirs] }.encode_to_vec());
    assert_eq!(IndexLeaf::decode(&ours.into()).map(|leaf| leaf.blocks().to_vec()), Ok(vec![block.clone()]));

    let leaf = LeafEntry::of(&[block], 77, 400, [3; 32]);
    let theirs = ark::LeafEntry {
        offset: 77,
        frame_len: 400,
        first_key: Bytes::from_static(b"a"),
        last_key: Bytes::from_static(b"b"),
        check: Bytes::from_static(&[3; 32]),
    };
    let mut ours = Vec::new();
    leaf.put(&mut ours);
    let frame = FrameEntry::of(0x83, 55, 300, [4; 32]);
    frame.put(&mut ours);
    let check = Bytes::from_static(&[4; 32]);
    let their_frame = ark::FrameEntry { r#type: 0x83, offset: 55, frame_len: 300, check };
    assert_eq!(ours, ark::IndexRoot { leaves: vec![theirs], frames: vec![their_frame] }.encode_to_vec());
    let root = IndexRoot::decode(&ours.into()).unwrap();
    assert_eq!((root.leaves(), root.frames()), (&[leaf][..], &[frame][..]));
}

#[test]
fn facts_are_what_protobuf_writes() {
    let permission = |range, read, write| RolePermission { read, write, range };
    let auth = Auth {
        state: AuthState::On,
        users: vec![User { name: "app".into(), roles: vec!["r".into(), "s".into()] }, user("root")],
        roles: vec![Role {
            name: "r".into(),
            permissions: vec![
                permission(KeyRange::prefix("a"), true, true),
                permission(KeyRange::key("k"), false, true),
            ],
        }],
        missing: "some".into(),
    };
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let their_permission =
        |access, start, end| ark::Permission { access, range_start: bytes(start), range_end: bytes(end) };
    let theirs = ark::Auth {
        state: 2,
        users: vec![
            ark::User { name: "app".into(), roles: vec!["r".into(), "s".into()] },
            ark::User { name: "root".into(), roles: Vec::new() },
        ],
        roles: vec![ark::Role {
            name: "r".into(),
            permissions: vec![their_permission(3, "a", "b"), their_permission(2, "k", "")],
        }],
        missing: "some".into(),
    };
    assert_eq!(auth.encode(), theirs.encode_to_vec());
    assert_eq!(Auth::decode(&auth.encode().into()), Ok(auth));

    let alarm = RaisedAlarm { member_id: MemberId(9), kind: 1 };
    let member = SavedMember {
        id: MemberId(9),
        name: "one".into(),
        peer_urls: vec!["http://a:1".into()],
        client_urls: vec!["http://a:2".into(), "http://b:2".into()],
        is_learner: true,
        server_version: "3.5.1".into(),
    };
    let members = Members { members: vec![member], alarms: vec![alarm], missing: String::new() };
    let their_member = ark::Member {
        id: 9,
        name: "one".into(),
        peer_urls: vec!["http://a:1".into()],
        client_urls: vec!["http://a:2".into(), "http://b:2".into()],
        learner: 1,
        server_version: "3.5.1".into(),
    };
    let theirs = ark::Members {
        members: vec![their_member],
        alarms: vec![ark::Alarm { member_id: 9, kind: 1 }],
        missing: String::new(),
    };
    assert_eq!(members.encode(), theirs.encode_to_vec());
    assert_eq!(Members::decode(&members.encode().into()), Ok(members));

    let option = |name: &str, value: &str| BackupOption { name: name.into(), value: value.into() };
    let options = Options { options: vec![option("compression", "zstd 1"), option("writer", "")] };
    let their_option = |name: &str, value: &str| ark::Option { name: name.into(), value: value.into() };
    let theirs =
        ark::Options { options: vec![their_option("compression", "zstd 1"), their_option("writer", "")] };
    assert_eq!(options.encode(), theirs.encode_to_vec());
    assert_eq!(Options::decode(&options.encode().into()), Ok(options));
}

fn user(name: &str) -> User {
    User { name: name.into(), roles: Vec::new() }
}

/// One more than may be, in lists inside of an entry.
#[test]
fn facts_have_a_limit() {
    let many =
        |count| Auth { users: vec![User { roles: vec!["r".into(); count], ..user("u") }], ..Auth::default() };
    assert!(Auth::decode(&many(MAX_ENTRIES - 1).encode().into()).is_ok());
    assert!(Auth::decode(&many(MAX_ENTRIES).encode().into()).is_err());
}

#[test]
fn tiny_entries_do_not_multiply_in_memory() {
    let many = Bytes::from(b"\x0a\x00".repeat(4 << 20));
    assert!(IndexLeaf::decode(&many).is_err());
    assert!(IndexRoot::decode(&many).is_err());
    assert!(Members::decode(&many).is_err());
    assert!(Vec::<Lease>::decode(&many).is_err());
}

#[test]
fn varints_are_as_long_as_announced() {
    for shift in 0..64 {
        for value in [(1_u64 << shift) - 1, 1 << shift, u64::MAX >> shift] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value));
            assert_eq!(Reader::new(&out).varint(), Ok(value));
        }
    }
}
