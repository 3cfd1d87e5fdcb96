//! Which ranges a scan asks for next. Pure: counts and keys in, ranges out.

mod cost;
mod guess;
mod level;
mod place;
mod row;
mod stretch;
mod trail;

use std::borrow::Cow;

use self::cost::ROUND_TRIP;
use self::guess::{Guess, Left, Step};
pub(super) use self::row::Contradiction;
use self::row::Row;
pub(super) use self::stretch::Keys;
use self::stretch::{Asked, End, Read, State, Stretch};
use self::trail::Trail;

/// How many keys a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageSize {
    /// As wished.
    pub(super) keys: u64,
    /// Where that saves work.
    pub(super) most: u64,
}

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) page: PageSize,
    /// Whether answers are whole: no limit cuts them, and counting costs nothing.
    pub(super) whole: bool,
    /// Whether more is to be asked for before all earlier answers are there.
    pub(super) ahead: bool,
}

/// A range to ask for, up to `end`; `None` is the end of all keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) id: u64,
    pub(super) start: Vec<u8>,
    pub(super) end: Option<Vec<u8>>,
    pub(super) limit: u64,
}

/// Reads a large range as small ones.
///
/// To count what it holds, a server visits every index entry of the range that it is asked for,
/// however few keys the limit leaves: pages towards one far end cost the square of what they read. So
/// only the first page asks for the far end. The later ones ask for ends that the keys so far suggest,
/// and each count, exact as it is, tells how many keys are left before that end.
///
/// What lies behind such an end can be asked for before the answer is there. Answers may come in any order;
/// what is learned from keys is learned in theirs.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    row: Row,
    /// How many requests there were.
    asked: u64,
    trail: Trail,
    in_vain: Option<Step>,
    /// How much cheaper the scan was so far than pages towards the far end.
    saved: f64,
}

impl Plan {
    /// Reads from `start` to `end`.
    pub(super) fn new(start: Vec<u8>, end: Option<Vec<u8>>) -> Self {
        let row = Row::new(start, end);
        Self { row, asked: 0, trail: Trail::new(), in_vain: None, saved: 0.0 }
    }

    /// Whether all is read.
    pub(super) fn is_over(&self) -> bool {
        self.row.front().is_none()
    }

    /// How many keys were not handed out; `None` before the first answer.
    pub(super) fn left(&self) -> Option<u64> {
        self.row.front().map_or(Some(0), |front| front.left)
    }

    /// Whether the keys that come next are not asked for.
    pub(super) fn waits(&self) -> bool {
        self.row.front().is_some_and(Stretch::is_unread)
    }

    /// How many stretches come before the one that was asked for.
    pub(super) fn place(&self, id: u64) -> Option<usize> {
        self.row.index_of(id)
    }

    /// What to ask for next, as far in front as possible; `None` if there is nothing, or nothing yet.
    pub(super) fn ask(&mut self, wish: Wish) -> Option<Ask> {
        let mut trail = Cow::Borrowed(&self.trail);
        let mut found = None;
        for (index, stretch) in self.row.stretches().enumerate() {
            found = self.aim(index, stretch, &trail, wish).map(|aim| (index, aim));
            if found.is_some() || !wish.ahead || self.in_vain.is_some() || stretch.was_in_vain() {
                break;
            }
            if let Some(end) = &stretch.end {
                trail.to_mut().skip(end);
            }
        }
        let (index, aim) = found?;
        Some(self.note(index, aim))
    }

    fn note(&mut self, index: usize, aim: Aim) -> Ask {
        let id = self.asked;
        self.asked += 1;
        self.row.ask(index, Asked { id, guess: aim.guess, expected: aim.expected, answered: false });
        let (start, end) = self.row.bounds(index);
        Ask { id, start, end, limit: aim.limit }
    }

    /// How to ask for an unread stretch. Where earlier answers are missing, only what is fairly sure.
    fn aim(&self, index: usize, stretch: &Stretch, trail: &Trail, wish: Wish) -> Option<Aim> {
        let most = wish.page.most;
        if !stretch.is_unread() {
            return None;
        }
        if self.left().is_none() {
            return Some(Aim { guess: None, expected: 0.0, limit: most });
        }
        let left = stretch.count.map_or_else(|| self.row.estimate(index), |count| count as f64);
        let guess = self.guess(stretch, left, trail, wish);
        let is_sure = match (&guess, stretch.count) {
            (Some(guess), _) => guess.sure && guess.keys > wish.page.keys as f64 / 2.0,
            (None, Some(count)) => count <= FEW_PAGES * most,
            (None, None) => left <= most as f64 && left > wish.page.keys as f64 / 2.0,
        };
        if index > 0 && !is_sure {
            return None;
        }
        Some(match guess {
            Some(guess) => Aim { expected: guess.keys, limit: most, guess: Some(guess) },
            None => {
                let limit = stretch.count.map_or(most, |count| even_page(count, most));
                Aim { guess: None, expected: left.min(limit as f64), limit }
            }
        })
    }

    /// An end nearer than that of the stretch, of which `left` keys are unread, if one is worth it.
    fn guess(&self, stretch: &Stretch, left: f64, trail: &Trail, wish: Wish) -> Option<Guess> {
        let most = wish.page.most as f64;
        if left <= most || (wish.whole && !wish.ahead) || !(wish.whole || self.can_afford_to_err(wish.page)) {
            return None;
        }
        let unread = Left { keys: left, start: &stretch.start, end: stretch.end.as_deref() };
        let guess = guess::cheapest(trail, unread, most, self.in_vain);
        guess.filter(|guess| wish.whole || guess.cost < cost::of_paging(left, most))
    }

    /// Whether the scan stays cheaper than pages towards the far end even if all guesses under way are in
    /// vain: by what was saved, and by part of what larger pages will save.
    fn can_afford_to_err(&self, page: PageSize) -> bool {
        let left = self.left().unwrap_or_default() as f64;
        let guesses = 2.0 + self.row.asked() as f64;
        self.saved + left * left / page.keys as f64 / 8.0 > guesses * ROUND_TRIP
    }

    /// Takes an answer: the first keys of the range that was asked for, and how many it holds.
    pub(super) fn answered(&mut self, id: u64, keys: Keys, count: u64) -> Result<(), Contradiction> {
        let rest = count.checked_sub(keys.kvs.len() as u64).ok_or(Contradiction)?;
        self.row.took(id, keys, count)?;
        self.row.leaves(id, rest)
    }

    /// Takes a part of an answer that comes in parts.
    pub(super) fn took(&mut self, id: u64, keys: Keys) -> Result<(), Contradiction> {
        let visit = keys.kvs.len() as u64;
        self.row.took(id, keys, visit)
    }

    /// Notes that the last part has come.
    pub(super) fn finished(&mut self, id: u64) -> Result<(), Contradiction> {
        self.row.leaves(id, 0)
    }

    /// Lets what is missing of an answer be asked for anew.
    pub(super) fn give_back(&mut self, id: u64) {
        self.row.give_back(id);
    }

    /// The next keys in order, if they are there, and how many were left before them.
    pub(super) fn hand_out(&mut self, page: PageSize) -> Option<(u64, Keys)> {
        while let Some(stretch) = self.row.pop_read() {
            let State::Read(read) = stretch.state else { continue };
            let left = stretch.left.unwrap_or_default();
            self.learn(&read, stretch.end.as_deref(), left, page);
            if let Some(keys) = read.keys {
                return Some((left, keys));
            }
        }
        None
    }

    fn learn(&mut self, read: &Read, end: Option<&[u8]>, left: u64, page: PageSize) {
        let kvs = read.keys.iter().flat_map(|keys| &keys.kvs);
        if let Some(visit) = read.visit {
            self.account(kvs.clone().count() as f64, visit as f64, left as f64, page);
        }
        for kv in kvs {
            self.trail.see(&kv.key);
            self.in_vain = None;
        }
        match (read.end, end) {
            (Some(End::InVain(step)), Some(end)) => self.learn_in_vain(step, end),
            (Some(End::Reached), Some(end)) => self.trail.reach(end),
            _ => {}
        }
    }

    /// Nothing was there. Behind the first part of a node, the depths below it are expected to be like those of its
    /// siblings; if what comes next is missing, too, that node may be.
    fn learn_in_vain(&mut self, step: Step, end: &[u8]) {
        let gone_into = self.in_vain.filter(|last| last.within && last.depth < step.depth);
        match gone_into {
            Some(_) => self.trail.turn_back(end),
            None if step.within => self.trail.reach(end),
            None => self.trail.pass(end, step.depth),
        }
        self.in_vain = Some(gone_into.map_or(step, |last| Step { within: false, ..last }));
    }

    fn account(&mut self, taken: f64, visit: f64, left: f64, page: PageSize) {
        let towards_far_end = taken / page.keys as f64 * (left - taken / 2.0 + ROUND_TRIP);
        self.saved += towards_far_end - visit - ROUND_TRIP;
    }
}

/// How a stretch is to be asked for.
struct Aim {
    guess: Option<Guess>,
    expected: f64,
    limit: u64,
}

/// So many pages may well be read towards one end.
const FEW_PAGES: u64 = 3;

/// The last pages before an end are of one size.
fn even_page(left: u64, most: u64) -> u64 {
    let pages = left.div_ceil(most);
    if pages <= FEW_PAGES { left.div_ceil(pages) } else { most }
}
