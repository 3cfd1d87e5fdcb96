//! How much is read to find something, through the library's own way of opening archives.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use etcd_ark::backup::ArchiveFile;

use super::*;

/// Counts the bytes that are read from it.
struct Counting(Cursor<Vec<u8>>, Arc<AtomicUsize>);

impl Read for Counting {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buf)?;
        self.1.fetch_add(read, Ordering::Relaxed);
        Ok(read)
    }
}

impl Seek for Counting {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

#[tokio::test]
async fn one_key_costs_its_block_and_a_prefix_costs_its_blocks() {
    let record = |n: u32| kv(format!("key-{n:04}"), vec![0; 196_608]);
    let (mut encoder, start) = Encoder::new(&header()).unwrap();
    let mut archive = start.to_vec();
    let mut cutter = Cutter::new();
    for block in (0..300).filter_map(|n| cutter.push(&record(n)).unwrap()).collect::<Vec<_>>() {
        archive.extend_from_slice(&encoder.append(block.seal(Compression::None)).unwrap());
    }
    archive.extend_from_slice(&encoder.finish().unwrap().0);
    assert!(archive.len() > 50 << 20);

    let count = Arc::new(AtomicUsize::new(0));
    let mut opened =
        ArchiveFile::from_reader(Counting(Cursor::new(archive), Arc::clone(&count))).await.unwrap();
    assert!(opened.get("key-0123").await.unwrap().is_some());
    assert!(count.swap(0, Ordering::Relaxed) < 1 << 20);
    let mut found = 0;
    let mut records = opened.records(KeyRange::prefix("key-012"));
    while let Some(kvs) = records.next_block().await.unwrap() {
        found += kvs.len();
    }
    assert_eq!(found, 10);
    // Ten blocks, the index, and no neighbour.
    assert!(count.load(Ordering::Relaxed) < 11 * 200_000 + 100_000, "{}", count.load(Ordering::Relaxed));
}

/// Its frame is whole, but it is not the one that the index means.
#[tokio::test]
async fn the_header_of_another_archive_is_not_taken() {
    let archive = short_archive();
    let (_, start) = Encoder::new(&Header { revision: Revision(1001), ..header() }).unwrap();
    let spliced = [&start[..], &archive[start.len()..]].concat();
    assert_eq!(spliced.len(), archive.len());
    let error = ArchiveFile::from_reader(Cursor::new(spliced)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(ArchiveFile::from_reader(Cursor::new(archive)).await.is_ok());
}
