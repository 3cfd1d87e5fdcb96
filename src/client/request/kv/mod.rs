mod compact;
mod delete;
mod get;
mod get_stream;
mod put;

use bytes::Bytes;

pub use compact::{Compact, CompactResult};
pub use delete::{Delete, DeleteResult};
pub use get::{Get, GetResult, SortOrder, SortTarget};
pub(crate) use get_stream::Opening;
pub use get_stream::{GetStream, GetTail};
pub use put::{Put, PutResult};

use crate::error::{Error, ErrorKind, Result};
use crate::pb::mvccpb;
use crate::types::{KeyRange, KeyValue, Namespace};

fn stripped(kvs: Vec<mvccpb::KeyValue>, namespace: &Namespace) -> Result<Vec<KeyValue>> {
    kvs.into_iter().map(|kv| namespace.strip_kv(kv)).collect()
}

pub(super) fn wire_range(range: &KeyRange, namespace: &Namespace) -> Result<(Bytes, Bytes)> {
    if range.is_empty() {
        return Err(Error::new(ErrorKind::Config, format!("no key can lie in the range: {range}")));
    }
    Ok(namespace.range(range).to_wire())
}

pub(super) fn wire_key(key: &Bytes, namespace: &Namespace) -> Result<Bytes> {
    if key.is_empty() {
        return Err(Error::new(ErrorKind::Config, "the key is empty: etcd has no such key"));
    }
    Ok(namespace.key(key))
}
