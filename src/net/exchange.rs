//! What goes over a connection: one request and its answer, a stream of answers, a stream both ways,
//! and the question whether the member is well.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::ready;
use futures_util::stream::{once, poll_fn};
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::timeout_at;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::{Request, Streaming};

use super::codec::{RawCodec, Rpc};
use super::connection::{Connection, Link};
use super::duplex::Ends;
use super::failure::Failure;
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
        let exchange = async {
            let mut grpc = self.grpc().await?;
            let mut request = request(message, token);
            // The server stops working on what nobody waits for any more.
            request.set_timeout(whole_millis(deadline.saturating_duration_since(Instant::now())));
            Ok(grpc.unary(request, rpc.path(), RawCodec).await?.into_inner())
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
    ) -> Result<Streaming<Bytes>, Failure> {
        let opening = async {
            let mut grpc = self.grpc().await?;
            Ok(grpc.server_streaming(request(message, token), rpc.path(), RawCodec).await?.into_inner())
        };
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
        let opening = async {
            let mut grpc = self.grpc().await?;
            let (requests, mut queue) = mpsc::unbounded_channel();
            let rest = poll_fn(move |context| queue.poll_recv(context));
            let mut request = request(once(ready(first)).chain(rest), token);
            request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
            let answers = grpc.streaming(request, rpc.path(), RawCodec).await?.into_inner();
            Ok(Ends { requests, answers })
        };
        timeout_at(deadline.into(), opening).await.unwrap_or(Err(Failure::TimedOut))
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
        if matches!(outcome, Err(Failure::TimedOut)) {
            // Perhaps the connection is dead and the member is not.
            self.replace_link();
        }
        let well = shows_health(&outcome);
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

    async fn grpc(&self) -> Result<Grpc<Link>, Failure> {
        let link = self.link().await?;
        Ok(Grpc::new(link).max_decoding_message_size(self.max_response_bytes()))
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

/// Rounded up. The same time limit then reads the same in every call, so that HPACK sends it as one
/// byte, where a new value each time would fill the header tables of both ends.
fn whole_millis(left: Duration) -> Duration {
    let millis = left.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(millis.try_into().unwrap_or(u64::MAX))
}

/// A linearizable count of one key: no data, but the member has to reach a majority for it.
fn probe_message() -> Bytes {
    let request =
        RangeRequest { key: Bytes::from_static(b"\0"), count_only: true, ..RangeRequest::default() };
    request.encode_to_vec().into()
}

fn request<T>(body: T, token: Option<&Token>) -> Request<T> {
    let mut request = Request::new(body);
    // An empty token would be an invalid one: without one the header stays away.
    if let Some(value) = token.and_then(Token::value) {
        request.metadata_mut().insert("token", value.clone());
    }
    request
}
