//! Every way of reading an archive.

use std::io::Cursor;

use bytes::Bytes;
use etcd_ark::archive::{Block, Decoder, Event, Salvage};
use etcd_ark::backup::{ArchiveFile, Diff, Selection, verify};
use etcd_ark::{KeyRange, KeyValue, Result};

/// What a disk gives at once.
const PIECE: usize = 64 << 10;

/// Front to back, on one thread. `None` if the archive is refused.
pub(crate) fn stream(archive: &[u8], mut take: impl FnMut(KeyValue)) -> Option<u64> {
    let mut decoder = Decoder::new();
    for piece in archive.chunks(PIECE) {
        decoder.feed(piece);
        while let Some(event) = decoder.next_event().ok()? {
            if let Event::Block(block) = event {
                block.records().for_each(&mut take);
            }
        }
    }
    decoder.finish().ok().map(|summary| summary.records)
}

/// Front to back, past everything that is wrong; then what is left, where it was found.
pub(crate) fn salvage(archive: &Bytes, mut take: impl FnMut(KeyValue)) {
    let (mut decoder, mut salvage) = (Decoder::new(), Salvage::new());
    for piece in archive.chunks(PIECE) {
        decoder.feed(piece);
        drain(&mut decoder, &mut salvage);
    }
    decoder.close();
    drain(&mut decoder, &mut salvage);
    for entry in salvage.finish(&decoder).blocks {
        let [start, end] = [entry.span().start, entry.span().end].map(|at| usize::try_from(at).unwrap());
        let block = Block::parse(archive.slice(start..end), &entry).unwrap();
        block.records().for_each(&mut take);
    }
}

fn drain(decoder: &mut Decoder, salvage: &mut Salvage) {
    while let Ok(Some(frame)) = decoder.pull() {
        salvage.note(&decoder.accept(frame.open()));
    }
}

/// By the index: everything, block by block.
pub(crate) async fn seek(archive: &Bytes, mut take: impl FnMut(KeyValue)) -> Result<()> {
    let mut opened = ArchiveFile::from_reader(Cursor::new(archive.clone())).await?;
    // What is wrong with one part keeps nobody from asking for another.
    let facts = (opened.auth().await, opened.members().await, opened.options().await);
    drop((facts, opened.verify_structure().await));
    let mut records = opened.records(KeyRange::all());
    while let Some(kvs) = records.next_block().await? {
        kvs.into_iter().for_each(&mut take);
    }
    Ok(())
}

/// Front to back, on several threads.
pub(crate) async fn check(archive: &[u8]) -> bool {
    verify(archive).await.unwrap().is_good()
}

/// With itself, by the index: how many records are the same.
pub(crate) async fn compare(archive: &Bytes) -> Result<u64> {
    let open = || ArchiveFile::from_reader(Cursor::new(archive.clone()));
    let (mut one, mut other) = (open().await?, open().await?);
    let mut diff = Diff::new(&mut one, &mut other, Selection::new()).await?;
    while diff.next().await?.is_some() {}
    Ok(diff.same())
}
