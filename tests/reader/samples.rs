//! Archives with all that can be in one.

use std::collections::BTreeMap;
use std::time::Duration;

use etcd_ark::archive::{
    Auth, AuthState, BackupOption, Compression, Cutter, Encoder, Header, Lease, Members, Options,
    RaisedAlarm, Role, RolePermission, SavedMember, User,
};
use etcd_ark::{ClusterId, KeyRange, KeyValue, LeaseId, MemberId, Revision};

use crate::random::Random;

/// An archive and what to call it.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Ranges, and their spelling in a header.
pub(crate) fn ranges() -> [(KeyRange, [&'static [u8]; 2]); 5] {
    [
        (KeyRange::all(), [b"\0", b"\0"]),
        (KeyRange::from_key("b"), [b"b", b"\0"]),
        (KeyRange::key("b\n"), [b"b\n", b""]),
        (KeyRange::prefix("app/"), [b"app/", b"app0"]),
        (KeyRange::between(&b"\xff\0"[..], &b"\xff\x01"[..]), [b"\xff\0", b"\xff\x01"]),
    ]
}

pub(crate) fn good_samples() -> Vec<Sample> {
    let mut random = Random(7);
    let zstd = Compression::default();
    let several_blocks: Vec<_> =
        (0..150).map(|i| record(format!("key{i:04}"), random.bytes(10_000))).collect();
    let mut samples = vec![
        sample("nothing", &Header::default(), &[], &[], zstd),
        sample("one record", &header(0), &[record("a", "1")], &[], zstd),
        sample("several blocks", &header(1), &several_blocks, &[], zstd),
        sample("several blocks, stored", &header(2), &several_blocks, &[], Compression::None),
        sample("odd keys", &header(3), &odd_keys(), &[], zstd),
        sample("long keys", &header(4), &long_keys(&mut random), &[], zstd),
        sample("extreme numbers", &extreme_header(), &extreme_numbers(), &extreme_leases(), zstd),
        sample("a large value", &header(0), &[record("a", random.bytes(1_500_000))], &[], zstd),
        sample("leases in two frames", &header(0), &[record("a", "1")], &many_leases(), zstd),
        Sample { name: "all facts".to_owned(), bytes: with_facts() },
        sample("two index leaves", &header(0), &block_each(257), &[], zstd),
    ];
    samples.extend(random_samples(0, 20));
    samples
}

/// The same in every run.
pub(crate) fn random_samples(first: usize, count: usize) -> Vec<Sample> {
    (first..first + count).map(|i| random_sample(i, &mut Random(7 + i as u64))).collect()
}

/// Two archives of a few kilobytes, with several frames of every kind that can come more than once but the
/// index leaf. Frame for frame they are equally long, and all but the first blocks differ.
pub(crate) fn small_archives() -> [Vec<u8>; 2] {
    let leases = many_leases();
    [(1000, "the last"), (2000, "the LAST")].map(|(revision, last)| {
        let header = Header { revision: Revision(revision), ..header(0) };
        let leases = if revision == 1000 { &leases[..5] } else { &leases[1..6] };
        let records = [block_each(2), vec![record("z", last)]].concat();
        archive(&header, &records, &[&leases[..2], &leases[2..]], Compression::default())
    })
}

fn sample(
    name: &str,
    header: &Header,
    records: &[KeyValue],
    leases: &[Lease],
    compression: Compression,
) -> Sample {
    Sample { name: name.to_owned(), bytes: archive(header, records, &[leases], compression) }
}

fn archive(header: &Header, records: &[KeyValue], leases: &[&[Lease]], compression: Compression) -> Vec<u8> {
    let (mut encoder, mut out) =
        Encoder::new(header).map(|(encoder, start)| (encoder, start.to_vec())).unwrap();
    let mut cutter = Cutter::new();
    let mut blocks: Vec<_> = records.iter().filter_map(|record| cutter.push(record).unwrap()).collect();
    blocks.extend(cutter.finish());
    for block in blocks {
        out.extend(encoder.append(block.seal(compression)).unwrap());
    }
    for leases in leases {
        out.extend(encoder.leases(leases).unwrap());
    }
    out.extend(encoder.finish().unwrap().0);
    out
}

/// With users, members and options.
fn with_facts() -> Vec<u8> {
    let (mut encoder, start) = Encoder::new(&header(0)).unwrap();
    let permission =
        |range: usize, read, write| RolePermission { read, write, range: ranges()[range].0.clone() };
    let user = |name: &str, roles: &[&str]| User {
        name: name.to_owned(),
        roles: roles.iter().map(ToString::to_string).collect(),
    };
    let reader =
        Role { name: "r".to_owned(), permissions: (0..5).map(|i| permission(i, true, i > 2)).collect() };
    let auth = Auth {
        state: AuthState::On,
        users: vec![user("app", &["r", "root"]), user("b\u{e9}", &[])],
        roles: vec![reader, Role { name: "root".to_owned(), permissions: Vec::new() }],
        missing: "nothing".to_owned(),
    };
    let member = |id, is_learner| SavedMember {
        id: MemberId(id),
        name: format!("m{id}"),
        peer_urls: vec!["http://a:1".to_owned(), String::new()],
        client_urls: Vec::new(),
        is_learner,
        server_version: "3.5.1".to_owned(),
    };
    let alarms = vec![RaisedAlarm { member_id: MemberId(u64::MAX), kind: 1 }];
    let members = vec![member(0, false), member(u64::MAX, true)];
    let members = Members { members, alarms, missing: String::new() };
    let option = |name: &str, value: &str| BackupOption { name: name.to_owned(), value: value.to_owned() };
    let options = Options { options: vec![option("a", ""), option("compression", "zstd 1")] };
    let facts =
        [encoder.auth(&auth), encoder.members(&members), encoder.options(&options)].map(Result::unwrap);
    [start, facts.concat().into(), encoder.finish().unwrap().0].concat()
}

/// With the range of this number.
fn header(range: usize) -> Header {
    Header {
        cluster_id: ClusterId(0x1234),
        member_id: MemberId(0x5678),
        revision: Revision(1000),
        created_unix_ms: 1_700_000_000_123,
        server_version: "3.5.1".to_owned(),
        writer: "the reader's test \u{2713}".to_owned(),
        range: ranges()[range].0.clone(),
    }
}

fn extreme_header() -> Header {
    Header {
        cluster_id: ClusterId(u64::MAX),
        member_id: MemberId(1 << 63),
        revision: Revision(i64::MAX),
        created_unix_ms: i64::MIN,
        ..header(0)
    }
}

fn record(key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> KeyValue {
    KeyValue {
        key: key.as_ref().to_vec().into(),
        value: value.into().into(),
        create_revision: Revision(2),
        mod_revision: Revision(300),
        version: 7,
        lease: None,
    }
}

fn odd_keys() -> Vec<KeyValue> {
    let keys: [&[u8]; 9] =
        [b"\0", b"\0\0", b"\n", b"\r\n\x1a", b"a", b"a\0", b"\x7f", b"\x80", b"\xff\xfe\xff"];
    keys.into_iter().enumerate().map(|(i, key)| record(key, [b"", &b"\0\xff\n"[..]][i % 2])).collect()
}

/// Longer than what the index holds of them, so that blocks begin and end with the same 1024 bytes.
fn long_keys(random: &mut Random) -> Vec<KeyValue> {
    let prefix = [0xffu8; 1024];
    let keys = (0..20u8).map(|i| [&prefix[..], &[i]].concat());
    keys.map(|key| record(key, random.bytes(30_000))).chain([record([0xff; 1045], "")]).collect()
}

fn extreme_numbers() -> Vec<KeyValue> {
    let numbers = [0, 1, 127, 128, i64::MAX, i64::MIN, -1];
    let records = numbers.into_iter().enumerate().map(|(i, number)| KeyValue {
        create_revision: Revision(number),
        mod_revision: Revision(number),
        version: number,
        lease: (number != 0).then_some(LeaseId(number)),
        ..record(i.to_string(), "")
    });
    records.collect()
}

fn extreme_leases() -> Vec<Lease> {
    [i64::MIN, -1, 1, i64::MAX].map(|id| lease(id, i64::MAX.unsigned_abs(), 0)).to_vec()
}

/// More than one frame may hold.
fn many_leases() -> Vec<Lease> {
    (1..5000).map(|id| lease(id * 3, id.unsigned_abs() % 7, id.unsigned_abs() % 5)).collect()
}

fn lease(id: i64, granted: u64, remaining: u64) -> Lease {
    Lease {
        id: LeaseId(id),
        granted_ttl: Duration::from_secs(granted),
        remaining_ttl: Duration::from_secs(remaining),
    }
}

/// Records of which each is a block, the smallest that there are: of many keys, those with which a block ends.
fn block_each(blocks: usize) -> Vec<KeyValue> {
    let candidates = (0..).map(|i| record(format!("{i:06}"), vec![0; 65_536]));
    candidates.filter(|record| Cutter::new().push(record).unwrap().is_some()).take(blocks).collect()
}

fn random_sample(number: usize, random: &mut Random) -> Sample {
    let records: BTreeMap<_, _> = (0..random.below(300)).map(|_| random_record(random)).collect();
    let leases: BTreeMap<_, _> = (0..random.below(50)).map(|_| random_lease(random)).collect();
    let (records, leases): (Vec<_>, Vec<_>) =
        (records.into_values().collect(), leases.into_values().collect());
    let level = random.one_of(&[-5, 1, 3, 9]);
    let compression = random.one_of(&[Compression::None, Compression::Zstd(level)]);
    let header = Header { created_unix_ms: random.number().cast_signed(), ..header(random.below(5)) };
    sample(&format!("random {number}"), &header, &records, &leases, compression)
}

fn random_record(random: &mut Random) -> (Vec<u8>, KeyValue) {
    let key_len = 1 + random.below(12);
    let key: Vec<_> = (0..key_len).map(|_| random.one_of(b"\0\n/ab\x80\xff")).collect();
    let longest = random.one_of(&[1, 10, 100, 1000, 30_000]);
    let value_len = random.below(longest);
    let value = if random.below(2) == 0 { random.bytes(value_len) } else { vec![b'x'; value_len] };
    let magnitude = random.one_of(&[0, 20, 50, 63]);
    let record = KeyValue {
        create_revision: Revision((random.number() >> magnitude).cast_signed()),
        mod_revision: Revision((random.number() >> magnitude).cast_signed()),
        version: (random.number() >> magnitude).cast_signed(),
        lease: (random.below(3) == 0).then(|| random_lease(random).1.id),
        ..record(&key, value)
    };
    (key, record)
}

fn random_lease(random: &mut Random) -> (i64, Lease) {
    let id = (random.number() | 1).cast_signed();
    (id, lease(id, random.number() >> 40, random.number() >> 40))
}
