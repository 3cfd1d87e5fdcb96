//! One part of the range, and what becomes of it.

use std::mem;

use super::guess::{Guess, Step};
use crate::types::{Header, KeyValue};

/// The keys from `start` up to `end`; `None` is the end of all keys.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) start: Vec<u8>,
    pub(super) end: Option<Vec<u8>>,
    /// How many keys it holds, once that is known.
    pub(super) count: Option<u64>,
    /// How many keys there are from its start to the far end, once that is known.
    pub(super) left: Option<u64>,
    pub(super) state: State,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    Unread,
    Asked(Asked),
    Read(Read),
}

/// A request under way.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: u64,
    /// Why the stretch ends where it does, if its end is a guess.
    pub(super) guess: Option<Guess>,
    /// How many keys are expected.
    pub(super) expected: f64,
    /// Whether keys have come.
    pub(super) answered: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) keys: Option<Keys>,
    pub(super) visit: Option<u64>,
    pub(super) end: Option<End>,
}

/// What an answer brought.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) header: Header,
    pub(crate) kvs: Vec<KeyValue>,
}

/// What it means that a stretch ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    /// All before is read.
    Reached,
    /// There was nothing.
    InVain(Step),
}

impl Stretch {
    pub(super) fn is_unread(&self) -> bool {
        matches!(self.state, State::Unread)
    }

    /// Whether it was asked for on a guess and held nothing.
    pub(super) fn was_in_vain(&self) -> bool {
        matches!(&self.state, State::Read(read) if matches!(read.end, Some(End::InVain(_))))
    }

    pub(super) fn expected(&self) -> f64 {
        match (&self.state, self.count) {
            (_, Some(count)) => count as f64,
            (State::Asked(asked), None) => asked.expected,
            _ => 0.0,
        }
    }

    pub(super) fn shrink(&mut self, taken: u64) {
        if let State::Asked(asked) = &mut self.state {
            asked.answered = true;
            asked.expected = (asked.expected - taken as f64).max(0.0);
        }
    }

    /// Ends what was asked for, of which so many keys were not sent.
    pub(super) fn close(&mut self, count: u64) {
        let State::Asked(asked) = mem::replace(&mut self.state, State::Unread) else { return };
        if count > 0 {
            return;
        }
        let end = match asked.guess {
            Some(guess) if !asked.answered => End::InVain(guess.step),
            _ => End::Reached,
        };
        let visit = (!asked.answered).then_some(0);
        self.state = State::Read(Read { keys: None, visit, end: Some(end) });
    }

    /// What is known to be empty need not be asked for.
    pub(super) fn close_if_empty(&mut self) {
        if self.is_unread() && self.count == Some(0) {
            self.state = State::Read(Read { keys: None, visit: None, end: Some(End::Reached) });
        }
    }
}
