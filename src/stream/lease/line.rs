use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::rota::StreamId;
use crate::client::decode;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Call, Connection, Duplex, RetryClass, Rpc, Target, Token, Transport};
use crate::pb::etcdserverpb::{LeaseKeepAliveRequest, LeaseKeepAliveResponse};
use crate::types::LeaseId;

const KEEP_ALIVE: Rpc = Rpc::new("/etcdserverpb.Lease/LeaseKeepAlive");

/// What a stream tells the hub.
#[derive(Debug)]
pub(super) enum Report {
    Answered { stream: StreamId, answer: LeaseKeepAliveResponse },
    Ended { stream: StreamId, failure: Error, token: Option<Token> },
}

/// One stream of renewals. Dropped, it is closed.
#[derive(Debug)]
pub(super) struct Line {
    asks: mpsc::UnboundedSender<LeaseId>,
    task: AbortHandle,
    member: Arc<OnceLock<Arc<Connection>>>,
}

impl Line {
    /// A stream that is opened with the first renewal asked of it, at another member than the `avoided` if
    /// there is one. A `refused` token is not used.
    pub(super) fn open(
        stream: StreamId,
        transport: Arc<Transport>,
        avoided: Option<Arc<Connection>>,
        refused: Option<Token>,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Self {
        let (asks, queue) = mpsc::unbounded_channel();
        let target = avoided.map_or(Target::Any, Target::Elsewhere);
        let member = Arc::<OnceLock<_>>::default();
        let reached = Arc::clone(&member);
        let task = tokio::spawn(async move {
            let mut carrier = Carrier { stream, queue, owed: 0, reports };
            let (failure, token) = match carrier.opened(&transport, target, refused).await {
                Ok(mut duplex) => {
                    reached.get_or_init(|| Arc::clone(duplex.member()));
                    (carrier.carry(&mut duplex).await, duplex.token().cloned())
                }
                Err(failure) => (failure, None),
            };
            carrier.report(Report::Ended { stream, failure, token });
        });
        Self { asks, task: task.abort_handle(), member }
    }

    /// Who renews, once the stream is open.
    pub(super) fn member(&self) -> Option<Arc<Connection>> {
        self.member.get().cloned()
    }

    /// Asks for a renewal. On a stream that has ended it goes nowhere: a report tells of the end.
    pub(super) fn ask(&self, id: LeaseId) {
        let _ = self.asks.send(id);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task's side of a [`Line`].
struct Carrier {
    stream: StreamId,
    queue: mpsc::UnboundedReceiver<LeaseId>,
    /// How many answers the server owes.
    owed: usize,
    reports: mpsc::UnboundedSender<Report>,
}

impl Carrier {
    async fn opened(
        &mut self,
        transport: &Transport,
        target: Target,
        refused: Option<Token>,
    ) -> Result<Duplex> {
        let Some(first) = self.queue.recv().await else { return Err(unused()) };
        self.owed = 1;
        let deadline = Instant::now() + transport.request_timeout();
        let call = Call { rpc: KEEP_ALIVE, class: RetryClass::Read, target, deadline };
        transport.duplex(&call, message(first), refused.as_ref()).await
    }

    /// Until the stream ends; why it did. An idle stream is not listened to: nobody needs to know how it is.
    async fn carry(&mut self, duplex: &mut Duplex) -> Error {
        loop {
            tokio::select! {
                asked = self.queue.recv() => match asked {
                    Some(id) => self.ask(duplex, id),
                    None => return unused(),
                },
                answer = duplex.next(), if self.owed > 0 => match answer.and_then(understood) {
                    Ok(answer) => self.answered(answer),
                    Err(failure) => return failure,
                },
            }
        }
    }

    fn ask(&mut self, duplex: &mut Duplex, id: LeaseId) {
        if self.owed == 0 {
            duplex.forgive_silence();
        }
        self.owed += 1;
        duplex.send(message(id));
    }

    fn answered(&mut self, answer: LeaseKeepAliveResponse) {
        self.owed = self.owed.saturating_sub(1);
        self.report(Report::Answered { stream: self.stream, answer });
    }

    fn report(&self, report: Report) {
        // The hub may be gone, and the leases with it.
        let _ = self.reports.send(report);
    }
}

fn message(id: LeaseId) -> Bytes {
    LeaseKeepAliveRequest { id: id.0 }.encode_to_vec().into()
}

fn understood(answer: Option<Bytes>) -> Result<LeaseKeepAliveResponse> {
    decode(
        answer
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, "the server ended the stream of renewals"))?,
    )
}

fn unused() -> Error {
    Error::new(ErrorKind::Unavailable, "nothing is asked of the stream any more")
}
