use std::fmt;

/// A point in the cluster's history: every change of the keyspace raises it by one.
///
/// An empty cluster is at revision 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

impl Revision {
    /// The revision right after this one: where a reader that has seen this one goes on.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! hexadecimal_id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            /// Hexadecimal without prefix, as etcd's own tools print it.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}

/// A lease. Ids are positive; etcd's 0 for "no lease" is `None` in this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

impl fmt::Display for LeaseId {
    /// Sixteen hexadecimal digits, as etcd's own tools print it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

hexadecimal_id! {
    /// A member of a cluster.
    MemberId, u64
}
hexadecimal_id! {
    /// A cluster. Two clusters share one only if they were started from the same initial configuration.
    ClusterId, u64
}

impl LeaseId {
    /// etcd's wire form: 0 is "no lease".
    pub(crate) fn from_wire(id: i64) -> Option<Self> {
        (id != 0).then_some(Self(id))
    }

    /// The reverse of [`LeaseId::from_wire`].
    pub(crate) fn to_wire(id: Option<Self>) -> i64 {
        id.map_or(0, |id| id.0)
    }
}
