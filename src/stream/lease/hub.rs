use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender, WeakUnboundedSender};
use tokio::time::sleep_until;

use super::line::{Line, Report};
use super::rota::{Answer, KeeperId, Order, Rota, StreamId};
use super::tenure::{Start, Tenure};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::net::{Token, Transport};
use crate::pb::etcdserverpb::LeaseKeepAliveResponse;
use crate::types::LeaseId;
use crate::util::lock;

/// The way to a client's hub, the task that renews all its leases. There is one exactly while leases are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Hub(Arc<Mutex<Desk>>);

#[derive(Debug, Default)]
struct Desk {
    running: Option<WeakUnboundedSender<Command>>,
    /// Counts the keepers.
    keepers: u64,
}

#[derive(Debug)]
enum Command {
    Keep { id: KeeperId, start: Start, tenure: Arc<Tenure> },
    Forget(KeeperId),
}

/// A lease that is renewed until this is dropped.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: KeeperId,
    pub(super) tenure: Arc<Tenure>,
    commands: UnboundedSender<Command>,
}

impl Hub {
    /// Renews a lease from now on.
    pub(super) fn keep(&self, client: &Client, lease: LeaseId, start: Start) -> Kept {
        let mut desk = lock(&self.0);
        desk.keepers += 1;
        let id = KeeperId { lease, number: desk.keepers };
        let (commands, tenure) = (desk.commands(client), Tenure::new(start));
        // Fails only with a runtime that shuts down, which no lease outlives.
        let _ = commands.send(Command::Keep { id, start, tenure: Arc::clone(&tenure) });
        Kept { id, tenure, commands }
    }
}

impl Desk {
    fn commands(&mut self, client: &Client) -> UnboundedSender<Command> {
        let open = self.running.as_ref().and_then(WeakUnboundedSender::upgrade);
        open.filter(|commands| !commands.is_closed()).unwrap_or_else(|| {
            let (commands, queue) = mpsc::unbounded_channel();
            tokio::spawn(Renewing::new(Arc::clone(client.transport())).run(queue));
            self.running = Some(commands.downgrade());
            commands
        })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Forget(self.id));
    }
}

/// What the hub's task works with.
struct Renewing {
    transport: Arc<Transport>,
    rota: Rota,
    tenures: HashMap<KeeperId, Arc<Tenure>>,
    lines: HashMap<StreamId, Line>,
    refused: Option<Token>,
}

impl Renewing {
    fn new(transport: Arc<Transport>) -> Self {
        let (rota, refused) = (Rota::default(), None);
        Self { transport, rota, tenures: HashMap::new(), lines: HashMap::new(), refused }
    }

    /// Until nobody keeps a lease.
    async fn run(mut self, mut commands: UnboundedReceiver<Command>) {
        let (tell, mut reports) = mpsc::unbounded_channel();
        loop {
            self.carry_out(&tell);
            let wake_at = self.rota.wake_at();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                Some(report) = reports.recv() => self.take(report),
                () = until(wake_at) => {}
            }
        }
    }

    fn carry_out(&mut self, tell: &UnboundedSender<Report>) {
        for order in self.rota.orders(Instant::now()) {
            match order {
                Order::Renew(stream, id) => self.line(stream, tell).ask(id),
                Order::Close(stream) => drop(self.lines.remove(&stream)),
                Order::Lapsed(id) => drop(self.tenures.remove(&id)),
            }
        }
    }

    fn line(&mut self, stream: StreamId, tell: &UnboundedSender<Report>) -> &Line {
        let hung = self.rota.replaced_by(stream).and_then(|hung| self.lines.get(&hung));
        let avoided = hung.and_then(Line::member);
        let open =
            || Line::open(stream, Arc::clone(&self.transport), avoided, self.refused.clone(), tell.clone());
        self.lines.entry(stream).or_insert_with(open)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Keep { id, start, tenure } => {
                self.rota.keep(id, start);
                self.tenures.insert(id, tenure);
            }
            Command::Forget(id) => {
                self.rota.forget(id);
                self.tenures.remove(&id);
            }
        }
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Answered { stream, answer } => self.answered(stream, &answer),
            Report::Ended { stream, failure, token } => {
                self.lines.remove(&stream);
                self.ended(stream, failure, token);
            }
        }
    }

    fn ended(&mut self, stream: StreamId, failure: Error, token: Option<Token>) {
        let (now, unknown_user) = (Instant::now(), failure.kind() == ErrorKind::Auth);
        let asked = self.rota.ended(stream, now);
        if unknown_user {
            self.refused = token.or(self.refused.take());
            // Another stream would fare no better, and each attempt costs the server a password hash.
            self.rota.pause(&asked, now);
        }
        // The server does one at a time: any other final answer is about the first.
        let about = if unknown_user || failure.is_retryable() { asked.len() } else { 1 };
        let failure = Arc::new(failure);
        for tenure in asked.iter().take(about).filter_map(|id| self.tenures.get(id)) {
            tenure.failed(&failure);
        }
    }

    fn answered(&mut self, stream: StreamId, answer: &LeaseKeepAliveResponse) {
        let ttl = Duration::from_secs(answer.ttl.try_into().unwrap_or_default());
        let Some((id, answer)) = self.rota.answered(stream, LeaseId(answer.id), ttl) else { return };
        match answer {
            Answer::Renewed { asked, ttl } => {
                self.tenures.get(&id).inspect(|tenure| tenure.renewed(asked, ttl));
            }
            Answer::Gone => {
                self.tenures.remove(&id).inspect(|tenure| tenure.gone());
            }
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => pending().await,
    }
}
