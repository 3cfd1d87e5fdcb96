//! `backup fill ENDPOINT KEYS VALUE_BYTES` writes keys to a server.
//! `backup archive MIB VALUE_BYTES` encodes, decodes and verifies records, and compresses the same bytes with zstd.
//! `backup look ARCHIVE KEYS [IDENTITY]` looks for keys and prefixes in an archive of what was filled in.
//!
//! Each tells what it found in a line of JSON.

mod archive;
mod reading;
mod values;

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use etcd_ark::{Client, Put, Txn};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

/// Below what a server takes in one request.
const TXN_BYTES: usize = 1 << 20;
const PUTS_OF_A_TXN: usize = 100;
const WRITERS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(60);

async fn fill(endpoint: &str, keys: usize, value_bytes: usize) -> Result<(), String> {
    let told = |error: etcd_ark::Error| error.to_string();
    let client = Client::builder([endpoint]).map_err(told)?.request_timeout(TIMEOUT);
    let client = client.connect().await.map_err(told)?;
    let batch = (TXN_BYTES / value_bytes.max(1)).clamp(1, PUTS_OF_A_TXN);
    let mut writing = FuturesUnordered::new();
    for begin in (0..keys).step_by(batch) {
        if writing.len() == WRITERS {
            writing.next().await.transpose().map_err(told)?;
        }
        let numbers = begin..(begin + batch).min(keys);
        let puts = numbers.map(|number| Put::new(values::key(number), values::value(number, value_bytes)));
        writing.push(client.send(puts.fold(Txn::new(), Txn::then)));
    }
    while let Some(written) = writing.next().await {
        written.map_err(told)?;
    }
    Ok(())
}

async fn run(arguments: &[String]) -> Result<(), String> {
    let number = |text: &String| text.parse::<usize>().map_err(|error| format!("{text}: {error}"));
    match arguments {
        [_, way, endpoint, keys, value_bytes] if way == "fill" => {
            let began = Instant::now();
            fill(endpoint, number(keys)?, number(value_bytes)?).await?;
            println!(r#"{{"seconds": {:.3}}}"#, began.elapsed().as_secs_f64());
            Ok(())
        }
        [_, way, mib, value_bytes] if way == "archive" => {
            archive::measure(number(mib)? << 20, number(value_bytes)?).await
        }
        [_, way, archive, keys, identity @ ..] if way == "look" => {
            reading::measure(archive, identity.first(), number(keys)?)
                .await
                .map_err(|error| error.to_string())
        }
        _ => Err("see the source".to_owned()),
    }
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
