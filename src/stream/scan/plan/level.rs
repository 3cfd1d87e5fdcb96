//! What is known of the bytes at one depth of the keys.

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    pub(super) fn is_text(&self) -> bool {
        let controls = self.0[0] & 0xffff_ffff | self.0[1] & 1 << 63;
        controls == 0 && self.0[2] == 0 && self.0[3] == 0
    }
}

/// The bytes that names count or spell with: digits, capitals, small letters. The rest is one kind.
pub(super) fn kind(byte: u8) -> (u8, u8) {
    match byte {
        b'0'..=b'9' => (b'0', b'9'),
        b'A'..=b'Z' => (b'A', b'Z'),
        b'a'..=b'z' => (b'a', b'z'),
        _ => (0, u8::MAX),
    }
}

/// One depth of the keys: the node there that the last key lies in, and its siblings. A node is
/// all keys with a prefix, its siblings are those that differ in the prefix's last byte.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    /// How many keys had been read when the current node began.
    pub(super) began: u64,
    /// How many keys a sibling holds, the later ones counting more. `None` until two were seen.
    pub(super) size: Option<f64>,
    /// Every byte that was seen here, under whatever parent.
    seen: ByteSet,
    /// The first byte under the current parent.
    pub(super) lowest: Option<u8>,
    /// The last byte so far under the current parent.
    latest: Option<u8>,
    /// The last byte under the last parent that is read to its end.
    highest: Option<u8>,
    /// Whether some parent was read to its end.
    pub(super) read_whole: bool,
}

impl Level {
    /// The bytes that a sibling may have after `byte`: those seen here, if a whole parent was read,
    /// otherwise the rest of the byte's kind too. Binary names may hold what `anywhere` holds.
    pub(super) fn siblings(&self, after: Option<u8>, anywhere: &ByteSet) -> impl Iterator<Item = u8> {
        let (highest, kind_end) = match after {
            Some(byte) => (self.highest.filter(|&highest| highest >= byte), self.kind_of(byte).1),
            None => (self.highest, u8::MAX),
        };
        let is_text = kind_end < u8::MAX;
        let first = after.map_or(0, |byte| u16::from(byte) + 1);
        let bytes = (first..=u16::from(highest.unwrap_or(u8::MAX))).map(|byte| byte.to_le_bytes()[0]);
        bytes.filter(move |&byte| {
            let may_come = highest.is_none() && byte <= kind_end && (is_text || anywhere.contains(byte));
            self.seen.contains(byte) || may_come
        })
    }

    fn kind_of(&self, byte: u8) -> (u8, u8) {
        if self.seen.is_text() { kind(byte) } else { (0, u8::MAX) }
    }

    /// How many siblings on `to` is from `from`.
    pub(super) fn distance(&self, from: u8, to: u8) -> u32 {
        let between = (from..to).skip(1).filter(|&byte| self.seen.contains(byte)).count();
        u32::try_from(between).unwrap_or_default() + 1
    }

    /// Takes note that `siblings` nodes held `keys` keys together.
    pub(super) fn observe(&mut self, keys: u64, siblings: u32) {
        let mean = keys as f64 / f64::from(siblings);
        let old = self.size.unwrap_or(mean);
        self.size = Some(mean + (old - mean) * 0.5_f64.powf(siblings.into()));
    }

    /// Begins a node under the same parent, or under a `new_parent`.
    pub(super) fn begin(&mut self, byte: u8, read: u64, new_parent: bool) {
        if !self.seen.contains(byte) {
            self.take_for_another_kind(byte, new_parent);
        }
        if new_parent {
            self.lowest = Some(byte);
        }
        self.latest = Some(byte);
        self.began = read;
        self.seen.insert(byte);
    }

    /// A byte that was not seen before: what was seen tells little of this parent.
    fn take_for_another_kind(&mut self, byte: u8, new_parent: bool) {
        let (first, last) = self.kind_of(byte);
        if new_parent && !(first..=last).any(|byte| self.seen.contains(byte)) {
            *self = Self::default();
        }
        self.highest = None;
    }

    /// Takes note that the current parent is read to its end.
    pub(super) fn end(&mut self) {
        if let Some(latest) = self.latest.take() {
            self.highest = Some(latest);
            self.read_whole = true;
        }
    }
}
