//! Which range a scan asks for next. Pure: counts and keys in, ranges out.

mod cost;
mod guess;
mod level;
mod trail;

use self::cost::ROUND_TRIP;
use self::guess::{Guess, Left, Step};
use self::trail::Trail;

/// How many keys a page may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageSize {
    /// As wished.
    pub(super) keys: u64,
    /// Where that saves work.
    pub(super) most: u64,
}

/// A range to ask for, up to `end`; `None` is the end of all keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
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
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// From here on, everything is unread.
    start: Vec<u8>,
    /// How many keys are unread.
    left: u64,
    /// The ends that were asked for and how many keys are unread before each, nearer ones last.
    bounds: Vec<(Option<Vec<u8>>, u64)>,
    trail: Trail,
    asked: Option<Guess>,
    in_vain: Option<Step>,
    /// How much cheaper the scan was so far than pages towards the far end.
    saved: f64,
}

impl Plan {
    /// Reads from `start` to `end`, between which there are `count` keys.
    pub(super) fn new(start: Vec<u8>, end: Option<Vec<u8>>, count: u64) -> Self {
        let bounds = vec![(end, count)];
        Self { start, left: count, bounds, trail: Trail::default(), asked: None, in_vain: None, saved: 0.0 }
    }

    /// How many keys are unread.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// How many keys the range must hold that [`Plan::ask`] gave last; `None` if that is not known.
    pub(super) fn expected(&self) -> Option<u64> {
        match self.asked {
            None => self.bounds.last().map(|(_, left)| *left),
            Some(_) => None,
        }
    }

    /// What to ask for next; `None` once all is read.
    pub(super) fn ask(&mut self, page: PageSize) -> Option<Ask> {
        self.leave_finished_bounds();
        let (end, left) = self.bounds.last()?;
        self.asked = self.guess(end.as_deref(), *left, page);
        let (end, limit) = match &self.asked {
            Some(guess) => (Some(guess.end.clone()), page.most),
            None => (end.clone(), even_page(*left, page.most)),
        };
        Some(Ask { start: self.start.clone(), end, limit })
    }

    fn leave_finished_bounds(&mut self) {
        while let Some((end, _)) = self.bounds.pop_if(|(_, left)| *left == 0) {
            if let Some(end) = end {
                self.trail.reach(&end);
                self.start = end;
            }
        }
    }

    /// An end nearer than the one before which `left` keys are unread, if one is worth it.
    fn guess(&self, end: Option<&[u8]>, left: u64, page: PageSize) -> Option<Guess> {
        if left <= page.most || !self.can_afford_to_err(page) {
            return None;
        }
        let (keys, most) = (left as f64, page.most as f64);
        let left = Left { keys, start: &self.start, end };
        let guess = guess::cheapest(&self.trail, left, most, self.in_vain);
        guess.filter(|guess| guess.cost < cost::of_paging(keys, most))
    }

    /// Whether the scan stays cheaper than pages towards the far end even if a guess is in vain: by what
    /// was saved, and by part of what larger pages will save.
    fn can_afford_to_err(&self, page: PageSize) -> bool {
        let left = self.left as f64;
        self.saved + left * left / page.keys as f64 / 8.0 > 2.0 * ROUND_TRIP
    }

    /// Takes the answer: the first keys of the range that was asked for, and how many it holds, which are
    /// no more than are left.
    pub(super) fn answered<K: AsRef<[u8]>>(&mut self, keys: &[K], count: u64, page: PageSize) {
        let taken = keys.len() as u64;
        self.account(taken, count, page);
        for key in keys {
            self.trail.see(key.as_ref());
        }
        if let Some(last) = keys.last() {
            self.start = [last.as_ref(), b"\0"].concat();
            self.in_vain = None;
        }
        self.left -= taken;
        self.bounds.iter_mut().for_each(|(_, left)| *left -= taken);
        if let Some(guess) = self.asked.take() {
            self.narrow(guess, count - taken, count == 0);
        }
    }

    fn narrow(&mut self, guess: Guess, left: u64, in_vain: bool) {
        if left > 0 {
            return self.bounds.push((Some(guess.end), left));
        }
        if in_vain {
            self.trail.pass(&guess.end, guess.step.depth);
            self.in_vain = Some(guess.step);
        } else {
            self.trail.reach(&guess.end);
        }
        self.start = guess.end;
    }

    fn account(&mut self, taken: u64, count: u64, page: PageSize) {
        let (left, taken) = (self.left as f64, taken as f64);
        let towards_far_end = taken / page.keys as f64 * (left - taken / 2.0 + ROUND_TRIP);
        self.saved += towards_far_end - count as f64 - ROUND_TRIP;
    }
}

/// The last pages before an end are of one size.
fn even_page(left: u64, most: u64) -> u64 {
    let pages = left.div_ceil(most);
    if pages <= 3 { left.div_ceil(pages) } else { most }
}
