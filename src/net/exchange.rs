//! What goes over a connection: one request and its answer, a stream of answers, a stream both ways,
//! and the question whether the member is well.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request};
use prost::Message;
use tokio::time::timeout_at;

use super::connection::Connection;
use super::duplex::Ends;
use super::failure::Failure;
use super::link::Link;
use super::messages::Messages;
use super::rpc::{Rpc, time_limit};
use super::status::{self, Remedy};
use super::token::Token;
use crate::pb::etcdserverpb::RangeRequest;

const PROBE: Rpc = Rpc::new("/etcdserverpb.KV/Range");
/// How long a member may take to say that it is well.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

impl Connection {
    /// Dials if need be, sends, awaits the whole answer, all before the deadline.
    pub(super) async fn unary(
        &self,
        rpc: Rpc,
        message: Bytes,
        token: Option<&Token>,
        deadline: Instant,
    ) -> Result<Bytes, Failure> {
        let link = self.link_before(deadline).await?;
        let exchange = async {
            let mut head = head(rpc, &link, token)?;
            // The server stops working on what nobody waits for any more.
            let left = deadline.saturating_duration_since(Instant::now());
            head.headers_mut().insert("grpc-timeout", time_limit(left));
            link.request(head, message, self.max_response_bytes()).await?.only().await
        };
        timeout_at(deadline.into(), exchange).await.unwrap_or(Err(Failure::TimedOut))
    }

    /// Opens a stream of answers before the deadline; the stream itself may take longer.
    pub(super) async fn open(
        &self,
        rpc: Rpc,
        message: Bytes,
        token: Option<&Token>,
        deadline: Instant,
    ) -> Result<Messages, Failure> {
        let link = self.link_before(deadline).await?;
        let opening =
            async { link.request(head(rpc, &link, token)?, message, self.max_response_bytes()).await };
        timeout_at(deadline.into(), opening).await.unwrap_or(Err(Failure::TimedOut))
    }

    /// Opens a stream both ways before the deadline. A member that sees no leader, now or later, ends
    /// it: without one, a watch would be silent for ever.
    pub(super) async fn duplex(
        &self,
        rpc: Rpc,
        first: Bytes,
        token: Option<&Token>,
        deadline: Instant,
    ) -> Result<Ends, Failure> {
        let link = self.link_before(deadline).await?;
        let opening = async {
            let mut head = head(rpc, &link, token)?;
            head.headers_mut().insert("hasleader", HeaderValue::from_static("true"));
            let (requests, answers) = link.duplex(head, first, self.max_response_bytes()).await?;
            Ok(Ends { requests, answers })
        };
        timeout_at(deadline.into(), opening).await.unwrap_or(Err(Failure::TimedOut))
    }

    /// An open link; for what comes too late for one it is certain that nothing was sent.
    async fn link_before(&self, deadline: Instant) -> Result<Link, Failure> {
        timeout_at(deadline.into(), self.link()).await.unwrap_or(Err(Failure::NotConnected))
    }

    /// Whether the member answers, and reaches a majority. Callers who ask at the same time share
    /// the answer.
    pub(super) async fn is_well(&self) -> bool {
        let asked = Instant::now();
        let mut pulse = self.pulse().lock().await;
        if let Some((at, well)) = *pulse
            && at >= asked
        {
            return well;
        }
        let outcome = self.unary(PROBE, probe_message(), None, asked + PROBE_TIMEOUT).await;
        if matches!(outcome, Err(Failure::NotConnected | Failure::TimedOut)) {
            // Perhaps the connection is dead and the member is not.
            self.replace_link();
        }
        let well = shows_health(&outcome);
        if well {
            self.doubt_replaced_links();
        }
        *pulse = Some((Instant::now(), well));
        well
    }

    /// Whether the member answers at all; even an error is an answer.
    pub(crate) async fn answers(&self, rpc: Rpc, deadline: Instant) -> Result<(), Failure> {
        match self.unary(rpc, Bytes::new(), None, deadline).await {
            Err(Failure::Server { .. }) | Ok(_) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

fn shows_health(outcome: &Result<Bytes, Failure>) -> bool {
    match outcome {
        Ok(_) => true,
        // Whoever refuses an anonymous reader has reached the majority before.
        Err(Failure::Server { code, message }) => {
            matches!(status::classify(*code, message).1, Remedy::Final | Remedy::Reauthenticate)
        }
        Err(_) => false,
    }
}

/// A linearizable count of one key: no data, but the member has to reach a majority for it.
fn probe_message() -> Bytes {
    let request =
        RangeRequest { key: Bytes::from_static(b"\0"), count_only: true, ..RangeRequest::default() };
    request.encode_to_vec().into()
}

fn head(rpc: Rpc, link: &Link, token: Option<&Token>) -> Result<Request<()>, Failure> {
    rpc.head(link.origin(), token).map_err(|error| Failure::NotSent(error.to_string()))
}
