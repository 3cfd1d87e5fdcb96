//! What differs between two states, an archive's or a cluster's.
//!
//! Both sides come in the blocks that their content cuts them into: equal blocks are recognized by their hashes, and
//! only unequal ones are looked into. Memory is bounded by a few blocks and a page.

mod archived;
mod blocks;
mod live;
mod run;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use bytes::Bytes;

pub(super) use self::archived::Archived;
pub(super) use self::blocks::Blocks;
pub(super) use self::live::Live;
pub(super) use self::run::Run;
use crate::archive::Root;
use crate::error::Result;
use crate::types::{KeyValue, LeaseId};

/// One of the two states.
#[derive(Debug)]
pub(super) enum Side<'a> {
    Archived(Box<Archived<'a>>),
    Live(Box<Live>),
}

impl<'a> From<Archived<'a>> for Side<'a> {
    fn from(side: Archived<'a>) -> Self {
        Self::Archived(Box::new(side))
    }
}

impl From<Live> for Side<'_> {
    fn from(side: Live) -> Self {
        Self::Live(Box::new(side))
    }
}

impl Side<'_> {
    pub(super) async fn next_run(&mut self) -> Result<Option<Run>> {
        match self {
            Self::Archived(side) => side.next_run().await,
            Self::Live(side) => side.next_run().await,
        }
    }

    /// The run with its records, which are read if they were not yet.
    pub(super) async fn opened(&mut self, run: Run) -> Result<Run> {
        match self {
            Self::Archived(side) => side.opened(run).await,
            Self::Live(_) => Ok(run),
        }
    }

    /// What stands for the keys and values so far, if they come from a cluster.
    fn content_root(&self) -> Option<Root> {
        match self {
            Self::Archived(_) => None,
            Self::Live(side) => Some(side.content_root()),
        }
    }

    /// The leases of the records so far, as they are in the cluster; none of an archive's.
    fn leases(&self) -> BTreeSet<LeaseId> {
        match self {
            Self::Archived(_) => BTreeSet::new(),
            Self::Live(side) => side.leases().clone(),
        }
    }
}

/// What comes next in key order.
#[derive(Debug)]
pub(super) enum Compared {
    /// Both sides hold these, the right side's records if it was read.
    Same(Run),
    /// One key, as each side has it; at least one does, and if both do they may be the same.
    Key { left: Option<KeyValue>, right: Option<KeyValue> },
}

impl Compared {
    pub(super) fn keys(&self) -> u64 {
        match self {
            Self::Same(run) => run.records,
            Self::Key { .. } => 1,
        }
    }

    /// Bytes of keys and values; 0 where they were not read.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Same(run) => run.bytes(),
            Self::Key { left, right } => left.as_ref().or(right.as_ref()).map_or(0, bytes),
        }
    }
}

/// Bytes of key and value.
fn bytes(kv: &KeyValue) -> u64 {
    (kv.key.len() + kv.value.len()) as u64
}

/// Walks through two states in key order.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    left: Front<'a>,
    right: Front<'a>,
    counts: Counts,
}

/// What makes two records of one key different ones.
#[derive(Clone, Copy, Debug)]
enum Counts {
    Value,
    ValueAndLease,
    /// Revisions and version as well.
    Everything,
}

/// A side, and the run that it has come to.
#[derive(Debug)]
struct Front<'a> {
    side: Side<'a>,
    run: Option<Run>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(left: impl Into<Side<'a>>, right: impl Into<Side<'a>>, leases_count: bool) -> Self {
        let counts = if leases_count { Counts::ValueAndLease } else { Counts::Value };
        Self::begin(left.into(), right.into(), counts)
    }

    /// Of two states that should be the same in all respects, revisions too.
    pub(super) fn exact(left: impl Into<Side<'a>>, right: impl Into<Side<'a>>) -> Self {
        Self::begin(left.into(), right.into(), Counts::Everything)
    }

    fn begin(left: Side<'a>, right: Side<'a>, counts: Counts) -> Self {
        let front = |side| Front { side, run: None };
        Self { left: front(left), right: front(right), counts }
    }

    /// Whether both hold the same.
    pub(super) fn is_same(&self, left: &KeyValue, right: &KeyValue) -> bool {
        match self.counts {
            Counts::Value => left.value == right.value,
            Counts::ValueAndLease => left.value == right.value && left.lease == right.lease,
            Counts::Everything => left == right,
        }
    }

    /// What stands for all keys and values of the right side, if that is a cluster, once all were compared.
    pub(super) fn right_content_root(&self) -> Option<Root> {
        self.right.side.content_root()
    }

    /// The leases that the left side's records have, if it is a cluster.
    pub(super) fn left_leases(&self) -> BTreeSet<LeaseId> {
        self.left.side.leases()
    }

    pub(super) async fn next(&mut self) -> Result<Option<Compared>> {
        self.left.advance().await?;
        self.right.advance().await?;
        if !self.are_equal() {
            self.left.open().await?;
            self.right.open().await?;
        }
        // Again: only reading an archive's block shows whether its records have leases.
        if self.are_equal() {
            self.left.run = None;
            return Ok(self.right.run.take().map(Compared::Same));
        }
        Ok(match order(self.left.key(), self.right.key()) {
            None => None,
            Some(Ordering::Less) => Some(Compared::Key { left: self.left.pop(), right: None }),
            Some(Ordering::Greater) => Some(Compared::Key { left: None, right: self.right.pop() }),
            Some(Ordering::Equal) => Some(Compared::Key { left: self.left.pop(), right: self.right.pop() }),
        })
    }

    /// Whether both have come to the same block.
    fn are_equal(&self) -> bool {
        let (Some(left), Some(right)) = (&self.left.run, &self.right.run) else { return false };
        match self.counts {
            Counts::Value => left.equals(right, false),
            Counts::ValueAndLease => left.equals(right, true),
            Counts::Everything => left.is_identical(right),
        }
    }
}

impl Front<'_> {
    /// Goes on to the next run that is not at its end.
    async fn advance(&mut self) -> Result<()> {
        while self.run.as_ref().is_none_or(|run| run.records == 0) {
            self.run = self.side.next_run().await?;
            if self.run.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn open(&mut self) -> Result<()> {
        if let Some(run) = self.run.take_if(|run| run.unread().is_some()) {
            self.run = Some(self.side.opened(run).await?);
        }
        Ok(())
    }

    fn key(&self) -> Option<&Bytes> {
        self.run.as_ref()?.key()
    }

    fn pop(&mut self) -> Option<KeyValue> {
        self.run.as_mut()?.pop()
    }
}

/// Which side's key comes first; a side without one comes last.
fn order(left: Option<&Bytes>, right: Option<&Bytes>) -> Option<Ordering> {
    match (left, right) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(left), Some(right)) => Some(left.cmp(right)),
    }
}
