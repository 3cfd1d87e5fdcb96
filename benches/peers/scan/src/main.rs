//! Ways to read a whole keyspace.
//!
//! `scan ENDPOINTS WAY LAYOUT KEYS AT_ONCE`
//!
//! `fill` writes the keys. `scan`, `pages` and `streams` are the library's, `thousand` pages of 1000 keys towards the
//! end of all keys, as clients do, `stream` one stream as the server sends it, and `known` reads parts whose
//! prefixes it knows. Each tells what it read, and in which time, in a line of JSON. `write` puts one key after the
//! other for a few seconds, while scans are made with so many parts at once (0: none), and tells how long puts took.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use etcd_ark::{Client, Error, Get, GetResult, KeyRange, KeyValue, Put, Scan, ScanWay, Txn};
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{StreamExt, TryStreamExt};

const VALUE: &[u8; 512] = &[b'v'; 512];
const NAMESPACES: usize = 1000;
const KEYS_OF_A_PART: usize = 1000;
const PUTS_OF_A_TXN: usize = 100;
const WRITERS: usize = 4;
/// Pages towards the far end take long.
const TIMEOUT: Duration = Duration::from_secs(60);
const WRITING: Duration = Duration::from_secs(5);
const THINK: Duration = Duration::from_millis(2);

struct Job {
    client: Client,
    way: String,
    layout: String,
    keys: usize,
    at_once: usize,
}

struct Read {
    began: Instant,
    keys: usize,
    bytes: usize,
    pages: usize,
    /// When so many keys had been read.
    marks: Vec<(usize, f64)>,
}

impl Read {
    fn new() -> Self {
        Self { began: Instant::now(), keys: 0, bytes: 0, pages: 0, marks: Vec::new() }
    }

    fn add(&mut self, kvs: &[KeyValue]) {
        self.keys += kvs.len();
        self.bytes += kvs.iter().map(|kv| kv.key.len() + kv.value.len()).sum::<usize>();
        self.pages += 1;
        self.marks.push((self.keys, self.began.elapsed().as_secs_f64()));
    }

    /// How long the keys between these shares took.
    fn between(&self, from: f64, to: f64) -> f64 {
        let at = |share: f64| {
            let wanted = self.keys as f64 * share;
            self.marks.iter().find(|(keys, _)| *keys as f64 >= wanted).map_or(0.0, |(_, at)| *at)
        };
        at(to) - if from > 0.0 { at(from) } else { 0.0 }
    }

    fn into_json(self) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        let Self { keys, bytes, pages, .. } = self;
        let (first, last) = (self.between(0.0, 0.1), self.between(0.9, 1.0));
        let opening = self.marks.first().map_or(0.0, |(_, at)| *at);
        format!(
            r#"{{"keys": {keys}, "bytes": {bytes}, "pages": {pages}, "seconds": {seconds:.4}, "opening": {opening:.4}, "first": {first:.4}, "last": {last:.4}}}"#
        )
    }
}

/// SplitMix64.
fn scrambled(number: usize) -> u64 {
    let mixed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Namespaces of uneven sizes, as prefixes, with the number of their keys.
fn namespaces(keys: usize) -> impl Iterator<Item = (String, usize)> {
    let kinds = ["configmaps", "events", "leases", "pods", "secrets"];
    let weight = |number: usize| 1.0 / (number % 200 + 1) as f64;
    let weights: f64 = (0..NAMESPACES).map(weight).sum();
    let size = move |number| (keys as f64 * weight(number) / weights).round() as usize;
    let prefix =
        move |number| format!("/registry/{}/ns-{:03}/", kinds[number / 200], number % 200 * 7 % 1000);
    (0..NAMESPACES).map(move |number| (prefix(number), size(number)))
}

impl Job {
    fn names(&self) -> Vec<String> {
        match &*self.layout {
            "flat" => (0..self.keys).map(|number| format!("key-{number:010}")).collect(),
            "random" => (0..self.keys).map(|number| format!("{:016x}", scrambled(number))).collect(),
            _ => namespaces(self.keys)
                .flat_map(|(prefix, count)| {
                    (0..count).map(move |number| format!("{prefix}object-{number:07}"))
                })
                .collect(),
        }
    }

    /// What somebody knows who knows how the keys are made.
    fn parts(&self) -> Vec<String> {
        let parts = self.keys.div_ceil(KEYS_OF_A_PART);
        match &*self.layout {
            "flat" => (0..parts).map(|number| format!("key-{number:07}")).collect(),
            "random" => {
                let digits = parts.max(2).ilog(16) as usize + 1;
                (0..1_usize << (4 * digits)).map(|number| format!("{number:0digits$x}")).collect()
            }
            _ => namespaces(self.keys).map(|(prefix, _)| prefix).collect(),
        }
    }

    async fn fill(&self) -> Result<Read, Error> {
        let (names, mut read) = (self.names(), Read::new());
        let mut writing = FuturesUnordered::new();
        for batch in names.chunks(PUTS_OF_A_TXN) {
            if writing.len() == WRITERS {
                writing.next().await.transpose()?;
            }
            let puts = batch.iter().map(|name| Put::new(name.clone(), &VALUE[..]));
            writing.push(self.client.send(puts.fold(Txn::new(), Txn::then)));
        }
        while writing.try_next().await?.is_some() {}
        read.keys = names.len();
        Ok(read)
    }

    async fn scan(&self, way: ScanWay, at_once: usize) -> Result<Read, Error> {
        let scan = Scan::all().way(way).concurrency(at_once);
        let (mut read, mut pages) = (Read::new(), self.client.scan(scan));
        while let Some(page) = pages.next_page().await? {
            read.add(&page.kvs);
        }
        Ok(read)
    }

    async fn thousand(&self) -> Result<Read, Error> {
        let mut read = Read::new();
        let mut page = self.client.send(Get::new(KeyRange::all()).limit(1000)).await?;
        let revision = page.header.revision;
        loop {
            read.add(&page.kvs);
            let Some(last) = page.kvs.last().filter(|_| page.more) else { return Ok(read) };
            let rest = KeyRange::from_key([&last.key[..], b"\0"].concat());
            page = self.client.send(Get::new(rest).limit(1000).at(revision)).await?;
        }
    }

    async fn known(&self) -> Result<Read, Error> {
        let mut read = Read::new();
        let asked = self.parts().into_iter().map(|part| self.client.send(Get::new(KeyRange::prefix(part))));
        let mut answers = stream::iter(asked).buffered(self.at_once);
        while let Some(GetResult { kvs, .. }) = answers.try_next().await? {
            read.add(&kvs);
        }
        Ok(read)
    }

    async fn stream(&self) -> Result<Read, Error> {
        let (mut read, mut stream) = (Read::new(), self.client.get_stream(Get::new(KeyRange::all())).await?);
        while let Some(kvs) = stream.next_chunk().await? {
            read.add(&kvs);
        }
        Ok(read)
    }

    /// Puts beside scans, by a client of its own.
    async fn write(&self, writer: &Client) -> Result<String, Error> {
        let scanning = async {
            if self.at_once == 0 {
                return std::future::pending::<Result<(), Error>>().await;
            }
            loop {
                self.scan(ScanWay::Auto, self.at_once).await?;
            }
        };
        let writing = async {
            let (began, mut latencies) = (Instant::now(), Vec::new());
            while began.elapsed() < WRITING {
                let sent = Instant::now();
                writer.put("written-beside", &VALUE[..]).await?;
                latencies.push(sent.elapsed().as_secs_f64() * 1e3);
                tokio::time::sleep(THINK).await;
            }
            Ok::<_, Error>(latencies)
        };
        let mut latencies = tokio::select! {
            outcome = scanning => return outcome.map(|()| String::new()),
            latencies = writing => latencies?,
        };
        latencies.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| latencies[(share * (latencies.len() - 1) as f64).round() as usize];
        let (p50, p99) = (at(0.5), at(0.99));
        Ok(format!(r#"{{"puts": {}, "p50_ms": {p50:.3}, "p99_ms": {p99:.3}}}"#, latencies.len()))
    }

    async fn run(&self, writer: &Client) -> Result<String, Error> {
        let read = match &*self.way {
            "write" => return self.write(writer).await,
            "fill" => self.fill().await,
            "scan" => self.scan(ScanWay::Auto, self.at_once).await,
            "pages" => self.scan(ScanWay::Pages, self.at_once).await,
            "streams" => self.scan(ScanWay::Streams, self.at_once).await,
            "thousand" => self.thousand().await,
            "stream" => self.stream().await,
            _ => self.known().await,
        };
        read.map(Read::into_json)
    }
}

async fn connect(endpoints: &str) -> Result<Client, Error> {
    Client::builder([endpoints])?.request_timeout(TIMEOUT).connect().await
}

async fn run(arguments: &[String]) -> Result<(), String> {
    let [_, endpoints, way, layout, keys, at_once] = arguments else {
        return Err("see the source".to_owned());
    };
    let number = |text: &String| text.parse::<usize>().map_err(|error| format!("{text}: {error}"));
    let told = |error: Error| error.to_string();
    let (keys, at_once) = (number(keys)?, number(at_once)?);
    let (client, writer) = (connect(endpoints).await.map_err(told)?, connect(endpoints).await.map_err(told)?);
    let job = Job { client, way: way.clone(), layout: layout.clone(), keys, at_once };
    println!("{}", job.run(&writer).await.map_err(told)?);
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
