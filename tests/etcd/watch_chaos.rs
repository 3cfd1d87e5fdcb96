//! Watches while everything fails at random and writers write as fast as they can: each revision must come
//! once, whole, in order.
//!
//! `ETCD_ARK_WATCH_SECONDS` sets how long; `ETCD_ARK_SEED` repeats the faults of a run, if not their moments.

use std::collections::HashSet;
use std::io::{Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use etcd_ark::{
    Client, Credentials, Delete, Error, Event, KeyRange, Put, Revision, RevisionEvents, Txn, Watch,
    WatchStream, WatchUpdate,
};
use futures_util::TryStreamExt;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::consistency::sound_version;
use crate::support::{Cluster, Fault, Proxy, Random};
use crate::tokens::jwt;

const SECONDS: usize = 60;
const WRITERS: usize = 4;
/// The id of the last write of all.
const LAST: u64 = u64::MAX;
/// Five of them in one deletion, with what they were, are more than a server sends in one piece.
const LARGE: usize = 900_000;
/// When all watches must have caught up after the last fault, beside as long as that took: one reads all of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What strikes a member, or all clients.
#[derive(Debug, Clone, Copy)]
enum Strike {
    Kill,
    Pause,
    CutOff,
    Reset,
    HalfOpen,
    BlackHole,
    /// Makes all tokens void that were given until now, and has watches need one.
    ChangeUsers,
}

const STRIKES: [Strike; 7] = [
    Strike::Kill,
    Strike::Pause,
    Strike::CutOff,
    Strike::Reset,
    Strike::HalfOpen,
    Strike::BlackHole,
    Strike::ChangeUsers,
];

struct Net {
    cluster: Cluster,
    proxies: Vec<Proxy>,
    users: usize,
}

impl Net {
    async fn strike(&mut self, strike: Strike, victim: usize, lasting: Duration) {
        match strike {
            Strike::Kill => self.cluster.member_mut(victim).kill(),
            Strike::Pause => self.cluster.member(victim).pause(),
            Strike::CutOff => self.cluster.cut_off(victim).await,
            Strike::Reset => self.proxies.iter().for_each(Proxy::reset),
            Strike::HalfOpen => self.proxies[victim].set(Fault::HalfOpen),
            Strike::BlackHole => self.proxies[victim].set(Fault::BlackHole),
            Strike::ChangeUsers => {
                self.users += 1;
                self.cluster.member(victim).add_user(&format!("user{}", self.users), "pass", &[]).await;
                self.proxies.iter().for_each(Proxy::reset);
            }
        }
        sleep(lasting).await;
        match strike {
            Strike::Kill => self.cluster.member_mut(victim).restart().await,
            Strike::Pause => self.cluster.member(victim).resume(),
            Strike::CutOff => self.cluster.heal(),
            Strike::HalfOpen | Strike::BlackHole => self.proxies[victim].set(Fault::None),
            Strike::Reset | Strike::ChangeUsers => {}
        }
        self.cluster.leader().await;
    }
}

/// What became of writes. Each has an id, which one of its events tells, and its events have a revision of
/// their own.
#[derive(Default)]
struct Written {
    acknowledged: Vec<(Revision, u64)>,
    /// Nobody knows.
    perhaps: HashSet<u64>,
}

impl Written {
    fn note(&mut self, id: u64, outcome: Result<Revision, Error>) {
        match outcome {
            Ok(revision) => self.acknowledged.push((revision, id)),
            Err(error) if error.may_have_applied() => drop(self.perhaps.insert(id)),
            Err(_) => {}
        }
    }
}

struct Writers {
    client: Client,
    last_id: AtomicU64,
    stop: AtomicBool,
}

impl Writers {
    async fn write(self: Arc<Self>, number: usize) -> Written {
        let mut written = Written::default();
        for round in 0_usize.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
            let txn = Txn::new().then(mark(number, id));
            // The last writer is for large values, five and then their deletion.
            let large = |key: usize| Put::new(format!("large/{key}"), vec![0; LARGE]);
            let txn = match (number + 1 == WRITERS, round % 6) {
                (false, 0) => {
                    (0..3).fold(txn, |txn, key| txn.then(Put::new(format!("k/{number}/{key}"), "v")))
                }
                (false, _) => txn,
                (true, 5) => txn.then(Delete::new(KeyRange::prefix("large/"))),
                (true, key) => txn.then(large(key)),
            };
            written.note(id, self.client.send(txn).await.map(|answer| answer.header.revision));
            if number + 1 == WRITERS {
                sleep(Duration::from_millis(200)).await;
            }
        }
        written
    }
}

fn mark(writer: usize, id: u64) -> Put {
    Put::new(format!("mark/{writer}"), id.to_string())
}

/// What a watch of everything has brought: the id and the number of events of each revision.
struct Seen {
    first: Revision,
    revisions: Vec<(u64, usize)>,
}

impl Seen {
    fn since(first: Revision) -> Self {
        Self { first, revisions: Vec::new() }
    }

    fn next(&self) -> Revision {
        Revision(self.first.0 + i64::try_from(self.revisions.len()).unwrap())
    }

    /// Whether it was the last.
    fn push(&mut self, changes: &RevisionEvents) -> bool {
        assert_eq!(changes.revision, self.next(), "every revision changes a key, so each must come");
        let marks = changes.events.iter().filter_map(|event| match event {
            Event::Put { kv, .. } if kv.key.starts_with(b"mark/") => {
                str::from_utf8(&kv.value).unwrap().parse().ok()
            }
            _ => None,
        });
        let ids: Vec<u64> = marks.collect();
        let [id] = ids[..] else { panic!("not one write: {} of {changes:?}", ids.len()) };
        self.revisions.push((id, changes.events.len()));
        id == LAST
    }

    fn check(&self, written: &[Written]) {
        let unique: HashSet<_> = self.revisions.iter().collect();
        assert_eq!(unique.len(), self.revisions.len(), "a write has come twice");
        let mut known: HashSet<u64> = HashSet::from([LAST]);
        for written in written {
            known.extend(&written.perhaps);
            for (revision, id) in &written.acknowledged {
                known.insert(*id);
                let index = usize::try_from(revision.0 - self.first.0).unwrap();
                assert_eq!(self.revisions[index].0, *id, "what was acknowledged at {revision}");
            }
        }
        let stranger = self.revisions.iter().find(|(id, _)| !known.contains(id));
        assert_eq!(stranger, None, "a write that certainly failed was seen");
    }
}

async fn next(watch: &mut WatchStream) -> RevisionEvents {
    match watch.try_next().await.unwrap() {
        Some(WatchUpdate::Events(changes)) => changes,
        other => panic!("{other:?}"),
    }
}

async fn see(mut watch: WatchStream, first: Revision) -> Seen {
    let mut seen = Seen::since(first);
    while !seen.push(&next(&mut watch).await) {}
    seen
}

/// As a program that is started again and again.
async fn see_with_restarts(client: Client, first: Revision) -> Seen {
    let mut seen = Seen::since(first);
    loop {
        let mut watch = client.watch(Watch::new(KeyRange::all()).from(seen.next()).previous_values());
        let restart = Instant::now() + Duration::from_millis(300);
        while Instant::now() < restart {
            if seen.push(&next(&mut watch).await) {
                return seen;
            }
            assert_eq!(watch.next_revision(), Some(seen.next()));
        }
    }
}

async fn root(endpoints: Vec<String>) -> Client {
    let builder = Client::builder(endpoints).unwrap().credentials(Credentials::new("root", "secret"));
    builder.connect().await.unwrap()
}

/// Sees to it that a write takes effect, once or more: what comes after the first is of no interest.
async fn write_last(client: &Client) {
    while client.send(Txn::new().then(mark(0, LAST)).idempotent()).await.is_err() {}
}

fn from_environment(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_costs_no_watch_a_revision() {
    let seconds = from_environment("ETCD_ARK_WATCH_SECONDS").unwrap_or(SECONDS);
    let seed = from_environment("ETCD_ARK_SEED").unwrap_or_else(|| Random::new().below(1_000_000));
    let mut random = Random::seeded(seed.try_into().unwrap());
    let folder = TempDir::new().unwrap();
    let cluster = jwt(folder.path(), "2s").version(sound_version()).peer_proxies().start_cluster(3).await;
    cluster.member(0).enable_auth("secret").await;
    let proxies = cluster.client_proxies().await;
    let client = root(proxies.iter().map(Proxy::endpoint).collect()).await;
    let (last_id, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let writers = Arc::new(Writers { client: root(cluster.endpoints()).await, last_id, stop });

    let first = writers.client.get("k").await.map(|_| Revision(2)).unwrap();
    let all = || Watch::new(KeyRange::all()).from(first);
    let mut watchers = JoinSet::new();
    watchers.spawn(see(client.watch(all()), first));
    watchers.spawn(see(client.watch(all().previous_values()), first));
    watchers.spawn(see(client.watch(all().progress().only_puts()), first));
    watchers.spawn(see_with_restarts(client.clone(), first));
    let stalled = client.watch(all().previous_values());
    let mut writing = JoinSet::new();
    (0..WRITERS).for_each(|number| drop(writing.spawn(Arc::clone(&writers).write(number))));

    let (mut net, mut strikes) = (Net { cluster, proxies, users: 0 }, Vec::new());
    let over = Instant::now() + Duration::from_secs(seconds.try_into().unwrap());
    while Instant::now() < over {
        let strike = STRIKES[strikes.len() % STRIKES.len()];
        let lasting = Duration::from_millis(500 + 100 * u64::try_from(random.below(35)).unwrap());
        net.strike(strike, random.below(3), lasting).await;
        sleep(Duration::from_millis(500)).await;
        strikes.push(strike);
    }
    writers.stop.store(true, Ordering::Relaxed);
    let written = writing.join_all().await;
    write_last(&writers.client).await;
    watchers.spawn(see(stalled, first));
    let seen =
        timeout(PATIENCE + Duration::from_secs(seconds.try_into().unwrap()), watchers.join_all()).await;
    let seen = seen.expect("all watches catch up");

    seen.iter().for_each(|seen| seen.check(&written));
    let perhaps: usize = written.iter().map(|written| written.perhaps.len()).sum();
    let line = format!(
        "watch chaos: seed {seed}, {} strikes in {seconds} s, {} revisions, {perhaps} writes of unknown outcome\n",
        strikes.len(),
        seen[0].revisions.len()
    );
    // Not by `eprintln`: it is shown for a test that passes, too.
    stderr().write_all(line.as_bytes()).unwrap();
    assert!(seen[0].revisions.len() > 20 * seconds, "hardly anything was written");
}
