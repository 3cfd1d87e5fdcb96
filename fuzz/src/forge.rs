//! Archives that no honest program writes, and that get past the hashes all the same.

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use bytes::Bytes;

use crate::draft::{self, Draft, Pair, Part};
use crate::frames::seal;

const PREAMBLE_LEN: usize = 12;

/// The bytes as frames whose checks agree, as far as they look like frames. Else hashing would stop a fuzzer
/// before anything is read.
pub fn with_checks(bytes: &[u8]) -> Vec<u8> {
    let (preamble, mut rest) = bytes.split_at(bytes.len().min(PREAMBLE_LEN));
    let mut out = preamble.to_vec();
    while let Some((covered, behind)) = covered(rest) {
        out.extend(seal(covered.to_vec()));
        rest = behind;
    }
    out.extend_from_slice(rest);
    out
}

/// A frame without its check, and what follows it.
fn covered(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let stated = bytes.get(8..12)?.try_into().ok()?;
    let end = usize::try_from(u32::from_le_bytes(stated)).ok()? + 12;
    Some((bytes.get(..end)?, bytes.get(end + 32..)?))
}

/// An archive that is right in all that is computed, but for what is bent.
#[derive(Arbitrary, Debug)]
pub struct Forgery {
    version: [u8; 2],
    header: Option<Vec<u8>>,
    /// Whether records are put in order; else they stay as they are.
    sorted: bool,
    blocks: Vec<Vec<(Vec<u8>, Vec<u8>)>>,
    others: Vec<(u8, Vec<u8>)>,
    bends: Vec<Bend>,
    tail: Vec<u8>,
    /// What is looked up.
    pub ranges: Vec<(Vec<u8>, Vec<u8>)>,
    /// In pieces of this length it is read.
    pub piece: u8,
}

/// A change of a frame's payload before its check is computed.
#[derive(Arbitrary, Debug)]
struct Bend {
    /// Of all frames, the one of this number.
    frame: u8,
    at: u16,
    xor: u8,
    inserted: Vec<u8>,
}

impl Forgery {
    #[must_use]
    pub fn archive(&self) -> Vec<u8> {
        let good = draft::good();
        let draft = Draft {
            version: self.version.map(|number| number % 3),
            header: self.header.clone().unwrap_or(good.header),
            blocks: self.blocks(),
            others: self.others.clone(),
        };
        let mut number = 0_u8;
        let archive = draft.bent(|mut part| {
            let bends = self.bends.iter().filter(|bend| bend.frame == number);
            bends.for_each(|bend| bend.apply(&mut part));
            number = number.wrapping_add(1);
        });
        [archive, self.tail.clone()].concat()
    }

    fn blocks(&self) -> Vec<Vec<Pair>> {
        let pair = |(key, value): &(Vec<u8>, Vec<u8>)| [key, value].map(|part| Bytes::from(part.clone()));
        let mut blocks: Vec<Vec<Pair>> =
            self.blocks.iter().map(|block| block.iter().map(pair).collect()).collect();
        if self.sorted {
            let records: BTreeMap<_, _> =
                blocks.concat().into_iter().map(|[key, value]| (key, value)).collect();
            let mut records = records.into_iter().filter(|(key, _)| !key.is_empty());
            for block in &mut blocks {
                *block = records.by_ref().take(block.len()).map(|(key, value)| [key, value]).collect();
            }
        }
        blocks.retain(|block| !block.is_empty());
        blocks
    }
}

impl Bend {
    fn apply(&self, part: &mut Part<'_>) {
        let at = usize::from(self.at).min(part.payload.len());
        part.payload.splice(at..at, self.inserted.iter().copied());
        match part.payload.get_mut(at) {
            Some(byte) => *byte ^= self.xor,
            None => *part.reserved ^= self.xor,
        }
    }
}
