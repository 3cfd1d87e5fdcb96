//! Who it is, and whether that user may do what is wanted.

use etcd_ark::backup::Grants;
use etcd_ark::{Access, AuthStatus, Client, ErrorKind, Get, KeyRange, Result};

use super::finding::Finding;
use crate::args::{CheckConfig as Arguments, Connection, Purpose};
use crate::failure::Exit;

pub(super) async fn check(arguments: &Arguments, connection: &Connection, client: &Client) -> Vec<Finding> {
    let range = arguments.keys.range();
    let enabled = client.send(AuthStatus::new()).await.ok().map(|status| status.enabled);
    let probe = client.send(Get::new(range.clone()).limit(1)).await.map(drop);
    let grants = Grants::of(client).await;
    let anonymous = connection.cert.is_none() && matches!(&grants, Ok(grants) if grants.user().is_none());
    // 3.4 does not say; but with authentication on nobody reads without a name.
    let enabled = enabled.or_else(|| (anonymous && probe.is_ok()).then_some(false));
    let mut findings = vec![identity(&probe, &grants, enabled, connection), read(probe, &grants, &range)];
    if arguments.purpose == Purpose::Restore {
        findings.push(write(grants, enabled, &range));
    }
    findings
}

fn identity(
    probe: &Result<()>,
    grants: &Result<Grants>,
    enabled: Option<bool>,
    connection: &Connection,
) -> Finding {
    const FIELD: &str = "authentication";
    if let Err(error) = probe
        && error.kind() == ErrorKind::Auth
    {
        return Finding::bad(FIELD, Exit::Auth, error.to_string());
    }
    let user = grants.as_ref().ok().and_then(Grants::user);
    match (enabled, user) {
        (Some(false), _) => Finding::good(FIELD, "off in the cluster: everybody may do everything"),
        (_, Some(user)) => Finding::good(FIELD, format!("user {user} is known, and the password right")),
        (_, None) if connection.cert.is_some() => {
            Finding::good(FIELD, "the client certificate says who it is")
        }
        (_, None) => Finding::good(FIELD, "no user is given, and none is asked for"),
    }
}

/// By reading.
fn read(probe: Result<()>, grants: &Result<Grants>, range: &KeyRange) -> Finding {
    let field = format!("permission to read {range}");
    match (probe, grants) {
        (Ok(()), _) => Finding::good(field, "one of them, or that there is none, was read"),
        (Err(error), Ok(grants)) if error.kind() == ErrorKind::PermissionDenied => {
            Finding::bad(field, Exit::Auth, lacking(grants, Access::Read, range))
        }
        (Err(error), _) => Finding::error(field, error),
    }
}

/// By the user's roles: nothing is written to find out.
fn write(grants: Result<Grants>, enabled: Option<bool>, range: &KeyRange) -> Finding {
    let field = format!("permission to write {range}");
    match grants {
        _ if enabled == Some(false) => Finding::good(field, "authentication is off"),
        Ok(grants) if grants.user().is_none() => {
            Finding::unchecked(field, "the user is not known by name, so neither are its roles")
        }
        Ok(grants) if grants.lacking(Access::Write, range).is_empty() => {
            Finding::good(field, "the user's roles allow it")
        }
        Ok(grants) => Finding::bad(field, Exit::Auth, lacking(&grants, Access::Write, range)),
        Err(error) => Finding::unchecked(field, error.to_string()),
    }
}

fn lacking(grants: &Grants, access: Access, range: &KeyRange) -> String {
    let lacking: Vec<_> = grants.lacking(access, range).iter().map(ToString::to_string).collect();
    let right = if access == Access::Read { "read" } else { "write" };
    let user = grants.user().unwrap_or("without a name");
    match &lacking[..] {
        [] => format!("user {user} is refused, although its roles allow it"),
        lacking => format!("user {user} needs a role with {right} permission on {}", lacking.join(" and ")),
    }
}
