use std::collections::{BTreeMap, VecDeque};

use crate::pb::etcdserverpb::watch_request::RequestUnion;
use crate::pb::etcdserverpb::{ResponseHeader, WatchRequest, WatchResponse};
use crate::pb::mvccpb;

/// The cluster's history. Revision 1 is empty.
#[derive(Default)]
pub(super) struct Store {
    pub(super) revisions: Vec<Vec<mvccpb::Event>>,
    pub(super) compacted: i64,
}

impl Store {
    pub(super) fn newest(&self) -> i64 {
        1 + i64::try_from(self.revisions.len()).unwrap()
    }

    pub(super) fn write(&mut self, events: usize) {
        let revision = self.newest() + 1;
        let event = |number| {
            let key = format!("k{number}").into();
            let kv = mvccpb::KeyValue {
                key,
                mod_revision: revision,
                value: vec![0; 100].into(),
                ..Default::default()
            };
            mvccpb::Event { r#type: i32::from(number % 2 == 1), kv: Some(kv), prev_kv: None }
        };
        self.revisions.push((0..events).map(event).collect());
    }

    pub(super) fn events(&self, revision: i64) -> &[mvccpb::Event] {
        usize::try_from(revision - 2)
            .ok()
            .and_then(|index| self.revisions.get(index))
            .map_or(&[], Vec::as_slice)
    }
}

/// The servers' end of a stream.
#[derive(Default)]
pub(super) struct ServerStream {
    /// Each watch's next revision, by its id.
    pub(super) watches: BTreeMap<i64, i64>,
    pub(super) under_way: VecDeque<WatchResponse>,
}

impl ServerStream {
    pub(super) fn nth(&self, watch: usize) -> Option<i64> {
        let count = self.watches.len();
        (count > 0).then(|| *self.watches.keys().nth(watch % count).unwrap())
    }

    pub(super) fn say(&mut self, store: &Store, id: i64, response: WatchResponse) {
        let header =
            response.header.unwrap_or(ResponseHeader { revision: store.newest(), ..Default::default() });
        self.under_way.push_back(WatchResponse { header: Some(header), watch_id: id, ..response });
    }

    pub(super) fn take(&mut self, store: &Store, request: WatchRequest, refusal: Option<(i64, &str)>) {
        match request.request_union.unwrap() {
            RequestUnion::CreateRequest(create) => {
                assert!(
                    create.watch_id > 0
                        && create.start_revision > 0
                        && create.fragment
                        && create.progress_notify
                );
                assert!(!self.watches.contains_key(&create.watch_id));
                let created = WatchResponse { created: true, ..Default::default() };
                match refusal {
                    Some((id, reason)) => {
                        let cancel_reason = reason.to_owned();
                        self.say(store, id, WatchResponse { canceled: true, cancel_reason, ..created });
                    }
                    None => {
                        self.say(store, create.watch_id, created);
                        self.watches.insert(create.watch_id, create.start_revision);
                    }
                }
            }
            RequestUnion::CancelRequest(cancel) => {
                // An unknown id gets no answer.
                if self.watches.remove(&cancel.watch_id).is_some() {
                    let canceled = WatchResponse { canceled: true, ..Default::default() };
                    self.say(store, cancel.watch_id, canceled);
                }
            }
            RequestUnion::ProgressRequest(_) => panic!("its answer may overtake events"),
        }
    }

    /// Some revisions from where the watch is on, or the news that they are gone.
    pub(super) fn serve(&mut self, store: &Store, id: i64, revisions: usize, fragment: usize) {
        let next = self.watches[&id];
        if next < store.compacted {
            self.watches.remove(&id);
            let header = Some(ResponseHeader::default());
            let compact_revision = store.compacted;
            return self.say(
                store,
                id,
                WatchResponse { header, canceled: true, compact_revision, ..Default::default() },
            );
        }
        let with_events = (next..=store.newest()).filter(|&revision| !store.events(revision).is_empty());
        let sent: Vec<_> = with_events.take(revisions).collect();
        let Some(last) = sent.last() else { return };
        let events: Vec<_> = sent.iter().flat_map(|&revision| store.events(revision)).cloned().collect();
        let parts: Vec<_> = events.chunks(if fragment == 0 { events.len() } else { fragment }).collect();
        for (number, part) in parts.iter().enumerate() {
            let fragment = number + 1 < parts.len();
            self.say(store, id, WatchResponse { events: part.to_vec(), fragment, ..Default::default() });
        }
        self.watches.insert(id, last + 1);
    }
}
