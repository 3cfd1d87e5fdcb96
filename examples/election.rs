//! One of several that lead in turn, and tell who does.
//!
//! ```sh
//! cargo run --example election -- http://127.0.0.1:2379 scheduler me
//! ```
//!
//! Interrupted, it makes way for the next.

use std::env;
use std::error::Error;
use std::time::Duration;

use etcd_ark::{Client, Election, Escaped, LeaseKeeper};
use futures_util::TryStreamExt;
use tokio::signal::ctrl_c;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [endpoint, name, me] = &arguments[..] else {
        return Err("usage: election ENDPOINT NAME VALUE".into());
    };
    let client = Client::connect([endpoint]).await?;
    let lease = client.grant_lease(Duration::from_secs(15)).await?;
    let election = client.election(name);
    let led = tokio::select! {
        led = lead(&election, &lease, me) => led,
        told = tell(&election) => told.map_err(Into::into),
        interrupted = ctrl_c() => interrupted.map_err(Into::into),
    };
    // With the lease goes the leadership, or the place in the queue.
    lease.revoke().await?;
    led
}

/// Waits to lead, and leads until that is lost.
async fn lead(election: &Election, lease: &LeaseKeeper, me: &str) -> Result<(), Box<dyn Error>> {
    let leadership = election.campaign(lease, me.to_owned()).await?;
    println!("{me} leads, with token {}", leadership.fencing_token());
    Err(format!("{me} leads no longer: {}", leadership.lost().await).into())
}

async fn tell(election: &Election) -> etcd_ark::Result<()> {
    let mut leaders = election.observe();
    while let Some(leader) = leaders.try_next().await? {
        match leader {
            Some(kv) => println!("the leader is {}", Escaped(&kv.value)),
            None => println!("nobody leads"),
        }
    }
    Ok(())
}
