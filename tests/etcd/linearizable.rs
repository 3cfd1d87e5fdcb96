//! Histories of reads, writes and compare-and-sets by many callers while the cluster and its network fail at
//! random: whatever the client says about them must be true.
//!
//! `ETCD_ARK_ROUNDS` sets how many rounds; `ETCD_ARK_SEED` repeats the faults of a run, if not their moments.

use std::collections::HashMap;
use std::io::{Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use etcd_ark::{Client, Compare, Error, Get, OperationResult, Put, Relation, Txn};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::register::{self, Call, Effect, Value};
use crate::support::{Builder, Cluster, Fault, Proxy, Random};

const CALLERS: usize = 16;
const KEYS: usize = 3;

/// What strikes a member in a round. Most of etcd's failpoints here are those of its own robustness tests.
#[derive(Debug, Clone, Copy)]
enum Strike {
    /// Dies in a write that is not on its disk yet, or is.
    PanicBeforeSave,
    PanicAfterSave,
    ApplyLate,
    SlowDisk,
    /// Hears nothing from the other members, but is heard.
    Deaf,
    Kill,
    Pause,
    CutOff,
    /// Of its clients' connections, by the proxy.
    Reset,
    CutAnswers,
    HalfOpen,
    BlackHole,
}

use Strike::{
    ApplyLate, BlackHole, CutAnswers, CutOff, Deaf, HalfOpen, Kill, PanicAfterSave, PanicBeforeSave, Pause,
    Reset, SlowDisk,
};

/// Those that take a server with failpoints come first.
const STRIKES: [Strike; 12] = [
    PanicBeforeSave,
    PanicAfterSave,
    ApplyLate,
    SlowDisk,
    Deaf,
    Kill,
    Pause,
    CutOff,
    Reset,
    CutAnswers,
    HalfOpen,
    BlackHole,
];
const WITH_FAILPOINTS: usize = 5;

struct Net {
    cluster: Cluster,
    proxies: Vec<Proxy>,
}

impl Net {
    async fn start(builder: Builder) -> Self {
        let cluster = builder.peer_proxies().start_cluster(3).await;
        let proxies = cluster.client_proxies().await;
        Self { cluster, proxies }
    }

    /// Half of the time the leader, whom most faults hurt most.
    async fn victim(&self, random: &mut Random) -> usize {
        let leader = self.cluster.leader().await;
        if random.percent(50) { leader } else { random.below(3) }
    }

    async fn strike(&mut self, strike: Strike, victim: usize) {
        let member = self.cluster.member(victim);
        match strike {
            PanicBeforeSave => member.set_failpoint("raftBeforeSave", r#"panic("struck")"#).await,
            PanicAfterSave => member.set_failpoint("raftAfterSave", r#"panic("struck")"#).await,
            ApplyLate => member.set_failpoint("beforeApplyOneEntryNormal", r#"sleep("30ms")"#).await,
            SlowDisk => member.set_failpoint("walBeforeSync", r#"sleep("300ms")"#).await,
            Deaf => member.set_failpoint("raftDropHeartbeat", "return").await,
            Kill => self.cluster.member_mut(victim).kill(),
            Pause => member.pause(),
            CutOff => self.cluster.cut_off(victim).await,
            Reset => {
                for _ in 0..10 {
                    self.proxies.iter().for_each(Proxy::reset);
                    sleep(Duration::from_millis(50)).await;
                }
            }
            CutAnswers => self.proxies.iter().for_each(|proxy| proxy.set(Fault::CutAfter(2003))),
            HalfOpen => self.proxies[victim].set(Fault::HalfOpen),
            BlackHole => self.proxies[victim].set(Fault::BlackHole),
        }
    }

    async fn relieve(&mut self, strike: Strike, victim: usize) {
        let member = self.cluster.member(victim);
        match strike {
            PanicBeforeSave | PanicAfterSave | Kill => self.cluster.member_mut(victim).restart().await,
            ApplyLate => member.clear_failpoint("beforeApplyOneEntryNormal").await,
            SlowDisk => member.clear_failpoint("walBeforeSync").await,
            Deaf => member.clear_failpoint("raftDropHeartbeat").await,
            Pause => member.resume(),
            CutOff => self.cluster.heal(),
            Reset => {}
            CutAnswers | HalfOpen | BlackHole => self.proxies.iter().for_each(|proxy| proxy.set(Fault::None)),
        }
        self.cluster.leader().await;
    }
}

/// What all callers of a round share.
struct Round {
    client: Client,
    number: usize,
    start: Instant,
    /// The last value that was written, to any key: each write has its own.
    last_value: AtomicU64,
    stop: AtomicBool,
}

/// One caller, and what it saw of each key.
struct Caller {
    round: Arc<Round>,
    random: Random,
    seen: [Value; KEYS],
    calls: Vec<(usize, Call)>,
}

impl Caller {
    async fn run(mut self) -> Vec<(usize, Call)> {
        while !self.round.stop.load(Ordering::Relaxed) {
            let key = self.random.below(KEYS);
            let began = self.round.now();
            let (effect, ended) = match self.random.below(10) {
                0..4 => self.read(key).await,
                4..7 => self.write(key).await,
                _ => self.swap(key).await,
            };
            let ended = ended.then(|| self.round.now());
            if let Some(effect) = effect {
                self.calls.push((key, Call { effect, began, ended }));
            }
            sleep(Duration::from_millis(2)).await;
        }
        self.calls
    }

    /// The effect, if there may be any, and whether it is certain.
    async fn read(&mut self, key: usize) -> (Option<Effect>, bool) {
        match self.round.client.get(self.round.key(key)).await {
            Ok(kv) => {
                self.seen[key] = kv.map(|kv| number(&kv.value));
                (Some(Effect::Read(self.seen[key])), true)
            }
            Err(error) => {
                assert!(!error.may_have_applied(), "{error}");
                (None, true)
            }
        }
    }

    async fn write(&mut self, key: usize) -> (Option<Effect>, bool) {
        let value = self.round.next_value();
        let outcome = self.round.client.put(self.round.key(key), value.to_string()).await;
        written(Effect::Write(value), outcome.err())
    }

    /// If the key still holds what this caller saw last.
    async fn swap(&mut self, key: usize) -> (Option<Effect>, bool) {
        let (name, held, value) = (self.round.key(key), self.seen[key], self.round.next_value());
        let same = match held {
            Some(held) => Compare::value(name.clone(), Relation::Equal, held.to_string()),
            None => Compare::absent(name.clone()),
        };
        let swap = Txn::new().when(same).then(Put::new(name.clone(), value.to_string()));
        match self.round.client.send(swap.otherwise(Get::new(name))).await {
            Ok(answer) if answer.succeeded => {
                self.seen[key] = Some(value);
                (Some(Effect::Swap(held, value)), true)
            }
            Ok(answer) => {
                let [OperationResult::Get(found)] = &answer.responses[..] else { panic!("{answer:?}") };
                self.seen[key] = found.kvs.first().map(|kv| number(&kv.value));
                assert_ne!(self.seen[key], held, "the comparison failed for no reason");
                (Some(Effect::Read(self.seen[key])), true)
            }
            Err(error) => written(Effect::Swap(held, value), Some(error)),
        }
    }
}

/// What fails without saying that it may have applied did certainly not.
fn written(effect: Effect, error: Option<Error>) -> (Option<Effect>, bool) {
    let applied = error.as_ref().is_none_or(Error::may_have_applied);
    (applied.then_some(effect), error.is_none())
}

fn number(value: &[u8]) -> u64 {
    str::from_utf8(value).unwrap().parse().unwrap()
}

impl Round {
    fn key(&self, key: usize) -> String {
        format!("{}/{key}", self.number)
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos().try_into().unwrap()
    }

    fn next_value(&self) -> u64 {
        self.last_value.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Strikes while callers are at work, and gives what each key went through.
async fn round(
    net: &mut Net,
    client: &Client,
    number: usize,
    strike: Strike,
    random: &mut Random,
) -> Vec<Vec<Call>> {
    let round = Arc::new(Round {
        client: client.clone(),
        number,
        start: Instant::now(),
        last_value: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (round, random) = (Arc::clone(&round), Random::new());
        callers.spawn(Caller { round, random, seen: [None; KEYS], calls: Vec::new() }.run());
    }
    let victim = net.victim(random).await;
    sleep(Duration::from_millis(100)).await;
    net.strike(strike, victim).await;
    sleep(Duration::from_millis(500 + 100 * u64::try_from(random.below(10)).unwrap())).await;
    net.relieve(strike, victim).await;
    sleep(Duration::from_millis(200)).await;
    round.stop.store(true, Ordering::Relaxed);
    let mut by_key = vec![Vec::new(); KEYS];
    for (key, call) in callers.join_all().await.into_iter().flatten() {
        by_key[key].push(call);
    }
    by_key
}

fn from_environment(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_under_random_faults_are_linearizable() {
    histories(Cluster::builder().failpoints(), &STRIKES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_on_the_oldest_servers_are_linearizable() {
    histories(Cluster::builder().version("3.4.23"), &STRIKES[WITH_FAILPOINTS..]).await;
}

/// Each of these strikes once, unless told otherwise.
async fn histories(builder: Builder, all: &[Strike]) {
    let rounds = from_environment("ETCD_ARK_ROUNDS").unwrap_or(all.len());
    let seed = from_environment("ETCD_ARK_SEED").unwrap_or_else(|| Random::new().below(1_000_000));
    let mut random = Random::seeded(seed.try_into().unwrap());
    let mut net = Net::start(builder).await;
    let version = net.cluster.member(0).version().to_owned();
    let builder = Client::builder(net.proxies.iter().map(Proxy::endpoint)).unwrap();
    // Shorter than many faults: what is late then comes after its caller has given up.
    let client = builder.request_timeout(Duration::from_millis(700)).connect().await.unwrap();
    let (mut strikes, mut unknown): (Vec<Strike>, HashMap<String, usize>) = Default::default();
    let (mut calls, began) = (0, Instant::now());
    for number in 0..rounds {
        // Each kind in turn, in an order of its own each time.
        if strikes.is_empty() {
            strikes.extend(all);
        }
        let strike = strikes.swap_remove(random.below(strikes.len()));
        let history = round(&mut net, &client, number, strike, &mut random).await;
        for (key, history) in history.iter().enumerate() {
            assert!(history.len() > 10, "round {number}, {strike:?}: only {} calls", history.len());
            let checked = register::check(history);
            assert!(
                checked.is_ok(),
                "seed {seed}, round {number}, {strike:?}, key {key}: {}",
                checked.unwrap_err()
            );
            calls += history.len();
            *unknown.entry(format!("{strike:?}")).or_default() +=
                history.iter().filter(|call| call.ended.is_none()).count();
        }
    }
    let mut unknown: Vec<_> = unknown.into_iter().collect();
    unknown.sort();
    let total: usize = unknown.iter().map(|(_, count)| count).sum();
    let line = format!(
        "linearizable: etcd {version}, seed {seed}, {rounds} rounds in {:.0?}, {calls} calls, {total} of unknown outcome: {unknown:?}\n",
        began.elapsed()
    );
    // Not by `eprintln`: it is shown for a test that passes, too.
    stderr().write_all(line.as_bytes()).unwrap();
}
