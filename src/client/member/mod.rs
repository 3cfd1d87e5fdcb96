mod hash;
mod status;

use std::sync::Arc;
use std::time::Duration;

use prost::Message;

pub use hash::{HashKvResult, HashResult};
pub(super) use status::STATUS;
pub use status::{Status, StatusDowngrade};

use super::request::{Request, decode};
use super::{Client, deadline_in};
use crate::error::Result;
use crate::net::{Call, Connection, Endpoint, RetryClass, Rpc, Target, Transport};
use crate::pb::etcdserverpb::{DefragmentRequest, DefragmentResponse, MoveLeaderRequest, MoveLeaderResponse};
use crate::types::MemberId;

const DEFRAGMENT: Rpc = Rpc::new("/etcdserverpb.Maintenance/Defragment");
const MOVE_LEADER: Rpc = Rpc::new("/etcdserverpb.Maintenance/MoveLeader");

/// One member of the cluster: what is asked of it goes to no other.
#[derive(Clone, Debug)]
pub struct Member {
    client: Client,
    connection: Arc<Connection>,
}

impl Member {
    pub(super) fn new(client: Client, connection: Arc<Connection>) -> Self {
        Self { client, connection }
    }

    /// Where the member is reached.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.connection.endpoint()
    }

    pub(crate) fn transport(&self) -> &Arc<Transport> {
        self.client.transport()
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    fn target(&self) -> Target {
        Target::Exactly(Arc::clone(&self.connection))
    }

    /// As [`Client::send`], but to this member and no other: what it has, it says. A serializable read
    /// ([`Get::serializable`](crate::Get::serializable)) tells how far it has come, also from a learner or a
    /// member without its peers.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]. Tried again only at the same member.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::send`].
    pub async fn send<R: Request>(&self, request: R) -> Result<R::Response> {
        let timeout = self.transport().request_timeout();
        self.client.send_to(self.target(), request, timeout).await
    }

    /// Gives the space that compactions freed back to the member's disk.
    ///
    /// The member serves nobody meanwhile, so do one member after the other, the leader last; the client
    /// goes to the others. How long it takes grows with what is in use: there is no default for the
    /// timeout. If it passes, the member goes on all the same.
    ///
    /// # Errors
    ///
    /// As [`Member::status`]; [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) for any but
    /// root once authentication is on.
    ///
    /// # Cancel safety
    ///
    /// Dropped after it was sent, the member goes on all the same.
    pub async fn defragment(&self, timeout: Duration) -> Result<()> {
        let answer = self.ask(DEFRAGMENT, RetryClass::Once, &DefragmentRequest {}, timeout).await;
        answer.map(|DefragmentResponse { header: _ }| ())
    }

    /// Hands the lead to another member. This one must be the leader, see [`Status::leader`].
    ///
    /// # Errors
    ///
    /// As [`Member::status`]; [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) if this is not the leader or
    /// the other no voting member, [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) for any
    /// but root once authentication is on.
    ///
    /// # Cancel safety
    ///
    /// Dropped after it was sent, the lead may change or not.
    pub async fn move_leader(&self, to: MemberId) -> Result<()> {
        let message = MoveLeaderRequest { target_id: to.0 };
        let timeout = self.transport().request_timeout();
        let answer = self.ask(MOVE_LEADER, RetryClass::Once, &message, timeout).await;
        answer.map(|MoveLeaderResponse { header: _ }| ())
    }

    /// Asks this member and no other. The answers to changes hold nothing, not even a header.
    async fn ask<M: Message + Default>(
        &self,
        rpc: Rpc,
        class: RetryClass,
        message: &impl Message,
        timeout: Duration,
    ) -> Result<M> {
        let call = Call { rpc, class, target: self.target(), deadline: deadline_in(timeout) };
        decode(self.transport().unary(&call, message.encode_to_vec().into()).await?)
    }
}
