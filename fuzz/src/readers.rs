//! The ways of reading an archive, which must agree on what both accept.

use std::collections::BTreeMap;

use bytes::Bytes;
use etcd_ark::archive::{
    Block, BlockEntry, Decoder, Event, Footer, FormatError, IndexLeaf, IndexRoot, Salvage, Salvaged, Summary,
};
use etcd_ark::{KeyRange, KeyValue};

/// Reads the bytes in every way, and panics if two ways differ or a wrong record is accepted.
pub fn compare(archive: &[u8], piece: usize, ranges: &[(Vec<u8>, Vec<u8>)]) {
    let whole = stream(archive, archive.len().max(1));
    assert_eq!(whole, stream(archive, piece), "the length of pieces makes a difference");
    let salvaged = salvage(archive, archive.len().max(1));
    assert_eq!(salvaged, salvage(archive, piece), "the length of pieces makes a difference to a salvage");
    let left: Vec<_> = salvaged.blocks.iter().flat_map(|entry| read_block(archive, entry).unwrap()).collect();
    assert!(left.is_sorted_by(|one, next| one.key < next.key), "not in order: {salvaged:?}");
    if whole.1.is_ok() {
        assert!(left == whole.0, "a salvage of a good archive differs from it");
        assert!(salvaged.lost.is_empty(), "keys of a good archive count as lost");
    }
    let streamed = whole.1.is_ok().then_some(&whole.0);
    let all = (Vec::new(), Vec::new());
    ranges.iter().chain([&all]).for_each(|range| compare_seeking(archive, &wanted(range), streamed));
}

fn wanted((start, end): &(Vec<u8>, Vec<u8>)) -> KeyRange {
    match (&start[..], &end[..]) {
        (b"", b"") => KeyRange::all(),
        (_, b"") => KeyRange::key(start.clone()),
        (_, b"\0") => KeyRange::prefix(start.clone()),
        _ => KeyRange::between(start.clone(), end.clone()),
    }
}

/// What is found by the index is in the range, and is what reading front to back gives, if that gives anything.
fn compare_seeking(archive: &[u8], range: &KeyRange, streamed: Option<&Vec<KeyValue>>) {
    let found = seek(archive, range);
    if let Ok(found) = &found {
        assert!(found.iter().all(|kv| range.contains(&kv.key)), "{range}: a key outside was found");
    }
    if let Some(records) = streamed {
        let expected: Vec<_> = records.iter().filter(|kv| range.contains(&kv.key)).cloned().collect();
        assert!(found.unwrap() == expected, "{range}: seeking finds other records");
        for kv in records {
            assert_eq!(get(archive, &kv.key), Ok(Some(kv.clone())), "one key is not found");
        }
    }
}

/// The records before the first fault, and how it ends.
pub fn stream(archive: &[u8], piece: usize) -> (Vec<KeyValue>, Result<Summary, FormatError>) {
    let (mut decoder, mut records) = (Decoder::new(), Vec::new());
    for piece in archive.chunks(piece.max(1)) {
        decoder.feed(piece);
        loop {
            match decoder.next_event() {
                Ok(None) => break,
                Ok(Some(Event::Block(block))) => records.extend(block.records()),
                Ok(Some(_)) => {}
                Err(fault) => return (records, Err(fault)),
            }
        }
    }
    (records, decoder.finish())
}

/// What is left of the archive, whatever it is.
pub fn salvage(archive: &[u8], piece: usize) -> Salvaged {
    let (mut decoder, mut salvage) = (Decoder::new(), Salvage::new());
    let drain = |decoder: &mut Decoder, salvage: &mut Salvage| {
        while let Ok(Some(frame)) = decoder.pull() {
            salvage.note(&decoder.accept(frame.open()));
        }
    };
    for piece in archive.chunks(piece.max(1)) {
        decoder.feed(piece);
        drain(&mut decoder, &mut salvage);
    }
    decoder.close();
    drain(&mut decoder, &mut salvage);
    salvage.finish(&decoder)
}

/// The records of a range, by the index.
pub fn seek(archive: &[u8], range: &KeyRange) -> Result<Vec<KeyValue>, FormatError> {
    let mut found = Vec::new();
    for entry in entries(archive, range)? {
        found.extend(read_block(archive, &entry)?.into_iter().filter(|kv| range.contains(&kv.key)));
    }
    Ok(found)
}

fn get(archive: &[u8], key: &Bytes) -> Result<Option<KeyValue>, FormatError> {
    let mut found = BTreeMap::new();
    for entry in entries(archive, &KeyRange::key(key.clone()))? {
        let block = Block::parse(slice(archive, entry.span()), &entry)?;
        found.extend(block.get(key).map(|kv| (entry.offset, kv)));
    }
    assert!(found.len() < 2, "one key is in two blocks");
    Ok(found.into_values().next())
}

fn entries(archive: &[u8], range: &KeyRange) -> Result<Vec<BlockEntry>, FormatError> {
    let file_len = archive.len() as u64;
    let footer = Footer::parse(slice(archive, Footer::span(file_len)?), file_len)?;
    let root = IndexRoot::parse(slice(archive, footer.index_root()), &footer)?;
    let mut entries = Vec::new();
    for leaf in root.leaves_for(range) {
        let leaf = IndexLeaf::parse(slice(archive, leaf.span()), leaf)?;
        entries.extend(leaf.blocks_for(range).cloned());
    }
    Ok(entries)
}

fn read_block(archive: &[u8], entry: &BlockEntry) -> Result<Vec<KeyValue>, FormatError> {
    Ok(Block::parse(slice(archive, entry.span()), entry)?.records().collect())
}

/// Short at the end of the file, as reading from one is.
fn slice(archive: &[u8], span: std::ops::Range<u64>) -> Bytes {
    let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(archive.len());
    let (start, end) = (clamp(span.start), clamp(span.end));
    Bytes::copy_from_slice(archive.get(start..end).unwrap_or_default())
}
