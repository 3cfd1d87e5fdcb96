//! Archives and records as reports: the same names in every command.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use etcd_ark::KeyValue;
use etcd_ark::archive::{Auth, AuthState, Header, Members, Options, RolePermission, SavedMember, Summary};

use crate::args::Target;
use crate::human;
use crate::output::{Report, Value};

/// Where it went, if that is a file.
pub(super) fn path(target: &Target) -> Report {
    match target {
        Target::File(path) => Report::default().text("path", path.display()),
        Target::Stream => Report::default(),
    }
}

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

pub(super) fn auth(auth: &Auth) -> Report {
    let state = match auth.state {
        AuthState::On => "on",
        AuthState::Off => "off",
        _ => "unknown",
    };
    let user =
        |name: &str, roles: &[String]| Report::default().text("name", name).text("roles", roles.join(", "));
    let users = auth.users.iter().map(|auth| user(&auth.name, &auth.roles)).collect();
    let roles = auth.roles.iter().map(|role| {
        let allowed: Vec<_> = role.permissions.iter().map(permission).collect();
        Report::default().text("name", &role.name).text("allows", allowed.join("; "))
    });
    let report = Report::default().text("authentication", state);
    let report = report.with("users", Value::List(users)).with("roles", Value::List(roles.collect()));
    missing(report, "auth_missing", &auth.missing)
}

fn permission(permission: &RolePermission) -> String {
    let access = match (permission.read, permission.write) {
        (true, true) => "read and write",
        (true, false) => "read",
        (false, true) => "write",
        (false, false) => "nothing with",
    };
    format!("{access} {}", permission.range)
}

pub(super) fn members(members: &Members) -> Report {
    let member = |member: &SavedMember| {
        Report::default()
            .text("id", member.id)
            .text("name", &member.name)
            .text("peer_urls", member.peer_urls.join(", "))
            .text("client_urls", member.client_urls.join(", "))
            .with("learner", Value::Flag(member.is_learner))
            .text("server_version", &member.server_version)
    };
    let alarms = members.alarms.iter().map(|alarm| {
        let kind = match alarm.kind {
            1 => "NOSPACE".to_owned(),
            2 => "CORRUPT".to_owned(),
            other => other.to_string(),
        };
        Report::default().text("member_id", alarm.member_id).text("alarm", kind)
    });
    let report = Report::default()
        .with("members", Value::List(members.members.iter().map(member).collect()))
        .with("alarms", Value::List(alarms.collect()));
    missing(report, "members_missing", &members.missing)
}

pub(super) fn options(options: &Options) -> Report {
    let option = options
        .options
        .iter()
        .map(|option| Report::default().text("name", &option.name).text("value", &option.value));
    Report::default().with("options", Value::List(option.collect()))
}

/// Why something could not be read, if so.
fn missing(report: Report, name: &'static str, why: &str) -> Report {
    if why.is_empty() { report } else { report.text(name, why) }
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
