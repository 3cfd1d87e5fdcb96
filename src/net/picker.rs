//! Which member gets the next request. Pure: what is known of the members goes in, a choice comes out.

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
}

impl Picker {
    /// `first` is the member to begin with, so that many clients don't all begin with the same one.
    pub(crate) fn new(members: usize, first: usize) -> Self {
        Self { members: vec![Health::default(); members], next: first % members.max(1) }
    }

    /// Among the members that are not in `tried`, one that is not ejected if there is one, and among
    /// those one with the fewest requests in flight; in turn where that leaves a choice. The
    /// request counts as in flight until [`Picker::done`]. `None` when all were tried.
    pub(crate) fn pick(&mut self, tried: &[usize]) -> Option<usize> {
        let count = self.members.len();
        let in_turn = (0..count).map(|step| (self.next + step) % count);
        let untried = in_turn.filter(|member| !tried.contains(member));
        // The first of the smallest: the one whose turn it is.
        let picked = untried.min_by_key(|&member| {
            let health = &self.members[member];
            (health.ejected, health.in_flight)
        })?;
        self.members[picked].in_flight += 1;
        self.next = (picked + 1) % count;
        Some(picked)
    }

    /// The request is over, however it went.
    pub(crate) fn done(&mut self, member: usize) {
        let in_flight = &mut self.members[member].in_flight;
        *in_flight = in_flight.saturating_sub(1);
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

    #[test]
    fn idle_members_take_turns() {
        let mut picker = Picker::new(3, 0);
        let picks: Vec<_> = (0..6)
            .map(|_| {
                let member = picker.pick(&[]).unwrap();
                picker.done(member);
                member
            })
            .collect();
        assert_eq!(picks, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_busy_member_waits_until_the_others_are_as_busy() {
        let mut picker = Picker::new(2, 0);
        assert_eq!(picker.pick(&[]), Some(0));
        assert_eq!(picker.pick(&[]), Some(1));
        picker.done(1);
        assert_eq!(picker.pick(&[]), Some(1), "0 still has one in flight");
    }

    #[test]
    fn a_retry_goes_elsewhere_and_ends_when_all_were_tried() {
        let mut picker = Picker::new(2, 0);
        assert_eq!(picker.pick(&[0]), Some(1));
        assert_eq!(picker.pick(&[0, 1]), None);
    }

    #[test]
    fn ejection_is_news_once() {
        let mut picker = Picker::new(1, 0);
        assert!(picker.eject(0) && !picker.eject(0));
        assert!(!picker.any_serves());
        picker.readmit(0);
        assert!(picker.any_serves() && picker.eject(0));
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
                    Step::Done(member) => picker.done(member),
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
                        let picked = picker.pick(&tried);
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
            let picks: Vec<_> = (0..members).filter_map(|_| picker.pick(&[])).collect();
            prop_assert!(picks.contains(&member));
        }
    }
}
