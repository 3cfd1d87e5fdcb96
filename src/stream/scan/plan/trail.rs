//! What the keys read so far tell of those to come.

use std::mem;

use super::level::{ByteSet, Level, kind};
use super::place::{Levels, Place};

/// The path down to the last key, with what is known at each depth.
#[derive(Clone, Debug)]
pub(super) struct Trail {
    path: Vec<u8>,
    /// The places of the path's bytes, and of one behind them.
    places: Vec<Place>,
    /// Whether nothing of the path's last node is read yet: it is an end that was reached, not a key.
    fresh: bool,
    levels: Levels,
    anywhere: ByteSet,
    /// Whether all keys were text so far.
    is_text: bool,
    read: u64,
}

impl Trail {
    pub(super) fn new() -> Self {
        Self {
            path: Vec::new(),
            places: vec![Place::default()],
            fresh: false,
            levels: Levels::default(),
            anywhere: ByteSet::default(),
            is_text: true,
            read: 0,
        }
    }

    /// Takes note of the next key.
    pub(super) fn see(&mut self, key: &[u8]) {
        let fork = self.leave_for(key, true);
        let first_child = fork == self.path.len();
        self.follow(fork, key, false);
        for (depth, &byte) in key.iter().enumerate().skip(fork) {
            self.levels.at(self.places[depth]).begin(byte, self.read, first_child || depth > fork);
            self.anywhere.insert(byte);
        }
        self.read += 1;
        if self.is_text && !self.anywhere.is_text() {
            self.take_for_binary();
        }
    }

    /// What was learned of parts and words is of no use.
    fn take_for_binary(&mut self) {
        self.is_text = false;
        self.levels = Levels::default();
        let path = mem::take(&mut self.path);
        self.places.truncate(1);
        self.follow(0, &path, false);
        for (&place, &byte) in self.places.iter().zip(&path) {
            self.levels.at(place).begin(byte, self.read - 1, true);
        }
    }

    /// Takes note that nothing is left before `end`.
    pub(super) fn reach(&mut self, end: &[u8]) {
        let fork = self.leave_for(end, true);
        self.follow(fork, end, true);
    }

    /// Takes note that nothing was there before `end`, although at this depth something was expected:
    /// what follows at larger depths is not expected any more.
    pub(super) fn pass(&mut self, end: &[u8], depth: usize) {
        let fork = self.leave_for(end, false);
        let kept = end.len().min(depth + 1);
        self.follow(fork, &end[..kept], kept == end.len());
    }

    /// Takes note that nothing was there before `end`, and that nothing is expected from where it leaves the path.
    pub(super) fn turn_back(&mut self, end: &[u8]) {
        let fork = self.leave_for(end, false);
        self.follow(fork, &end[..fork], false);
    }

    /// Looks ahead: what is expected from `end` on, whatever lies before it.
    pub(super) fn skip(&mut self, end: &[u8]) {
        let fork = common_prefix(&self.path, end);
        self.follow(fork, end, true);
    }

    /// Ends the nodes that `to` does not lie in, and says at which depth it forks off.
    fn leave_for(&mut self, to: &[u8], count: bool) -> usize {
        let fork = common_prefix(&self.path, to);
        if fork == self.path.len() || fork == to.len() {
            return fork;
        }
        let (read, from) = (self.read, self.path[fork]);
        let level = self.levels.at(self.places[fork]);
        if count {
            level.observe(read - level.began, level.distance(from, to[fork]));
        }
        for &place in &self.places[fork + 1..self.path.len()] {
            let level = self.levels.at(place);
            level.end();
            if level.size.is_some() && read > level.began {
                level.observe(read - level.began, 1);
            }
        }
        fork
    }

    fn follow(&mut self, fork: usize, path: &[u8], fresh: bool) {
        self.path.truncate(fork);
        self.places.truncate(fork + 1);
        for &byte in path.get(fork..).unwrap_or_default() {
            let place = self.places[self.path.len()];
            if fresh {
                self.levels.at(place).began = self.read;
            }
            self.path.push(byte);
            self.places.push(place.behind(byte, self.is_text));
        }
        self.fresh = fresh;
    }

    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    pub(super) fn level(&self, depth: usize) -> Option<&Level> {
        self.levels.get(*self.places.get(depth)?)
    }

    /// What is known of the place behind a node under the path's at this depth.
    pub(super) fn level_under(&self, depth: usize, node: &[u8]) -> Option<&Level> {
        let place =
            node[depth..].iter().fold(self.places[depth], |place, &byte| place.behind(byte, self.is_text));
        self.levels.get(place)
    }

    /// How many keys of the path's node at this depth were read.
    pub(super) fn read_of(&self, depth: usize) -> u64 {
        self.level(depth).map_or(0, |level| self.read - level.began)
    }

    /// The bytes of siblings that are to be expected at this depth of the path, unread ones.
    pub(super) fn unread_siblings(&self, depth: usize) -> Vec<u8> {
        let byte = self.path[depth];
        let after = if self.is_fresh(depth) { byte.checked_sub(1) } else { Some(byte) };
        self.level(depth).into_iter().flat_map(|level| level.siblings(after, &self.anywhere)).collect()
    }

    /// The bytes that nodes may have under an unread node.
    pub(super) fn children(&self, level: &Level) -> Vec<u8> {
        let Some(lowest) = level.lowest else { return Vec::new() };
        level.siblings(lowest.checked_sub(1), &self.anywhere).filter(|&byte| byte >= lowest).collect()
    }

    /// Whether the node at this depth of the path is wholly unread.
    pub(super) fn is_fresh(&self, depth: usize) -> bool {
        self.fresh && depth + 1 == self.path.len()
    }

    /// Whether siblings are likely at this depth of the path although none was seen: where another
    /// kind of bytes begins, such as after a slash, or where the depth below is full, as in numbers.
    pub(super) fn may_fork(&self, depth: usize) -> bool {
        let byte = self.path[depth];
        let begins = depth == 0 || kind(self.path[depth - 1]) != kind(byte);
        !self.level(depth).is_some_and(|level| level.read_whole)
            && !byte.is_ascii_punctuation()
            && (begins || self.carries_over(depth))
    }

    /// Whether the depth below has siblings, so that this one may be the next digit of a number.
    pub(super) fn carries_over(&self, depth: usize) -> bool {
        self.level(depth + 1).is_some_and(|level| level.size.is_some())
    }
}

pub(super) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    fn seen(keys: &[&str]) -> Trail {
        let mut trail = Trail::new();
        keys.iter().for_each(|key| trail.see(key.as_bytes()));
        trail
    }

    #[test]
    fn what_follows_names_of_any_length_is_told_together() {
        let trail = seen(&["/a/1", "/a/2", "/bcd/1"]);
        assert!(trail.level("/bcd/".len()).unwrap().size.is_some());
    }

    #[test]
    fn the_first_binary_key_makes_places_of_depths() {
        let trail = seen(&["/a/1", "/a/2", "/bcd/\x01"]);
        assert!(trail.level("/bcd/".len()).unwrap().size.is_none());
        let level = |node| ptr::from_ref(trail.level_under(0, node).unwrap());
        assert_eq!(level(b"/x/"), level(b"abc"));
    }
}
