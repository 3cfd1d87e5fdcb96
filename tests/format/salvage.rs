//! What is left of damaged archives, and that what is missing is told.

use etcd_ark::archive::{BlockEntry, LostKeys, Salvage, Salvaged};

use super::*;
use draft::Draft;

/// What is left of an archive: blocks, where they were found, and what is missing.
fn salvage(archive: &[u8]) -> Salvaged {
    let (mut decoder, mut salvage) = (Decoder::new(), Salvage::new());
    for piece in archive.chunks(1000) {
        decoder.feed(piece);
        drain(&mut decoder, &mut salvage);
    }
    decoder.close();
    drain(&mut decoder, &mut salvage);
    salvage.finish(&decoder)
}

fn drain(decoder: &mut Decoder, salvage: &mut Salvage) {
    while let Ok(Some(frame)) = decoder.pull() {
        salvage.note(&decoder.accept(frame.open()));
    }
}

/// The records of what is left, read where it was found.
fn records(archive: &[u8], blocks: &[BlockEntry]) -> Vec<KeyValue> {
    let read = |entry: &BlockEntry| {
        let span = entry.span();
        let bytes = Bytes::copy_from_slice(&archive[span.start as usize..span.end as usize]);
        Block::parse(bytes, entry).unwrap().records()
    };
    blocks.iter().flat_map(read).collect()
}

/// What is left is right and in order, and what is missing lies in the ranges that are told. Returns how many
/// records are left.
#[track_caller]
fn assert_salvaged(damaged: &[u8], all: &[KeyValue], what: &str) -> usize {
    let Salvaged { blocks, lost, .. } = salvage(damaged);
    let left = records(damaged, &blocks);
    assert!(left.is_sorted_by(|a, b| a.key < b.key), "{what}");
    assert!(left.iter().all(|kv| all.contains(kv)), "{what}: a wrong record is left");
    let is_told = |kv: &KeyValue| lost.iter().any(|lost| lost.range.contains(&kv.key));
    let untold = all.iter().find(|kv| !left.contains(kv) && !is_told(kv));
    assert_eq!(untold.map(|kv| &kv.key), None, "{what}: missing, but not in {lost:?}");
    left.len()
}

/// Eight blocks, of two records each but the last.
fn many_blocks() -> (Vec<u8>, Vec<KeyValue>) {
    let records: Vec<_> = (0..15).map(|n| record(format!("key-{n:02}"), vec![n])).collect();
    (drafted(&records, 2), records)
}

fn record(key: impl Into<Bytes>, value: impl Into<Bytes>) -> KeyValue {
    let (create_revision, mod_revision) = (Revision(5), Revision(0));
    let (key, value) = (key.into(), value.into());
    KeyValue { key, value, create_revision, mod_revision, version: 0, lease: None }
}

/// An archive with this many records a block.
fn drafted(records: &[KeyValue], a_block: usize) -> Vec<u8> {
    let pairs = |kvs: &[KeyValue]| kvs.iter().map(|kv| [kv.key.clone(), kv.value.clone()]).collect();
    Draft { blocks: records.chunks(a_block).map(pairs).collect(), ..draft::good() }.unbent()
}

fn records_of(frame: &[u8]) -> usize {
    u32::from_le_bytes(payload(frame)[12..16].try_into().unwrap()) as usize
}

#[test]
fn a_good_archive_is_left_whole() {
    let (archive, records) = many_blocks();
    assert_eq!(assert_salvaged(&archive, &records, "undamaged"), records.len());
    assert_eq!(salvage(&archive).lost, []);
    let nothing = encode(&[], &[], Compression::None).0;
    assert_eq!(salvage(&nothing), Salvaged::default());
}

#[test]
fn a_flipped_bit_costs_its_block_and_nothing_else() {
    let (archive, records) = many_blocks();
    let frames = split(&archive);
    let mut at = PREAMBLE_LEN;
    for frame in &frames {
        let cost = if frame[4] == BLOCK { records_of(frame) } else { 0 };
        for byte in at..at + frame.len() {
            for bit in 0..8 {
                let mut damaged = archive.clone();
                damaged[byte] ^= 1 << bit;
                let left = assert_salvaged(&damaged, &records, &format!("bit {bit} of byte {byte}"));
                assert_eq!(left, records.len() - cost, "bit {bit} of byte {byte}");
            }
        }
        at += frame.len();
    }
}

#[test]
fn flips_in_the_preamble_cost_nothing_but_the_version() {
    let (archive, records) = many_blocks();
    for bit in 0..PREAMBLE_LEN * 8 {
        let mut damaged = archive.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let major = (8..10).contains(&(bit / 8)) && bit != 64;
        let expected = if major { 0 } else { records.len() };
        assert_eq!(assert_salvaged(&damaged, &records, &format!("bit {bit}")), expected, "bit {bit}");
    }
}

#[test]
fn a_truncated_archive_keeps_its_whole_blocks() {
    let (archive, records) = many_blocks();
    let frames = split(&archive);
    for len in 0..archive.len() {
        let (mut whole, mut at) = (0, PREAMBLE_LEN);
        for frame in &frames {
            at += frame.len();
            whole += if frame[4] == BLOCK && at <= len { records_of(frame) } else { 0 };
        }
        assert_eq!(assert_salvaged(&archive[..len], &records, &format!("{len} bytes")), whole, "{len} bytes");
    }
}

#[test]
fn the_beginning_and_the_middle_can_be_missing_too() {
    let (archive, records) = many_blocks();
    for len in (1..archive.len() - PREAMBLE_LEN).step_by(13) {
        for from in (PREAMBLE_LEN..archive.len() - len).step_by(199) {
            let cut = [&archive[..from], &archive[from + len..]].concat();
            assert_salvaged(&cut, &records, &format!("without {len} bytes from {from}"));
            let mut zeroed = archive.clone();
            zeroed[from..from + len].fill(0);
            assert_salvaged(&zeroed, &records, &format!("{len} zeros from {from}"));
        }
    }
}

#[test]
fn frames_that_are_moved_doubled_or_missing_are_told() {
    let (archive, records) = many_blocks();
    let frames = split(&archive);
    let blocks = frames.iter().filter(|frame| frame[4] == BLOCK).count();
    for at in 0..frames.len() {
        let is_block = |at: usize| (1..=blocks).contains(&at);
        let mut fewer = frames.clone();
        fewer.remove(at);
        let left = assert_salvaged(&join(&archive, &fewer), &records, &format!("without frame {at}"));
        let cost = if is_block(at) { records_of(&frames[at]) } else { 0 };
        assert_eq!(left, records.len() - cost, "without frame {at}");
        for to in 0..frames.len() {
            let mut more = frames.clone();
            more.insert(to, frames[at].clone());
            assert_salvaged(&join(&archive, &more), &records, &format!("frame {at} again at {to}"));
            let mut swapped = frames.clone();
            swapped.swap(at, to);
            let swapped = join(&archive, &swapped);
            let left = assert_salvaged(&swapped, &records, &format!("{at} and {to} swapped"));
            if is_block(at) && is_block(to) {
                assert_eq!(left, records.len(), "blocks {at} and {to} swapped");
            }
        }
    }
}

#[test]
fn blocks_of_another_archive_are_left_out() {
    let (archive, records) = many_blocks();
    let others: Vec<_> = records.iter().map(|kv| record(kv.key.clone(), vec![kv.value[0] + 100])).collect();
    let other = drafted(&others, 2);
    let (ours, theirs) = (split(&archive), split(&other));
    for at in (0..ours.len()).filter(|at| ours[*at][4] == BLOCK) {
        let mut spliced = ours.clone();
        spliced[at].clone_from(&theirs[at]);
        let left = assert_salvaged(&join(&archive, &spliced), &records, &format!("block {at}"));
        assert_eq!(left, records.len() - records_of(&ours[at]));
    }
}

#[test]
fn a_whole_index_tells_what_is_lost_exactly() {
    let (archive, records) = many_blocks();
    let mut frames = split(&archive);
    let count = records_of(&frames[2]);
    frames[2][100] ^= 1;
    let lost = salvage(&join(&archive, &frames)).lost;
    let before = records_of(&frames[1]);
    let [first, last] = [before, before + count - 1].map(|at| records[at].key.clone());
    let behind = [&last[..], b"\0"].concat();
    let [LostKeys { range, blocks, records, .. }] = &lost[..] else { panic!("{lost:?}") };
    assert_eq!(range, &KeyRange::between(first, behind));
    assert_eq!((*blocks, *records), (Some(1), Some(count as u64)));
}

/// Values that are archives themselves, and lie in their blocks as they are.
fn nested() -> (Vec<u8>, Vec<KeyValue>) {
    let evil: Vec<_> = (3..9).map(|n| record(format!("k{n}"), "evil")).collect();
    let inner = drafted(&evil, 2);
    let values = |n: u8| if n % 3 == 1 { inner.clone() } else { vec![n; 50] };
    let records: Vec<_> = (0..20).map(|n| record(format!("k2{n:02}"), values(n))).collect();
    (drafted(&records, 3), records)
}

#[test]
fn an_archive_inside_a_value_is_not_taken_for_the_archive() {
    let (archive, records) = nested();
    let mut at = PREAMBLE_LEN;
    for frame in split(&archive) {
        // The frame's header in ruins, so that the search goes through its values.
        for byte in at..at + 12 {
            let mut damaged = archive.clone();
            damaged[byte] ^= 0x41;
            let left = assert_salvaged(&damaged, &records, &format!("byte {byte}"));
            let cost = if frame[4] == BLOCK { records_of(&frame) } else { 0 };
            assert_eq!(left, records.len() - cost, "byte {byte}");
            // Without the index too.
            let cut = &damaged[..archive.len() - 1000];
            assert_salvaged(cut, &records, &format!("byte {byte}, and truncated"));
        }
        at += frame.len();
    }
}

#[test]
fn markers_without_end_do_not_keep_a_reader_busy() {
    let (_, start) = Encoder::new(&header()).unwrap();
    let head = frame(BLOCK, b"")[..8].to_vec();
    let claim = [&head[..], &(60_u32 << 20).to_le_bytes()].concat();
    let mut hostile = [start.to_vec(), b"lost".to_vec()].concat();
    hostile.extend(claim.iter().cycle().take(80 << 20));
    let mut decoder = Decoder::new();
    decoder.feed(&hostile);
    decoder.close();
    let faults: Vec<_> = std::iter::from_fn(|| decoder.next_event().transpose())
        .filter_map(Result::err)
        .take(2)
        .map(|error| error.fault)
        .collect();
    assert_eq!(faults, [Fault::LostFrame, Fault::SearchGivenUp]);
    assert_eq!(decoder.finish().unwrap_err().fault, Fault::SearchGivenUp);
}

/// Whoever forges an index has all its hashes agree, too.
#[test]
fn an_index_out_of_order_gives_no_order_to_a_salvage() {
    let first = draft::pairs(&[["m", "1"], ["n", "2"]]);
    for second in [draft::pairs(&[["a", "3"], ["b", "4"]]), draft::pairs(&[["n", "3"], ["o", "4"]])] {
        let forged = Draft { blocks: vec![first.clone(), second], ..draft::good() }.unbent();
        let left = records(&forged, &salvage(&forged).blocks);
        assert!(left.is_sorted_by(|one, next| one.key < next.key));
        assert_eq!(left.len(), 2);
    }
}
