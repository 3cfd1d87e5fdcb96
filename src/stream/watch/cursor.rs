//! Where a watch is in the cluster's history. Pure: responses go in, whole revisions come out.

use super::request::Wish;
use super::update::{Event, RevisionEvents, WatchUpdate};
use crate::client::malformed;
use crate::error::Result;
use crate::pb::etcdserverpb::WatchResponse;
use crate::types::Revision;

/// The position of a watch on one stream.
#[derive(Debug)]
pub(super) struct Cursor {
    /// The first revision that has not come whole.
    next: Revision,
    /// A revision whose last events are in the next fragment. Lost with the stream: it then comes anew.
    unfinished: Option<RevisionEvents>,
}

impl Cursor {
    pub(super) fn at(next: Revision) -> Self {
        Self { next, unfinished: None }
    }

    /// What a response of this watch brings that had not come before.
    ///
    /// Fails for events in no order: who could tell what is missing?
    pub(super) fn advance(&mut self, wish: &Wish, response: WatchResponse) -> Result<Vec<WatchUpdate>> {
        if response.events.is_empty() {
            let revision = response.header.map_or(0, |header| header.revision);
            return Ok(self.progress(Revision(revision)).into_iter().collect());
        }
        let mut updates = Vec::new();
        for event in response.events {
            let (revision, event) = wish.event(event)?;
            updates.extend(self.take(revision, event)?);
        }
        if !response.fragment {
            updates.extend(self.finish());
        }
        Ok(updates)
    }

    /// The revision before, if this event shows that it is whole.
    fn take(&mut self, revision: Revision, event: Event) -> Result<Option<WatchUpdate>> {
        // Servers repeat events after a restart, and send old ones to watches of the future.
        if revision < self.next {
            return Ok(None);
        }
        match &mut self.unfinished {
            Some(unfinished) if unfinished.revision == revision => {
                unfinished.events.push(event);
                Ok(None)
            }
            Some(unfinished) if unfinished.revision > revision => {
                Err(malformed("a watch's events come in no order"))
            }
            _ => {
                let whole = self.finish();
                self.unfinished = Some(RevisionEvents { revision, events: vec![event] });
                Ok(whole)
            }
        }
    }

    fn finish(&mut self) -> Option<WatchUpdate> {
        let whole = self.unfinished.take()?;
        self.next = whole.revision.next();
        Some(WatchUpdate::Events(whole))
    }

    /// Everything up to `revision` has been sent. Only here the header's revision counts: beside events it is
    /// the store's, which may be far ahead of them.
    fn progress(&mut self, revision: Revision) -> Option<WatchUpdate> {
        // Less than what has come is a server's mistake; so is any before the first revision asked for.
        if self.unfinished.is_some() || revision.next() < self.next {
            return None;
        }
        self.next = revision.next();
        Some(WatchUpdate::Progress(revision))
    }
}
