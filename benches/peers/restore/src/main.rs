//! Ways to write a whole keyspace, and what a plan costs.
//!
//! `restore ENDPOINT save|restore|unchecked|plan|scan FILE`, `restore ENDPOINT loop KEYS CHANGES IN_FLIGHT`
//!
//! `loop` writes the keys in transactions of so many puts, so many at once: no archive is read, nothing compared,
//! nothing checked. `save` makes an archive of what is there, `restore` restores it as by default, `unchecked`
//! without the comparison at the end; `plan` only plans, and `scan` only reads the cluster. Each tells what it did,
//! in which time, and the most memory that it had, in a line of JSON.

use std::env;
use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use etcd_ark::backup::{ArchiveFile, Backup, Restore, RestoreMode};
use etcd_ark::{Client, Error, Put, Scan, Txn};
use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;

const VALUE_BYTES: usize = 512;
const NAMESPACES: usize = 1000;
const TIMEOUT: Duration = Duration::from_secs(60);

/// Keys done, and what tells one run from another.
struct Done {
    keys: u64,
    content_root: String,
}

impl Done {
    fn keys(keys: u64) -> Self {
        Self { keys, content_root: String::new() }
    }
}

fn name(number: usize) -> String {
    format!("/registry/pods/ns-{:03}/object-{:07}", number % NAMESPACES, number / NAMESPACES)
}

/// Half of it compresses, as values do that people write.
fn value(number: usize) -> Vec<u8> {
    let mut state = number as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    });
    noise.take(VALUE_BYTES / 2).chain(std::iter::repeat_n(b'v', VALUE_BYTES / 2)).collect()
}

async fn write_in_a_loop(client: &Client, keys: usize, changes: usize, in_flight: usize) -> Result<Done, Error> {
    let mut writing = FuturesUnordered::new();
    for start in (0..keys).step_by(changes) {
        if writing.len() == in_flight {
            writing.try_next().await?;
        }
        let numbers = start..keys.min(start + changes);
        if changes == 1 {
            writing.push(one(client, start));
            continue;
        }
        let puts = numbers.map(|number| Put::new(name(number), value(number)));
        writing.push(many(client, puts.fold(Txn::new(), Txn::then)));
    }
    while writing.try_next().await?.is_some() {}
    Ok(Done::keys(keys as u64))
}

type Writing<'a> = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

fn one(client: &Client, number: usize) -> Writing<'_> {
    Box::pin(async move { client.put(name(number), value(number)).await.map(drop) })
}

fn many(client: &Client, txn: Txn) -> Writing<'_> {
    Box::pin(async move { client.send(txn).await.map(drop) })
}

async fn save(client: &Client, file: &str) -> Result<Done, Error> {
    let report = Backup::new().save(client, file).await?;
    Ok(Done { keys: report.summary.records, content_root: report.summary.content_root.to_string() })
}

async fn restore(client: &Client, file: &str, restore: Restore) -> Result<Done, Error> {
    let mut archive = ArchiveFile::open(file).await?;
    let report = restore.any_cluster().plan(client, &mut archive).await?.apply().await?;
    let root = report.check.map(|check| check.content_root.to_string());
    Ok(Done { keys: report.written, content_root: root.unwrap_or_default() })
}

async fn plan(client: &Client, file: &str) -> Result<Done, Error> {
    let mut archive = ArchiveFile::open(file).await?;
    let restore = Restore::new(RestoreMode::Refuse).any_cluster();
    Ok(Done::keys(restore.plan(client, &mut archive).await?.summary().total.unchanged.keys))
}

async fn scan(client: &Client) -> Result<Done, Error> {
    let (mut keys, mut pages) = (0, client.scan(Scan::all()));
    while let Some(page) = pages.next_page().await? {
        keys += page.kvs.len() as u64;
    }
    Ok(Done::keys(keys))
}

async fn run(arguments: &[&str]) -> Result<(), String> {
    let [_, endpoint, way @ ..] = arguments else { return Err("see the source".to_owned()) };
    let told = |error: Error| error.to_string();
    let client = Client::builder([endpoint]).map_err(told)?.request_timeout(TIMEOUT).connect().await;
    let client = client.map_err(told)?;
    let number = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
    let began = Instant::now();
    let done = match way {
        ["save", file] => save(&client, file).await,
        ["restore", file] => restore(&client, file, Restore::new(RestoreMode::Refuse)).await,
        ["unchecked", file] => restore(&client, file, Restore::new(RestoreMode::Refuse).unchecked()).await,
        ["plan", file] => plan(&client, file).await,
        ["scan", _] => scan(&client).await,
        ["loop", keys, changes, in_flight] => {
            write_in_a_loop(&client, number(keys)?, number(changes)?, number(in_flight)?).await
        }
        _ => return Err(format!("no such way: {way:?}")),
    };
    let Done { keys, content_root } = done.map_err(told)?;
    let (seconds, kib) = (began.elapsed().as_secs_f64(), peak_kib());
    println!(
        r#"{{"keys": {keys}, "content_root": "{content_root}", "seconds": {seconds:.4}, "peak_kib": {kib}}}"#
    );
    Ok(())
}

/// The most memory that this process had at once.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let arguments: Vec<_> = env::args().collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(run(&arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
