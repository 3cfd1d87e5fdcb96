//! Bytes as base64 in JSON, as etcdctl has them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serializer, de};

pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    let decoded = BASE64_STANDARD.decode(text.as_bytes());
    // Not with the text: it may be a secret.
    decoded.map(Bytes::from).map_err(|error| de::Error::custom(format!("not base64: {error}")))
}
