use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender, WeakUnboundedSender};
use tokio::time::sleep_until;

use super::line::{Line, Report};
use super::rota::{Answer, Order, Rota, StreamId};
use super::tenure::{Start, Tenure};
use crate::client::Client;
use crate::error::ErrorKind;
use crate::net::{Token, Transport};
use crate::pb::etcdserverpb::LeaseKeepAliveResponse;
use crate::types::LeaseId;
use crate::util::lock;

/// The way to a client's hub, the task that renews all its leases. There is one exactly while leases are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Hub(Arc<Mutex<Option<WeakUnboundedSender<Command>>>>);

#[derive(Debug)]
enum Command {
    Keep { id: LeaseId, start: Start, tenure: Arc<Tenure> },
    Forget { id: LeaseId, tenure: Arc<Tenure> },
}

/// A lease that is renewed until this is dropped.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: LeaseId,
    pub(super) tenure: Arc<Tenure>,
    commands: UnboundedSender<Command>,
}

impl Hub {
    /// Renews a lease from now on.
    pub(super) fn keep(&self, client: &Client, id: LeaseId, start: Start) -> Kept {
        let (commands, tenure) = (self.commands(client), Tenure::new(start));
        // Fails only with a runtime that shuts down, which no lease outlives.
        let _ = commands.send(Command::Keep { id, start, tenure: Arc::clone(&tenure) });
        Kept { id, tenure, commands }
    }

    fn commands(&self, client: &Client) -> UnboundedSender<Command> {
        let mut running = lock(&self.0);
        let open = running.as_ref().and_then(WeakUnboundedSender::upgrade);
        open.filter(|commands| !commands.is_closed()).unwrap_or_else(|| {
            let (commands, queue) = mpsc::unbounded_channel();
            tokio::spawn(Renewing::new(Arc::clone(client.transport())).run(queue));
            *running = Some(commands.downgrade());
            commands
        })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Forget { id: self.id, tenure: Arc::clone(&self.tenure) });
    }
}

/// What the hub's task works with.
struct Renewing {
    transport: Arc<Transport>,
    rota: Rota,
    tenures: HashMap<LeaseId, Vec<Arc<Tenure>>>,
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
        let open = || Line::open(stream, Arc::clone(&self.transport), self.refused.clone(), tell.clone());
        self.lines.entry(stream).or_insert_with(open)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Keep { id, start, tenure } => {
                self.rota.keep(id, start);
                self.tenures.entry(id).or_default().push(tenure);
            }
            Command::Forget { id, tenure } => self.forget(id, &tenure),
        }
    }

    fn forget(&mut self, id: LeaseId, tenure: &Arc<Tenure>) {
        let Some(tenures) = self.tenures.get_mut(&id) else { return };
        tenures.retain(|other| !Arc::ptr_eq(other, tenure));
        if tenures.is_empty() {
            self.tenures.remove(&id);
            self.rota.forget(id);
        }
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Answered { stream, answer } => self.answered(stream, &answer),
            Report::Ended { stream, failure, token } => {
                self.lines.remove(&stream);
                if failure.kind() == ErrorKind::Auth {
                    self.refused = token.or(self.refused.take());
                }
                let asked = self.rota.ended(stream, Instant::now());
                // The server does one at a time: a final answer is about the first.
                let about = if failure.is_retryable() { asked.len() } else { 1 };
                let failure = Arc::new(failure);
                for tenure in asked.iter().take(about).filter_map(|id| self.tenures.get(id)).flatten() {
                    tenure.failed(&failure);
                }
            }
        }
    }

    fn answered(&mut self, stream: StreamId, answer: &LeaseKeepAliveResponse) {
        let id = LeaseId(answer.id);
        let ttl = Duration::from_secs(answer.ttl.try_into().unwrap_or_default());
        match self.rota.answered(stream, id, ttl) {
            Some(Answer::Renewed { asked, ttl }) => {
                self.tenures.get(&id).into_iter().flatten().for_each(|tenure| tenure.renewed(asked, ttl));
            }
            Some(Answer::Gone) => {
                self.tenures.remove(&id).into_iter().flatten().for_each(|tenure| tenure.gone());
            }
            None => {}
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => pending().await,
    }
}
