use bytes::Bytes;

use super::{LeaseId, Revision};
use crate::pb::mvccpb;

/// A key with its value and history.
///
/// `key` and `value` are slices of the response that they came in: keeping one keeps the whole
/// response in memory. [`KeyValue::detach`] copies them out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key; never empty.
    pub key: Bytes,
    /// The value; may be empty.
    pub value: Bytes,
    /// The revision of the put that created the key.
    pub create_revision: Revision,
    /// The revision of the last put.
    pub mod_revision: Revision,
    /// How many puts the key has seen since it was created; 1 for a new key.
    pub version: i64,
    /// The lease that the key goes with, if any.
    pub lease: Option<LeaseId>,
}

impl KeyValue {
    /// A copy that shares no memory with the response it came in.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self {
            key: Bytes::copy_from_slice(&self.key),
            value: Bytes::copy_from_slice(&self.value),
            ..self.clone()
        }
    }
}

impl From<mvccpb::KeyValue> for KeyValue {
    fn from(wire: mvccpb::KeyValue) -> Self {
        Self {
            key: wire.key,
            value: wire.value,
            create_revision: Revision(wire.create_revision),
            mod_revision: Revision(wire.mod_revision),
            version: wire.version,
            lease: LeaseId::from_wire(wire.lease),
        }
    }
}

impl From<KeyValue> for mvccpb::KeyValue {
    fn from(kv: KeyValue) -> Self {
        Self {
            key: kv.key,
            value: kv.value,
            create_revision: kv.create_revision.0,
            mod_revision: kv.mod_revision.0,
            version: kv.version,
            lease: LeaseId::to_wire(kv.lease),
        }
    }
}
