use std::mem;

use crate::archive::BlockEnds;
use crate::error::Result;
use crate::types::KeyValue;

/// Gathers records into the blocks that an archive of them would have, as they came: without a copy.
#[derive(Debug, Default)]
pub(in crate::backup) struct Blocks {
    ends: BlockEnds,
    open: Vec<KeyValue>,
}

impl Blocks {
    /// Takes the next record in key order, and gives those of the block that it completed, if it did.
    pub(in crate::backup) fn push(&mut self, kv: KeyValue) -> Result<Option<Vec<KeyValue>>> {
        let ends = self.ends.push(&kv)?;
        self.open.push(kv);
        Ok(ends.then(|| mem::take(&mut self.open)))
    }

    /// Whether the next record begins a block.
    pub(in crate::backup) fn is_between(&self) -> bool {
        self.open.is_empty()
    }

    /// What is left; none if a block has just ended.
    pub(in crate::backup) fn finish(self) -> Vec<KeyValue> {
        self.open
    }
}
