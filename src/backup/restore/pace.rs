//! How fast a restore writes. Pure: time is an argument.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Batches that are under way at once, at most.
pub(super) const IN_FLIGHT: u32 = 8;
/// A batch that took longer met a cluster that has enough to do: a lone one takes milliseconds.
const SLOW: Duration = Duration::from_secs(1);

/// Holds a restore back, as told and as the cluster shows.
#[derive(Debug)]
pub(super) struct Pace {
    /// Keys in a second, if that is limited.
    rate: Option<NonZeroU32>,
    free_at: Instant,
    window: u32,
}

impl Pace {
    pub(super) fn new(rate: Option<NonZeroU32>, now: Instant) -> Self {
        Self { rate, free_at: now, window: IN_FLIGHT }
    }

    /// How long the next batch, of so many keys, has to wait.
    pub(super) fn wait(&mut self, keys: usize, now: Instant) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let start = self.free_at.max(now);
        let keys = u32::try_from(keys).unwrap_or(u32::MAX);
        self.free_at = start + Duration::from_secs(1) / rate.get() * keys;
        start - now
    }

    /// How many batches may be under way.
    pub(super) fn window(&self) -> usize {
        self.window as usize
    }

    /// Takes note of how long a batch took: slow ones halve the window, others widen it again.
    pub(super) fn took(&mut self, elapsed: Duration) {
        self.window =
            if elapsed > SLOW { (self.window / 2).max(1) } else { (self.window + 1).min(IN_FLIGHT) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_spreads_batches() {
        let now = Instant::now();
        let mut pace = Pace::new(NonZeroU32::new(100), now);
        let ms = Duration::from_millis;
        assert_eq!(pace.wait(50, now), ms(0));
        assert_eq!(pace.wait(50, now), ms(500));
        assert_eq!(pace.wait(10, now + ms(700)), ms(300));
        assert_eq!(pace.wait(10, now + ms(9000)), ms(0), "what was not used is lost");
        assert_eq!(Pace::new(None, now).wait(1_000_000, now), ms(0));
    }

    #[test]
    fn slow_batches_narrow_the_window_and_others_widen_it() {
        let mut pace = Pace::new(None, Instant::now());
        let after = |pace: &mut Pace, secs: u64| {
            pace.took(Duration::from_secs(secs));
            pace.window()
        };
        assert_eq!([2, 2, 2, 2, 0, 0].map(|secs| after(&mut pace, secs)), [4, 2, 1, 1, 2, 3]);
        assert_eq!([0; 7].map(|secs| after(&mut pace, secs))[6], 8);
    }
}
