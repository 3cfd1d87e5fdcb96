use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::hub::Hub;
use super::session::{Reaction, Session};
use super::subscription::{Command, Subscription};
use crate::client::decode;
use crate::error::{Error, Result};
use crate::net::{Call, Duplex, RetryClass, Rpc, Target, Token, Transport};
use crate::pb::etcdserverpb::WatchRequest;
use crate::stream::backoff::Backoff;
use crate::util::random_fraction;

const WATCH: Rpc = Rpc::new("/etcdserverpb.Watch/Watch");
/// A stream that lasted this long did not fail at once.
const STEADY: Duration = Duration::from_secs(1);

/// Watches that share a stream, opened anew whenever it breaks.
#[derive(Debug)]
pub(super) struct Lane {
    number: u64,
    hub: Hub,
    transport: Arc<Transport>,
    commands: mpsc::UnboundedReceiver<Command>,
    watches: Vec<Arc<Subscription>>,
    /// The last token that a watch was refused for.
    refused: Option<Token>,
    backoff: Backoff,
}

/// Why a stream is at its end.
enum End {
    /// No watch needs it.
    Idle,
    /// Another is to be opened.
    Broken,
    /// Another would fail in the same way.
    Failed(Error),
}

impl Lane {
    pub(super) fn new(
        number: u64,
        hub: Hub,
        transport: Arc<Transport>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let backoff = Backoff::default();
        Self { number, hub, transport, commands, watches: Vec::new(), refused: None, backoff }
    }

    /// Serves until the last watch has left.
    pub(super) async fn run(mut self) {
        while self.has_work().await {
            match self.serve().await {
                End::Idle => {}
                End::Broken => sleep(self.backoff.pause(random_fraction())).await,
                End::Failed(error) => self.fail_all(&error),
            }
        }
    }

    /// Waits for a watch that needs a stream. `false` once there are none at all.
    async fn has_work(&mut self) -> bool {
        // What was not said on a stream needs no stream to take it back.
        let mut nowhere = Session::default();
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command, &mut nowhere);
        }
        while self.hub.is_open(self.number) {
            if self.watches.iter().any(|watch| watch.outlet.wants().is_some()) {
                return true;
            }
            let Some(command) = self.commands.recv().await else { return false };
            self.obey(command, &mut nowhere);
        }
        false
    }

    /// Opens a stream, creates the watches, and passes on what they bring.
    async fn serve(&mut self) -> End {
        let mut session = Session::default();
        self.watches.iter().for_each(|watch| session.create(watch));
        let creates = session.take_requests();
        let Some((first, rest)) = creates.split_first() else { return End::Idle };
        let mut stream = match self.open(first).await {
            Ok(stream) => stream,
            Err(error) => return ended_by(error),
        };
        let opened = Instant::now();
        send(&stream, rest);
        let end = self.attend(&mut stream, &mut session).await;
        if session.has_progressed() || opened.elapsed() > STEADY {
            self.backoff.reset();
        }
        end
    }

    async fn open(&self, first: &WatchRequest) -> Result<Duplex> {
        let deadline = Instant::now() + self.transport.request_timeout();
        let call = Call { rpc: WATCH, class: RetryClass::Read, target: Target::Any, deadline };
        self.transport.duplex(&call, encode(first), self.refused.as_ref()).await
    }

    async fn attend(&mut self, stream: &mut Duplex, session: &mut Session) -> End {
        while !session.is_idle() {
            tokio::select! {
                answer = stream.next() => match answer {
                    Ok(Some(answer)) => match self.receive(answer, stream, session) {
                        Ok(()) => {}
                        Err(end) => return end,
                    },
                    Ok(None) => return End::Broken,
                    Err(error) => return ended_by(error),
                },
                Some(command) = self.commands.recv() => self.obey(command, session),
            }
            send(stream, &session.take_requests());
        }
        End::Idle
    }

    fn receive(&mut self, answer: Bytes, stream: &Duplex, session: &mut Session) -> Result<(), End> {
        match session.receive(decode(answer).map_err(End::Failed)?) {
            Reaction::None => {}
            Reaction::Fail(watch, error) => self.fail(&watch, error),
            Reaction::Refused(watch, error) => return self.renew(stream, &watch, error),
            Reaction::Reopen => return Err(End::Broken),
        }
        Ok(())
    }

    /// A stream keeps the token that it was opened with: all its watches move to one with another token, if
    /// that may help.
    fn renew(&mut self, stream: &Duplex, watch: &Arc<Subscription>, error: Error) -> Result<(), End> {
        if stream.token().is_none() || !watch.may_try_another_token(error.kind()) {
            self.fail(watch, error);
            return Ok(());
        }
        self.refused = stream.token().cloned();
        Err(End::Broken)
    }

    fn obey(&mut self, command: Command, session: &mut Session) {
        match command {
            Command::Join(watch) if watch.outlet.is_open() => {
                session.create(&watch);
                self.watches.push(watch);
            }
            Command::Join(_) => self.hub.left(self.number),
            Command::Drained(watch) => session.create(&watch),
            Command::Leave(watch) => {
                session.cancel(&watch);
                self.forget(&watch);
            }
        }
    }

    fn fail(&mut self, watch: &Arc<Subscription>, error: Error) {
        watch.outlet.fail(error);
        self.forget(watch);
    }

    fn fail_all(&mut self, error: &Error) {
        for watch in std::mem::take(&mut self.watches) {
            watch.outlet.fail(Error::new(error.kind(), error.to_string()));
            self.hub.left(self.number);
        }
    }

    /// One that has failed is forgotten before its consumer leaves.
    fn forget(&mut self, watch: &Arc<Subscription>) {
        let known = self.watches.iter().position(|known| Arc::ptr_eq(known, watch));
        if let Some(position) = known {
            self.watches.swap_remove(position);
            self.hub.left(self.number);
        }
    }
}

fn ended_by(error: Error) -> End {
    if error.is_retryable() { End::Broken } else { End::Failed(error) }
}

fn send(stream: &Duplex, requests: &[WatchRequest]) {
    requests.iter().for_each(|request| stream.send(encode(request)));
}

fn encode(request: &WatchRequest) -> Bytes {
    request.encode_to_vec().into()
}
