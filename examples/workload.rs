//! Fills an etcd with keys as a Kubernetes cluster has them, and keeps changing them.
//!
//! ```sh
//! cargo run --release --example workload -- load http://127.0.0.1:2379 100000
//! cargo run --release --example workload -- change http://127.0.0.1:2379 100000    # until it is stopped
//! ```

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use etcd_ark::{Client, Error, GrantLease, LeaseId, Put, Result, Txn};
use futures_util::{StreamExt, TryStreamExt, stream};

const USAGE: &str = "usage: workload load|change ENDPOINT KEYS";
/// Below etcd's limit of 128 operations a transaction.
const BATCH: usize = 100;
const IN_FLIGHT: usize = 8;
const EVENT_TTL: Duration = Duration::from_secs(3600);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["load", endpoint, keys] if keys.parse::<usize>().is_ok() => load(endpoint, number(keys)).await,
        ["change", endpoint, keys] if keys.parse::<usize>().is_ok() => change(endpoint, number(keys)).await,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    outcome.map_or_else(failed, |()| ExitCode::SUCCESS)
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_default()
}

fn failed(error: Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

async fn load(endpoint: &str, keys: usize) -> Result<()> {
    let client = Client::connect([endpoint]).await?;
    let lease = client.send(GrantLease::new(EVENT_TTL)).await?.id;
    let began = Instant::now();
    let batches = (0..keys).step_by(BATCH).map(|first| first..(first + BATCH).min(keys));
    stream::iter(batches)
        .map(|batch| client.send(batch.fold(Txn::new(), |txn, n| txn.then(object(n, 0, lease)))))
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(async |_| Ok(()))
        .await?;
    println!("loaded {keys} keys in {:.1?}", began.elapsed());
    Ok(())
}

async fn change(endpoint: &str, keys: usize) -> Result<()> {
    let client = Client::connect([endpoint]).await?;
    let lease = client.send(GrantLease::new(EVENT_TTL)).await?.id;
    for round in 1.. {
        // A stride that is coprime to most sizes visits the keys all over the keyspace.
        let number = (round * 7919) % keys.max(1);
        client.send(object(number, round, lease)).await?;
        if round == 1 {
            println!("changing keys");
        }
    }
    Ok(())
}

/// One in ten is an event, which goes with its lease; the others are pods and config maps of
/// namespaces of uneven size.
fn object(number: usize, generation: usize, lease: LeaseId) -> Put {
    let namespace = format!("team-{:03}", number % 97 % 53);
    let kind = match number % 10 {
        0 => "events",
        1..=6 => "pods",
        _ => "configmaps",
    };
    let id = u64::try_from(number).unwrap_or_default().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let key = format!("/registry/{kind}/{namespace}/{kind}-{id:016x}");
    let put = Put::new(key, manifest(kind, &namespace, id, generation));
    if kind == "events" { put.lease(lease) } else { put }
}

/// Text of a few hundred bytes that compresses about as well as real objects do.
fn manifest(kind: &str, namespace: &str, id: u64, generation: usize) -> String {
    let digest = id.rotate_left(17);
    format!(
        r#"{{"apiVersion":"v1","kind":"{kind}","metadata":{{"name":"{kind}-{id:016x}","namespace":"{namespace}","uid":"{digest:016x}-{id:016x}","generation":{generation},"labels":{{"app":"service-{:02}","tier":"backend","owner":"{namespace}"}}}},"spec":{{"image":"example.com/{namespace}/service@{digest:016x}{:016x}","replicas":{},"restartPolicy":"Always"}},"status":{{"phase":"Running","hostIP":"10.{}.{}.{}"}}}}"#,
        id % 40,
        digest ^ id,
        id % 5,
        id % 250,
        id % 249,
        id % 248,
    )
}
