use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::lane::Lane;
use super::subscription::{Command, Subscription};
use crate::net::Transport;
use crate::util::lock;

/// How many watches share a stream. A server queues 128 responses a stream and has to read again from its
/// disk what goes beyond: a write that all of them see must fit.
const WATCHES_PER_LANE: usize = 100;

/// The lanes of a client. Each is a stream with a task of its own, which ends with its last watch.
#[derive(Clone, Debug, Default)]
pub(super) struct Hub(Arc<Mutex<Lanes>>);

#[derive(Debug, Default)]
struct Lanes {
    last: u64,
    open: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    lane: u64,
    watches: usize,
    commands: mpsc::UnboundedSender<Command>,
}

impl Hub {
    /// Gives a watch to a lane that has room, or to a new one.
    pub(super) fn join(&self, transport: &Arc<Transport>, watch: &Arc<Subscription>) {
        let mut lanes = lock(&self.0);
        if lanes.open.iter().all(|entry| entry.watches >= WATCHES_PER_LANE) {
            let entry = self.open(&mut lanes.last, transport);
            lanes.open.push(entry);
        }
        if let Some(entry) = lanes.open.iter_mut().find(|entry| entry.watches < WATCHES_PER_LANE) {
            entry.watches += 1;
            watch.join(&entry.commands);
        }
    }

    fn open(&self, last: &mut u64, transport: &Arc<Transport>) -> Entry {
        *last += 1;
        let (commands, queue) = mpsc::unbounded_channel();
        tokio::spawn(Lane::new(*last, self.clone(), Arc::clone(transport), queue).run());
        Entry { lane: *last, watches: 0, commands }
    }

    /// Notes that a lane has one watch fewer. Without any it is closed: none will join it.
    pub(super) fn left(&self, lane: u64) {
        let mut lanes = lock(&self.0);
        lanes.open.iter_mut().filter(|entry| entry.lane == lane).for_each(|entry| entry.watches -= 1);
        lanes.open.retain(|entry| entry.watches > 0);
    }

    pub(super) fn is_open(&self, lane: u64) -> bool {
        lock(&self.0).open.iter().any(|entry| entry.lane == lane)
    }
}
