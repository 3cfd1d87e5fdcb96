//! Restoring users and roles: what a cluster lacks is added, nothing else is changed.

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::{Auth, Role, RolePermission, User};
use crate::backup::facts::read_users_and_roles;
use crate::client::{Access, AddRole, AddUser, Client, GrantPermission, GrantRole, Permission};
use crate::error::{Error, ErrorKind, Result};
use crate::types::KeyRange;
use crate::util::Secret;

/// The role that every cluster with authentication has; it allows everything, whatever else is granted to it.
const ROOT: &str = "root";

/// A change of a cluster's users and roles.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserChange {
    /// A role is created.
    AddRole(String),
    /// A role is to allow something.
    Grant {
        /// The role's name.
        role: String,
        /// What it is to allow.
        permission: Permission,
        /// What it allows there so far, if anything: the grant takes its place.
        before: Option<Access>,
    },
    /// A user is created.
    AddUser(String),
    /// A user gets a role.
    GiveRole {
        /// The user's name.
        user: String,
        /// The role's name.
        role: String,
    },
}

/// What a cluster lacks of an archive's users and roles, and the adding of it.
///
/// Nothing is taken away: users, roles and permissions that the cluster has and the archive has not stay, and so do
/// the passwords of users that are there. Authentication is neither switched on nor off. etcd tells nobody its
/// users' passwords, so no archive has them: new users get the ones that are given here, or none.
///
/// ```no_run
/// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
/// use etcd_ark::backup::{ArchiveFile, UserPlan};
///
/// let mut archive = ArchiveFile::open("app.ark").await?;
/// if let Some(auth) = archive.auth().await? {
///     let plan = UserPlan::of(&client, &auth).await?;
///     println!("{} changes", plan.changes().len());
///     plan.password("app", std::fs::read_to_string("app.password").unwrap()).apply().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UserPlan {
    client: Client,
    changes: Vec<UserChange>,
    passwords: BTreeMap<String, Secret>,
}

impl UserPlan {
    /// Compares users and roles with the cluster's. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the archive could not be given users and roles when it was made;
    /// [`ErrorKind::PermissionDenied`] if the user may not see the cluster's: that takes the root role; otherwise as
    /// [`Client::send`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time, and so may the plan.
    pub async fn of(client: &Client, archived: &Auth) -> Result<Self> {
        if !archived.missing.is_empty() {
            let what = format!(
                "the archive has no users and roles, as they could not be read: {}",
                archived.missing
            );
            return Err(Error::new(ErrorKind::Config, what));
        }
        let found = read_users_and_roles(client).await;
        let (users, roles) = found.map_err(|error| error.context("comparing users and roles"))?;
        let changes = changes(archived, &users, &roles);
        Ok(Self { client: client.clone(), changes, passwords: BTreeMap::new() })
    }

    /// What is going to be done, in this order.
    #[must_use]
    pub fn changes(&self) -> &[UserChange] {
        &self.changes
    }

    /// Gives a user that is created this password. Default: none, so that only a client certificate can say who it
    /// is.
    #[must_use]
    pub fn password(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.passwords.insert(user.into(), Secret::new(password));
        self
    }

    /// Does it. Interrupted at any time, it can be planned and applied again.
    ///
    /// # Errors
    ///
    /// As [`Client::send`], naming the change that failed; those before it are made.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it stops after some of the changes.
    pub async fn apply(self) -> Result<()> {
        for change in &self.changes {
            self.make(change).await.map_err(|error| error.context(describe(change)))?;
        }
        Ok(())
    }

    async fn make(&self, change: &UserChange) -> Result<()> {
        let client = &self.client;
        match change {
            UserChange::AddRole(name) => client.send(AddRole::new(name)).await,
            UserChange::Grant { role, permission, .. } => {
                client.send(GrantPermission::new(role, permission.clone())).await
            }
            UserChange::AddUser(name) => client.send(self.new_user(name)).await,
            UserChange::GiveRole { user, role } => client.send(GrantRole::new(user, role)).await,
        }
        .map(drop)
    }

    fn new_user(&self, name: &str) -> AddUser {
        match self.passwords.get(name) {
            Some(password) => AddUser::new(name, password.expose()),
            None => AddUser::without_password(name),
        }
    }
}

fn describe(change: &UserChange) -> String {
    match change {
        UserChange::AddRole(name) => format!("adding role {name}"),
        UserChange::Grant { role, permission: Permission { access, range, .. }, .. } => {
            format!("granting role {role} {access:?} on {range}")
        }
        UserChange::AddUser(name) => format!("adding user {name}"),
        UserChange::GiveRole { user, role } => format!("giving user {user} the role {role}"),
    }
}

/// What is missing: roles before what they allow, users before their roles, so that nobody may more than in the end.
fn changes(archived: &Auth, users: &[User], roles: &[Role]) -> Vec<UserChange> {
    let new_roles = archived.roles.iter().filter(|role| !roles.iter().any(|found| found.name == role.name));
    let add_roles = new_roles.map(|role| UserChange::AddRole(role.name.clone()));
    let limited = archived.roles.iter().filter(|role| role.name != ROOT);
    let grants = limited.flat_map(|role| missing_grants(role, roles));
    let new_users = archived.users.iter().filter(|user| !users.iter().any(|found| found.name == user.name));
    let add_users = new_users.map(|user| UserChange::AddUser(user.name.clone()));
    let give_roles = archived.users.iter().flat_map(|user| missing_roles(user, users));
    add_roles.chain(grants).chain(add_users).chain(give_roles).collect()
}

fn missing_grants(role: &Role, roles: &[Role]) -> Vec<UserChange> {
    let found = roles.iter().find(|found| found.name == role.name);
    let found: Vec<_> = found.into_iter().flat_map(|found| &found.permissions).collect();
    let wanted = role.permissions.iter().filter_map(|wanted| {
        let has = found.iter().find(|found| found.range == wanted.range);
        let (permission, before) = missing_permission(wanted, has.copied())?;
        Some(UserChange::Grant { role: role.name.clone(), permission, before })
    });
    wanted.collect()
}

/// A grant replaces what was granted on exactly the same range: what is there is granted with it, and told beside it.
fn missing_permission(
    wanted: &RolePermission,
    has: Option<&RolePermission>,
) -> Option<(Permission, Option<Access>)> {
    let (reads, writes) = has.map_or((false, false), |has| (has.read, has.write));
    let both = (wanted.read || reads, wanted.write || writes);
    let changed = access(both).filter(|_| both != (reads, writes))?;
    Some((Permission::new(changed, KeyRange::clone(&wanted.range)), access((reads, writes))))
}

fn access((reads, writes): (bool, bool)) -> Option<Access> {
    match (reads, writes) {
        (true, true) => Some(Access::ReadWrite),
        (true, false) => Some(Access::Read),
        (false, true) => Some(Access::Write),
        (false, false) => None,
    }
}

fn missing_roles(user: &User, users: &[User]) -> Vec<UserChange> {
    let found = users.iter().find(|found| found.name == user.name);
    let has: BTreeSet<_> = found.into_iter().flat_map(|found| &found.roles).collect();
    let missing = user.roles.iter().filter(|role| !has.contains(role));
    missing.map(|role| UserChange::GiveRole { user: user.name.clone(), role: role.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, permissions: &[(bool, bool, &'static str)]) -> Role {
        let permission =
            |&(read, write, prefix)| RolePermission { read, write, range: KeyRange::prefix(prefix) };
        Role { name: name.into(), permissions: permissions.iter().map(permission).collect() }
    }

    fn user(name: &str, roles: &[&str]) -> User {
        User { name: name.into(), roles: roles.iter().map(|role| (*role).to_owned()).collect() }
    }

    fn shown(archived: (&[User], &[Role]), found: (&[User], &[Role])) -> Vec<String> {
        let archived = Auth { users: archived.0.to_vec(), roles: archived.1.to_vec(), ..Auth::default() };
        changes(&archived, found.0, found.1).iter().map(describe).collect()
    }

    #[test]
    fn what_is_missing_is_added_in_an_order_that_works() {
        let archived = (&[user("app", &["r"])][..], &[role("r", &[(true, false, "a/")])][..]);
        let told = shown(archived, (&[], &[]));
        let expected = [
            "adding role r",
            "granting role r Read on keys from a/ to a0",
            "adding user app",
            "giving user app the role r",
        ];
        assert_eq!(told, expected);
        assert_eq!(shown(archived, archived), [""; 0]);
        assert_eq!(shown((&[], &[]), archived), [""; 0], "nothing is taken away");
        assert_eq!(shown(archived, (&[user("app", &[])], archived.1)), ["giving user app the role r"]);
    }

    #[test]
    fn what_was_granted_stays_granted() {
        let (read, write) = (role("r", &[(true, false, "a/")]), role("r", &[(false, true, "a/")]));
        let changes = missing_grants(&read, std::slice::from_ref(&write));
        let both = Permission::new(Access::ReadWrite, KeyRange::prefix("a/"));
        let before = Some(Access::Write);
        assert_eq!(changes, [UserChange::Grant { role: "r".into(), permission: both, before }]);
        assert_eq!(missing_grants(&read, &[role("r", &[(true, true, "a/")])]), []);
    }

    #[test]
    fn root_needs_no_grants() {
        let roles = [role("root", &[(true, true, "")])];
        assert_eq!(shown((&[], &roles), (&[], &[])), ["adding role root"]);
    }
}
