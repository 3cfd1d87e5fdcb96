//! Reads all keys in pages of 1000 towards the far end, as users of the crate do, and tells in a line of JSON how many
//! there were and how long it took: `etcd-client-pages ENDPOINTS`.

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use etcd_client::{Client, Error, GetOptions};
use tokio::runtime::Builder;

const PAGE: i64 = 1000;
const WORKER_THREADS: usize = 2;

/// The number of keys, and of pages.
async fn read_all(client: &mut Client) -> Result<(usize, usize), Error> {
    let (mut keys, mut pages, mut revision) = (0, 0, 0);
    let mut from = b"\0".to_vec();
    loop {
        let options = GetOptions::new().with_from_key().with_limit(PAGE).with_revision(revision);
        let page = client.get(from, Some(options)).await?;
        if revision == 0 {
            revision = page.header().map_or(0, |header| header.revision());
        }
        keys += page.kvs().len();
        pages += 1;
        let Some(last) = page.kvs().last().filter(|_| page.more()) else { return Ok((keys, pages)) };
        from = [last.key(), b"\0"].concat();
    }
}

async fn run(endpoints: &str) -> Result<String, Error> {
    let endpoints: Vec<_> = endpoints.split(',').collect();
    let mut client = Client::connect(endpoints, None).await?;
    let began = Instant::now();
    let (keys, pages) = read_all(&mut client).await?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(format!(r#"{{"keys": {keys}, "pages": {pages}, "seconds": {seconds:.4}}}"#))
}

fn main() -> ExitCode {
    let endpoints = env::args().nth(1).unwrap_or_default();
    let runtime = Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build();
    let told = runtime.map_err(|error| error.to_string());
    match told.and_then(|runtime| runtime.block_on(run(&endpoints)).map_err(|error| error.to_string())) {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
