//! One JSON object, as `etcdctl get -w json` prints it: whoever reads that can read this.

use bytes::Bytes;
use serde::Serialize;

use super::base64_bytes;
use crate::archive::Header;
use crate::types::{KeyValue, LeaseId};

/// etcdctl's names and order; it leaves out what is 0 or empty.
#[derive(Debug, Serialize)]
struct Record<'a> {
    #[serde(with = "base64_bytes")]
    key: &'a Bytes,
    #[serde(skip_serializing_if = "is_zero")]
    create_revision: i64,
    #[serde(skip_serializing_if = "is_zero")]
    mod_revision: i64,
    #[serde(skip_serializing_if = "is_zero")]
    version: i64,
    #[serde(with = "base64_bytes", skip_serializing_if = "is_empty")]
    value: &'a Bytes,
    #[serde(skip_serializing_if = "is_zero")]
    lease: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn is_empty(bytes: &&Bytes) -> bool {
    bytes.is_empty()
}

pub(super) fn start(header: &Header) -> String {
    let Header { cluster_id, member_id, revision, .. } = header;
    format!(
        r#"{{"header":{{"cluster_id":{},"member_id":{},"revision":{}}},"kvs":["#,
        cluster_id.0, member_id.0, revision.0
    )
}

pub(super) fn record(kv: &KeyValue, first: bool) -> serde_json::Result<Vec<u8>> {
    let mut text = if first { Vec::new() } else { vec![b','] };
    let record = Record {
        key: &kv.key,
        create_revision: kv.create_revision.0,
        mod_revision: kv.mod_revision.0,
        version: kv.version,
        value: &kv.value,
        lease: LeaseId::to_wire(kv.lease),
    };
    serde_json::to_writer(&mut text, &record)?;
    Ok(text)
}

pub(super) fn end(records: u64) -> String {
    format!("],\"count\":{records}}}\n")
}
