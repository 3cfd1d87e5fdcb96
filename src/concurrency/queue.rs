//! The keys under a name, and who comes first. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::stream::{Event, RevisionEvents};
use crate::types::{KeyRange, KeyValue, LeaseId, Revision};

/// Those who want to hold a name, in the order in which they came.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    /// The name and a slash.
    prefix: Bytes,
}

impl Queue {
    pub(super) fn new(name: &[u8]) -> Self {
        Self { prefix: [name, b"/"].concat().into() }
    }

    /// All keys of the queue, and of queues whose names go on where this one's prefix ends.
    pub(super) fn range(&self) -> KeyRange {
        KeyRange::prefix(self.prefix.clone())
    }

    /// A key that nobody else has. Go's clients use the lease alone, which then holds twice what it asks for
    /// twice.
    pub(super) fn key(&self, lease: LeaseId, random: u64) -> Bytes {
        let own = format!("{:x}-{random:x}", lease.0);
        [&self.prefix, own.as_bytes()].concat().into()
    }

    /// Whether a key of the range is one of the queue.
    fn holds(&self, key: &Bytes) -> bool {
        key.strip_prefix(&self.prefix[..]).is_some_and(|own| !own.contains(&b'/'))
    }

    /// The last of those who came before this revision.
    pub(super) fn next_before(&self, token: Revision, keys: Vec<KeyValue>) -> Option<KeyValue> {
        let ahead = keys.into_iter().filter(|kv| self.holds(&kv.key) && kv.create_revision < token);
        ahead.max_by_key(|kv| kv.create_revision)
    }
}

/// What an observer knows of a queue.
#[derive(Debug)]
pub(super) struct Contenders {
    queue: Queue,
    /// By the revision that created the key: the first one leads. A restore creates many at one revision.
    waiting: BTreeMap<(Revision, Bytes), KeyValue>,
}

impl Contenders {
    pub(super) fn new(queue: Queue, keys: Vec<KeyValue>) -> Self {
        let mut contenders = Self { queue, waiting: BTreeMap::new() };
        keys.into_iter().for_each(|kv| contenders.put(kv));
        contenders
    }

    pub(super) fn leader(&self) -> Option<&KeyValue> {
        Some(self.waiting.first_key_value()?.1)
    }

    pub(super) fn apply(&mut self, changes: RevisionEvents) {
        for event in changes.events {
            match event {
                Event::Put { kv, .. } => self.put(kv),
                Event::Delete { key, .. } => self.waiting.retain(|_, kv| kv.key != key),
            }
        }
    }

    fn put(&mut self, kv: KeyValue) {
        if self.queue.holds(&kv.key) {
            // Kept for long: not as a slice of the answer that it came in.
            let kv = kv.detach();
            self.waiting.insert((kv.create_revision, kv.key.clone()), kv);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(key: &'static str, created: i64) -> KeyValue {
        let (key, created) = (Bytes::from_static(key.as_bytes()), Revision(created));
        KeyValue {
            key,
            value: Bytes::new(),
            create_revision: created,
            mod_revision: created,
            version: 1,
            lease: None,
        }
    }

    fn leader(contenders: &Contenders) -> Option<&[u8]> {
        contenders.leader().map(|kv| &kv.key[..])
    }

    #[test]
    fn each_waits_for_the_one_right_before_it_in_the_order_of_creation() {
        let keys = || vec![kv("q/b", 3), kv("q/a", 5), kv("q/c", 9)];
        let queue = Queue::new(b"q");
        let before = |token| queue.next_before(Revision(token), keys()).map(|kv| kv.create_revision.0);
        assert_eq!((before(9), before(5), before(3)), (Some(5), Some(3), None));
    }

    #[test]
    fn names_that_go_on_after_a_slash_are_other_queues() {
        let queue = Queue::new(b"q");
        assert_eq!(queue.next_before(Revision(9), vec![kv("q/deeper/a", 3)]), None);
        assert_eq!(leader(&Contenders::new(queue, vec![kv("q/deeper/a", 3)])), None);
    }

    #[test]
    fn no_two_keys_are_alike_even_with_one_lease() {
        let queue = Queue::new(b"q");
        assert_eq!(queue.key(LeaseId(0xab), 0xcd), "q/ab-cd");
        assert_ne!(queue.key(LeaseId(1), 1), queue.key(LeaseId(1), 2));
    }

    #[test]
    fn the_one_created_first_leads_until_its_key_goes() {
        let mut contenders = Contenders::new(Queue::new(b"q"), vec![kv("q/b", 3), kv("q/a", 5)]);
        assert_eq!(leader(&contenders), Some(&b"q/b"[..]));
        let again = Event::Put { kv: KeyValue { mod_revision: Revision(7), ..kv("q/b", 3) }, previous: None };
        contenders.apply(RevisionEvents { revision: Revision(7), events: vec![again] });
        assert_eq!(contenders.leader().map(|kv| kv.mod_revision), Some(Revision(7)));
        let gone = Event::Delete { key: Bytes::from_static(b"q/b"), previous: None };
        contenders.apply(RevisionEvents { revision: Revision(8), events: vec![gone] });
        assert_eq!(leader(&contenders), Some(&b"q/a"[..]));
    }
}
