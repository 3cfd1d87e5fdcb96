//! Keys and values: writing, reading, ranges, history, leases.
//!
//! ```sh
//! cargo run --example kv -- http://127.0.0.1:2379
//! ```

use std::env;
use std::time::Duration;

use etcd_ark::{Client, Delete, Get, GrantLease, KeyRange, Put, Result, RevokeLease, SortOrder, SortTarget};

#[tokio::main]
async fn main() -> Result<()> {
    let endpoint = env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:2379".into());
    // Everything below is about keys under this prefix, and names them without it.
    let client = Client::connect([endpoint]).await?.namespace("/etcd-ark-example/kv/");

    for (fruit, colour) in [("apple", "red"), ("banana", "green"), ("cherry", "black")] {
        client.put(fruit, colour).await?;
    }
    if let Some(banana) = client.get("banana").await? {
        println!("the banana is {}", text(&banana.value));
    }

    // The old value stays in history until that is compacted.
    let ripe = client.send(Put::new("banana", "yellow").return_previous()).await?;
    println!("it was {}", ripe.previous.map_or("nothing".into(), |previous| text(&previous.value)));

    let newest = Get::new(KeyRange::all()).sort_by(SortTarget::ModRevision, SortOrder::Descending).limit(1);
    let found = client.send(newest).await?;
    println!("the last of {} to change is the {}", found.count, text(&found.kvs[0].key));

    // Keys that go with a lease go when it does.
    let lease = client.send(GrantLease::new(Duration::from_secs(60))).await?.id;
    client.send(Put::new("melon", "sliced").lease(lease)).await?;
    client.send(RevokeLease::new(lease)).await?;
    println!("the melon is there: {}", client.get("melon").await?.is_some());

    let deleted = client.send(Delete::new(KeyRange::all()).return_previous()).await?;
    let names: Vec<_> = deleted.previous.iter().map(|kv| text(&kv.key)).collect();
    println!("eaten: {}", names.join(", "));
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
