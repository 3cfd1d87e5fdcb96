//! What a user may do with keys, so that what is lacking can be named before a server refuses it.

use bytes::Bytes;

use super::selection::{Span, union, without};
use crate::client::{Access, Client, GetRole, GetUser, Permission};
use crate::error::{ErrorKind, Result};
use crate::types::{KeyRange, Namespace};

/// The role whose users may do everything.
const ROOT: &str = "root";

/// What the user of a client may do with keys, as its roles say.
///
/// ```no_run
/// # async fn example(client: etcd_ark::Client) -> etcd_ark::Result<()> {
/// use etcd_ark::{Access, KeyRange};
/// use etcd_ark::backup::Grants;
///
/// let grants = Grants::of(&client).await?;
/// for range in grants.lacking(Access::Write, &KeyRange::prefix("/app/")) {
///     println!("{:?} may not write {range}", grants.user());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Grants {
    user: Option<String>,
    namespace: Namespace,
    /// `None`: no limits are known.
    limits: Option<Limits>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Limits {
    read: Vec<Span>,
    write: Vec<Span>,
}

impl Grants {
    /// Asks the cluster for the user's roles, and for what they allow. Of a client without credentials no limits
    /// are known: its user, if there is one, stands in its certificate.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn of(client: &Client) -> Result<Self> {
        let Some(user) = client.user() else { return Ok(Self::default()) };
        let roles = client.send(GetUser::new(&user)).await?.roles;
        let mut permissions = Vec::new();
        for role in roles.iter().filter(|role| *role != ROOT) {
            permissions.extend(client.send(GetRole::new(role)).await?.permissions);
        }
        let limited = !roles.iter().any(|role| role == ROOT);
        let limits = limited.then(|| Limits::of(&permissions));
        Ok(Self { user: Some(user), namespace: client.current_namespace().clone(), limits })
    }

    /// As [`Grants::of`]; no limits are known if the cluster does not tell.
    pub(super) async fn known(client: &Client) -> Self {
        Self::of(client).await.unwrap_or_default()
    }

    /// The user; `None` if none is known.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Which parts of the range the user lacks this right to. Parts are the cluster's: with the client's
    /// [namespace](Client::namespace).
    #[must_use]
    pub fn lacking(&self, access: Access, range: &KeyRange) -> Vec<KeyRange> {
        let Some(limits) = &self.limits else { return Vec::new() };
        let wanted = union(std::slice::from_ref(&self.namespace.range(range)));
        let read = matches!(access, Access::Read | Access::ReadWrite).then_some(&limits.read);
        let write = matches!(access, Access::Write | Access::ReadWrite).then_some(&limits.write);
        let rights = read.into_iter().chain(write);
        let lacking: Vec<_> =
            rights.flat_map(|granted| without(wanted.clone(), granted)).map(|span| span.to_range()).collect();
        union(&lacking).iter().map(Span::to_range).collect()
    }

    /// Whether the user may write the key.
    pub(super) fn may_write(&self, key: &Bytes) -> bool {
        let Some(limits) = &self.limits else { return true };
        let key = self.namespace.key(key);
        limits.write.iter().any(|span| span.holds(&key))
    }
}

impl Limits {
    fn of(permissions: &[Permission]) -> Self {
        let granted = |access: Access| {
            let granted = |permission: &&Permission| {
                permission.access == access || permission.access == Access::ReadWrite
            };
            let ranges: Vec<_> =
                permissions.iter().filter(granted).map(|granted| granted.range.clone()).collect();
            union(&ranges)
        };
        Self { read: granted(Access::Read), write: granted(Access::Write) }
    }
}

/// The outcome; a refusal for want of a right to read the range with the right that is missing.
pub(super) async fn explained<T>(outcome: Result<T>, client: &Client, range: &KeyRange) -> Result<T> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let grants = Grants::known(client).await;
            let lacking = grants.lacking(Access::Read, range);
            let first = lacking.first().unwrap_or(range);
            let user = grants.user().map(|user| format!(" {user}")).unwrap_or_default();
            Err(error.context(format!("user{user} needs a role with read permission on {first}")))
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(permissions: &[(Access, &str)]) -> Grants {
        let permission = |(access, prefix): &(Access, &str)| {
            Permission::new(*access, KeyRange::prefix(prefix.to_string()))
        };
        let permissions: Vec<_> = permissions.iter().map(permission).collect();
        Grants { user: Some("app".into()), limits: Some(Limits::of(&permissions)), ..Grants::default() }
    }

    #[test]
    fn what_roles_allow_adds_up_and_the_rest_is_named() {
        let grants = grants(&[(Access::ReadWrite, "a/"), (Access::Read, "a0"), (Access::Write, "c/")]);
        let prefix = |text: &'static str| KeyRange::prefix(text);
        assert_eq!(grants.lacking(Access::ReadWrite, &prefix("a/x")), []);
        assert_eq!(grants.lacking(Access::Read, &KeyRange::between("a/", "a1")), []);
        assert_eq!(
            grants.lacking(Access::Write, &KeyRange::between("a/", "a1")),
            [KeyRange::between("a0", "a1")]
        );
        assert_eq!(grants.lacking(Access::Read, &prefix("c/")), [KeyRange::between("c/", "c0")]);
        assert_eq!(grants.lacking(Access::Read, &prefix("")).len(), 2);
        assert!(grants.may_write(&"c/1".into()) && !grants.may_write(&"a0".into()));
        assert_eq!(Grants::default().lacking(Access::ReadWrite, &KeyRange::all()), []);
    }

    #[test]
    fn a_namespace_is_part_of_what_is_granted() {
        let grants =
            Grants { namespace: Namespace::default().inner(b"a/"), ..grants(&[(Access::ReadWrite, "a/x")]) };
        assert!(grants.may_write(&"x1".into()) && !grants.may_write(&"y".into()));
        assert_eq!(grants.lacking(Access::Write, &KeyRange::prefix("x")), []);
    }
}
