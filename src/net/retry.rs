//! Whether and when a failed attempt is repeated. Pure: time and randomness are arguments.

use std::time::{Duration, Instant};

use super::budget::Budget;
use super::failure::Failure;
use super::status::Remedy;

/// What repeating a request would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryClass {
    /// Changes nothing.
    Read,
    /// Changes something; twice is the same as once.
    Idempotent,
    /// Must be carried out at most once.
    Once,
}

/// The pause after the first round over all members; doubled by each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// From this round on the pause is the longest.
const SLOWEST_ROUND: u32 = 6;

/// What comes after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another member, at once.
    Elsewhere,
    /// Any member, after a pause.
    After(Duration),
    /// No further attempt.
    GiveUp,
}

/// One call's way through its attempts.
#[derive(Debug)]
pub(crate) struct Trial {
    class: RetryClass,
    deadline: Instant,
    members: usize,
    tried: Vec<usize>,
    attempts: u32,
    rounds: u32,
    ambiguous: bool,
}

impl Trial {
    /// `members` is how many could serve the call.
    pub(crate) fn new(class: RetryClass, members: usize, deadline: Instant) -> Self {
        Self { class, deadline, members, tried: Vec::new(), attempts: 0, rounds: 0, ambiguous: false }
    }

    /// Leaves this member out of the first round.
    pub(crate) fn avoiding(mut self, member: Option<usize>) -> Self {
        self.tried.extend(member);
        self
    }

    /// The members that are not to be tried in this round.
    pub(crate) fn tried(&self) -> &[usize] {
        &self.tried
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether the request may have been carried out although every attempt failed.
    pub(crate) fn may_have_applied(&self) -> bool {
        self.ambiguous
    }

    /// Notes an attempt at `member`.
    pub(crate) fn begin(&mut self, member: usize) {
        self.attempts += 1;
        self.tried.push(member);
    }

    /// Whether an attempt may be given up in favour of another: at another member, or over a new
    /// connection.
    pub(crate) fn may_leave(&self) -> bool {
        self.class != RetryClass::Once
    }

    /// What follows the failure of the attempt that was begun last. A retry that the budget does not
    /// allow is made all the same, after the longest pause. `jitter` is uniform in 0..1.
    pub(super) fn failed(&mut self, failure: &Failure, budget: &Budget, now: Instant, jitter: f64) -> Next {
        self.ambiguous |= self.class != RetryClass::Read && failure.may_have_applied();
        let next = match failure.remedy() {
            Remedy::TryElsewhere => self.elsewhere(jitter),
            Remedy::BackOff => self.pause(jitter),
            Remedy::Ambiguous if self.class != RetryClass::Once => self.elsewhere(jitter),
            Remedy::Ambiguous | Remedy::Futile | Remedy::Reauthenticate | Remedy::Final => Next::GiveUp,
        };
        let next = if next == Next::GiveUp || budget.pay() { next } else { self.longest_pause(jitter) };
        let pause = if let Next::After(pause) = next { pause } else { Duration::ZERO };
        if now + pause >= self.deadline { Next::GiveUp } else { next }
    }

    fn elsewhere(&mut self, jitter: f64) -> Next {
        if self.tried.len() < self.members { Next::Elsewhere } else { self.pause(jitter) }
    }

    fn longest_pause(&mut self, jitter: f64) -> Next {
        self.rounds = self.rounds.max(SLOWEST_ROUND);
        self.pause(jitter)
    }

    /// Ends the round: afterwards every member may be tried again.
    fn pause(&mut self, jitter: f64) -> Next {
        self.tried.clear();
        let full = FIRST_PAUSE.saturating_mul(1 << self.rounds.min(SLOWEST_ROUND)).min(LONGEST_PAUSE);
        self.rounds += 1;
        Next::After(full.mul_f64(0.5 + jitter / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::code::Code;
    use super::*;

    fn server(message: &str) -> Failure {
        Failure::Server { code: Code::Unknown, message: message.into() }
    }

    fn after_one(class: RetryClass, members: usize, failure: &Failure) -> (Next, Trial) {
        let now = Instant::now();
        let mut trial = Trial::new(class, members, now + Duration::from_secs(5));
        trial.begin(0);
        (trial.failed(failure, &Budget::full(), now, 1.0), trial)
    }

    #[test]
    fn an_ambiguous_write_is_never_repeated_and_says_so() {
        let ambiguous =
            [Failure::Lost("reset".into()), Failure::TimedOut, server("etcdserver: request timed out")];
        for failure in ambiguous {
            let (next, trial) = after_one(RetryClass::Once, 3, &failure);
            assert_eq!((next, trial.may_have_applied()), (Next::GiveUp, true), "{failure}");
            let (next, trial) = after_one(RetryClass::Read, 3, &failure);
            assert_eq!((next, trial.may_have_applied()), (Next::Elsewhere, false), "{failure}");
            let (next, trial) = after_one(RetryClass::Idempotent, 3, &failure);
            assert_eq!((next, trial.may_have_applied()), (Next::Elsewhere, true), "{failure}");
        }
    }

    #[test]
    fn who_is_avoided_is_left_out_of_the_first_round_only() {
        let now = Instant::now();
        let mut trial = Trial::new(RetryClass::Read, 3, now + Duration::from_secs(5)).avoiding(Some(1));
        assert_eq!((trial.tried(), trial.attempts()), ([1].as_slice(), 0));
        trial.begin(0);
        assert_eq!(trial.failed(&Failure::TimedOut, &Budget::full(), now, 1.0), Next::Elsewhere);
        trial.begin(2);
        assert_eq!(trial.failed(&Failure::TimedOut, &Budget::full(), now, 1.0), Next::After(FIRST_PAUSE));
        assert_eq!(trial.tried(), [0; 0]);
    }

    #[test]
    fn what_was_not_executed_is_repeated_even_for_writes() {
        for failure in [Failure::Dial("refused".into()), server("etcdserver: no leader")] {
            assert_eq!(after_one(RetryClass::Once, 2, &failure).0, Next::Elsewhere);
            assert_eq!(after_one(RetryClass::Once, 1, &failure).0, Next::After(FIRST_PAUSE));
        }
        let busy = server("etcdserver: too many requests");
        assert_eq!(after_one(RetryClass::Once, 2, &busy).0, Next::After(FIRST_PAUSE));
    }

    #[test]
    fn a_full_database_is_not_asked_again_but_may_have_taken_the_write() {
        let full = server("etcdserver: mvcc: database space exceeded");
        let (next, trial) = after_one(RetryClass::Idempotent, 3, &full);
        assert_eq!((next, trial.may_have_applied()), (Next::GiveUp, true));
    }

    #[test]
    fn a_final_answer_is_not_asked_for_again() {
        let (next, trial) = after_one(RetryClass::Read, 3, &server("etcdserver: permission denied"));
        assert_eq!((next, trial.may_have_applied()), (Next::GiveUp, false));
    }

    #[test]
    fn pauses_grow_to_their_limit_and_end_with_the_deadline() {
        let now = Instant::now();
        let mut trial = Trial::new(RetryClass::Read, 1, now + Duration::from_secs(60));
        let dead = Failure::Dial("refused".into());
        let mut fail_at = |now| {
            trial.begin(0);
            trial.failed(&dead, &Budget::full(), now, 1.0)
        };
        let pauses: Vec<_> = (0..8).map(|_| fail_at(now)).collect();
        assert_eq!(pauses[1], Next::After(FIRST_PAUSE * 2));
        assert_eq!(pauses[7], Next::After(LONGEST_PAUSE));
        assert_eq!(fail_at(now + Duration::from_secs(60)), Next::GiveUp);
    }

    #[test]
    fn where_nothing_succeeds_retries_go_slow_but_go_on() {
        let now = Instant::now();
        let mut trial = Trial::new(RetryClass::Read, 3, now + Duration::from_secs(60));
        let dead = Failure::Dial("refused".into());
        for _ in 0..5 {
            trial.begin(0);
            assert_eq!(trial.failed(&dead, &Budget::empty(), now, 1.0), Next::After(LONGEST_PAUSE));
            assert!(trial.tried().is_empty(), "all may be tried again");
        }
    }

    #[test]
    fn only_what_may_be_repeated_leaves_a_member() {
        let leaves = |class| Trial::new(class, 2, Instant::now()).may_leave();
        assert!(leaves(RetryClass::Read) && leaves(RetryClass::Idempotent) && !leaves(RetryClass::Once));
    }
}
