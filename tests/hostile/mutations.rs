//! Random damage to a good archive, with and without checks that agree afterwards.

use std::collections::HashMap;

use bytes::Bytes;
use etcd_ark::archive::{Compression, Cutter, Encoder, Header};
use etcd_ark::{KeyValue, LeaseId, Revision};

use crate::frames::seal;
use crate::memory::ALONE;
use crate::random::Random;
use crate::{bound, peak, readers};

/// How many mutations, unless ETCD_ARK_MUTATIONS says.
const MUTATIONS: usize = 300;
/// Which ones, unless ETCD_ARK_SEED says: for long runs on several cores.
const SEED: usize = 99;

fn told(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |number| number.parse().expect("a number"))
}

fn record(n: u32, random: &mut Random) -> KeyValue {
    let value = if n.is_multiple_of(3) { random.bytes(400) } else { vec![b'v'; 400] };
    KeyValue {
        key: format!("key-{n:05}").into(),
        value: value.into(),
        create_revision: Revision(3),
        mod_revision: Revision(i64::from(n)),
        version: 1,
        lease: n.is_multiple_of(10).then_some(LeaseId(5)),
    }
}

fn archive(records: &[KeyValue]) -> Vec<u8> {
    let (mut encoder, start) = Encoder::new(&Header::default()).unwrap();
    let mut archive = start.to_vec();
    let mut cutter = Cutter::new();
    let mut blocks: Vec<_> = records.iter().filter_map(|kv| cutter.push(kv).unwrap()).collect();
    blocks.extend(cutter.finish());
    assert!(blocks.len() > 1);
    for block in blocks {
        archive.extend_from_slice(&encoder.append(block.seal(Compression::default())).unwrap());
    }
    archive.extend_from_slice(&encoder.finish().unwrap().0);
    archive
}

/// Several bytes in one to four places: other ones, fewer, more, or those of another place.
fn mutated(archive: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = archive.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let len = (1 + random.below(64)).min(bytes.len() - at);
        let from = random.below(bytes.len() - len + 1);
        let stretch = bytes[from..from + len].to_vec();
        match random.below(5) {
            0 => bytes[at..at + len].copy_from_slice(&random.bytes(len)),
            1 => drop(bytes.drain(at..at + len)),
            2 => drop(bytes.splice(at..at, random.bytes(len))),
            3 => bytes[at..at + len].copy_from_slice(&stretch),
            _ => bytes.truncate(bytes.len() - random.below(bytes.len() / 2)),
        }
    }
    bytes
}

/// The same frames with checks that agree, so that what is behind them is put to the test.
fn with_checks(archive: &[u8]) -> Vec<u8> {
    let (preamble, mut rest) = archive.split_at(archive.len().min(12));
    let mut out = preamble.to_vec();
    while let Some(stated) = rest.get(8..12) {
        let end = 12 + u32::from_le_bytes(stated.try_into().unwrap()) as usize;
        let (Some(covered), Some(behind)) = (rest.get(..end), rest.get(end + 32..)) else { break };
        out.extend(seal(covered.to_vec()));
        rest = behind;
    }
    [&out, rest].concat()
}

struct Truth(HashMap<Bytes, KeyValue>);

impl Truth {
    fn holds(&self, kv: &KeyValue) -> bool {
        self.0.get(&kv.key) == Some(kv)
    }
}

/// Every way of reading gives right records or none, and none takes the whole for good.
async fn assert_harmless(archive: Vec<u8>, truth: &Truth, what: &str) {
    let archive = Bytes::from(archive);
    let mut wrong = 0;
    let mut take = |kv: KeyValue| wrong += usize::from(!truth.holds(&kv));
    let (memory, accepted) = peak(async { readers::stream(&archive, &mut take) }).await;
    assert!(accepted.is_none(), "{what}: accepted");
    let (sought, _) = peak(readers::seek(&archive, &mut take)).await;
    let (checked, good) = peak(readers::check(&archive)).await;
    let (salvaged, _) = peak(async { readers::salvage(&archive, &mut take) }).await;
    assert!(!good && wrong == 0, "{what}: {wrong} wrong records");
    assert!(memory.max(salvaged) <= bound("one thread"), "{what}: {memory} {salvaged}");
    assert!(sought <= bound("by index") && checked <= bound("several threads"), "{what}: {sought} {checked}");
}

#[tokio::test]
async fn no_mutation_is_taken_for_the_archive() {
    let _alone = ALONE.lock().await;
    let mut random = Random(told("ETCD_ARK_SEED", SEED) as u64);
    let records: Vec<_> = (0..1000).map(|n| record(n, &mut random)).collect();
    let good = archive(&records);
    let truth = Truth(records.into_iter().map(|kv| (kv.key.clone(), kv)).collect());
    for number in 0..told("ETCD_ARK_MUTATIONS", MUTATIONS) {
        let damaged = mutated(&good, &mut random);
        let mended = with_checks(&damaged);
        for (what, bytes) in [("damaged", damaged), ("with checks", mended)] {
            if bytes != good {
                assert_harmless(bytes, &truth, &format!("mutation {number}, {what}")).await;
            }
        }
    }
}
