//! Lists in messages, whose entries are counted: tiny ones must not multiply in memory.

use crate::archive::layout::MAX_ENTRIES;
use crate::archive::wire::{Malformed, Value};

/// How many more entries a frame may have, in all of its lists together.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_ENTRIES)
    }
}

impl Budget {
    /// Adds an entry to its list.
    pub(super) fn add<T>(&mut self, list: &mut Vec<T>, entry: T) -> Result<(), Malformed> {
        self.0 = self.0.checked_sub(1).ok_or(Malformed)?;
        list.push(entry);
        Ok(())
    }
}

/// A name, which must not be empty.
pub(super) fn name(value: &Value<'_>) -> Result<String, Malformed> {
    value.string().and_then(|name| if name.is_empty() { Err(Malformed) } else { Ok(name) })
}

/// Whether entries are in the one order that they may have.
pub(super) fn ascends<T, K: Ord>(entries: &[T], key: impl Fn(&T) -> K) -> Result<(), Malformed> {
    if entries.is_sorted_by(|a, b| key(a) < key(b)) { Ok(()) } else { Err(Malformed) }
}
