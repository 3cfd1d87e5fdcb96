use super::Member;
use crate::client::request::header;
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{DowngradeInfo, StatusRequest, StatusResponse};
use crate::types::{Header, MemberId};

pub(in crate::client) const STATUS: Rpc = Rpc::new("/etcdserverpb.Maintenance/Status");

impl Member {
    /// Asks the member how it is. Needs no quorum.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) or
    /// [`ErrorKind::Deadline`](crate::ErrorKind::Deadline) if the member can't be reached in time; with
    /// authentication on, [`ErrorKind::Auth`](crate::ErrorKind::Auth) for an unknown user, and on 3.4
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) for any but root.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; may be dropped at any time.
    pub async fn status(&self) -> Result<Status> {
        let timeout = self.transport().request_timeout();
        Status::from_wire(self.ask(STATUS, RetryClass::Read, &StatusRequest {}, timeout).await?)
    }
}

/// How a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The member itself, and its revision.
    pub header: Header,
    /// The version of its etcd, such as "3.5.1".
    pub version: String,
    /// The size of its database file, in bytes.
    pub db_size: u64,
    /// How much of that file is in use, in bytes.
    pub db_size_in_use: u64,
    /// The leader as this member sees it; `None` if it sees none.
    pub leader: Option<MemberId>,
    /// The index up to which its log is committed.
    pub raft_index: u64,
    /// The index up to which it has carried out the log.
    pub raft_applied_index: u64,
    /// Its raft term.
    pub raft_term: u64,
    /// What it complains about: alarms, a missing leader.
    pub errors: Vec<String>,
    /// Whether it only follows, without a vote.
    pub is_learner: bool,
    /// The version of its data's layout, such as "3.6.0"; `None` from servers before 3.6.
    pub storage_version: Option<String>,
    /// How large its database may become, in bytes; `None` from servers before 3.6.
    pub db_size_quota: Option<u64>,
    /// Whether the cluster is going back to an older version; `None` from servers before 3.6.
    pub downgrade: Option<StatusDowngrade>,
}

/// Whether the cluster is going back to an older version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusDowngrade {
    /// Whether it is.
    pub enabled: bool,
    /// To which; empty if it is not.
    pub target_version: String,
}

impl Status {
    fn from_wire(wire: StatusResponse) -> Result<Self> {
        Ok(Self {
            header: header(wire.header)?,
            version: wire.version,
            db_size: wire.db_size.try_into().unwrap_or_default(),
            db_size_in_use: wire.db_size_in_use.try_into().unwrap_or_default(),
            leader: (wire.leader != 0).then_some(MemberId(wire.leader)),
            raft_index: wire.raft_index,
            raft_applied_index: wire.raft_applied_index,
            raft_term: wire.raft_term,
            errors: wire.errors,
            is_learner: wire.is_learner,
            storage_version: Some(wire.storage_version).filter(|version| !version.is_empty()),
            db_size_quota: wire.db_size_quota.try_into().ok().filter(|&quota| quota > 0),
            downgrade: wire.downgrade_info.map(StatusDowngrade::from),
        })
    }
}

impl From<DowngradeInfo> for StatusDowngrade {
    fn from(wire: DowngradeInfo) -> Self {
        Self { enabled: wire.enabled, target_version: wire.target_version }
    }
}
