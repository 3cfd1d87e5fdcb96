//! The objects of the JSON lines format: one of these a line.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::base64_bytes;
use super::json_facts::{AuthLine, MembersLine, OptionsLine};
use crate::archive::{Header, Lease};
use crate::types::{ClusterId, KeyRange, KeyValue, LeaseId, MemberId, Revision};

/// Lists of short names take far more memory than their text does. No cluster has as many users.
const MAX_FACT_BYTES: usize = 16 << 20;

/// What a line holds.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Header(HeaderLine),
    Record(RecordLine),
    Lease(LeaseLine),
    Auth(AuthLine),
    Members(MembersLine),
    Options(OptionsLine),
    End(EndLine),
}

/// The first line, if there is one.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderLine {
    cluster_id: String,
    member_id: String,
    revision: i64,
    created_unix_ms: i64,
    server_version: String,
    writer: String,
    #[serde(with = "base64_bytes")]
    range_start: Bytes,
    #[serde(with = "base64_bytes")]
    range_end: Bytes,
}

/// A record. What is not said of it is 1, as of a key that was just created.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordLine {
    #[serde(with = "base64_bytes")]
    key: Bytes,
    #[serde(default = "one")]
    create_revision: i64,
    #[serde(default = "one")]
    mod_revision: i64,
    #[serde(default = "one")]
    version: i64,
    #[serde(with = "base64_bytes")]
    value: Bytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeaseLine {
    id: String,
    granted_ttl: u64,
    remaining_ttl: u64,
}

/// The last line where there is a header.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndLine {
    pub(super) records: u64,
    /// Of the whole archive, if all of it was exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_root: Option<String>,
}

fn one() -> i64 {
    1
}

impl Line {
    /// What the line holds, or why it is none of these; the reason has nothing of a value.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        if line.len() > MAX_FACT_BYTES && !is_record(line) {
            return Err("it is longer than 16 MiB, and no record".to_owned());
        }
        serde_json::from_slice(line).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => why_not(&error),
            _ => format!("it is not JSON at column {}", error.column()),
        })
    }

    /// With the line's end.
    pub(super) fn write(&self) -> serde_json::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// Whether the line can hold nothing else, told without reading it.
fn is_record(line: &[u8]) -> bool {
    let inside = line.trim_ascii_start().strip_prefix(b"{");
    inside.is_some_and(|inside| inside.trim_ascii_start().starts_with(b"\"record\""))
}

/// Errors about types quote what they found.
pub(super) fn why_not(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let harmless = ["unknown field", "unknown variant", "missing field", "not base64", "its "];
    // Behind it stands the place, which is told below.
    let told = text.rsplit_once(" at line ").map_or(&*text, |(told, _)| told);
    let reason = if harmless.iter().any(|start| told.starts_with(start)) { told } else { "of another type" };
    format!("it does not follow the schema at column {}: {reason}", error.column())
}

pub(super) fn number(text: &str, what: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| format!("its {what} is no hexadecimal number"))
}

fn lease_id(text: &str) -> Result<LeaseId, String> {
    match number(text, "lease id")? {
        0 => Err("its lease id is 0, which no lease has".to_owned()),
        id => Ok(LeaseId(id.cast_signed())),
    }
}

impl From<&Header> for HeaderLine {
    fn from(header: &Header) -> Self {
        let (range_start, range_end) = header.range.to_wire();
        Self {
            cluster_id: header.cluster_id.to_string(),
            member_id: header.member_id.to_string(),
            revision: header.revision.0,
            created_unix_ms: header.created_unix_ms,
            server_version: header.server_version.clone(),
            writer: header.writer.clone(),
            range_start,
            range_end,
        }
    }
}

impl HeaderLine {
    pub(super) fn header(self) -> Result<Header, String> {
        Ok(Header {
            cluster_id: ClusterId(number(&self.cluster_id, "cluster id")?),
            member_id: MemberId(number(&self.member_id, "member id")?),
            revision: Revision(self.revision),
            created_unix_ms: self.created_unix_ms,
            server_version: self.server_version,
            writer: self.writer,
            range: KeyRange::from_wire(self.range_start, self.range_end),
        })
    }
}

impl From<&KeyValue> for RecordLine {
    fn from(kv: &KeyValue) -> Self {
        Self {
            key: kv.key.clone(),
            create_revision: kv.create_revision.0,
            mod_revision: kv.mod_revision.0,
            version: kv.version,
            value: kv.value.clone(),
            lease: kv.lease.map(|lease| lease.to_string()),
        }
    }
}

impl RecordLine {
    pub(super) fn record(self) -> Result<KeyValue, String> {
        Ok(KeyValue {
            key: self.key,
            value: self.value,
            create_revision: Revision(self.create_revision),
            mod_revision: Revision(self.mod_revision),
            version: self.version,
            lease: self.lease.as_deref().map(lease_id).transpose()?,
        })
    }
}

impl From<&Lease> for LeaseLine {
    fn from(lease: &Lease) -> Self {
        let (granted_ttl, remaining_ttl) = (lease.granted_ttl.as_secs(), lease.remaining_ttl.as_secs());
        Self { id: lease.id.to_string(), granted_ttl, remaining_ttl }
    }
}

impl LeaseLine {
    pub(super) fn lease(self) -> Result<Lease, String> {
        let [granted_ttl, remaining_ttl] = [self.granted_ttl, self.remaining_ttl].map(Duration::from_secs);
        Ok(Lease { id: lease_id(&self.id)?, granted_ttl, remaining_ttl })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_records_may_be_long() {
        let filler = "QUFB".repeat(MAX_FACT_BYTES / 4);
        let record = format!(r#" {{ "record":{{"key":"YQ==","value":"{filler}"}}}}"#);
        assert!(matches!(Line::parse(record.as_bytes()), Ok(Line::Record(_))));
        let auth = format!(r#"{{"auth":{{"missing":"{filler}"}}}}"#);
        assert!(Line::parse(auth.as_bytes()).unwrap_err().contains("16 MiB"));
    }
}
