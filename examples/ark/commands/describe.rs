//! Archives and records as reports: the same names in every command.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use etcd_ark::KeyValue;
use etcd_ark::archive::{Header, Summary};

use crate::human;
use crate::output::{Report, Value};

pub(super) fn summary(summary: &Summary) -> Report {
    Report::default()
        .with("keys", Value::Count(summary.records))
        .with("bytes", Value::Bytes(summary.bytes))
        .with("blocks", Value::Count(summary.blocks))
        .with("file_bytes", Value::Bytes(summary.file_len))
        .text("state_root", summary.state_root)
        .text("content_root", summary.content_root)
        .text("archive_root", summary.archive_root)
}

pub(super) fn header(header: &Header) -> Report {
    Report::default()
        .with("revision", Value::Number(header.revision.0))
        .text("range", &header.range)
        .text("cluster_id", header.cluster_id)
        .text("member_id", header.member_id)
        .text("server_version", &header.server_version)
        .text("created", human::time(header.created_unix_ms))
        .text("writer", &header.writer)
}

/// A record without its value, under etcdctl's names.
pub(super) fn record(kv: &KeyValue) -> Report {
    let report = Report::default()
        .text("key", BASE64_STANDARD.encode(&kv.key))
        .with("create_revision", Value::Number(kv.create_revision.0))
        .with("mod_revision", Value::Number(kv.mod_revision.0))
        .with("version", Value::Number(kv.version))
        .with("value_bytes", Value::Count(kv.value.len() as u64));
    match kv.lease {
        // etcdctl pads leases' ids, unlike those of members and clusters.
        Some(lease) => report.text("lease", lease.to_string()),
        None => report,
    }
}

pub(super) fn record_with_value(kv: &KeyValue) -> Report {
    record(kv).text("value", BASE64_STANDARD.encode(&kv.value))
}
