//! Users and roles of an archive, and the passwords that it does not hold.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use etcd_ark::archive::Auth;
use etcd_ark::backup::{UserChange, UserPlan};
use etcd_ark::{Access, Client};

use crate::args::Users as Arguments;
use crate::failure::{Exit, Failure};
use crate::output::{Report, Value};
use crate::password;

/// What the cluster lacks of the archive's users and roles, ready to be added; `None` if that is not wanted.
pub(super) async fn plan(
    arguments: &Arguments,
    client: &Client,
    auth: Option<&Auth>,
) -> Result<Option<UserPlan>, Failure> {
    if !arguments.users {
        return Ok(None);
    }
    let auth =
        auth.ok_or_else(|| Failure::usage("the archive holds no users and roles: leave out --users"))?;
    let plan = UserPlan::of(client, auth).await?;
    let known = arguments.passwords_from.as_deref().map(read).transpose()?.unwrap_or_default();
    let mut with_passwords = plan;
    for name in new_users(with_passwords.changes()) {
        let password = match known.get(&name) {
            Some(password) => password.clone(),
            None if arguments.no_passwords => continue,
            None => password::ask_for_new(&name)?,
        };
        with_passwords = with_passwords.password(name, password);
    }
    Ok(Some(with_passwords))
}

/// For people, what will be done.
pub(super) fn shown(plan: Option<&UserPlan>) -> String {
    let changes = plan.map(UserPlan::changes).unwrap_or_default();
    changes.iter().map(|change| format!("  {}\n", line(change))).collect()
}

/// Adds them; the changes that were made, for the report.
pub(super) async fn apply(plan: Option<UserPlan>) -> Result<Report, Failure> {
    let Some(plan) = plan else { return Ok(Report::default()) };
    let told =
        |change| Report::default().text("change", line(change)).text("taken_back_by", taken_back_by(change));
    let changes = plan.changes().iter().map(told);
    let report = Report::default().with("users_and_roles", Value::List(changes.collect()));
    let applied = plan.apply().await;
    applied.map_err(|error| {
        let failure = Failure::from(error).with_exit(Exit::Partial);
        failure.help("the keys are restored; the same restore again goes on with the users and roles")
    })?;
    Ok(report)
}

fn new_users(changes: &[UserChange]) -> Vec<String> {
    let new = changes.iter().filter_map(|change| match change {
        UserChange::AddUser(name) => Some(name.clone()),
        _ => None,
    });
    new.collect()
}

fn line(change: &UserChange) -> String {
    match change {
        UserChange::AddRole(name) => format!("add role {name}"),
        UserChange::Grant { role, permission, .. } => {
            format!("let role {role} {} {}", told(permission.access), permission.range)
        }
        UserChange::AddUser(name) => format!("add user {name}"),
        UserChange::GiveRole { user, role } => format!("give user {user} the role {role}"),
        _ => UNKNOWN.to_owned(),
    }
}

/// What to do if the change is not wanted any more: `ark undo` is about keys.
fn taken_back_by(change: &UserChange) -> String {
    match change {
        UserChange::AddRole(name) => format!("delete role {name}"),
        UserChange::Grant { role, permission, before } => match before {
            Some(before) => format!("let role {role} {} {}", told(*before), permission.range),
            None => format!("revoke what role {role} may do to {}", permission.range),
        },
        UserChange::AddUser(name) => format!("delete user {name}"),
        UserChange::GiveRole { user, role } => format!("take the role {role} from user {user}"),
        _ => UNKNOWN.to_owned(),
    }
}

const UNKNOWN: &str = "a change that this command does not know";

fn told(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
        Access::ReadWrite => "read and write",
    }
}

/// The passwords in a file, by user.
fn read(path: &Path) -> Result<HashMap<String, String>, Failure> {
    let about = |what: &str| Failure::usage(format!("cannot take passwords from {}: {what}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| about(&error.to_string()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    let parsed = lines.map(|(number, line)| match line.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok((name.to_owned(), password.to_owned()))
        }
        // Without the line: it may be a password.
        _ => Err(about(&format!("line {} is not NAME:PASSWORD", number + 1))),
    });
    parsed.collect()
}
