use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// A remote procedure: its path on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rpc(&'static str);

impl Rpc {
    /// `path` is `/package.Service/Method`.
    pub(crate) const fn new(path: &'static str) -> Self {
        Self(path)
    }

    pub(crate) fn path(self) -> PathAndQuery {
        PathAndQuery::from_static(self.0)
    }

    /// `Service/Method`, for people.
    pub(crate) fn name(self) -> &'static str {
        self.0.rsplit_once('.').map_or(self.0, |(_, name)| name)
    }
}

/// Hands encoded messages through as they are.
///
/// A request is encoded once, however often it is sent; an answer is decoded by the floor that
/// knows its type, out of the buffer that it came in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, wire: &mut EncodeBuf<'_>) -> Result<(), Status> {
        wire.put(message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, wire: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(wire.copy_to_bytes(wire.remaining())))
    }
}
