//! Registers a service for as long as this process lives.
//!
//! ```sh
//! cargo run --example lease -- http://127.0.0.1:2379 /services/web/1 10.0.0.7:80
//! ```
//!
//! The key goes when the program is interrupted, and within seconds when it dies.

use std::env;
use std::error::Error;
use std::time::Duration;

use etcd_ark::{Client, Put};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [endpoint, key, address] = &arguments[..] else {
        return Err("usage: lease ENDPOINT KEY ADDRESS".into());
    };
    // From the start, so that none is missed.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let client = Client::connect([endpoint]).await?;
    let lease = client.grant_lease(Duration::from_secs(10)).await?;
    client.send(Put::new(key.clone(), address.clone()).lease(lease.id())).await?;
    println!("{key} is registered with lease {}", lease.id());
    tokio::select! {
        lost = lease.lost() => Err(format!("{key} is registered no longer: {lost}").into()),
        _ = interrupt.recv() => Ok(lease.revoke().await?),
    }
}
