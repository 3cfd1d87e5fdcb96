//! Which member gets the next request. Pure: time is an argument.

use std::time::{Duration, Instant};

/// How long a member rests after its first failure in a row; doubled by each further one.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(4);

/// Takes members in turn and lets those rest that failed of late.
#[derive(Debug)]
pub(crate) struct Picker {
    members: Vec<Health>,
    next: usize,
}

#[derive(Clone, Debug, Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

impl Health {
    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }
}

impl Picker {
    /// `first` is the member to begin with, so that many clients don't all begin with the same one.
    pub(crate) fn new(members: usize, first: usize) -> Self {
        Self { members: vec![Health::default(); members], next: first % members.max(1) }
    }

    /// The next member in turn that is not in `tried`: a rested one if there is one.
    /// `None` when all were tried.
    pub(crate) fn pick(&mut self, tried: &[usize], now: Instant) -> Option<usize> {
        let count = self.members.len();
        let in_turn = (0..count).map(|step| (self.next + step) % count);
        let untried: Vec<_> = in_turn.filter(|member| !tried.contains(member)).collect();
        let rested = untried.iter().find(|&&member| !self.members[member].rests(now));
        let picked = *rested.or(untried.first())?;
        self.next = (picked + 1) % count;
        Some(picked)
    }

    pub(crate) fn succeeded(&mut self, member: usize) {
        self.members[member] = Health::default();
    }

    pub(crate) fn failed(&mut self, member: usize, now: Instant) {
        let health = &mut self.members[member];
        let rest = FIRST_REST.saturating_mul(1 << health.failures.min(8)).min(LONGEST_REST);
        health.failures += 1;
        health.rests_until = Some(now + rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_take_turns() {
        let mut picker = Picker::new(3, 0);
        let now = Instant::now();
        let picks: Vec<_> = (0..6).map(|_| picker.pick(&[], now).unwrap()).collect();
        assert_eq!(picks, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_retry_goes_elsewhere_and_ends_when_all_were_tried() {
        let mut picker = Picker::new(2, 0);
        let now = Instant::now();
        assert_eq!(picker.pick(&[0], now), Some(1));
        assert_eq!(picker.pick(&[0, 1], now), None);
    }

    #[test]
    fn a_failed_member_rests_but_serves_when_it_is_the_only_one() {
        let mut picker = Picker::new(2, 0);
        let now = Instant::now();
        picker.failed(0, now);
        assert!((0..4).all(|_| picker.pick(&[], now) == Some(1)));
        assert_eq!(picker.pick(&[1], now), Some(0));
    }

    #[test]
    fn a_member_comes_back_after_its_rest_or_a_success() {
        let now = Instant::now();
        let mut picker = Picker::new(2, 0);
        picker.failed(0, now);
        let later = now + FIRST_REST;
        assert_eq!(picker.pick(&[], later), Some(0));
        picker.failed(0, later);
        picker.succeeded(0);
        assert!((0..2).any(|_| picker.pick(&[], later) == Some(0)));
    }
}
