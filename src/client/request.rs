use bytes::Bytes;
use prost::Message;

use crate::error::{Error, ErrorKind, Result};
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::ResponseHeader;
use crate::types::{Header, Namespace};

/// A request value: what [`Client::send`](crate::Client::send) takes.
///
/// The value carries what it is answered with and whether it may be repeated. The requests are
/// etcd's: the trait can't be implemented outside this crate.
pub trait Request: Send + Sync {
    /// What the server answers.
    type Response;

    #[doc(hidden)]
    fn call(&self, namespace: &Namespace) -> Result<WireCall>;

    #[doc(hidden)]
    fn decode(&self, answer: Bytes, namespace: &Namespace) -> Result<Self::Response>;
}

/// An encoded request with all that the transport needs to know of it. No one outside can make one,
/// which is what seals [`Request`].
#[derive(Debug)]
#[allow(unreachable_pub, reason = "named by a method of a public trait")]
pub struct WireCall {
    pub(super) rpc: Rpc,
    pub(super) class: RetryClass,
    pub(super) message: Bytes,
}

impl WireCall {
    pub(super) fn new(rpc: Rpc, class: RetryClass, message: &impl Message) -> Self {
        Self { rpc, class, message: message.encode_to_vec().into() }
    }
}

/// Decodes an answer's message; keys and values stay slices of it.
pub(crate) fn decode<M: Message + Default>(answer: Bytes) -> Result<M> {
    M::decode(answer)
        .map_err(|error| malformed("the answer is no message of the expected type").with_source(error))
}

/// The header that every answer but a few must have.
pub(super) fn header(header: Option<ResponseHeader>) -> Result<Header> {
    header.map(Header::from).ok_or_else(|| malformed("the answer has no header"))
}

pub(crate) fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, what)
}
