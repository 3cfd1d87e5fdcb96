//! Locks: one holder at a time, in order, whatever happens to members, leases and callers.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use etcd_ark::{
    Client, Compact, ErrorKind, Event, Get, KeyRange, LeaseKeeper, LockGuard, Put, Revision, RevokeLease,
    Txn, Watch, WatchUpdate,
};
use futures_util::TryStreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client_of;
use crate::support::{Cluster, Fault, Proxy, Server};

const SECOND: Duration = Duration::from_secs(1);
/// Far more than anything takes here that waits for nothing.
const SOON: Duration = Duration::from_secs(60);

async fn lease(client: &Client) -> LeaseKeeper {
    client.grant_lease(30 * SECOND).await.unwrap()
}

/// Waits until so many keys hold or wait for the name.
pub(crate) async fn until_queued(client: &Client, name: &str, count: u64) {
    let queued = async {
        let keys = || Get::new(KeyRange::prefix(format!("{name}/"))).count_only();
        while client.send(keys()).await.unwrap().count != count {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, queued).await.unwrap_or_else(|_| panic!("{count} keys under {name}"));
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(SOON, what).await.expect("nothing is waited for")
}

#[tokio::test]
async fn those_who_wait_get_the_lock_in_the_order_in_which_they_came() {
    for version in ["3.4.23", "3.5.1", "3.7.3"] {
        let server = Server::builder().version(version).start().await;
        let client = client_of(&server).await;
        let lease = lease(&client).await;
        let held = client.lock("job", &lease).await.unwrap();
        let (tell, mut told) = mpsc::unbounded_channel();
        for number in 0..5 {
            let (client, lease, tell) = (client.clone(), lease.clone(), tell.clone());
            tokio::spawn(async move {
                let lock = client.lock("job", &lease).await.unwrap();
                tell.send((number, lock.fencing_token())).unwrap();
                lock.unlock().await.unwrap();
            });
            until_queued(&client_of(&server).await, "job", number + 2).await;
        }
        let mut last = held.fencing_token();
        held.unlock().await.unwrap();
        for number in 0..5 {
            let (holder, token) = soon(told.recv()).await.unwrap();
            assert_eq!(holder, number);
            assert!(token > last, "{token} after {last}");
            last = token;
        }
    }
}

#[tokio::test]
async fn try_lock_neither_waits_nor_leaves_a_key_behind() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let (one, other) = (lease(&client).await, lease(&client).await);
    let held = client.try_lock("job", &one).await.unwrap().unwrap();
    assert!(client.try_lock("job", &other).await.unwrap().is_none());
    assert!(client.try_lock("job", &one).await.unwrap().is_none(), "its own lease opens no second door");
    until_queued(&client, "job", 1).await;
    held.unlock().await.unwrap();
    assert!(client.try_lock("job", &other).await.unwrap().is_some());
}

#[tokio::test]
async fn who_gives_up_leaves_the_queue_and_who_drops_a_guard_gives_it_back() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let lease = lease(&client).await;
    let held = client.lock("job", &lease).await.unwrap();
    for patience in [0, 1, 3, 300] {
        let waiting = timeout(Duration::from_millis(patience), client.lock("job", &lease));
        assert!(waiting.await.is_err());
        // A key that was asked for may come, but goes.
        sleep(Duration::from_millis(200)).await;
        until_queued(&client, "job", 1).await;
    }
    drop(held);
    drop(soon(client.lock("job", &lease)).await.unwrap());
}

/// Some servers crash if a transaction that only reads is given up while they evaluate it.
#[tokio::test]
async fn those_who_give_up_at_any_moment_harm_no_server() {
    let server = Server::builder().version("3.5.1").start().await;
    let client = client_of(&server).await;
    let lease = lease(&client).await;
    let held = client.lock("job", &lease).await.unwrap();
    for round in 0..1000 {
        let patience = Duration::from_micros(round % 100 * 40);
        assert!(timeout(patience, client.lock("job", &lease)).await.is_err());
    }
    until_queued(&client, "job", 1).await;
    drop(held);
    drop(soon(client.lock("job", &lease)).await.unwrap());
}

async fn guarded_put(client: &Client, lock: &LockGuard, value: String) -> etcd_ark::Result<bool> {
    let txn = lock.guarded(Txn::new().then(Put::new("log", value)));
    Ok(client.send(txn).await?.succeeded)
}

#[tokio::test]
async fn a_lock_that_is_lost_is_told_at_once_and_its_guarded_writes_fail() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let lease = client.grant_lease(300 * SECOND).await.unwrap();
    let lock = client.lock("job", &lease).await.unwrap();
    assert!(guarded_put(&client, &lock, "held".into()).await.unwrap());
    let lost = tokio::spawn(lock.lost());
    sleep(SECOND).await;
    client.send(RevokeLease::new(lease.id())).await.unwrap();
    // A renewal, by which the lease's own loss is told, is due after a hundred seconds.
    soon(lost).await.unwrap();
    assert!(!guarded_put(&client, &lock, "lost".into()).await.unwrap());
    assert_eq!(client.get("log").await.unwrap().unwrap().value, "held");
    lock.unlock().await.expect("nothing to give back is as good");

    let error = soon(client.lock("job", &lease)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
}

#[tokio::test]
async fn a_waiter_hears_that_its_key_was_deleted_or_its_lease_revoked() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let (one, other) = (lease(&client).await, client.grant_lease(6 * SECOND).await.unwrap());
    let held = client.lock("job", &one).await.unwrap();
    let waiting = {
        let (client, other) = (client.clone(), other.clone());
        tokio::spawn(async move { client.lock("job", &other).await.map(drop) })
    };
    until_queued(&client, "job", 2).await;
    client.send(RevokeLease::new(other.id())).await.unwrap();
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");

    let lost = held.lost();
    client.delete(held.key().clone()).await.unwrap();
    assert!(matches!(soon(lost).await, etcd_ark::Loss::Deleted));
}

#[tokio::test]
async fn locks_are_apart_by_name_and_namespace_and_nothing_else() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let lease = lease(&client).await;
    let app = client.namespace("/app/");
    let _deeper = app.lock("job/deeper", &lease).await.unwrap();
    let inner = app.try_lock("job", &lease).await.unwrap().expect("of another name");
    assert!(client.try_lock("/app/job", &lease).await.unwrap().is_none(), "the same, seen from outside");
    assert!(client.try_lock("job", &lease).await.unwrap().is_some());
    let write = || inner.guarded(Txn::new().then(Put::new("log", "v")));
    assert!(app.send(write()).await.unwrap().succeeded);
    assert!(!client.send(write()).await.unwrap().succeeded, "guarded by a key that is not there");
}

#[tokio::test]
async fn a_waiter_whose_news_was_compacted_looks_again() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port()).await;
    let client = client_of(&server).await;
    let far = Client::connect([proxy.endpoint()]).await.unwrap();
    let (near_lease, far_lease) = (lease(&client).await, lease(&far).await);
    let held = client.lock("job", &near_lease).await.unwrap();
    let waiting =
        tokio::spawn(async move { far.lock("job", &far_lease).await.map(|lock| lock.fencing_token()) });
    until_queued(&client, "job", 2).await;
    sleep(SECOND).await;
    proxy.set(Fault::BlackHole);
    proxy.reset();
    held.unlock().await.unwrap();
    let newest = client.put("k", "v").await.unwrap().header.revision;
    client.send(Compact::new(newest)).await.unwrap();
    proxy.set(Fault::None);
    soon(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn locks_are_those_of_etcdctl() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let lease = lease(&client).await;
    let held = client.lock("job", &lease).await.unwrap();
    let mine = AtomicBool::new(true);
    let tool = async {
        let done = server.etcdctl(&["lock", "job", "sleep", "1"]).await;
        assert!(!mine.load(Ordering::Relaxed), "etcdctl did not wait: {done}");
    };
    let me = async {
        until_queued(&client, "job", 2).await;
        let behind = client.lock("job", &lease);
        mine.store(false, Ordering::Relaxed);
        held.unlock().await.unwrap();
        drop(soon(behind).await.unwrap());
    };
    tokio::join!(tool, me);
}

/// Takes the lock time after time, and writes under it. Now and then the lease is revoked from under the holder,
/// who writes on.
async fn contend(client: Client, name: usize, stop: Arc<AtomicBool>, total: Arc<AtomicUsize>) {
    let (mut lease, mut rounds) = (lease(&client).await, 0);
    while !stop.load(Ordering::Relaxed) {
        let Ok(lock) = client.lock("job", &lease).await else {
            // An election may take longer than a call may.
            lease = client.grant_lease(30 * SECOND).await.unwrap_or(lease);
            continue;
        };
        let token = lock.fencing_token();
        let revoked = (name + rounds) % 10 == 9;
        for step in 0..3 {
            // What fails is not known to have been written, nor not: the log tells.
            let _ = guarded_put(&client, &lock, format!("{token} {step}")).await;
            if revoked && step == 1 {
                let _ = lease.clone().revoke().await;
                sleep(Duration::from_millis(50)).await;
            }
        }
        rounds += 1;
        total.fetch_add(1, Ordering::Relaxed);
    }
}

/// The tokens of those who wrote, in the order in which they did.
async fn log(client: &Client, from: Revision) -> Vec<i64> {
    let end = Txn::new().then(Put::new("log", "end")).idempotent();
    let newest = client.send(end).await.unwrap().header.revision;
    let mut watch = client.watch(Watch::new("log").from(from));
    let mut tokens = Vec::new();
    while let Some(update) = watch.try_next().await.unwrap() {
        let WatchUpdate::Events(changes) = update else { continue };
        for event in &changes.events {
            let Event::Put { kv, .. } = event else { panic!("{event:?}") };
            let value = String::from_utf8(kv.value.to_vec()).unwrap();
            tokens.extend(value.split(' ').next().unwrap().parse::<i64>());
        }
        if changes.revision == newest {
            break;
        }
    }
    tokens
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_contenders_never_write_into_each_others_turns_while_members_die() {
    let mut cluster = Cluster::start(3).await;
    let client = Client::connect(cluster.endpoints()).await.unwrap();
    let begin = client.put("log", "begin").await.unwrap().header.revision;
    let (stop, rounds, mut contenders) = (Arc::default(), Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for name in 0..20 {
        contenders.spawn(contend(client.clone(), name, Arc::clone(&stop), Arc::clone(&rounds)));
    }
    for leads in [false, true, true] {
        sleep(3 * SECOND).await;
        let victim = (cluster.leader().await + usize::from(!leads)) % 3;
        cluster.member_mut(victim).kill();
        sleep(4 * SECOND).await;
        cluster.member_mut(victim).restart().await;
    }
    let enough = async {
        while rounds.load(Ordering::Relaxed) <= 150 {
            sleep(SECOND).await;
        }
    };
    soon(enough).await;
    stop.store(true, Ordering::Relaxed);
    soon(contenders.join_all()).await;

    let tokens = log(&client, begin).await;
    assert!(tokens.len() > 200, "only {} writes in {rounds:?} rounds", tokens.len());
    assert!(tokens.is_sorted(), "a holder of the past wrote: {tokens:?}");
}
