//! Messages as gRPC frames them: whether compressed (never), the length, the message.

use std::io::Cursor;

use bytes::buf::Chain;
use bytes::{Buf, Bytes, BytesMut};

use super::failure::Failure;

const PREFIX: usize = 5;
/// So much is trusted of the length that a peer announces; the rest has to come first.
const LARGEST_RESERVE: usize = 1 << 20;

/// A message with its prefix. Copies nothing.
pub(super) type Framed = Chain<Cursor<[u8; PREFIX]>, Bytes>;

/// etcd takes nothing near the 4 GiB at which the length would not fit.
pub(super) fn framed(message: Bytes) -> Framed {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    let prefix = [0, length[0], length[1], length[2], length[3]];
    Cursor::new(prefix).chain(message)
}

/// Puts messages together from what arrives.
#[derive(Debug)]
pub(super) struct Assembler {
    arrived: BytesMut,
    /// The largest message to take.
    limit: usize,
}

impl Assembler {
    pub(super) fn new(limit: usize) -> Self {
        Self { arrived: BytesMut::new(), limit }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.arrived.extend_from_slice(chunk);
    }

    /// Whether it holds the beginning of a message.
    pub(super) fn holds_part(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// The next message, if it is complete.
    pub(super) fn pop(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some((&[compressed, ref length @ ..], _)) = self.arrived.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        if compressed != 0 {
            return Err(Failure::Malformed("it is compressed, and nobody has asked for that".into()));
        }
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > self.limit {
            let limit = self.limit;
            return Err(Failure::AnswerTooLarge(format!("{length} bytes, where the limit is {limit}")));
        }
        let missing = (PREFIX + length).saturating_sub(self.arrived.len());
        if missing > 0 {
            self.arrived.reserve(missing.min(LARGEST_RESERVE));
            return Ok(None);
        }
        self.arrived.advance(PREFIX);
        Ok(Some(self.arrived.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn on_wire(message: &[u8]) -> Bytes {
        let mut framed = framed(Bytes::copy_from_slice(message));
        framed.copy_to_bytes(framed.remaining())
    }

    #[test]
    fn a_frame_is_a_flag_the_length_and_the_message() {
        assert_eq!(on_wire(b"abc"), &b"\0\0\0\0\x03abc"[..]);
        assert_eq!(on_wire(b""), &b"\0\0\0\0\0"[..]);
    }

    #[test]
    fn what_cannot_be_taken_is_refused_by_its_prefix_alone() {
        let mut assembler = Assembler::new(3);
        assembler.push(b"\0\0\0\0\x04");
        assert!(matches!(assembler.pop(), Err(Failure::AnswerTooLarge(_))));
        let mut assembler = Assembler::new(3);
        assembler.push(b"\x01\0\0\0\x03");
        assert!(matches!(assembler.pop(), Err(Failure::Malformed(_))));
    }

    #[test]
    fn an_announced_length_is_no_reason_to_take_that_much_memory() {
        let mut assembler = Assembler::new(usize::MAX);
        assembler.push(b"\0\xff\xff\xff\xff");
        assert_eq!(assembler.pop().unwrap(), None);
        assert!(assembler.arrived.capacity() < 4 * LARGEST_RESERVE);
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_they_are_cut(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            cut in 1_usize..30,
        ) {
            let wire: Vec<u8> = messages.iter().flat_map(|message| on_wire(message)).collect();
            let mut assembler = Assembler::new(40);
            let mut found = Vec::new();
            for chunk in wire.chunks(cut) {
                assembler.push(chunk);
                while let Some(message) = assembler.pop().unwrap() {
                    found.push(message.to_vec());
                }
            }
            prop_assert_eq!(found, messages);
            prop_assert!(!assembler.holds_part());
        }
    }
}
