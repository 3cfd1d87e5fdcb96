//! Whether the messages of a snapshot make a good one. Pure: messages in, verdict out.

use std::error::Error as StdError;
use std::fmt;

use sha2::{Digest, Sha256};

/// What is wrong with a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SnapshotFault {
    /// The stream ended before the digest.
    CutShort { missing: Option<u64> },
    /// A message without data in the middle: the server could not read its own database.
    EmptyChunk,
    /// What a message says is left does not follow from the one before.
    Miscounted { expected: u64, announced: u64 },
    /// The data is not what the server sent.
    WrongDigest,
    /// Something followed the digest.
    TrailingData,
}

impl fmt::Display for SnapshotFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort { missing: Some(bytes) } => {
                write!(f, "the server ended it with {bytes} bytes and the digest still to come; try again")
            }
            Self::CutShort { missing: None } => f.write_str("the server sent nothing; try again"),
            Self::EmptyChunk => f.write_str("the server failed to read its database; look at its log"),
            Self::Miscounted { expected, announced } => {
                write!(f, "the server announces {announced} bytes to come where {expected} were left")
            }
            Self::WrongDigest => f.write_str("its SHA-256 does not match; try again, or another member"),
            Self::TrailingData => f.write_str("data follows the digest"),
        }
    }
}

impl StdError for SnapshotFault {}

/// Follows a snapshot: data until nothing is left, then its SHA-256, then the end.
#[derive(Debug)]
pub(super) struct SnapshotCheck {
    hasher: Sha256,
    /// Bytes of data still to come; `None` until the first message tells.
    left: Option<u64>,
    verified: bool,
}

impl SnapshotCheck {
    pub(super) fn new() -> Self {
        Self { hasher: Sha256::new(), left: None, verified: false }
    }

    /// Takes a message's data and what it says is left after it.
    pub(super) fn accept(&mut self, remaining: u64, blob: &[u8]) -> Result<(), SnapshotFault> {
        match self.left {
            Some(0) if self.verified => Err(SnapshotFault::TrailingData),
            Some(0) => self.digest(blob),
            _ if blob.is_empty() => Err(SnapshotFault::EmptyChunk),
            left => self.data(left, remaining, blob),
        }
    }

    fn data(&mut self, left: Option<u64>, remaining: u64, blob: &[u8]) -> Result<(), SnapshotFault> {
        let announced = remaining.saturating_add(blob.len() as u64);
        let expected = left.unwrap_or(announced);
        if announced != expected {
            return Err(SnapshotFault::Miscounted { expected, announced });
        }
        self.hasher.update(blob);
        self.left = Some(remaining);
        Ok(())
    }

    fn digest(&mut self, blob: &[u8]) -> Result<(), SnapshotFault> {
        self.verified = self.hasher.finalize_reset()[..] == *blob;
        if self.verified { Ok(()) } else { Err(SnapshotFault::WrongDigest) }
    }

    /// The stream has ended.
    pub(super) fn finish(&self) -> Result<(), SnapshotFault> {
        if self.verified { Ok(()) } else { Err(SnapshotFault::CutShort { missing: self.left }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(data: &[u8]) -> Vec<u8> {
        Sha256::digest(data).to_vec()
    }

    #[test]
    fn data_then_its_digest_is_good() {
        let mut check = SnapshotCheck::new();
        check.accept(2, b"abc").unwrap();
        check.accept(0, b"de").unwrap();
        check.accept(0, &digest(b"abcde")).unwrap();
        check.finish().unwrap();
        assert_eq!(check.accept(0, b"x"), Err(SnapshotFault::TrailingData));
    }

    #[test]
    fn an_end_before_the_digest_is_cut_short() {
        let mut check = SnapshotCheck::new();
        assert_eq!(check.finish(), Err(SnapshotFault::CutShort { missing: None }));
        check.accept(2, b"abc").unwrap();
        assert_eq!(check.finish(), Err(SnapshotFault::CutShort { missing: Some(2) }));
        check.accept(0, b"de").unwrap();
        assert_eq!(check.finish(), Err(SnapshotFault::CutShort { missing: Some(0) }));
    }

    #[test]
    fn changed_data_does_not_match_the_digest() {
        let mut check = SnapshotCheck::new();
        check.accept(0, b"abd").unwrap();
        assert_eq!(check.accept(0, &digest(b"abc")), Err(SnapshotFault::WrongDigest));
        check.finish().unwrap_err();
    }

    #[test]
    fn lost_and_empty_messages_are_seen() {
        let mut check = SnapshotCheck::new();
        check.accept(10, b"abc").unwrap();
        assert_eq!(check.accept(10, b""), Err(SnapshotFault::EmptyChunk));
        let lost = SnapshotFault::Miscounted { expected: 10, announced: 7 };
        assert_eq!(check.accept(4, b"xyz"), Err(lost));
    }
}
