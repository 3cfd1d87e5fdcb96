//! Ways to read a whole keyspace, one request after the other.
//!
//! `scan ENDPOINT fill|scan|far-end|known even|uneven KEYS`
//!
//! `fill` writes the keys. `scan` is the library's, `far-end` pages towards the end of all keys, as
//! clients do, with pages of as many bytes, and `known` reads the namespaces, whose names it knows. Each
//! tells what it read, and in which time, in a line of JSON.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use etcd_ark::{Client, Error, Get, GetResult, KeyRange, KeyValue, Put, Scan, Txn};
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, TryStreamExt};

const VALUE: &[u8; 512] = &[b'v'; 512];
const PAGE_BYTES: usize = 2 << 20;
const NAMESPACES: usize = 1000;
const PUTS_OF_A_TXN: usize = 100;
const WRITERS: usize = 4;
/// Pages towards the far end take long.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Read {
    keys: usize,
    bytes: usize,
    requests: usize,
}

impl Read {
    fn add(&mut self, kvs: &[KeyValue]) {
        self.keys += kvs.len();
        self.bytes += kvs.iter().map(|kv| kv.key.len() + kv.value.len()).sum::<usize>();
        self.requests += 1;
    }
}

/// The namespaces, as prefixes, with the number of their keys.
fn namespaces(layout: &str, keys: usize) -> Vec<(String, usize)> {
    let kinds = ["configmaps", "events", "leases", "pods", "secrets"];
    let weight = |number: usize| if layout == "even" { 1.0 } else { 1.0 / (number % 200 + 1) as f64 };
    let weights: f64 = (0..NAMESPACES).map(weight).sum();
    let size = |number| (keys as f64 * weight(number) / weights).round() as usize;
    let prefix = |number| format!("/registry/{}/ns-{:03}/", kinds[number / 200], number % 200 * 7 % 1000);
    (0..NAMESPACES).map(|number| (prefix(number), size(number))).collect()
}

async fn fill(client: &Client, layout: &str, keys: usize) -> Result<Read, Error> {
    let names = namespaces(layout, keys).into_iter().flat_map(|(prefix, count)| {
        (0..count).map(move |number| format!("{prefix}object-{number:07}"))
    });
    let names: Vec<_> = names.collect();
    let mut writing = FuturesUnordered::new();
    for batch in names.chunks(PUTS_OF_A_TXN) {
        if writing.len() == WRITERS {
            writing.next().await.transpose()?;
        }
        let puts = batch.iter().map(|name| Put::new(name.clone(), &VALUE[..]));
        writing.push(client.send(puts.fold(Txn::new(), Txn::then)));
    }
    while writing.try_next().await?.is_some() {}
    Ok(Read { keys: names.len(), ..Read::default() })
}

async fn scan(client: &Client) -> Result<Read, Error> {
    let (mut read, mut pages) = (Read::default(), client.scan(Scan::all().page_bytes(PAGE_BYTES)));
    while let Some(page) = pages.next_page().await? {
        read.add(&page.kvs);
    }
    Ok(read)
}

async fn far_end(client: &Client) -> Result<Read, Error> {
    let (mut read, mut limit) = (Read::default(), 32);
    let mut page = client.send(Get::new(KeyRange::all()).limit(limit)).await?;
    let revision = page.header.revision;
    loop {
        read.add(&page.kvs);
        let Some(last) = page.kvs.last().filter(|_| page.more) else { return Ok(read) };
        let fitting = PAGE_BYTES * read.keys / read.bytes;
        limit = (4 * limit).min(u32::try_from(fitting).unwrap_or(u32::MAX));
        let rest = KeyRange::from_key([&last.key[..], b"\0"].concat());
        page = client.send(Get::new(rest).limit(limit).at(revision)).await?;
    }
}

async fn known(client: &Client, layout: &str, keys: usize) -> Result<Read, Error> {
    let mut read = Read::default();
    for (prefix, _) in namespaces(layout, keys) {
        let GetResult { kvs, .. } = client.send(Get::new(KeyRange::prefix(prefix))).await?;
        read.add(&kvs);
    }
    Ok(read)
}

async fn run(arguments: &[String]) -> Result<(), String> {
    let [_, endpoint, way, layout, keys] = arguments else { return Err("see the source".to_owned()) };
    let keys = keys.parse().map_err(|error| format!("{keys}: {error}"))?;
    let told = |error: Error| error.to_string();
    let client = Client::builder([endpoint]).map_err(told)?.request_timeout(TIMEOUT).connect().await;
    let client = client.map_err(told)?;
    let began = Instant::now();
    let read = match way.as_str() {
        "fill" => fill(&client, layout, keys).await,
        "scan" => scan(&client).await,
        "far-end" => far_end(&client).await,
        "known" => known(&client, layout, keys).await,
        _ => return Err(format!("no such way: {way}")),
    };
    let Read { keys, bytes, requests } = read.map_err(told)?;
    let seconds = began.elapsed().as_secs_f64();
    println!(r#"{{"keys": {keys}, "bytes": {bytes}, "requests": {requests}, "seconds": {seconds:.4}}}"#);
    Ok(())
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let arguments: Vec<_> = env::args().collect();
    match runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(run(&arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
