//! The range as stretches in order: what is read, what is asked for, what is not.

use std::collections::VecDeque;
use std::mem;

use super::stretch::{Asked, Keys, Read, State, Stretch};

/// Stretches side by side, from the first key that was not handed out to the far end.
#[derive(Clone, Debug)]
pub(super) struct Row(VecDeque<Stretch>);

/// Answers do not agree on how many keys there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contradiction;

impl Row {
    pub(super) fn new(start: Vec<u8>, end: Option<Vec<u8>>) -> Self {
        Self(VecDeque::from([Stretch { start, end, count: None, left: None, state: State::Unread }]))
    }

    pub(super) fn stretches(&self) -> impl ExactSizeIterator<Item = &Stretch> {
        self.0.iter()
    }

    pub(super) fn front(&self) -> Option<&Stretch> {
        self.0.front()
    }

    pub(super) fn bounds(&self, index: usize) -> (Vec<u8>, Option<Vec<u8>>) {
        let stretch = &self.0[index];
        (stretch.start.clone(), stretch.end.clone())
    }

    pub(super) fn asked(&self) -> usize {
        self.0.iter().filter(|stretch| matches!(stretch.state, State::Asked(_))).count()
    }

    /// Takes the first stretch out, if it is read.
    pub(super) fn pop_read(&mut self) -> Option<Stretch> {
        let is_read = matches!(self.0.front()?.state, State::Read(_));
        if is_read { self.0.pop_front() } else { None }
    }

    /// How many keys an unread stretch holds, going by what is expected of those beside it.
    pub(super) fn estimate(&self, index: usize) -> f64 {
        let from = (0..=index).rev().find(|&at| self.left(at).is_some()).unwrap_or_default();
        let to = (index + 1..self.0.len()).find(|&at| self.left(at).is_some()).unwrap_or(self.0.len());
        let within = self.left(from).unwrap_or_default().saturating_sub(self.left(to).unwrap_or_default());
        let others = self.0.range(from..to).enumerate().filter(|(at, _)| from + at != index);
        let expected: f64 = others.map(|(_, stretch)| stretch.expected()).sum();
        (within as f64 - expected).max(1.0)
    }

    /// How many keys there are from this stretch on; none behind the last.
    fn left(&self, index: usize) -> Option<u64> {
        self.0.get(index).map_or(Some(0), |stretch| stretch.left)
    }

    /// Notes that an unread stretch is asked for, up to the guess's end if there is one.
    pub(super) fn ask(&mut self, index: usize, asked: Asked) {
        let end = asked.guess.as_ref().map(|guess| guess.end.clone());
        let stretch = &mut self.0[index];
        stretch.state = State::Asked(asked);
        if let Some(end) = end {
            let behind = stretch.end.replace(end.clone());
            stretch.count = None;
            let rest = Stretch { start: end, end: behind, count: None, left: None, state: State::Unread };
            self.0.insert(index + 1, rest);
        }
    }

    /// Takes the first keys of what was asked for; `visit` is how many entries the server visited.
    pub(super) fn took(&mut self, id: u64, keys: Keys, visit: u64) -> Result<(), Contradiction> {
        let (Some(index), Some(last)) = (self.index_of(id), keys.kvs.last()) else { return Ok(()) };
        let (taken, behind) = (keys.kvs.len() as u64, [&last.key[..], b"\0"].concat());
        let stretch = &mut self.0[index];
        stretch.count = stretch.count.map(|count| less(count, taken)).transpose()?;
        stretch.shrink(taken);
        let read = Stretch {
            start: mem::replace(&mut stretch.start, behind.clone()),
            end: Some(behind),
            count: Some(taken),
            left: stretch.left.take(),
            state: State::Read(Read { keys: Some(keys), visit: Some(visit), end: None }),
        };
        self.0.insert(index, read);
        self.infer()
    }

    /// Notes how many keys of what was asked for are still to come.
    pub(super) fn leaves(&mut self, id: u64, count: u64) -> Result<(), Contradiction> {
        let Some(index) = self.index_of(id) else { return Ok(()) };
        let stretch = &mut self.0[index];
        if stretch.count.is_some_and(|known| known != count) {
            return Err(Contradiction);
        }
        stretch.count = Some(count);
        stretch.close(count);
        self.infer()
    }

    /// Notes that nobody reads on where this was asked for.
    pub(super) fn give_back(&mut self, id: u64) {
        if let Some(index) = self.index_of(id) {
            self.0[index].state = State::Unread;
        }
    }

    pub(super) fn index_of(&self, wanted: u64) -> Option<usize> {
        self.0.iter().position(|stretch| matches!(&stretch.state, State::Asked(asked) if asked.id == wanted))
    }

    /// Concludes from counts how many keys are left where, and from that further counts.
    fn infer(&mut self) -> Result<(), Contradiction> {
        for index in 0..self.0.len() {
            if let (Some(left), Some(count)) = (self.0[index].left, self.0[index].count) {
                self.learn_left(index + 1, less(left, count)?)?;
            }
        }
        for index in (0..self.0.len()).rev() {
            if let (Some(behind), Some(count)) = (self.left(index + 1), self.0[index].count) {
                self.learn_left(index, behind + count)?;
            }
        }
        self.infer_counts()
    }

    fn learn_left(&mut self, index: usize, left: u64) -> Result<(), Contradiction> {
        if self.left(index).is_some_and(|known| known != left) {
            return Err(Contradiction);
        }
        if let Some(stretch) = self.0.get_mut(index) {
            stretch.left = Some(left);
        }
        Ok(())
    }

    fn infer_counts(&mut self) -> Result<(), Contradiction> {
        let mut least = 0;
        for index in (0..self.0.len()).rev() {
            let Some(left) = self.left(index) else { continue };
            let within = less(left, least)?;
            if self.left(index + 1).is_some() {
                self.0[index].count = Some(within);
                self.0[index].close_if_empty();
            }
            least = left;
        }
        Ok(())
    }
}

fn less(from: u64, count: u64) -> Result<u64, Contradiction> {
    from.checked_sub(count).ok_or(Contradiction)
}
