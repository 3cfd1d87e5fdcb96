use crate::client::malformed;
use crate::error::{Error, ErrorKind, Result};
use crate::pb::etcdserverpb::watch_create_request::FilterType;
use crate::pb::etcdserverpb::watch_request::RequestUnion;
use crate::pb::etcdserverpb::{WatchCancelRequest, WatchCreateRequest, WatchRequest};
use crate::pb::mvccpb::{self, event::EventType};
use crate::types::{ClusterId, KeyRange, KeyValue, Namespace, Revision};

use super::update::Event;

/// What to watch, and from where on.
///
/// ```no_run
/// # async fn example(client: etcd_ark::Client, stored: etcd_ark::Revision) -> etcd_ark::Result<()> {
/// use etcd_ark::{KeyRange, Watch};
///
/// let watch = Watch::new(KeyRange::prefix("app/")).from(stored).only_deletes().previous_values();
/// let changes = client.watch(watch);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Watch {
    pub(super) range: KeyRange,
    pub(super) from: Option<Revision>,
    pub(super) cluster: Option<ClusterId>,
    pub(super) progress: bool,
    filter: Option<FilterType>,
    previous_values: bool,
}

impl Watch {
    /// Watches this range; a bare key is exactly that key.
    #[must_use]
    pub fn new(range: impl Into<KeyRange>) -> Self {
        Self {
            range: range.into(),
            from: None,
            cluster: None,
            progress: false,
            filter: None,
            previous_values: false,
        }
    }

    /// Begins with this revision, its own changes included; it may lie in the future. Default: right after
    /// the newest revision when the watch begins, which is a moment after [`Client::watch`] returns; see
    /// [`WatchStream::started`].
    ///
    /// [`Client::watch`]: crate::Client::watch
    /// [`WatchStream::started`]: crate::WatchStream::started
    #[must_use]
    pub fn from(self, revision: Revision) -> Self {
        Self { from: Some(revision), ..self }
    }

    /// Has the servers leave deletions out; the opposite of [`Watch::only_deletes`], whose place it takes.
    #[must_use]
    pub fn only_puts(self) -> Self {
        Self { filter: Some(FilterType::Nodelete), ..self }
    }

    /// Has the servers leave puts out; the opposite of [`Watch::only_puts`], whose place it takes.
    #[must_use]
    pub fn only_deletes(self) -> Self {
        Self { filter: Some(FilterType::Noput), ..self }
    }

    /// Has each event carry what the key held before.
    ///
    /// Servers look it up when they send the event: if the revision before has been compacted by then, it is
    /// missing without a word.
    #[must_use]
    pub fn previous_values(self) -> Self {
        Self { previous_values: true, ..self }
    }

    /// Delivers [`WatchUpdate::Progress`] too: how far the watch has got while nothing it watches changed.
    /// Servers tell it every ten minutes unless configured otherwise (`--watch-progress-notify-interval`).
    ///
    /// [`WatchUpdate::Progress`]: crate::WatchUpdate::Progress
    #[must_use]
    pub fn progress(self) -> Self {
        Self { progress: true, ..self }
    }

    /// Says which cluster the first revision is of: only there does it mean anything.
    pub(crate) fn in_cluster(self, cluster: ClusterId) -> Self {
        Self { cluster: Some(cluster), ..self }
    }

    /// Fails for what a server could only misunderstand.
    pub(super) fn check(&self) -> Result<()> {
        if self.range.is_empty() {
            return Err(Error::new(ErrorKind::Config, format!("the range is empty: {}", self.range)));
        }
        match self.from {
            // 0 is etcd's word for "now": wherever the member that is asked has got to.
            Some(from) if from < Revision(1) => {
                Err(Error::new(ErrorKind::Config, format!("a watch can't begin at revision {from}")))
            }
            _ => Ok(()),
        }
    }
}

impl<T: Into<KeyRange>> From<T> for Watch {
    fn from(range: T) -> Self {
        Self::new(range)
    }
}

/// A watch in the servers' terms: what is asked for, and what the answers mean to the client that asked.
#[derive(Debug)]
pub(super) struct Wish {
    watch: Watch,
    namespace: Namespace,
}

impl Wish {
    pub(super) fn new(watch: Watch, namespace: Namespace) -> Self {
        Self { watch, namespace }
    }

    pub(super) fn range(&self) -> &KeyRange {
        &self.watch.range
    }

    /// Fragments, since a revision may be larger than any limit on messages; progress, since a watch that
    /// does not know how far it has got has much to read again, or finds it compacted.
    pub(super) fn create(&self, id: i64, from: Revision) -> WatchRequest {
        let (key, range_end) = self.namespace.range(&self.watch.range).to_wire();
        request(RequestUnion::CreateRequest(WatchCreateRequest {
            key,
            range_end,
            start_revision: from.0,
            progress_notify: true,
            filters: self.watch.filter.map(i32::from).into_iter().collect(),
            prev_kv: self.watch.previous_values,
            watch_id: id,
            fragment: true,
        }))
    }

    /// An event, and its revision.
    pub(super) fn event(&self, wire: mvccpb::Event) -> Result<(Revision, Event)> {
        let kind = wire.r#type();
        let kv = wire.kv.ok_or_else(|| malformed("an event without a key"))?;
        let kv = self.namespace.strip_kv(kv)?;
        let previous = wire.prev_kv.map(|kv| self.namespace.strip_kv(kv)).transpose()?;
        Ok((kv.mod_revision, event(kind, kv, previous)))
    }
}

fn event(kind: EventType, kv: KeyValue, previous: Option<KeyValue>) -> Event {
    match kind {
        EventType::Put => Event::Put { kv, previous },
        EventType::Delete => Event::Delete { key: kv.key, previous },
    }
}

pub(super) fn cancel(id: i64) -> WatchRequest {
    request(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: id }))
}

fn request(union: RequestUnion) -> WatchRequest {
    WatchRequest { request_union: Some(union) }
}
