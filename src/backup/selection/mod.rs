//! Which keys of an archive a restore or a comparison is about, and under which names. Pure.

mod segment;
mod span;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use self::segment::Rename;
pub(super) use self::segment::Segment;
use self::span::within;
pub(super) use self::span::{Span, hull, union, without};
use crate::error::{Error, ErrorKind, Result};
use crate::types::KeyRange;
use crate::util::Escaped;

/// Which keys, and where they go. Default: every key, under its own name.
///
/// ```
/// use etcd_ark::KeyRange;
/// use etcd_ark::backup::Selection;
///
/// let apps = Selection::new()
///     .range(KeyRange::prefix("/app/"))
///     .range(KeyRange::prefix("/web/"))
///     .exclude(KeyRange::prefix("/app/cache/"))
///     .only(|key| !key.ends_with(b".tmp"))
///     .rename("/app/", "/restored/");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Selection {
    ranges: Vec<KeyRange>,
    excluded: Vec<KeyRange>,
    filter: Option<Filter>,
    renames: Vec<Rename>,
}

/// Says which keys are wanted.
#[derive(Clone)]
struct Filter(Arc<Condition>);

type Condition = dyn Fn(&[u8]) -> bool + Send + Sync;

impl Filter {
    fn takes(&self, key: &[u8]) -> bool {
        (self.0)(key)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")
    }
}

impl Selection {
    /// Every key, under its own name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the keys of this range. Default: every key.
    #[must_use]
    pub fn range(mut self, range: impl Into<KeyRange>) -> Self {
        self.ranges.push(range.into());
        self
    }

    /// Leaves the keys of this range out. Default: none.
    #[must_use]
    pub fn exclude(mut self, range: impl Into<KeyRange>) -> Self {
        self.excluded.push(range.into());
        self
    }

    /// Leaves out keys for which this is false; of several, all must hold. Default: none. A comparison then has to
    /// look at every key: prefer ranges where they will do.
    #[must_use]
    pub fn only(self, wanted: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        let filter = match self.filter {
            Some(earlier) => Filter(Arc::new(move |key: &[u8]| earlier.takes(key) && wanted(key))),
            None => Filter(Arc::new(wanted)),
        };
        Self { filter: Some(filter), ..self }
    }

    /// Restores keys that begin with `from` as if they began with `to`; of several that fit, the longest counts.
    /// Ranges, exclusions and conditions speak of the names in the archive. Default: every key keeps its name.
    #[must_use]
    pub fn rename(mut self, from: impl Into<Bytes>, to: impl Into<Bytes>) -> Self {
        self.renames.push(Rename { from: from.into(), to: to.into() });
        self
    }

    /// Whether any key gets another name.
    pub(super) fn renames(&self) -> bool {
        !self.renames.is_empty()
    }

    /// What tells one set of renames from another.
    pub(super) fn renames_id(&self) -> Vec<u8> {
        let len = |name: &Bytes| (name.len() as u64).to_le_bytes();
        let names = self.renames.iter().flat_map(|rename| [&rename.from, &rename.to]);
        names.flat_map(|name| [&len(name)[..], name].concat()).collect()
    }

    /// The selected keys that lie in all of these ranges, in stretches that are sorted and disjoint in the target.
    pub(super) fn segments(&self, bounds: &[KeyRange]) -> Result<Vec<Segment>> {
        let mut targets: Vec<(Span, Segment)> = Vec::new();
        for (span, rename) in self.renamed(bounds)? {
            let target = rename.as_ref().map_or_else(|| span.clone(), |rename| rename.apply(&span));
            let segment = Segment::new(&span, &target, rename, self.filter.clone());
            targets.push((target, segment));
        }
        targets.sort_by(|one, two| one.0.cmp(&two.0));
        check_disjoint(&targets)?;
        Ok(targets.into_iter().map(|(_, segment)| segment).collect())
    }

    /// The keys that stay where they are although others are to go there: there must be none in the archive.
    pub(super) fn in_the_way(&self, bounds: &[KeyRange]) -> Vec<KeyRange> {
        let targets: Vec<_> = self.renames.iter().map(|rename| Span::prefix(&rename.to)).collect();
        let staying = self.staying(bounds);
        targets.iter().flat_map(|target| within(&staying, target)).map(|span| span.to_range()).collect()
    }

    fn selected(&self, bounds: &[KeyRange]) -> Vec<Span> {
        let all = [KeyRange::all()];
        let ranges = if self.ranges.is_empty() { &all[..] } else { &self.ranges };
        let selected = without(union(ranges), &union(&self.excluded));
        bounds.iter().fold(selected, |selected, bound| {
            union(std::slice::from_ref(bound)).iter().flat_map(|bound| within(&selected, bound)).collect()
        })
    }

    /// The selected keys that no rename is about.
    fn staying(&self, bounds: &[KeyRange]) -> Vec<Span> {
        let leaving: Vec<_> = self.renames.iter().map(|rename| Span::prefix(&rename.from)).collect();
        without(self.selected(bounds), &leaving)
    }

    fn renamed(&self, bounds: &[KeyRange]) -> Result<Vec<(Span, Option<Rename>)>> {
        self.check_renames()?;
        let targets: Vec<_> = self.renames.iter().map(|rename| Span::prefix(&rename.to)).collect();
        // What stays leaves the renames' targets to them: the archive holds no key there.
        let staying = without(self.staying(bounds), &targets).into_iter().map(|span| (span, None));
        let selected = self.selected(bounds);
        let moving = self.renames.iter().flat_map(|rename| {
            let own = within(&selected, &Span::prefix(&rename.from));
            let nested: Vec<_> = self.renames.iter().filter(|other| rename.yields_to(other)).collect();
            let nested: Vec<_> = nested.iter().map(|other| Span::prefix(&other.from)).collect();
            without(own, &nested).into_iter().map(|span| (span, Some(rename.clone())))
        });
        Ok(staying.chain(moving).collect())
    }

    fn check_renames(&self) -> Result<()> {
        for (at, rename) in self.renames.iter().enumerate() {
            if self.renames[..at].iter().any(|earlier| earlier.from == rename.from) {
                let what = format!("keys with prefix {} are to go to two places", Escaped(&rename.from));
                return Err(Error::new(ErrorKind::Config, what));
            }
        }
        Ok(())
    }
}

impl Rename {
    /// Whether the other is about some of the same keys and fits them better.
    fn yields_to(&self, other: &Self) -> bool {
        other.from.len() > self.from.len() && other.from.starts_with(&self.from)
    }
}

fn check_disjoint(targets: &[(Span, Segment)]) -> Result<()> {
    for two in targets.windows(2) {
        let [(one, from_one), (other, from_other)] = two else { continue };
        if one.intersection(other).is_some() {
            let what = format!(
                "{} and {} of the archive would go to the same place, {}; restore them one after the other, or \
                 to different places",
                from_one.source,
                from_other.source,
                other.to_range()
            );
            return Err(Error::new(ErrorKind::Config, what));
        }
    }
    Ok(())
}

/// A selection of one range.
impl<T: Into<KeyRange>> From<T> for Selection {
    fn from(range: T) -> Self {
        Self::new().range(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{KeyValue, Revision};

    fn kv(key: &str) -> KeyValue {
        KeyValue {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: Bytes::new(),
            create_revision: Revision(1),
            mod_revision: Revision(1),
            version: 1,
            lease: None,
        }
    }

    /// Where the key goes, if it is selected; checks that its target selects it too.
    fn restored(selection: &Selection, key: &str) -> Option<String> {
        let segments = selection.segments(&[]).unwrap();
        let found: Vec<_> =
            segments.iter().filter_map(|segment| Some((segment, segment.restored(kv(key))?))).collect();
        assert!(found.len() <= 1, "{key} is in two segments");
        let (segment, kv) = found.into_iter().next()?;
        assert!(segment.target.contains(&kv.key) && segment.selects_target(&kv.key), "{key}");
        Some(String::from_utf8(kv.key.to_vec()).unwrap())
    }

    #[test]
    fn everything_is_selected_unless_told_otherwise() {
        assert_eq!(restored(&Selection::new(), "a").as_deref(), Some("a"));
        let segments = Selection::new().segments(&[]).unwrap();
        assert!(segments.len() == 1 && segments[0].is_plain());
    }

    #[test]
    fn ranges_add_up_and_exclusions_and_conditions_take_away() {
        let selection = Selection::new()
            .range(KeyRange::prefix("a/"))
            .range(KeyRange::prefix("b/"))
            .exclude(KeyRange::prefix("a/x/"))
            .only(|key| !key.ends_with(b"~"));
        for (key, wanted) in [("a/1", true), ("b/1", true), ("a/x/1", false), ("b/1~", false), ("c", false)] {
            assert_eq!(restored(&selection, key).is_some(), wanted, "{key}");
        }
    }

    #[test]
    fn the_longest_prefix_gives_the_new_name() {
        let selection = Selection::new().rename("a/", "z/").rename("a/b/", "y/");
        for (key, wanted) in [("a/1", "z/1"), ("a/b/1", "y/1"), ("b", "b"), ("a/", "z/")] {
            assert_eq!(restored(&selection, key).as_deref(), Some(wanted), "{key}");
        }
        let into = Selection::new().rename("", "all/");
        assert_eq!(restored(&into, "a").as_deref(), Some("all/a"));
        let out = Selection::from(KeyRange::prefix("a/")).rename("a/", "");
        assert_eq!(restored(&out, "a/b").as_deref(), Some("b"));
    }

    #[test]
    fn prefixes_can_change_places() {
        let selection = Selection::new().rename("a/", "b/").rename("b/", "a/");
        assert_eq!(restored(&selection, "a/1").as_deref(), Some("b/1"));
        assert_eq!(restored(&selection, "b/1").as_deref(), Some("a/1"));
        assert!(selection.in_the_way(&[]).is_empty());
    }

    #[test]
    fn what_stays_in_the_way_of_a_rename_is_told() {
        let selection = Selection::new().rename("a/", "b/");
        assert_eq!(selection.in_the_way(&[]), [KeyRange::between("b/", "b0")]);
        let apart = Selection::from(KeyRange::prefix("a/")).rename("a/", "b/");
        assert!(apart.in_the_way(&[]).is_empty());
    }

    #[test]
    fn two_prefixes_do_not_go_to_one_place() {
        for (one, two) in [("c/", "c/"), ("c/", "c/d/"), ("", "c/")] {
            let error = Selection::new().rename("a/", one).rename("b/", two).segments(&[]).unwrap_err();
            assert!(error.kind() == ErrorKind::Config && error.to_string().contains("same place"), "{error}");
        }
        let twice = Selection::new().rename("a/", "b/").rename("a/", "c/");
        assert!(twice.segments(&[]).unwrap_err().to_string().contains("two places"));
    }
}
