//! Where the next range may end: at a sibling of an ancestor of the last key.

use super::cost;
use super::trail::{Trail, common_prefix};

/// How full a page should be: what is a little too much costs another request.
const AIM: f64 = 0.7;
/// How likely a guess into the unknown is to hold most of what is left.
const RISK: f64 = 0.05;

/// What is known to be left, and before which end; `None` is the end of all keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left<'a> {
    pub(super) keys: f64,
    pub(super) start: &'a [u8],
    pub(super) end: Option<&'a [u8]>,
}

/// An end to ask for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Guess {
    pub(super) end: Vec<u8>,
    /// What a key is expected to cost.
    pub(super) cost: f64,
    /// How many keys are expected before it.
    pub(super) keys: f64,
    /// Whether this rests on nothing but what was seen.
    pub(super) sure: bool,
    pub(super) step: Step,
}

/// How far a guess goes: over so many siblings at this depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) depth: usize,
    pub(super) siblings: u32,
    /// Whether it ends within the last of them.
    pub(super) within: bool,
}

/// The cheapest end for a page of so many keys, if there is any before that of what is `left`.
/// `in_vain` is the last step, if nothing was found: the next goes further.
pub(super) fn cheapest(trail: &Trail, left: Left<'_>, page: f64, in_vain: Option<Step>) -> Option<Guess> {
    let mut search = Search { trail, left, page, in_vain, ahead: 0.0, size: 1.0, risky: false, best: None };
    let unexplained = search.unexplained();
    for depth in (0..trail.path().len()).rev() {
        search.look_at(depth, unexplained);
        if search.ahead > 3.0 * left.keys {
            break;
        }
    }
    search.best
}

struct Search<'a> {
    trail: &'a Trail,
    left: Left<'a>,
    page: f64,
    in_vain: Option<Step>,
    /// How many keys are expected in what is unread of the path's node, one deeper than looked at.
    ahead: f64,
    /// How large that node is, as far as is known.
    size: f64,
    /// Whether `ahead` rests on more than what was seen.
    risky: bool,
    best: Option<Guess>,
}

impl Search<'_> {
    /// The keys left that what was seen does not explain, for each unit of [`Search::weight`].
    fn unexplained(&self) -> f64 {
        let path = self.trail.path();
        let within = self.left.end.map_or(0, |end| common_prefix(end, path));
        let (mut explained, mut weights) = (0.0, 0.0);
        for depth in within..path.len() {
            match self.trail.level(depth).and_then(|level| level.size) {
                Some(size) => explained += size * self.trail.unread_siblings(depth).len() as f64,
                None => weights += self.weight(depth),
            }
        }
        (self.left.keys - explained).max(0.0) / f64::max(weights, 1.0)
    }

    /// How likely siblings are at a depth where none was seen.
    fn weight(&self, depth: usize) -> f64 {
        let read_whole = self.trail.level(depth).is_some_and(|level| level.read_whole);
        match (self.trail.may_fork(depth), read_whole) {
            (true, _) => 1.0,
            (_, true) => 0.0,
            _ => 0.3,
        }
    }

    fn look_at(&mut self, depth: usize, unexplained: f64) {
        self.size = self.size.max(self.trail.read_of(depth) as f64);
        let share = unexplained * self.weight(depth);
        let known = self.known_size(depth);
        if known.is_none() && !self.trail.may_fork(depth) {
            self.ahead += share;
            self.risky |= share > 0.0;
            return;
        }
        let siblings = self.trail.unread_siblings(depth);
        let each = known.unwrap_or_else(|| self.size.max(share / siblings.len().max(1) as f64));
        self.offer_ends(depth, &siblings, each, known.is_none());
        self.ahead += each * siblings.len() as f64;
        self.size = self.size.max(self.ahead);
        if known.is_none() {
            self.ahead = self.ahead.max(share);
            self.risky = true;
        }
    }

    /// How many keys a sibling holds, going by those before, and by the one that is being read. After
    /// a step in vain, so few that the next goes twice as far.
    fn known_size(&self, depth: usize) -> Option<f64> {
        if let Some(step) = self.in_vain.filter(|step| step.depth == depth && !step.within) {
            return Some(self.page * AIM / 2.0 / f64::from(step.siblings.max(1)));
        }
        let so_far = self.trail.read_of(depth) as f64;
        let size = self.trail.level(depth)?.size?;
        Some(if so_far > size { (so_far + size) / 2.0 } else { size })
    }

    fn offer_ends(&mut self, depth: usize, siblings: &[u8], each: f64, unknown: bool) {
        let path = self.trail.path();
        if !self.trail.is_fresh(depth) {
            self.offer(
                raised(&path[..depth], path[depth]),
                Step { depth, siblings: 0, within: false },
                self.ahead,
                false,
            );
        }
        let mut keys = self.ahead;
        for (step, &sibling) in (1..).zip(siblings) {
            let is_last = usize::try_from(step) == Ok(siblings.len());
            keys += each;
            let parents = path[..depth].split_last().and_then(|(&parent, above)| raised(above, parent));
            let end = match parents.filter(|end| is_last && !unknown && self.is_inside(end)) {
                None => raised(&path[..depth], sibling),
                parents => parents,
            };
            self.offer(end, Step { depth, siblings: step, within: false }, keys, unknown);
            if keys > 4.0 * self.page {
                break;
            }
        }
        if let Some(&next) = siblings.first()
            && each > self.page * AIM / 2.0
            && (!unknown || self.trail.carries_over(depth))
            && !self.in_vain.is_some_and(|step| step.within)
        {
            self.offer_within([&path[..depth], &[next]].concat(), depth, unknown);
        }
    }

    /// Offers an end within an unread node, going by what its siblings were like.
    fn offer_within(&mut self, mut node: Vec<u8>, depth: usize, unknown: bool) {
        let wanted = self.page * AIM - self.ahead;
        while let Some(level) = self.trail.level_under(depth, &node) {
            let children = self.trail.children(level);
            let Some(&lowest) = children.first() else { return };
            let each = level.size.unwrap_or(f64::INFINITY);
            let fitting = (1..children.len()).take_while(|&count| count as f64 * each <= wanted).count();
            if fitting > 0 {
                node.push(children[fitting]);
                let keys = self.ahead + fitting as f64 * each;
                return self.offer(Some(node), Step { depth, siblings: 1, within: true }, keys, unknown);
            }
            if each <= wanted {
                return;
            }
            node.push(lowest);
        }
    }

    fn offer(&mut self, end: Option<Vec<u8>>, step: Step, keys: f64, unknown: bool) {
        let Some(end) = end.filter(|end| self.is_inside(end)) else { return };
        let keys = keys.min(self.left.keys);
        let sure = !self.risky && !unknown;
        let risk = if sure { 0.0 } else { RISK * self.left.keys / self.page };
        let cost = cost::of_belief(keys, self.page, self.left.keys) + risk;
        if self.best.as_ref().is_none_or(|best| cost < best.cost) {
            self.best = Some(Guess { end, cost, keys, sure, step });
        }
    }

    fn is_inside(&self, end: &[u8]) -> bool {
        end > self.left.start && self.left.end.is_none_or(|bound| end < bound)
    }
}

/// The end of the node with this last byte; `None` if no sibling can follow it.
fn raised(parent: &[u8], byte: u8) -> Option<Vec<u8>> {
    Some([parent, &[byte.checked_add(1)?]].concat())
}
