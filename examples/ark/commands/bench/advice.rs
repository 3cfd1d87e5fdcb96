//! What the figures mean for a backup. Pure.

use std::time::Duration;

use super::figures::Measured;
use super::way::Kind;
use crate::human;

/// More parts at once are worth it from here on.
const NOTABLE: f64 = 1.1;
/// A backup that reads for so long may be overtaken by compactions: Kubernetes asks for one every 5 minutes, of
/// what is 5 minutes old.
const LONG: Duration = Duration::from_secs(240);

/// What to expect of a backup, and how to make it.
#[derive(Clone, Debug)]
pub(super) struct Advice<'a> {
    nothing: Option<&'a Measured>,
    /// As fast as it gets, with as few parts at once as that takes.
    pub(super) chosen: &'a Measured,
    /// With the fewest parts at once.
    gentlest: &'a Measured,
    keys: u64,
}

impl<'a> Advice<'a> {
    /// `None` if no scan has read anything.
    pub(super) fn of(measured: &'a [Measured], keys: u64) -> Option<Self> {
        let scans: Vec<_> = [Kind::Streams, Kind::Pages]
            .into_iter()
            .map(|kind| {
                of_kind(measured, kind).filter(|scan| scan.time_of(keys).is_some()).collect::<Vec<_>>()
            })
            .find(|scans| !scans.is_empty())?;
        let seconds = |scan: &Measured| scan.time_of(keys).map_or(f64::INFINITY, |time| time.as_secs_f64());
        let fastest = scans.iter().map(|scan| seconds(scan)).fold(f64::INFINITY, f64::min);
        let chosen = scans.iter().find(|scan| seconds(scan) <= fastest * NOTABLE)?;
        Some(Self {
            nothing: of_kind(measured, Kind::Nothing).next(),
            chosen,
            gentlest: scans.first()?,
            keys,
        })
    }

    pub(super) fn time(&self) -> Duration {
        self.chosen.time_of(self.keys).unwrap_or_default()
    }

    /// Sentences for people.
    pub(super) fn sentences(&self) -> Vec<String> {
        let gentler = (self.gentlest.way != self.chosen.way).then(|| self.gentler());
        let long = (self.time() >= LONG).then(|| {
            "The cluster must keep its history for that long (--auto-compaction-retention); ark backup \
             --via-snapshot needs no history."
                .to_owned()
        });
        [Some(self.expected()), self.disturbed(), gentler, long].into_iter().flatten().collect()
    }

    fn expected(&self) -> String {
        let (parts, time) = (self.chosen.way.concurrency, human::brief(self.time()));
        let guess = if self.chosen.is_complete() { "" } else { ", going by those that there was time for" };
        format!("A backup reads these keys in about {time} with --concurrency {parts}{guess}.")
    }

    fn disturbed(&self) -> Option<String> {
        let (with, without) = (self.chosen.beside()?, self.nothing?.beside()?);
        let (slow, usual) = (human::brief(with.p99), human::brief(without.p99));
        let failed = match with.failed {
            0 => String::new(),
            failed => format!(" {failed} of {} failed: spare the servers by --rate.", with.reads),
        };
        Some(format!(
            "Meanwhile 99 of 100 small reads of others take up to {slow}, {usual} with nothing beside.{failed}"
        ))
    }

    fn gentler(&self) -> String {
        let (parts, time) =
            (self.gentlest.way.concurrency, self.gentlest.time_of(self.keys).unwrap_or_default());
        let slow = self
            .gentlest
            .beside()
            .map(|beside| format!(", and such reads up to {}", human::brief(beside.p99)));
        let (time, slow) = (human::brief(time), slow.unwrap_or_default());
        format!("With --concurrency {parts} it takes about {time}{slow}; --rate spares the servers further.")
    }
}

fn of_kind(measured: &[Measured], kind: Kind) -> impl Iterator<Item = &Measured> {
    measured.iter().filter(move |measured| measured.way.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{measured, reads};
    use super::super::way::Way;
    use super::*;

    const KEYS: u64 = 1000;

    fn scan(kind: Kind, concurrency: usize, seconds: f64, keys: u64) -> Measured {
        measured(Way { kind, concurrency }, &[(seconds, keys, keys == KEYS)])
    }

    fn sentences(measured: &[Measured]) -> String {
        Advice::of(measured, KEYS).unwrap().sentences().join("\n")
    }

    #[test]
    fn the_fewest_parts_at_once_that_are_about_as_fast_are_advised() {
        let pages = |concurrency, seconds| scan(Kind::Pages, concurrency, seconds, KEYS);
        let told = sentences(&[pages(1, 4.0), pages(4, 2.1), pages(8, 2.0)]);
        assert!(told.contains("about 2.10 s with --concurrency 4."), "{told}");
        assert!(told.contains("With --concurrency 1 it takes about 4.00 s"), "{told}");
        let told = sentences(&[pages(1, 2.1), pages(4, 2.0)]);
        assert_eq!(told.lines().count(), 1, "nothing is gentler than the gentlest: {told}");
    }

    #[test]
    fn it_is_about_streams_where_there_are_some() {
        let found = [scan(Kind::Pages, 1, 1.0, KEYS), scan(Kind::Streams, 1, 2.0, KEYS)];
        assert_eq!(Advice::of(&found, KEYS).unwrap().time(), Duration::from_secs(2));
        assert_eq!(Advice::of(&found[..1], KEYS).unwrap().time(), Duration::from_secs(1));
        let unread = [scan(Kind::Pages, 1, 1.0, KEYS), scan(Kind::Streams, 1, 2.0, 0)];
        assert_eq!(Advice::of(&unread, KEYS).unwrap().time(), Duration::from_secs(1));
    }

    #[test]
    fn a_guess_is_called_one_and_nothing_read_is_none() {
        let told = sentences(&[scan(Kind::Pages, 1, 1.0, 100)]);
        assert!(told.contains("about 10.00 s") && told.contains("going by those"), "{told}");
        assert!(Advice::of(&[scan(Kind::Pages, 1, 1.0, 0)], KEYS).is_none());
        assert!(Advice::of(&[], KEYS).is_none());
    }

    #[test]
    fn what_others_notice_is_told() {
        let mut nothing = scan(Kind::Nothing, 1, 1.0, 0);
        nothing.turns[0].reads = reads([1; 100]);
        let mut pages = scan(Kind::Pages, 4, 1.0, KEYS);
        pages.turns[0].reads = reads([7; 100]);
        let told = sentences(&[nothing.clone(), pages.clone()]);
        assert!(told.contains("up to 7.00 ms, 1.00 ms with nothing beside."), "{told}");
        assert!(!told.contains("failed"), "{told}");
        pages.turns[0].reads[3].failed = true;
        let told = sentences(&[nothing, pages]);
        assert!(told.contains("1 of 100 failed"), "{told}");
    }

    #[test]
    fn long_readings_need_history() {
        assert!(sentences(&[scan(Kind::Pages, 1, 300.0, KEYS)]).contains("--via-snapshot"));
        assert!(!sentences(&[scan(Kind::Pages, 1, 30.0, KEYS)]).contains("--via-snapshot"));
    }
}
