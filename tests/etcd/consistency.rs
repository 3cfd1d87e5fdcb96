//! A backup under load is one moment of the cluster, not a mixture.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use etcd_ark::backup::Backup;
use etcd_ark::{Client, Compare, Put, Relation, Txn};
use tempfile::tempdir;

use crate::backup::records;
use crate::client_of;
use crate::support::Server;

const ACCOUNTS: u64 = 100;
const EACH: u64 = 1000;
const BACKUPS: u64 = 20;

fn account(number: u64) -> String {
    // Spread, with ballast in between, so that a backup takes several pages.
    format!("account/{:03}", number % ACCOUNTS)
}

async fn balance(client: &Client, key: &str) -> (u64, etcd_ark::Revision) {
    let kv = client.get(key.to_owned()).await.unwrap().unwrap();
    (amount(&kv.value), kv.mod_revision)
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
async fn transfer(client: &Client, round: u64) {
    let (from, to) = (account(round * 7), account(round * 13 + 1));
    if from == to {
        return;
    }
    let (source, source_revision) = balance(client, &from).await;
    let (target, target_revision) = balance(client, &to).await;
    let moved = (round % 50).min(source);
    let txn = Txn::new()
        .when(Compare::mod_revision(from.clone(), Relation::Equal, source_revision))
        .when(Compare::mod_revision(to.clone(), Relation::Equal, target_revision))
        .then(Put::new(from, entry(source - moved)))
        .then(Put::new(to, entry(target + moved)));
    client.send(txn).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_backup_holds_the_same_sum_while_amounts_are_moved() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    for number in 0..ACCOUNTS {
        client.put(account(number), entry(EACH)).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (client, stop) = (client.clone(), Arc::clone(&stop));
        async move {
            let mut rounds = 0;
            while !stop.load(Ordering::Relaxed) {
                transfer(&client, rounds).await;
                rounds += 1;
            }
            rounds
        }
    });

    let folder = tempdir().unwrap();
    let mut revisions = Vec::new();
    for number in 0..BACKUPS {
        let path = folder.path().join(format!("{number}.ark"));
        let report = Backup::new().save(&client, &path).await.unwrap();
        let records = records(&path).await;
        assert_eq!(records.iter().map(|kv| amount(&kv.value)).sum::<u64>(), ACCOUNTS * EACH);
        assert!(records.iter().all(|kv| kv.mod_revision <= report.header.revision));
        revisions.push(report.header.revision);
    }
    stop.store(true, Ordering::Relaxed);
    let rounds = writer.await.unwrap();
    assert!(revisions.is_sorted_by(|a, b| a < b), "the writer stood still: {revisions:?}");
    assert!(rounds > BACKUPS, "only {rounds} transfers");
}
