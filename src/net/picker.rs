//! Which member gets the next request. Pure: what is known of the members goes in, a choice comes out.

use std::time::{Duration, Instant};

use super::distance::Distance;

/// What is known of each member, by its number.
#[derive(Debug)]
pub(crate) struct Picker {
    members: Vec<Health>,
    next: usize,
}

#[derive(Clone, Debug, Default)]
struct Health {
    ejected: bool,
    in_flight: usize,
    distance: Distance,
}

impl Picker {
    /// `first` is the member to begin with, so that many clients don't all begin with the same one.
    pub(crate) fn new(members: usize, first: usize) -> Self {
        Self { members: vec![Health::default(); members], next: first % members.max(1) }
    }

    /// Among the members that are not in `tried`, one that is not ejected if there is one, and among
    /// those one with the fewest requests in flight, where each counts the more the farther the member is;
    /// in turn where that leaves a choice. The request counts as in flight until [`Picker::done`]. `None`
    /// when all were tried.
    pub(crate) fn pick(&mut self, tried: &[usize], now: Instant) -> Option<usize> {
        let count = self.members.len();
        let nearest = self.nearest(now);
        let in_turn = (0..count).map(|step| (self.next + step) % count);
        let untried = in_turn.filter(|member| !tried.contains(member));
        // The first of the smallest: the one whose turn it is.
        let picked = untried.min_by_key(|&member| {
            let health = &self.members[member];
            (health.ejected, (health.in_flight as u128 + 1) * health.distance.times(nearest, now))
        })?;
        self.members[picked].in_flight += 1;
        self.next = (picked + 1) % count;
        Some(picked)
    }

    fn nearest(&self, now: Instant) -> Duration {
        let serving = self.members.iter().filter(|health| !health.ejected);
        serving.filter_map(|health| health.distance.now(now)).min().unwrap_or_default()
    }

    /// The request is over; `took` is how long its answer took, if there was one.
    pub(crate) fn done(&mut self, member: usize, took: Option<Duration>, now: Instant) {
        let health = &mut self.members[member];
        health.in_flight = health.in_flight.saturating_sub(1);
        if let Some(took) = took {
            health.distance.note(took, now);
        }
    }

    pub(crate) fn in_flight(&self, member: usize) -> usize {
        self.members[member].in_flight
    }

    pub(crate) fn distance(&self, member: usize, now: Instant) -> Option<Duration> {
        self.members[member].distance.now(now)
    }

    /// The member can't serve for now. Whether that is news: whoever brings it sees to it that the
    /// member is probed until it can be readmitted.
    pub(crate) fn eject(&mut self, member: usize) -> bool {
        !std::mem::replace(&mut self.members[member].ejected, true)
    }

    pub(crate) fn is_ejected(&self, member: usize) -> bool {
        self.members[member].ejected
    }

    /// Whether any member is not ejected.
    pub(crate) fn any_serves(&self) -> bool {
        self.members.iter().any(|health| !health.ejected)
    }

    /// The member serves again.
    pub(crate) fn readmit(&mut self, member: usize) {
        self.members[member].ejected = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn idle_members_take_turns() {
        let mut picker = Picker::new(3, 0);
        let picks: Vec<_> = (0..6)
            .map(|_| {
                let member = picker.pick(&[], now()).unwrap();
                picker.done(member, None, now());
                member
            })
            .collect();
        assert_eq!(picks, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_busy_member_waits_until_the_others_are_as_busy() {
        let mut picker = Picker::new(2, 0);
        assert_eq!(picker.pick(&[], now()), Some(0));
        assert_eq!(picker.pick(&[], now()), Some(1));
        picker.done(1, None, now());
        assert_eq!(picker.pick(&[], now()), Some(1), "0 still has one in flight");
    }

    #[test]
    fn a_retry_goes_elsewhere_and_ends_when_all_were_tried() {
        let mut picker = Picker::new(2, 0);
        assert_eq!(picker.pick(&[0], now()), Some(1));
        assert_eq!(picker.pick(&[0, 1], now()), None);
    }

    #[test]
    fn ejection_is_news_once() {
        let mut picker = Picker::new(1, 0);
        assert!(picker.eject(0) && !picker.eject(0));
        assert!(!picker.any_serves());
        picker.readmit(0);
        assert!(picker.any_serves() && picker.eject(0));
    }

    #[test]
    fn a_far_member_is_asked_when_near_ones_are_busy_and_again_after_a_while() {
        let mut picker = Picker::new(2, 0);
        let now = now();
        for (member, millis) in [(0, 100), (1, 1)] {
            assert_eq!(picker.pick(&[], now), Some(member));
            picker.done(member, Some(Duration::from_millis(millis)), now);
        }
        let picks: Vec<_> = (0..20).filter_map(|_| picker.pick(&[], now)).collect();
        assert_eq!(picks, [[1; 19].as_slice(), &[0]].concat());
        (0..19).for_each(|_| picker.done(1, None, now));
        picker.done(0, None, now);
        let later = now + Duration::from_secs(20);
        let picks: Vec<_> = (0..2).filter_map(|_| picker.pick(&[], later)).collect();
        assert!(picks.contains(&0) && picks.contains(&1), "{picks:?}");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Pick(Vec<usize>),
        Done(usize),
        Eject(usize),
        Readmit(usize),
    }

    fn step(members: usize) -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => proptest::collection::vec(0..members, 0..members).prop_map(Step::Pick),
            2 => (0..members).prop_map(Step::Done),
            1 => (0..members).prop_map(Step::Eject),
            1 => (0..members).prop_map(Step::Readmit),
        ]
    }

    proptest! {
        #[test]
        fn never_an_ejected_member_while_a_healthy_one_is_untried(
            (members, steps) in (1_usize..6).prop_flat_map(|members| {
                (Just(members), proptest::collection::vec(step(members), 1..200))
            }),
        ) {
            let mut picker = Picker::new(members, 0);
            let mut ejected = vec![false; members];
            for step in steps {
                match step {
                    Step::Done(member) => picker.done(member, None, now()),
                    Step::Eject(member) => {
                        picker.eject(member);
                        ejected[member] = true;
                    }
                    Step::Readmit(member) => {
                        picker.readmit(member);
                        ejected[member] = false;
                    }
                    Step::Pick(tried) => {
                        let untried: Vec<_> = (0..members).filter(|member| !tried.contains(member)).collect();
                        let picked = picker.pick(&tried, now());
                        prop_assert_eq!(picked.is_some(), !untried.is_empty());
                        if let Some(picked) = picked {
                            prop_assert!(untried.contains(&picked));
                            let healthy = untried.iter().any(|&member| !ejected[member]);
                            prop_assert!(!(ejected[picked] && healthy));
                        }
                    }
                }
            }
        }

        #[test]
        fn a_readmitted_member_is_picked_within_one_round(members in 1_usize..6, member in 0_usize..6) {
            let member = member % members;
            let mut picker = Picker::new(members, 0);
            picker.eject(member);
            picker.readmit(member);
            let picks: Vec<_> = (0..members).filter_map(|_| picker.pick(&[], now())).collect();
            prop_assert!(picks.contains(&member));
        }
    }
}
