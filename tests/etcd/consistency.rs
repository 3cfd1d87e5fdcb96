//! A backup under load is one moment of the cluster, not a mixture, whatever happens to the members meanwhile.
//!
//! `ETCD_ARK_BACKUPS` sets how many.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use etcd_ark::backup::Backup;
use etcd_ark::{Client, Compare, Put, Relation, Revision, Txn};
use tempfile::tempdir;
use tokio::time::sleep;

use crate::backup::records;
use crate::support::{Cluster, Random, Server, default_version};

const ACCOUNTS: u64 = 100;
const EACH: u64 = 1000;
const BACKUPS: u64 = 10;
const MEMBERS: usize = 3;

fn account(number: u64) -> String {
    // Spread, with ballast in between, so that a backup takes several pages.
    format!("account/{:03}", number % ACCOUNTS)
}

async fn balance(client: &Client, key: &str) -> etcd_ark::Result<(u64, Revision)> {
    let kv = client.get(key.to_owned()).await?.expect("accounts are never closed");
    Ok((amount(&kv.value), kv.mod_revision))
}

fn amount(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(value).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// The amount, padded: a page holds a few accounts only.
fn entry(amount: u64) -> String {
    format!("{amount} {}", "x".repeat(20_000))
}

/// Moves an amount from one account to another, at one revision.
async fn transfer(client: &Client, round: u64) -> etcd_ark::Result<()> {
    let (from, to) = (account(round * 7), account(round * 13 + 1));
    if from == to {
        return Ok(());
    }
    let (source, source_revision) = balance(client, &from).await?;
    let (target, target_revision) = balance(client, &to).await?;
    let moved = (round % 50).min(source);
    let txn = Txn::new()
        .when(Compare::mod_revision(from.clone(), Relation::Equal, source_revision))
        .when(Compare::mod_revision(to.clone(), Relation::Equal, target_revision))
        .then(Put::new(from, entry(source - moved)))
        .then(Put::new(to, entry(target + moved)));
    client.send(txn).await.map(drop)
}

/// Transfers until told to stop; tells how many went through. One that failed was carried out or was not: both are fine.
async fn transfer_on(client: Client, stop: Arc<AtomicBool>) -> u64 {
    let mut done = 0;
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        done += u64::from(transfer(&client, round).await.is_ok());
    }
    done
}

/// Kills one member after the other, and starts it again, until told to stop; tells how many.
async fn kill_members(mut cluster: Cluster, stop: Arc<AtomicBool>) -> u64 {
    let (mut random, mut killed) = (Random::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        let victim = random.below(MEMBERS);
        cluster.member_mut(victim).kill();
        sleep(Duration::from_millis(100 + 10 * random.below(50) as u64)).await;
        cluster.member_mut(victim).restart().await;
        sleep(Duration::from_millis(10 * random.below(50) as u64)).await;
        killed += 1;
    }
    killed
}

/// The version to test on. Members of 3.5.0 to 3.5.2 that are killed may skip what they had not carried out yet (etcd's
/// issue 13766): then they differ at the same revision, and it is the cluster that is not consistent.
pub(crate) fn sound_version() -> String {
    let version = default_version();
    if ["3.5.0", "3.5.1", "3.5.2"].contains(&&*version) { "3.5.35".to_owned() } else { version }
}

/// `ETCD_ARK_BACKUPS`, or a few.
fn wanted() -> u64 {
    let name = "ETCD_ARK_BACKUPS";
    std::env::var(name).map_or(BACKUPS, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

/// Makes a backup and tells its revision, if it holds all that there is.
async fn balanced(client: &Client, folder: &Path, number: u64) -> Revision {
    let path = folder.join(format!("{number}.ark"));
    let report = Backup::new().save(client, &path).await.unwrap();
    let records = records(&path).await;
    assert_eq!(records.iter().map(|kv| amount(&kv.value)).sum::<u64>(), ACCOUNTS * EACH, "backup {number}");
    assert!(records.iter().all(|kv| kv.mod_revision <= report.header.revision));
    std::fs::remove_file(path).unwrap();
    report.header.revision
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_backup_holds_the_same_sum_while_amounts_are_moved_and_members_die() {
    let cluster = Server::builder().version(sound_version()).start_cluster(MEMBERS).await;
    let client = Client::builder(cluster.endpoints()).unwrap().request_timeout(Duration::from_secs(10));
    let client = client.connect().await.unwrap();
    for number in 0..ACCOUNTS {
        client.put(account(number), entry(EACH)).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(transfer_on(client.clone(), Arc::clone(&stop)));
    let killer = tokio::spawn(kill_members(cluster, Arc::clone(&stop)));
    let folder = tempdir().unwrap();
    let (backups, mut revisions) = (wanted(), Vec::new());
    for number in 0..backups {
        revisions.push(balanced(&client, folder.path(), number).await);
        // In each a member dies at another moment.
        sleep(Duration::from_millis(number % 10 * 20)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let (transfers, killed) = (writer.await.unwrap(), killer.await.unwrap());
    assert!(revisions.is_sorted(), "a backup began before an earlier one: {revisions:?}");
    assert!(transfers > 0 && killed > 0, "{transfers} transfers, {killed} members killed");
    let line = format!("{backups} backups, {transfers} transfers, {killed} members killed");
    writeln!(std::io::stderr(), "{line}").unwrap();
}
