//! From what was seen to what is shown. Pure.

use std::time::Duration;

use super::way::Way;

/// One reading of all keys, or as much of it as there was time for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pass {
    /// 0 of a snapshot, which does not tell.
    pub(super) keys: u64,
    pub(super) bytes: u64,
    pub(super) pages: u64,
    pub(super) time: Duration,
    /// What the first page brought, and when: for it the servers count all keys, however many are read.
    pub(super) opening: Opening,
    pub(super) complete: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) keys: u64,
    pub(super) time: Duration,
}

impl Pass {
    /// How long so many keys take: as long as they took, or as if all were read like those behind the first page.
    fn seconds_of(&self, keys: u64) -> Option<f64> {
        if self.complete {
            return Some(self.time.as_secs_f64());
        }
        let Opening { keys: first, time: opening } = self.opening;
        let read = self.keys.saturating_sub(first);
        let each = self.time.saturating_sub(opening).as_secs_f64() / read as f64;
        let rest = keys.saturating_sub(first) as f64;
        (read > 0).then_some(opening.as_secs_f64() + each * rest)
    }
}

/// What came of a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// The passes as one; `None` if there was no time for any.
    pub(super) pass: Option<Pass>,
    pub(super) reads: Vec<Read>,
}

/// A small read beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) time: Duration,
    pub(super) failed: bool,
}

/// A way with all its turns.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) way: Way,
    pub(super) turns: Vec<Turn>,
}

/// How long the small reads took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beside {
    pub(super) reads: u64,
    pub(super) failed: u64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
}

/// Several passes of a turn as one: the mean of those that came to the end, or the only one, which did not.
pub(super) fn merged(passes: &[Pass]) -> Option<Pass> {
    let complete: Vec<_> = passes.iter().filter(|pass| pass.complete).collect();
    let Some(last) = complete.last() else { return passes.last().copied() };
    let time: Duration = complete.iter().map(|pass| pass.time).sum();
    Some(Pass { time: time / u32::try_from(complete.len()).unwrap_or(u32::MAX), ..**last })
}

impl Measured {
    /// Whether it ever came to the end: then only turns in which it did count.
    pub(super) fn is_complete(&self) -> bool {
        self.passes().any(|pass| pass.complete)
    }

    fn passes(&self) -> impl Iterator<Item = &Pass> {
        self.turns.iter().filter_map(|turn| turn.pass.as_ref())
    }

    /// The turns that count.
    fn counted(&self) -> impl Iterator<Item = &Pass> {
        let complete = self.is_complete();
        self.passes().filter(move |pass| pass.complete == complete)
    }

    /// The median.
    pub(super) fn middle(&self, figure: impl Fn(&Pass) -> f64) -> Option<f64> {
        median(self.counted().map(figure).collect())
    }

    /// How long a pass took, or was let go on.
    pub(super) fn time(&self) -> Duration {
        let seconds = self.middle(|pass| pass.time.as_secs_f64());
        seconds.map_or(Duration::ZERO, Duration::from_secs_f64)
    }

    /// So many of these a second; `None` if there are none of them.
    pub(super) fn rate(&self, count: impl Fn(&Pass) -> u64) -> Option<f64> {
        let rate = self.middle(|pass| count(pass) as f64 / pass.time.as_secs_f64());
        rate.filter(|&rate| rate.is_finite() && rate > 0.0)
    }

    /// How long so many keys take, or would have taken; `None` if hardly any were read.
    pub(super) fn time_of(&self, keys: u64) -> Option<Duration> {
        let seconds = median(self.counted().filter_map(|pass| pass.seconds_of(keys)).collect())?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// `None` if no read came back.
    pub(super) fn beside(&self) -> Option<Beside> {
        let reads = self.turns.iter().flat_map(|turn| &turn.reads);
        let mut times: Vec<_> = reads.clone().map(|read| read.time).collect();
        times.sort_unstable();
        let (p50, p99) = (percentile(&times, 50)?, percentile(&times, 99)?);
        let failed = reads.filter(|read| read.failed).count() as u64;
        Some(Beside { reads: times.len() as u64, failed, p50, p99 })
    }
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_unstable_by(f64::total_cmp);
    let upper = figures.get(figures.len() / 2)?;
    let lower = figures.get(figures.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// The smallest time that so many percent are not above.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::way::Kind;
    use super::*;

    /// A way whose turns were these: seconds, keys, and whether those were all.
    pub(in super::super) fn measured(way: Way, turns: &[(f64, u64, bool)]) -> Measured {
        let turn = |&(seconds, keys, complete): &(f64, u64, bool)| Turn {
            pass: Some(Pass { keys, complete, time: Duration::from_secs_f64(seconds), ..Pass::default() }),
            reads: Vec::new(),
        };
        Measured { way, turns: turns.iter().map(turn).collect() }
    }

    pub(in super::super) fn reads(millis: impl IntoIterator<Item = u64>) -> Vec<Read> {
        let read = |millis| Read { time: Duration::from_millis(millis), failed: false };
        millis.into_iter().map(read).collect()
    }

    const WAY: Way = Way { kind: Kind::Pages, concurrency: 4 };

    #[test]
    fn a_way_that_came_to_the_end_is_judged_by_the_turns_in_which_it_did() {
        let found = measured(WAY, &[(5.0, 900, false), (2.0, 1000, true), (4.0, 1000, true)]);
        assert!(found.is_complete());
        assert_eq!(
            (found.time(), found.time_of(1000)),
            (Duration::from_secs(3), Some(Duration::from_secs(3)))
        );
    }

    #[test]
    fn one_that_never_did_is_judged_by_its_rate() {
        let mut found = measured(WAY, &[(2.0, 100, false), (2.0, 300, false), (2.0, 200, false)]);
        assert_eq!(found.rate(|pass| pass.keys), Some(100.0));
        assert_eq!(found.time_of(1000), Some(Duration::from_secs(10)));
        for pass in found.turns.iter_mut().filter_map(|turn| turn.pass.as_mut()) {
            pass.opening = Opening { keys: 0, time: Duration::from_secs(1) };
        }
        assert_eq!(found.time_of(1000), Some(Duration::from_secs(6)), "it opens once");
        let nothing = measured(WAY, &[(2.0, 0, false)]);
        assert_eq!((nothing.rate(|pass| pass.keys), nothing.time_of(1000)), (None, None));
        assert_eq!(measured(WAY, &[]).time_of(1000), None);
    }

    #[test]
    fn passes_of_a_turn_are_one() {
        let pass = |millis, complete| Pass {
            keys: 7,
            time: Duration::from_millis(millis),
            complete,
            ..Pass::default()
        };
        assert_eq!(merged(&[pass(10, true), pass(20, true), pass(1, false)]), Some(pass(15, true)));
        assert_eq!(merged(&[pass(10, false)]), Some(pass(10, false)));
        assert_eq!(merged(&[]), None);
    }

    #[test]
    fn reads_of_all_turns_count_together() {
        let mut found = measured(WAY, &[(1.0, 1, true), (1.0, 1, true)]);
        assert_eq!(found.beside(), None);
        found.turns[0].reads = reads((1..=150).rev());
        found.turns[1].reads = reads(151..=200);
        found.turns[1].reads[0].failed = true;
        let (p50, p99) = (Duration::from_millis(100), Duration::from_millis(198));
        assert_eq!(found.beside(), Some(Beside { reads: 200, failed: 1, p50, p99 }));
    }
}
