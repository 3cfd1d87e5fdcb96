//! The ways to read that are measured.

use std::fmt;
use std::num::NonZeroUsize;

/// A way to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) kind: Kind,
    /// How many parts are read at once.
    pub(super) concurrency: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No reading at all, to compare with.
    Nothing,
    /// As a backup reads from servers before 3.7.
    Pages,
    /// As a backup reads from servers since 3.7.
    Streams,
    /// As other clients read: the server goes through all that is left for each page.
    FarEnd,
    /// A member's whole database.
    Snapshot,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no reading",
            Self::Pages => "scan by pages",
            Self::Streams => "scan by streams",
            Self::FarEnd => "pages of 1,000, as other clients do",
            Self::Snapshot => "snapshot, whole database",
        }
    }

    pub(super) fn is_scan(self) -> bool {
        matches!(self, Self::Pages | Self::Streams)
    }

    /// Whether nothing can be measured if this can't be.
    pub(super) fn is_needed(self) -> bool {
        matches!(self, Self::Nothing | Self::Pages)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.kind.name();
        if self.kind.is_scan() {
            write!(f, "{name}, {} at once", self.concurrency)
        } else {
            f.write_str(name)
        }
    }
}

/// All ways, those with several numbers of parts once for each.
pub(super) fn all(concurrency: &[NonZeroUsize]) -> Vec<Way> {
    let mut numbers: Vec<usize> = concurrency.iter().copied().map(NonZeroUsize::get).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let scans = [Kind::Pages, Kind::Streams].into_iter();
    let scans = scans.flat_map(|kind| numbers.iter().map(move |&concurrency| Way { kind, concurrency }));
    let single = |kind| Way { kind, concurrency: 1 };
    let rest = [Kind::FarEnd, Kind::Snapshot].map(single);
    [single(Kind::Nothing)].into_iter().chain(scans).chain(rest).collect()
}

/// The order of a round: each begins with another way, so that none always follows the same one.
pub(super) fn order(ways: &[Way], round: usize) -> impl Iterator<Item = Way> {
    let first = round.checked_rem(ways.len()).unwrap_or_default();
    ways.iter().cycle().skip(first).take(ways.len()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(numbers: &[usize]) -> Vec<Way> {
        all(&numbers.iter().map(|&number| NonZeroUsize::new(number).unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn each_number_of_parts_is_measured_once_and_by_both_kinds_of_scans() {
        let scans: Vec<_> =
            ways(&[8, 1, 8]).iter().filter(|way| way.kind.is_scan()).map(Way::to_string).collect();
        let expected = ["pages, 1", "pages, 8", "streams, 1", "streams, 8"];
        assert_eq!(scans, expected.map(|way| format!("scan by {way} at once")));
    }

    #[test]
    fn rounds_have_the_same_ways_in_another_order() {
        let ways = ways(&[4]);
        let (first, second) = (order(&ways, 0).collect::<Vec<_>>(), order(&ways, 1).collect::<Vec<_>>());
        assert_eq!((&first, second.last()), (&ways, ways.first()));
        assert_eq!((second.len(), second[0]), (ways.len(), ways[1]));
        assert_eq!(order(&ways, ways.len()).collect::<Vec<_>>(), first);
    }
}
