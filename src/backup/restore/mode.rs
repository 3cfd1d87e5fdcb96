/// What a restore does with keys that the cluster holds already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestoreMode {
    /// Write nothing if the cluster holds any key of the archive with another value or lease.
    #[default]
    Refuse,
    /// Leave existing keys alone and write the others.
    Missing,
    /// Overwrite them, each only if nobody has written it since the plan was made.
    Unchanged,
    /// Overwrite them. Keys that the archive does not hold stay.
    Replace,
    /// As [`RestoreMode::Replace`], and at last delete the keys that the archive does not hold, each only if
    /// nobody has written it since the plan was made.
    Mirror,
    /// Write every key, also those that are the same already, and at last delete the others that were there when
    /// the plan was made: as if the range were deleted first, but it is never empty.
    Overwrite,
}

impl RestoreMode {
    /// Whether it may overwrite or delete what the cluster holds.
    #[must_use]
    pub fn is_destructive(self) -> bool {
        self.updates()
    }

    pub(super) fn updates(self) -> bool {
        !matches!(self, Self::Refuse | Self::Missing)
    }

    pub(super) fn rewrites(self) -> bool {
        self == Self::Overwrite
    }

    pub(super) fn deletes(self) -> bool {
        matches!(self, Self::Mirror | Self::Overwrite)
    }

    pub(super) fn guards_puts(self) -> bool {
        matches!(self, Self::Refuse | Self::Missing | Self::Unchanged)
    }

    pub(super) fn guards_deletes(self) -> bool {
        self != Self::Overwrite
    }
}
