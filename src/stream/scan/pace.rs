//! How fast a scan may read. Pure: time is an argument.

use std::time::{Duration, Instant};

/// Lets so many bytes a second through, on average.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: Option<u64>,
    /// When all that was let through is paid for.
    open_at: Instant,
}

impl Pace {
    /// `None` is no limit.
    pub(super) fn new(bytes_per_second: Option<u64>, now: Instant) -> Self {
        Self { bytes_per_second, open_at: now }
    }

    /// When more may be asked for; `None` if now.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        Some(self.open_at).filter(|&at| at > now)
    }

    /// So many bytes are on their way, or have come.
    pub(super) fn spend(&mut self, bytes: usize, now: Instant) {
        self.open_at = self.open_at.max(now) + self.time_of(bytes);
    }

    /// So many bytes were expected, and did not come after all.
    pub(super) fn refund(&mut self, bytes: usize) {
        self.open_at = self.open_at.checked_sub(self.time_of(bytes)).unwrap_or(self.open_at);
    }

    fn time_of(&self, bytes: usize) -> Duration {
        let seconds = self.bytes_per_second.map_or(0.0, |rate| bytes as f64 / rate as f64);
        Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)
    }
}

/// An `Instant` can't hold any time.
const LONGEST: Duration = Duration::from_secs(1 << 30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_let_through_at_the_rate_and_pauses_are_not_made_up_for() {
        let now = Instant::now();
        let mut pace = Pace::new(Some(1000), now);
        assert_eq!(pace.closed_until(now), None);
        pace.spend(500, now);
        pace.spend(1500, now);
        assert_eq!(pace.closed_until(now), Some(now + Duration::from_secs(2)));
        pace.refund(1000);
        assert_eq!(pace.closed_until(now), Some(now + Duration::from_secs(1)));
        let later = now + Duration::from_secs(60);
        pace.spend(3000, later);
        assert_eq!(pace.closed_until(later), Some(later + Duration::from_secs(3)));
    }

    #[test]
    fn without_a_limit_it_is_always_open_and_a_slow_one_does_not_overflow() {
        let now = Instant::now();
        let mut pace = Pace::new(None, now);
        pace.spend(usize::MAX, now);
        assert_eq!(pace.closed_until(now), None);
        let mut pace = Pace::new(Some(1), now);
        pace.spend(usize::MAX, now);
        assert!(pace.closed_until(now).is_some());
    }
}
