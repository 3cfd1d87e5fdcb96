use std::fmt;

use bytes::Bytes;

use crate::util::Escaped;

/// Which keys a request is about: one key, a prefix, from a key on, between two keys, or all.
///
/// A bare key converts into exactly that key, never into a prefix; everything must be spelled
/// [`KeyRange::all`].
///
/// ```
/// use etcd_ark::KeyRange;
///
/// assert!(KeyRange::prefix("/app/").contains(b"/app/a"));
/// assert!(!KeyRange::key("/app/").contains(b"/app/a"));
/// assert!(KeyRange::between("a", "c").contains(b"b"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyRange {
    start: Bytes,
    end: End,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum End {
    /// The start key alone.
    Single,
    /// Keys below this one.
    Before(Bytes),
    /// Every key from the start on.
    Open,
}

/// etcd's spelling of "no bound", both as the smallest key and as the open end.
const NO_BOUND: &[u8] = b"\0";

/// The start and the end of a range that holds no key.
const NO_KEY: &[u8] = b"\x01";

impl KeyRange {
    /// Exactly one key.
    #[must_use]
    pub fn key(key: impl Into<Bytes>) -> Self {
        Self { start: key.into(), end: End::Single }
    }

    /// Every key that begins with these bytes. An empty prefix is every key.
    #[must_use]
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start = prefix.into();
        let end = after_prefix(&start).map_or(End::Open, End::Before);
        Self { start: non_empty(start), end }
    }

    /// Every key from this one on.
    #[must_use]
    pub fn from_key(start: impl Into<Bytes>) -> Self {
        Self { start: non_empty(start.into()), end: End::Open }
    }

    /// Keys from `start` on and below `end`. Empty if `end` is not above `start`.
    #[must_use]
    pub fn between(start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self { start: non_empty(start.into()), end: End::Before(end.into()) }
    }

    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self::from_key(NO_BOUND)
    }

    /// Whether the key lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            End::Single => key == self.start,
            End::Before(end) => key >= &self.start[..] && key < &end[..],
            End::Open => key >= &self.start[..],
        }
    }

    /// The keys of this range that come after this one: what is left once keys up to it were read.
    ///
    /// ```
    /// use etcd_ark::KeyRange;
    ///
    /// let rest = KeyRange::prefix("/app/").after(b"/app/k");
    /// assert!(rest.contains(b"/app/l") && rest.contains(b"/app/k/1"));
    /// assert!(!rest.contains(b"/app/k") && !rest.contains(b"/apple"));
    /// ```
    #[must_use]
    pub fn after(&self, key: &[u8]) -> Self {
        let next = Bytes::from([key, b"\0"].concat());
        match &self.end {
            _ if next <= self.start => self.clone(),
            End::Single => Self::between(next, self.start.clone()),
            End::Before(end) => Self::between(next, end.clone()),
            End::Open => Self::from_key(next),
        }
    }

    /// Whether no key can lie in the range: etcd would refuse it.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.end {
            End::Single => self.start.is_empty(),
            End::Before(end) => *end <= self.start,
            End::Open => false,
        }
    }

    /// The keys of this range, each with this prefix before it.
    pub(super) fn under(&self, prefix: &[u8]) -> Self {
        let end = match &self.end {
            End::Single => End::Single,
            End::Before(end) => End::Before([prefix, end].concat().into()),
            End::Open => after_prefix(prefix).map_or(End::Open, End::Before),
        };
        Self { start: [prefix, &self.start].concat().into(), end }
    }

    /// etcd's `key` and `range_end`.
    pub(crate) fn to_wire(&self) -> (Bytes, Bytes) {
        let end = match &self.end {
            End::Single => Bytes::new(),
            // No key lies below these, but at the end of a range they would mean something else.
            End::Before(end) if end.is_empty() || end == NO_BOUND => {
                return Self::between(NO_KEY, NO_KEY).to_wire();
            }
            End::Before(end) => end.clone(),
            End::Open => Bytes::from_static(NO_BOUND),
        };
        (self.start.clone(), end)
    }

    /// The reverse of [`KeyRange::to_wire`].
    pub(crate) fn from_wire(start: Bytes, end: Bytes) -> Self {
        match &end[..] {
            b"" => Self::key(start),
            NO_BOUND => Self::from_key(start),
            _ => Self::between(start, end),
        }
    }
}

/// What archives and restores ask of a range.
#[cfg(feature = "backup")]
impl KeyRange {
    /// The first key that the range can hold.
    pub(crate) fn start(&self) -> &Bytes {
        &self.start
    }
}

/// etcd refuses an empty key; `\0` is the smallest one.
fn non_empty(start: Bytes) -> Bytes {
    if start.is_empty() { Bytes::from_static(NO_BOUND) } else { start }
}

/// The smallest key above every key with this prefix; `None` if there is none.
fn after_prefix(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|&byte| byte < 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end.into())
}

impl<T: Into<Bytes>> From<T> for KeyRange {
    fn from(key: T) -> Self {
        Self::key(key)
    }
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = Escaped(&self.start);
        match &self.end {
            End::Single => write!(f, "key {start}"),
            End::Before(end) => write!(f, "keys from {start} to {}", Escaped(end)),
            End::Open if self.start == NO_BOUND => f.write_str("all keys"),
            End::Open => write!(f, "keys from {start} on"),
        }
    }
}

impl fmt::Debug for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRange({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_sibling() {
        assert_eq!(KeyRange::prefix("a/").to_wire().1, "a0");
        assert_eq!(KeyRange::prefix(&b"a\xff\xff"[..]).to_wire().1, "b");
        assert_eq!(KeyRange::prefix(&b"\xff"[..]).to_wire().1, NO_BOUND);
        assert_eq!(KeyRange::prefix(""), KeyRange::all());
    }

    #[test]
    fn what_comes_after_a_key_is_the_rest_of_the_range() {
        let key = KeyRange::key("b");
        assert_eq!((key.after(b"a"), key.after(b"b").is_empty()), (KeyRange::key("b"), true));
        let between = KeyRange::between("b", "d");
        assert_eq!(between.after(b"a"), between);
        assert_eq!(between.after(b"b"), KeyRange::between("b\0", "d"));
        assert!(between.after(b"d").is_empty());
        assert_eq!(KeyRange::all().after(b"z"), KeyRange::from_key("z\0"));
    }

    #[test]
    fn ends_below_every_key_do_not_become_no_end() {
        for range in [KeyRange::between("b", "\0"), KeyRange::between("", "\0"), KeyRange::between("b", "")] {
            let (start, end) = range.to_wire();
            assert!(range.is_empty() && KeyRange::from_wire(start, end).is_empty(), "{range}");
        }
    }

    #[test]
    fn wire_form_round_trips() {
        for range in [KeyRange::key("a"), KeyRange::prefix("a"), KeyRange::from_key("a"), KeyRange::all()] {
            let (start, end) = range.to_wire();
            assert_eq!(KeyRange::from_wire(start, end), range);
        }
    }
}
