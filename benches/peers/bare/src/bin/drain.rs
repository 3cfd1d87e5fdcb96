//! `drain ENDPOINT` reads a member's snapshot with the client that tonic generates, and does nothing with it.

use std::process::ExitCode;
use std::time::Instant;

use tonic::transport::Endpoint;

#[allow(clippy::all, dead_code, reason = "generated code")]
mod stubs {
    include!(concat!(env!("OUT_DIR"), "/stubs.rs"));
}

use stubs::etcdserverpb::SnapshotRequest;
use stubs::etcdserverpb::maintenance_client::MaintenanceClient;

/// As large as the library's own: the server is to be the limit.
const STREAM_WINDOW: u32 = 32 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

async fn drain(endpoint: String) -> Result<(), String> {
    let told = |error: &dyn std::error::Error| error.to_string();
    let endpoint = Endpoint::from_shared(endpoint).map_err(|error| told(&error))?;
    let windows = endpoint
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let channel = windows.connect().await.map_err(|error| told(&error))?;
    let began = Instant::now();
    let answer = MaintenanceClient::new(channel).snapshot(SnapshotRequest {}).await;
    let mut chunks = answer.map_err(|error| told(&error))?.into_inner();
    let mut bytes = 0;
    while let Some(chunk) = chunks.message().await.map_err(|error| told(&error))? {
        bytes += chunk.blob.len();
    }
    println!(r#"{{"bytes": {bytes}, "seconds": {:.4}}}"#, began.elapsed().as_secs_f64());
    Ok(())
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let endpoint = std::env::args().nth(1).ok_or_else(|| "see the source".to_owned());
    let drained = runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(drain(endpoint?)));
    match drained {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
