//! The load that every peer is put under, and how it is measured.
//!
//! A peer is a program with these arguments:
//!
//! `ENDPOINTS get|put|fill IN_FLIGHT SECONDS [THINK_MS [DEADLINE_MS]]`
//!
//! `ENDPOINTS` is a comma list of `http://host:port`. `IN_FLIGHT` tasks each send one call after the
//! other, `THINK_MS` after the last. With `DEADLINE_MS` a call may take no longer; without, what the
//! client does by default. After a warm-up the calls of `SECONDS` are measured and told in one line of
//! JSON. `fill` only writes every key once, so that there is something to get.

use std::future::Future;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

/// How many keys there are; each call takes any of them, all equally likely.
const KEYS: u64 = 1024;
/// The length of a value in bytes.
pub const VALUE_BYTES: usize = 256;
const VALUE: &[u8; VALUE_BYTES] = &[b'v'; VALUE_BYTES];
const WORKER_THREADS: usize = 2;
const WARM_UP: Duration = Duration::from_millis(300);
/// After a failure, so that one that fails at once is not asked a million times.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);
/// How long calls may take that are still under way at the end; then they count as errors.
const LAST_CALLS: Duration = Duration::from_secs(10);

/// A client to be measured. Each task has a clone of its own.
pub trait Peer: Clone + Send + 'static {
    /// Reads a key and returns how long its value is.
    fn get(&mut self, key: String) -> impl Future<Output = Result<usize, String>> + Send;
    /// Writes a key.
    fn put(&mut self, key: String, value: &'static [u8]) -> impl Future<Output = Result<(), String>> + Send;
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where the members listen.
    pub endpoints: Vec<String>,
    operation: Operation,
    in_flight: u64,
    measured: Duration,
    think: Duration,
    /// The longest that a call may take; `None`: as the client does by default.
    pub deadline: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Get,
    Put,
    Fill,
}

impl Job {
    fn from_arguments() -> Option<Self> {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        let number = |at: usize| arguments.get(at).map_or(Some(0), |text: &String| text.parse().ok());
        let operation = match arguments.get(1)?.as_str() {
            "get" => Operation::Get,
            "put" => Operation::Put,
            "fill" => Operation::Fill,
            _ => return None,
        };
        let deadline = number(5)?;
        Some(Self {
            endpoints: arguments[0].split(',').map(str::to_owned).collect(),
            operation,
            in_flight: number(2)?.max(1),
            measured: Duration::from_secs(number(3)?),
            think: Duration::from_millis(number(4)?),
            deadline: (deadline > 0).then_some(Duration::from_millis(deadline)),
        })
    }
}

/// Does what the command line asks for, with the client that `connect` gives.
pub fn run<P, C, F>(connect: C) -> ExitCode
where
    P: Peer,
    C: FnOnce(Job) -> F,
    F: Future<Output = Result<P, String>>,
{
    let Some(job) = Job::from_arguments() else {
        eprintln!("arguments: ENDPOINTS get|put|fill IN_FLIGHT SECONDS [THINK_MS [DEADLINE_MS]]");
        return ExitCode::from(2);
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build();
    let outcome = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let outcome = runtime.block_on(async {
            let peer = connect(job.clone()).await?;
            if job.operation == Operation::Fill { fill(peer).await } else { measure(peer, &job).await }
        });
        // Calls that never end must not keep the program.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn fill<P: Peer>(mut peer: P) -> Result<String, String> {
    for number in 0..KEYS {
        peer.put(key(number), VALUE).await?;
    }
    Ok(format!("{{\"filled\":{KEYS}}}"))
}

async fn measure<P: Peer>(peer: P, job: &Job) -> Result<String, String> {
    let begin = Instant::now() + WARM_UP;
    let end = begin + job.measured;
    let task = |seed| tokio::spawn(caller(peer.clone(), job.clone(), seed, begin, end));
    let tasks: Vec<_> = (1..=job.in_flight).map(task).collect();
    let mut total = Record::default();
    for mut task in tasks {
        let rest = (end + LAST_CALLS).saturating_duration_since(Instant::now());
        match timeout(rest, &mut task).await {
            Ok(record) => total.add(record.map_err(|error| error.to_string())?),
            // What it did before is lost with it; that it hung is what matters.
            Err(_) => total.failed("a call never ended".into()),
        }
    }
    Ok(total.into_json(job.measured))
}

/// One call after the other until the end.
async fn caller<P: Peer>(mut peer: P, job: Job, seed: u64, begin: Instant, end: Instant) -> Record {
    let mut record = Record::new(job.measured);
    let mut random = Random(seed);
    loop {
        let sent = Instant::now();
        if sent >= end {
            return record;
        }
        let key = key(random.next() % KEYS);
        let outcome = match job.operation {
            Operation::Get => peer.get(key).await.and_then(|length| {
                if length == VALUE_BYTES { Ok(()) } else { Err(format!("a value of {length} bytes")) }
            }),
            Operation::Put | Operation::Fill => peer.put(key, VALUE).await,
        };
        let over = Instant::now();
        if sent < begin {
            record.warm_up += 1;
        } else {
            record.note(outcome.as_ref().err(), over - sent, over - begin);
        }
        if outcome.is_err() {
            sleep(PAUSE_AFTER_ERROR).await;
        } else if !job.think.is_zero() {
            sleep(job.think).await;
        }
    }
}

fn key(number: u64) -> String {
    format!("bench/{number:08}")
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// What became of the calls.
#[derive(Debug, Default)]
struct Record {
    /// Of every call, failed ones too: an error after two seconds has cost two seconds.
    latencies: Vec<Duration>,
    /// Calls that went well, by the second in which they ended.
    per_second: Vec<u64>,
    warm_up: u64,
    errors: u64,
    first_error: Option<String>,
}

impl Record {
    fn new(measured: Duration) -> Self {
        let seconds = usize::try_from(measured.as_secs()).unwrap_or(0);
        Self { per_second: vec![0; seconds], ..Self::default() }
    }

    fn note(&mut self, error: Option<&String>, latency: Duration, since_begin: Duration) {
        self.latencies.push(latency);
        if let Some(error) = error {
            self.failed(error.clone());
        } else if let Some(count) = self.per_second.get_mut(since_begin.as_secs() as usize) {
            *count += 1;
        }
    }

    fn failed(&mut self, error: String) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }

    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.per_second.resize(other.per_second.len().max(self.per_second.len()), 0);
        self.per_second.iter_mut().zip(other.per_second).for_each(|(sum, count)| *sum += count);
        self.warm_up += other.warm_up;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    fn into_json(mut self, measured: Duration) -> String {
        self.latencies.sort_unstable();
        let at = |share: f64| {
            let last = self.latencies.len().saturating_sub(1);
            let latency = self.latencies.get((last as f64 * share).round() as usize);
            latency.map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
        };
        let well: u64 = self.per_second.iter().sum();
        format!(
            "{{\"rate\":{:.1},\"p50_us\":{:.1},\"p99_us\":{:.1},\"p999_us\":{:.1},\"max_us\":{:.1},\
             \"errors\":{},\"calls\":{},\"warm_up_calls\":{},\"per_second\":{:?},\"first_error\":{:?}}}",
            well as f64 / measured.as_secs_f64(),
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
            self.errors,
            self.latencies.len(),
            self.warm_up,
            self.per_second,
            self.first_error.unwrap_or_default(),
        )
    }
}
