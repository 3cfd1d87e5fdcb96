//! The Python reader, which was written from docs/format.md alone, on archives of this crate: it reads what the
//! crate reads, so the document is enough, and refuses what is damaged.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

#[path = "../support/draft.rs"]
mod draft;
#[path = "../support/frames.rs"]
mod frames;

mod forged;
mod golden;
mod random;
mod samples;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use etcd_ark::archive::{Auth, AuthState, Decoder, Event, Members, RaisedAlarm, RolePermission, SavedMember};
use etcd_ark::{KeyRange, KeyValue};
use serde_json::{Value, json};

use forged::{allowed_archives, forged_archives};
use samples::{Sample, good_samples, small_archives};

/// What the Python reader said about one archive.
#[derive(Default)]
struct Verdict {
    lines: Vec<String>,
    fault: Option<String>,
}

impl Verdict {
    /// Only an archive that is good to its last byte gets its footer printed.
    fn accepts(&self) -> bool {
        self.lines.last().is_some_and(|line| line.starts_with(r#"{"footer":"#))
    }
}

/// Starts Python once, on all of these archives.
fn read_by_python(archives: &[(String, Vec<u8>)]) -> Vec<Verdict> {
    let python = std::env::var_os("ETCD_ARK_PYTHON")
        .expect("ETCD_ARK_PYTHON must name a Python that has the reader's packages: run scripts/test");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reader/read_archive.py");
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..archives.len()).map(|i| folder.path().join(format!("{i}.ark"))).collect();
    for (path, (_, bytes)) in paths.iter().zip(archives) {
        std::fs::write(path, bytes).unwrap();
    }

    let output = Command::new(python).arg(script).args(&paths).output().expect("Python can be run");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let verdicts = verdicts(&paths, &stdout, &stderr);
    let all_good = verdicts.iter().all(Verdict::accepts);
    assert_eq!(output.status.code(), Some(if all_good { 0 } else { 1 }), "{stderr}");
    verdicts
}

fn verdicts(paths: &[PathBuf], stdout: &str, stderr: &str) -> Vec<Verdict> {
    let mut faults: HashMap<_, _> = stderr
        .lines()
        .map(|line| line.split_once(": at offset ").unwrap_or_else(|| panic!("Python says: {stderr}")))
        .collect();
    let mut verdicts = Vec::new();
    for line in stdout.lines() {
        if line.starts_with(r#"{"file":"#) {
            let path = paths[verdicts.len()].to_str().unwrap();
            let fault = faults.remove(path).map(str::to_owned);
            verdicts.push(Verdict { fault, ..Verdict::default() });
        } else {
            verdicts.last_mut().unwrap().lines.push(line.to_owned());
        }
    }
    assert_eq!((verdicts.len(), faults.len()), (paths.len(), 0), "{stderr}");
    verdicts
}

/// The lines that the Python reader should print.
fn read_by_rust(archive: &[u8]) -> Vec<Value> {
    let mut decoder = Decoder::new();
    decoder.feed(archive);
    let mut lines = Vec::new();
    while let Some(event) = decoder.next_event().unwrap() {
        match event {
            Event::Header(header) => {
                let [start, end] = spelled(&header.range);
                lines.push(json!({"header": {
                    "cluster_id": header.cluster_id.0,
                    "member_id": header.member_id.0,
                    "revision": header.revision.0,
                    "created_unix_ms": header.created_unix_ms,
                    "server_version": header.server_version,
                    "writer": header.writer,
                    "range_start": hex(start),
                    "range_end": hex(end),
                }}));
            }
            Event::Block(block) => lines.extend(block.records().map(|record| record_line(&record))),
            Event::Leases(leases) => lines.extend(leases.iter().map(|lease| {
                json!({"lease": {
                    "id": lease.id.0,
                    "granted_ttl": lease.granted_ttl.as_secs(),
                    "remaining_ttl": lease.remaining_ttl.as_secs(),
                }})
            })),
            Event::Auth(auth) => lines.push(auth_line(&auth)),
            Event::Members(members) => lines.push(members_line(&members)),
            Event::Options(options) => {
                let options =
                    options.options.iter().map(|option| json!({"name": option.name, "value": option.value}));
                lines.push(json!({"options": {"options": options.collect::<Vec<_>>()}}));
            }
            Event::End(summary) => lines.push(json!({"footer": {
                "records": summary.records,
                "blocks": summary.blocks,
                "bytes": summary.bytes,
                "file_len": summary.file_len,
                "state_root": summary.state_root.to_string(),
                "content_root": summary.content_root.to_string(),
                "archive_root": summary.archive_root.to_string(),
            }})),
            Event::Skipped { .. } | Event::Index(_) => {}
            other => panic!("not an event of these archives: {other:?}"),
        }
    }
    decoder.finish().unwrap();
    lines
}

fn auth_line(auth: &Auth) -> Value {
    let users = auth.users.iter().map(|user| json!({"name": user.name, "roles": user.roles}));
    let permission = |permission: &RolePermission| {
        let [start, end] = spelled(&permission.range);
        let access = u8::from(permission.read) + 2 * u8::from(permission.write);
        json!({"access": access, "range_start": hex(start), "range_end": hex(end)})
    };
    let roles = auth.roles.iter().map(|role| {
        json!({"name": role.name, "permissions": role.permissions.iter().map(permission).collect::<Vec<_>>()})
    });
    json!({"auth": {
        "users": users.collect::<Vec<_>>(),
        "roles": roles.collect::<Vec<_>>(),
        "state": match auth.state { AuthState::Off => 1, AuthState::On => 2, _ => 0 },
        "missing": auth.missing,
    }})
}

fn members_line(members: &Members) -> Value {
    let member = |member: &SavedMember| {
        json!({
            "id": member.id.0,
            "name": member.name,
            "peer_urls": member.peer_urls,
            "client_urls": member.client_urls,
            "learner": u8::from(member.is_learner),
            "server_version": member.server_version,
        })
    };
    let alarm = |alarm: &RaisedAlarm| json!({"member_id": alarm.member_id.0, "kind": alarm.kind});
    json!({"members": {
        "members": members.members.iter().map(member).collect::<Vec<_>>(),
        "alarms": members.alarms.iter().map(alarm).collect::<Vec<_>>(),
        "missing": members.missing,
    }})
}

fn record_line(record: &KeyValue) -> Value {
    json!({"record": {
        "key": hex(&record.key),
        "create_revision": record.create_revision.0,
        "mod_revision": record.mod_revision.0,
        "version": record.version,
        "value": hex(&record.value),
        "lease": record.lease.map_or(0, |lease| lease.0),
    }})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The ranges of the samples and of the golden archives, as etcd spells them.
fn spelled(range: &KeyRange) -> [&'static [u8]; 2] {
    if *range == KeyRange::key("") {
        return [b"", b""];
    }
    let golden: [(_, [&'static [u8]; 2]); 2] = [
        (KeyRange::prefix("/registry/"), [b"/registry/", b"/registry0"]),
        (KeyRange::between("a", "b"), [b"a", b"b"]),
    ];
    let found = samples::ranges().into_iter().chain(golden).find(|(known, _)| known == range);
    found.expect("a range of the samples").1
}

/// Where the frames of an archive lie.
fn frames(archive: &[u8]) -> Vec<Range<usize>> {
    let mut frames = Vec::new();
    let mut start = 12;
    while start < archive.len() {
        let payload = u32::from_le_bytes(archive[start + 8..start + 12].try_into().unwrap());
        let end = start + 12 + payload as usize + 32;
        frames.push(start..end);
        start = end;
    }
    frames
}

/// This archive, damaged in every way that takes no new hashes: bits, lengths, and frames that are whole but
/// out of place, or those of another archive.
fn damaged(archive: &[u8], another: &[u8]) -> Vec<(String, Vec<u8>)> {
    const FLIPS: usize = 200;
    let mut all = Vec::new();
    for i in 0..FLIPS {
        let (at, bit) = (i * archive.len() / FLIPS, i % 8);
        let mut bytes = archive.to_vec();
        bytes[at] ^= 1 << bit;
        all.push((format!("bit {bit} of byte {at} flipped"), bytes));
    }
    let frames = frames(archive);
    let ends = frames.iter().flat_map(|frame| [frame.start, frame.start + 5, frame.end - 1]);
    for len in [0, 1, 8, 11].into_iter().chain(ends) {
        all.push((format!("cut to {len} bytes"), archive[..len].to_vec()));
    }
    assert_eq!(frames, self::frames(another));
    for (i, frame) in frames.iter().enumerate() {
        let (before, after) = (&archive[..frame.start], &archive[frame.end..]);
        let this = &archive[frame.clone()];
        all.push((format!("frame {i} dropped"), [before, after].concat()));
        all.push((format!("frame {i} doubled"), [before, this, this, after].concat()));
        if *this != another[frame.clone()] {
            let exchanged = [before, &another[frame.clone()], after].concat();
            all.push((format!("frame {i} taken from another archive"), exchanged));
        }
        if let Some(next) = frames.get(i + 1) {
            let swapped = [before, &archive[next.clone()], this, &archive[next.end..]].concat();
            all.push((format!("frames {i} and {} swapped", i + 1), swapped));
        }
    }
    all.push(("a byte appended".to_owned(), [archive, &[0]].concat()));
    all
}

#[test]
fn python_reads_what_rust_reads() {
    let samples: Vec<_> = good_samples().into_iter().map(|Sample { name, bytes }| (name, bytes)).collect();
    assert_both_read(&samples);
}

/// How many, unless ETCD_ARK_SAMPLES says.
const SAMPLES: usize = 60;

#[test]
fn python_reads_random_archives() {
    const AT_ONCE: usize = 20;
    let told = std::env::var("ETCD_ARK_SAMPLES").ok().map(|count| count.parse().expect("a number"));
    for first in (20..20 + told.unwrap_or(SAMPLES)).step_by(AT_ONCE) {
        let samples = samples::random_samples(first, AT_ONCE).into_iter();
        assert_both_read(&samples.map(|Sample { name, bytes }| (name, bytes)).collect::<Vec<_>>());
    }
}

fn assert_both_read(samples: &[(String, Vec<u8>)]) {
    for (verdict, (name, bytes)) in read_by_python(samples).iter().zip(samples) {
        assert_eq!(verdict.fault, None, "{name} is refused");
        let expected = read_by_rust(bytes);
        assert_eq!(verdict.lines.len(), expected.len(), "{name}: lines");
        for (line, expected) in verdict.lines.iter().zip(&expected) {
            let line: Value = serde_json::from_str(line).unwrap();
            // Values of megabytes are no use in a message.
            assert!(
                line == *expected,
                "{name}: {:.500} is not {:.500}",
                line.to_string(),
                expected.to_string()
            );
        }
    }
}

#[test]
fn python_refuses_what_is_damaged() {
    let [good, another] = small_archives();
    let archives = [vec![("undamaged".to_owned(), good.clone())], damaged(&good, &another)].concat();
    for (verdict, (name, _)) in read_by_python(&archives).iter().zip(&archives) {
        let refused = verdict.fault.is_some() && !verdict.accepts();
        assert_eq!(refused, name != "undamaged", "{name}: {:?}", verdict.fault);
    }
}

#[test]
fn both_refuse_what_is_forged() {
    let forged = forged_archives();
    let archives: Vec<_> =
        forged.iter().map(|(name, _, bytes)| ((*name).to_owned(), bytes.clone())).collect();
    for (verdict, (name, reason, bytes)) in read_by_python(&archives).iter().zip(&forged) {
        let fault = verdict.fault.as_ref().unwrap_or_else(|| panic!("{name}: Python accepts it"));
        assert!(fault.contains(reason), "{name}: {fault}");
        assert!(!verdict.accepts(), "{name}");
        let mut decoder = Decoder::new();
        decoder.feed(bytes);
        let end = std::iter::from_fn(|| decoder.next_event().transpose()).find_map(Result::err);
        assert!(end.is_some() && decoder.finish().is_err(), "{name}: Rust accepts it");
    }
}

#[test]
fn both_read_what_is_odd_but_allowed() {
    assert_both_read(&allowed_archives());
}
