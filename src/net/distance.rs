use std::time::{Duration, Instant};

/// A distance that was not seen for this long counts half: a member that is far is tried again in time.
const HALF_LIFE: Duration = Duration::from_secs(2);
/// Differences below this are those of requests and not of members.
const NEAR: Duration = Duration::from_millis(5);

/// How far away a member is: by its quickest answers, since what takes a server long says nothing about
/// the way to it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Distance {
    seen: Duration,
    at: Option<Instant>,
}

impl Distance {
    /// An answer took this long. A quicker one counts at once, a slower one little by little.
    pub(super) fn note(&mut self, took: Duration, now: Instant) {
        let known = self.now(now).unwrap_or(took);
        self.seen = if took < known { took } else { known + (took - known) / 16 };
        self.at = Some(now);
    }

    /// `None` if there was never an answer.
    pub(super) fn now(self, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.at?).as_secs() / HALF_LIFE.as_secs();
        Some(self.seen / 2_u32.saturating_pow(age.try_into().unwrap_or(u32::MAX)))
    }

    /// How many times as far as the nearest member; 1 for all that are near.
    pub(super) fn times(self, nearest: Duration, now: Instant) -> u128 {
        let distance = self.now(now).unwrap_or_default();
        (distance.as_nanos() / nearest.max(NEAR).as_nanos()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn seen(took: &[u32], now: Instant) -> Distance {
        let mut distance = Distance::default();
        took.iter().for_each(|&took| distance.note(MS * took, now));
        distance
    }

    #[test]
    fn a_slow_answer_is_no_distance_but_slow_answers_are() {
        let now = Instant::now();
        assert_eq!(seen(&[1, 1, 60], now).times(MS, now), 1);
        assert!(seen(&[[1].as_slice(), &[100; 32]].concat(), now).times(MS, now) > 10);
        assert_eq!(seen(&[100, 1], now).times(MS, now), 1);
    }

    #[test]
    fn a_far_member_comes_near_again_with_time() {
        let now = Instant::now();
        let far = seen(&[100], now);
        assert_eq!(far.times(MS, now), 20);
        assert_eq!(far.times(MS, now + HALF_LIFE), 10);
        assert_eq!(far.times(MS, now + HALF_LIFE * 5), 1);
        assert_eq!(far.times(MS, now + HALF_LIFE * 500), 1);
    }

    #[test]
    fn what_is_unknown_is_near_and_far_is_relative() {
        let now = Instant::now();
        assert_eq!(Distance::default().times(MS, now), 1);
        assert_eq!(seen(&[100], now).times(100 * MS, now), 1, "all are far");
    }
}
