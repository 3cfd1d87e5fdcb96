//! A model of a cluster that does everything that servers may do, and some that they should not, against the
//! pure part of watches: no consumer may see a gap, a part of a revision, or one twice.

mod consumer;
mod server;

use proptest::collection::vec;
use proptest::prelude::*;

use self::consumer::Consumer;
use self::server::{ServerStream, Store};
use super::outlet::Limits;
use super::session::{Reaction, Session};
use crate::pb::etcdserverpb::watch_request::RequestUnion;
use crate::pb::etcdserverpb::{ResponseHeader, WatchRequest, WatchResponse};

const WATCHES: usize = 3;
const LIMITS: Limits = Limits { revisions: 3, bytes: 2000 };
/// Watches begin here or a little later.
const FIRST: i64 = 2;

/// What happens. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    /// A revision with so many events in the watched range; 0 is a change elsewhere.
    Write(usize),
    /// A watch gets some revisions, in fragments of so many events; 0 is no fragments.
    Serve {
        watch: usize,
        revisions: usize,
        fragment: usize,
    },
    /// A watch will be sent again what it had.
    GoBack {
        watch: usize,
        revisions: i64,
    },
    Progress {
        watch: usize,
    },
    /// Servers that were restored tell of the past.
    OldProgress {
        watch: usize,
        revisions: i64,
    },
    /// An answer to nobody, which overtakes events.
    Broadcast,
    Compact {
        revisions_ago: i64,
    },
    /// The next watch to be created is refused for a while, by a server that names no id or a wrong one.
    Refuse {
        id: i64,
    },
    /// A watch is not permitted any more, which its server says when it is created the next time.
    Deny {
        watch: usize,
    },
    /// A watch is cancelled for no reason.
    Cancel {
        watch: usize,
    },
    /// The client gets so many responses.
    Deliver(usize),
    /// The consumer of a watch takes so many updates.
    Consume {
        watch: usize,
        updates: usize,
    },
    /// The client hears of consumers who have drained what there was.
    Obey,
    /// The connection is lost, and all that was under way.
    Break,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // At most one, so that there are others to see that they are not meant.
    let deny = (0..WATCHES).prop_map(|watch| vec![Step::Deny { watch }]);
    (vec(step(), 0..80), prop_oneof![Just(Vec::new()), deny], vec(step(), 1..80))
        .prop_map(|(before, deny, after)| [before, deny, after].concat())
}

fn step() -> impl Strategy<Value = Step> {
    let watch = 0..WATCHES;
    prop_oneof![
        6 => (0..4_usize).prop_map(Step::Write),
        6 => (watch.clone(), 1..6_usize, 0..3_usize)
            .prop_map(|(watch, revisions, fragment)| Step::Serve { watch, revisions, fragment }),
        1 => (watch.clone(), 1..4_i64).prop_map(|(watch, revisions)| Step::GoBack { watch, revisions }),
        1 => watch.clone().prop_map(|watch| Step::Progress { watch }),
        1 => (watch.clone(), 1..4_i64).prop_map(|(watch, revisions)| Step::OldProgress { watch, revisions }),
        1 => Just(Step::Broadcast),
        1 => (0..20_i64).prop_map(|revisions_ago| Step::Compact { revisions_ago }),
        1 => (-1..3_i64).prop_map(|id| Step::Refuse { id }),
        1 => watch.clone().prop_map(|watch| Step::Cancel { watch }),
        4 => Just(Step::Obey),
        8 => (1..6_usize).prop_map(Step::Deliver),
        6 => (watch, 1..6_usize).prop_map(|(watch, updates)| Step::Consume { watch, updates }),
        1 => Just(Step::Break),
    ]
}

struct World {
    store: Store,
    consumers: Vec<Consumer>,
    stream: Option<(Session, ServerStream)>,
    refusal: Option<i64>,
    drained: Vec<usize>,
}

impl World {
    fn new() -> Self {
        let consumers = (0..WATCHES).map(Consumer::new).collect();
        Self { store: Store::default(), consumers, stream: None, refusal: None, drained: Vec::new() }
    }

    fn step(&mut self, step: Step) {
        self.open();
        let (store, stream) = (&mut self.store, self.stream.as_mut());
        let server = stream.map(|(_, server)| server);
        match (step, server) {
            (Step::Write(events), _) => store.write(events),
            (Step::Compact { revisions_ago }, _) => {
                store.compacted = store.compacted.max(store.newest() - revisions_ago);
            }
            (Step::Refuse { id }, _) => self.refusal = Some(id),
            (Step::Deny { watch }, _) => self.consumers[watch].denied = true,
            (Step::Obey, _) => self.obey(),
            (Step::Deliver(responses), _) => self.deliver(responses),
            (Step::Consume { watch, updates }, _) => self.consume(watch, updates),
            (Step::Break, _) => self.stream = None,
            (Step::Broadcast, Some(server)) => server.say(store, -1, WatchResponse::default()),
            (Step::Serve { watch, revisions, fragment }, Some(server)) => {
                if let Some(id) = server.nth(watch) {
                    server.serve(store, id, revisions, fragment);
                }
            }
            (Step::GoBack { watch, revisions }, Some(server)) => {
                if let Some(id) = server.nth(watch) {
                    server.watches.entry(id).and_modify(|next| *next = (*next - revisions).max(FIRST));
                }
            }
            (Step::Progress { watch }, Some(server)) => {
                let synced = server.nth(watch).filter(|id| server.watches[id] > store.newest());
                if let Some(id) = synced {
                    server.say(store, id, WatchResponse::default());
                }
            }
            (Step::OldProgress { watch, revisions }, Some(server)) => {
                if let Some(id) = server.nth(watch) {
                    let revision = (server.watches[&id] - 1 - revisions).max(1);
                    let header = Some(ResponseHeader { revision, ..Default::default() });
                    server.say(store, id, WatchResponse { header, ..Default::default() });
                }
            }
            (Step::Cancel { watch }, Some(server)) => {
                if let Some(id) = server.nth(watch) {
                    server.watches.remove(&id);
                    server.say(store, id, WatchResponse { canceled: true, ..Default::default() });
                }
            }
            (_, None) => {}
        }
    }

    /// As a lane does.
    fn open(&mut self) {
        if self.stream.as_ref().is_none_or(|(session, _)| session.is_idle()) {
            let (mut session, mut server) = (Session::default(), ServerStream::default());
            self.consumers.iter().for_each(|consumer| session.create(&consumer.watch));
            self.send(&mut session, &mut server);
            self.stream = Some((session, server));
        }
    }

    fn send(&mut self, session: &mut Session, server: &mut ServerStream) {
        for request in session.take_requests() {
            let refusal = self.refusal_of(&request);
            server.take(&self.store, request, refusal);
        }
    }

    fn refusal_of(&mut self, request: &WatchRequest) -> Option<(i64, &'static str)> {
        let Some(RequestUnion::CreateRequest(create)) = &request.request_union else { return None };
        let whose = str::from_utf8(&create.key).unwrap().parse::<usize>().unwrap();
        match self.refusal.take() {
            Some(id) => Some((id, "etcdserver: no leader")),
            None => {
                let why = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
                self.consumers[whose].denied.then_some((-1, why))
            }
        }
    }

    fn deliver(&mut self, responses: usize) {
        for _ in 0..responses {
            let Some((mut session, mut server)) = self.stream.take() else { return };
            let response = server.under_way.pop_front();
            match response.map(|response| session.receive(response)) {
                Some(Reaction::Reopen) => return,
                // Nobody has a token here.
                Some(Reaction::Refused(watch, error) | Reaction::Fail(watch, error)) => {
                    watch.outlet.fail(error)
                }
                None | Some(Reaction::None) => {}
            }
            self.send(&mut session, &mut server);
            self.stream = Some((session, server));
            for consumer in &self.consumers {
                let (revisions, bytes) = consumer.watch.outlet.held();
                assert!(revisions <= LIMITS.revisions && (bytes <= LIMITS.bytes || revisions == 1));
            }
        }
    }

    fn consume(&mut self, watch: usize, updates: usize) {
        for _ in 0..updates {
            match self.consumers[watch].take(&self.store) {
                None => return,
                Some(true) => self.drained.push(watch),
                Some(false) => {}
            }
        }
    }

    fn obey(&mut self) {
        let Some((mut session, mut server)) = self.stream.take() else { return };
        for watch in std::mem::take(&mut self.drained) {
            session.create(&self.consumers[watch].watch);
        }
        for consumer in &self.consumers {
            let idle = consumer.watch.outlet.wants().is_some() && !session.holds(&consumer.watch);
            assert!(!idle, "nobody sees to a watch that waits for more");
        }
        self.send(&mut session, &mut server);
        self.stream = Some((session, server));
    }

    /// Lets everybody do what they should until nobody lacks anything.
    fn settle(&mut self) {
        for _ in 0..10 * (self.store.revisions.len() + 10) {
            if self.missing().is_none() {
                return;
            }
            for watch in 0..WATCHES {
                self.step(Step::Serve { watch, revisions: 1000, fragment: 0 });
                self.step(Step::Deliver(100));
                self.step(Step::Consume { watch, updates: 100 });
                self.step(Step::Obey);
            }
        }
        panic!("revision {:?} is never delivered", self.missing());
    }

    fn missing(&self) -> Option<i64> {
        let open = self.consumers.iter().filter(|consumer| !consumer.over);
        let mut lacking = open.flat_map(|consumer| consumer.next..=self.store.newest());
        lacking.find(|&revision| !self.store.events(revision).is_empty())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_servers_do_consumers_see_each_revision_once_and_whole(steps in steps()) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.settle();
    }
}
