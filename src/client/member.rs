use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::request::{decode, header};
use crate::error::Result;
use crate::net::{Call, Connection, Endpoint, RetryClass, Rpc, Target, Transport};
use crate::pb::etcdserverpb::StatusResponse;
use crate::types::{Header, MemberId};

pub(super) const STATUS: Rpc = Rpc::new("/etcdserverpb.Maintenance/Status");

/// One member of the cluster: what is asked of it goes to no other.
#[derive(Clone, Debug)]
pub struct Member {
    transport: Arc<Transport>,
    connection: Arc<Connection>,
}

impl Member {
    pub(super) fn new(transport: Arc<Transport>, connection: Arc<Connection>) -> Self {
        Self { transport, connection }
    }

    /// Where the member is reached.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.connection.endpoint()
    }

    pub(crate) fn transport(&self) -> &Arc<Transport> {
        &self.transport
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

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
        let call = Call {
            rpc: STATUS,
            class: RetryClass::Read,
            target: Target::Exactly(Arc::clone(&self.connection)),
            deadline: Instant::now() + self.transport.request_timeout(),
        };
        let answer = self.transport.unary(&call, Bytes::new()).await?;
        Status::from_wire(decode(answer)?)
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
        })
    }
}
