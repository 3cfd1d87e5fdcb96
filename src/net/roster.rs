use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::connection::Connection;
use super::dialer::Dialer;
use super::endpoint::Endpoint;
use super::picker::Picker;
use crate::error::{Error, ErrorKind, Result};
use crate::util::{lock, random_fraction, random_u64};

/// How long a member may be silent before it is asked whether it is well.
const PATIENCE: Duration = Duration::from_millis(300);
/// The pause before an ejected member is probed for the first time; doubled each time.
const FIRST_PROBE_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PROBE_PAUSE: Duration = Duration::from_secs(3);

/// The members that requests are spread over.
#[derive(Debug)]
pub(crate) struct Roster {
    connections: Vec<Arc<Connection>>,
    picker: Mutex<Picker>,
    /// Wakes calls that pause because no member could serve them.
    readmitted: Notify,
    /// Wakes streams, which may have to leave.
    ejected: Notify,
    /// Whether there is another roster: whoever looks for a member finds it there.
    succeeded: AtomicBool,
}

impl Roster {
    /// The members at these endpoints, each once; `known` connections are taken over. Fails if there
    /// are none, or for one that can't be dialled.
    pub(super) fn of(
        mut endpoints: Vec<Endpoint>,
        known: &[Arc<Connection>],
        dialer: &Arc<Dialer>,
        max_response_bytes: usize,
    ) -> Result<Arc<Self>> {
        let mut seen = HashSet::new();
        endpoints.retain(|endpoint| seen.insert(endpoint.clone()));
        if endpoints.is_empty() {
            let message = "no endpoint given; give at least one, such as localhost:2379";
            return Err(Error::new(ErrorKind::Config, message));
        }
        let connection = |endpoint: Endpoint| match known.iter().find(|known| *known.endpoint() == endpoint) {
            Some(known) => Ok(Arc::clone(known)),
            None => Connection::new(endpoint, dialer, max_response_bytes).map(Arc::new),
        };
        let connections: Vec<_> = endpoints.into_iter().map(connection).collect::<Result<_>>()?;
        let first = usize::try_from(random_u64() >> 33).unwrap_or_default();
        let picker = Mutex::new(Picker::new(connections.len(), first));
        let (readmitted, ejected, succeeded) = (Notify::new(), Notify::new(), AtomicBool::new(false));
        Ok(Arc::new(Self { connections, picker, readmitted, ejected, succeeded }))
    }

    /// Whether the two have the same members, in any order.
    pub(super) fn has_members_of(&self, other: &Self) -> bool {
        self.connections.len() == other.connections.len()
            && self.connections.iter().all(|connection| other.number(connection).is_some())
    }

    /// The member's number, if it is one.
    pub(super) fn number(&self, member: &Arc<Connection>) -> Option<usize> {
        self.connections.iter().position(|connection| Arc::ptr_eq(connection, member))
    }

    /// Another takes its place. Streams at members that are not in that one have to leave.
    pub(super) fn succeeded_by(&self, other: &Self) {
        self.succeeded.store(true, Ordering::Relaxed);
        for (number, connection) in self.connections.iter().enumerate() {
            if other.number(connection).is_none() {
                self.picker().eject(number);
            }
        }
        self.ejected.notify_waiters();
        self.readmitted.notify_waiters();
    }

    fn any_serves(&self) -> bool {
        self.succeeded.load(Ordering::Relaxed) || self.picker().any_serves()
    }

    /// Whether any member answers and reaches a majority.
    pub(super) async fn has_well_member(&self) -> bool {
        let asked: FuturesUnordered<_> =
            self.connections.iter().map(|connection| connection.is_well()).collect();
        asked.any(|well| async move { well }).await
    }

    pub(crate) fn connections(&self) -> &[Arc<Connection>] {
        &self.connections
    }

    pub(super) fn picker(&self) -> MutexGuard<'_, Picker> {
        lock(&self.picker)
    }

    /// The picker's choice among the members that are not in `tried`.
    pub(super) fn seat(self: &Arc<Self>, tried: &[usize]) -> Seat<'_> {
        let began = Instant::now();
        let number = self.picker().pick(tried, began).unwrap_or_default();
        Seat { number, connection: &self.connections[number], roster: Some(self), began, answered: false }
    }

    /// Pauses, but not beyond the moment when a member can serve again.
    pub(super) async fn pause(&self, pause: Duration) {
        // It is all the same which of the two ends it.
        let _ = timeout(pause, self.readmitted.notified()).await;
    }

    /// Lets no further request go to the member until it is well again, if there are others.
    pub(super) fn eject(self: &Arc<Self>, member: usize) {
        if self.picker().eject(member) {
            self.ejected.notify_waiters();
            tokio::spawn(readmit_when_well(Arc::downgrade(self), member));
        }
    }

    /// Ends when the member is ejected.
    pub(super) async fn until_ejected(&self, member: usize) {
        loop {
            let ejected = self.ejected.notified();
            if self.picker().is_ejected(member) {
                return;
            }
            ejected.await;
        }
    }

    /// Ends when a member can take over that is not ejected: another, or the same over a new connection.
    pub(super) async fn until_any_serves(&self) {
        loop {
            let readmitted = self.readmitted.notified();
            if self.any_serves() {
                return;
            }
            readmitted.await;
        }
    }

    fn readmit(&self, member: usize) {
        self.picker().readmit(member);
        self.readmitted.notify_waiters();
    }
}

/// Probes an ejected member until it is well, or nobody is left to care.
async fn readmit_when_well(roster: Weak<Roster>, member: usize) {
    let mut pause = FIRST_PROBE_PAUSE;
    loop {
        sleep(pause.mul_f64(0.5 + random_fraction() / 2.0)).await;
        pause = (pause * 2).min(LONGEST_PROBE_PAUSE);
        let Some(roster) = roster.upgrade() else { return };
        if roster.connections[member].is_well().await {
            return roster.readmit(member);
        }
    }
}

/// The member that serves an attempt; counted as busy with it until dropped.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    number: usize,
    connection: &'a Connection,
    /// `None` for a call that could go nowhere else.
    roster: Option<&'a Arc<Roster>>,
    began: Instant,
    answered: bool,
}

impl<'a> Seat<'a> {
    /// For a call that is for this member alone.
    pub(super) fn reserved(connection: &'a Connection) -> Self {
        Self { number: 0, connection, roster: None, began: Instant::now(), answered: false }
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn connection(&self) -> &Connection {
        self.connection
    }

    /// The attempt went well.
    pub(super) fn answered(&mut self) {
        self.answered = true;
    }

    /// As [`Roster::eject`].
    pub(super) fn eject(&self) {
        if let Some(roster) = self.roster {
            roster.eject(self.number);
        }
    }

    /// Ends when the member, silent for a while, can't say that it is well; never for a call that is for
    /// this member alone. Asking has a connection found dead that others can replace.
    pub(super) async fn until_unwell(&self) {
        let mut pause = PATIENCE;
        loop {
            sleep(pause).await;
            let well = self.connection.is_well().await;
            match self.roster {
                Some(_) if !well => return,
                Some(_) => {}
                None => pause = (pause * 2).min(LONGEST_PROBE_PAUSE),
            }
        }
    }

    /// As [`Roster::until_any_serves`]; never for a call that is for this member alone.
    pub(super) async fn until_any_serves(&self) {
        match self.roster {
            Some(roster) => roster.until_any_serves().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(roster) = self.roster {
            let now = Instant::now();
            let took = self.answered.then(|| now - self.began);
            roster.picker().done(self.number, took, now);
        }
    }
}
