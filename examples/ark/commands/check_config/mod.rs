//! Whether the settings work, each on its own.

mod cluster;
mod finding;
mod rights;
mod store;

use std::process::ExitCode;

use etcd_ark::Client;

use self::finding::{Finding, Verdict};
use crate::args::{CheckConfig as Arguments, Connection};
use crate::connect::connect_lazy;
use crate::failure::Failure;
use crate::output::{Format, Output, Report, Value};

pub(super) async fn run(
    arguments: Arguments,
    connection: &Connection,
    format: Format,
) -> Result<ExitCode, Failure> {
    let findings = find(&arguments, connection).await;
    match format {
        Format::Simple => {
            let lines: String = findings.iter().map(Finding::line).collect();
            Output::Stdout.write(lines.as_bytes())?;
        }
        Format::Json => Output::Stdout.print(&describe(&findings), format)?,
    }
    let bad = findings.iter().find_map(Finding::exit);
    Ok(bad.map_or(ExitCode::SUCCESS, |exit| ExitCode::from(exit as u8)))
}

async fn find(arguments: &Arguments, connection: &Connection) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut needed = None;
    match connect_lazy(connection) {
        Err(failure) => findings.push(Finding::failed("settings", &failure)),
        Ok(client) => {
            let endpoints = connection.endpoints.join(", ");
            findings.push(Finding::good("settings", format!("understood, endpoints {endpoints}")));
            findings.push(tls(connection));
            needed = contact(arguments, connection, &client, &mut findings).await;
        }
    }
    findings.extend(arguments.store.as_deref().map(|folder| store::check(folder, needed)));
    findings
}

/// All that takes a cluster; gives the size of its data.
async fn contact(
    arguments: &Arguments,
    connection: &Connection,
    client: &Client,
    findings: &mut Vec<Finding>,
) -> Option<u64> {
    let members = cluster::members(client).await;
    findings.extend(cluster::endpoints(&members));
    if !cluster::any_answers(&members) {
        let rest = ["cluster", "versions", "authentication", "permissions"];
        findings.extend(rest.map(|field| Finding::unchecked(field, "no member answers")));
        return None;
    }
    findings.extend(cluster::together(&members));
    findings.push(cluster::alarms(client, arguments.purpose).await);
    findings.extend(rights::check(arguments, connection, client).await);
    cluster::size(&members)
}

/// The certificates of clients of plaintext endpoints are not even read.
fn tls(connection: &Connection) -> Finding {
    let given = connection.cacert.is_some() || connection.cert.is_some();
    let chosen = given || connection.insecure_skip_tls_verify;
    let encrypted = |endpoint: &String| match endpoint.split_once("://") {
        Some((scheme, _)) => scheme.ends_with('s'),
        None => chosen,
    };
    let encrypted = connection.endpoints.iter().filter(|endpoint| encrypted(endpoint)).count();
    match (encrypted, given) {
        (0, true) => Finding::unchecked("tls", "all endpoints are plaintext: no certificate is looked at"),
        (0, false) => Finding::good("tls", "off: all endpoints are plaintext"),
        _ => Finding::good("tls", format!("{encrypted} endpoints use it; {}", trust(connection))),
    }
}

fn trust(connection: &Connection) -> &'static str {
    match (&connection.cacert, &connection.cert, connection.insecure_skip_tls_verify) {
        (_, _, true) => "any server certificate is accepted",
        (Some(_), Some(_), _) => "own CA and client certificate can be read",
        (Some(_), None, _) => "own CA can be read",
        (None, Some(_), _) => "the machine's CAs; the client certificate can be read",
        (None, None, _) => "the machine's CAs",
    }
}

fn describe(findings: &[Finding]) -> Report {
    let checks = findings.iter().map(Finding::describe).collect();
    let good = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    Report::default().with("good", Value::Flag(good)).with("checks", Value::Reports(checks))
}
