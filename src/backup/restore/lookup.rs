use std::collections::VecDeque;

use bytes::Bytes;

use crate::backup::compare::Archived;
use crate::error::Result;
use crate::types::KeyValue;

/// An archive's records, asked for in ascending order.
#[derive(Debug)]
pub(super) struct Lookup<'a> {
    source: Archived<'a>,
    records: VecDeque<KeyValue>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(source: Archived<'a>) -> Self {
        Self { source, records: VecDeque::new() }
    }

    pub(super) async fn get(&mut self, key: &Bytes) -> Result<Option<KeyValue>> {
        loop {
            while self.records.front().is_some_and(|kv| kv.key < *key) {
                self.records.pop_front();
            }
            if let Some(next) = self.records.front() {
                return Ok(Some(next).filter(|kv| kv.key == *key).cloned());
            }
            match self.source.next_run().await? {
                None => return Ok(None),
                Some(run) if run.ends_before(key) => {}
                Some(run) => self.records = self.source.opened(run).await?.into_records(),
            }
        }
    }
}
