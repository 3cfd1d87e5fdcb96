//! An index whose hashes agree, and that names one block again and again.

use bytes::Bytes;

use crate::draft::{self, Draft, good, number};
use crate::frames::{INDEX_LEAF, INDEX_ROOT};
use crate::memory::ALONE;
use crate::readers;

/// As long as keys are in an index: what may follow it there may begin the same.
const CUT: [u8; 1024] = [b'k'; 1024];

/// Where the frames of this type are, with their lengths.
fn frames(archive: &[u8], kind: u8) -> Vec<(usize, usize)> {
    let marker = [b"\xf7AFR", &[kind][..]].concat();
    let found = archive.windows(5).enumerate().filter(|(_, window)| *window == marker);
    let len = |at: usize| u32::from_le_bytes(archive[at + 8..at + 12].try_into().unwrap()) as usize + 44;
    found.map(|(at, _)| (at, len(at))).collect()
}

/// Two leaves, each with the one block.
fn one_block_in_two_leaves() -> Vec<u8> {
    let record = [Bytes::from_static(&CUT), "v".into()];
    let once = || Draft { blocks: vec![vec![record.clone()]], ..good() };
    let plain = once().unbent();
    let (leaf, len) = frames(&plain, INDEX_LEAF)[0];
    let payload = plain[leaf + 12..leaf + len - 32].to_vec();
    let mut twice = once();
    twice.others.push((INDEX_LEAF, payload));
    // The second leaf is the same, byte by byte, right behind the first.
    let check = &plain[leaf + len - 32..leaf + len];
    let keys = [draft::bytes(3, &CUT), draft::bytes(4, &CUT)].concat();
    let entry = [number(1, leaf as u64), number(2, len as u64), keys, draft::bytes(5, check)].concat();
    twice.bent(|part| {
        if part.kind == INDEX_ROOT {
            part.payload.splice(0..0, draft::bytes(1, &entry));
        }
    })
}

#[tokio::test]
async fn a_block_that_is_named_twice_is_read_once() {
    let _alone = ALONE.lock().await;
    let archive = Bytes::from(one_block_in_two_leaves());
    let leaves = frames(&archive, INDEX_LEAF);
    assert_eq!(leaves[0].0 + leaves[0].1, leaves[1].0);
    let mut records = 0;
    let error = readers::seek(&archive, |_| records += 1).await.unwrap_err();
    let fault = std::error::Error::source(&error).unwrap().to_string();
    assert!(fault.contains("the order of the index"), "{fault}");
    assert_eq!(records, 1);
}
