//! Transactions: creating once, changing without losing anyone's change, choosing.
//!
//! ```sh
//! cargo run --example txn -- http://127.0.0.1:2379
//! ```

use std::env;

use etcd_ark::{Client, Compare, Delete, Get, KeyRange, OperationResult, Put, Relation, Result, Txn};

#[tokio::main]
async fn main() -> Result<()> {
    let endpoint = env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:2379".into());
    let client = Client::connect([endpoint]).await?.namespace("/etcd-ark-example/txn/");

    for name in ["ann", "bob"] {
        println!("{name} is the owner: {}", claim(&client, name).await?);
    }

    // Ten callers at once, and nobody's step is lost.
    let steps = (0..10).map(|_| increment(&client));
    futures_util::future::try_join_all(steps).await?;
    println!("the counter stands at {}", counter(&client).await?.0);

    // Comparisons take ranges, and transactions nest.
    let ann_owns = Txn::new()
        .when(Compare::value("owner", Relation::Equal, "ann"))
        .then(Delete::new(KeyRange::all()))
        .otherwise(Get::new("owner"));
    let clean_up = Txn::new().when(Compare::present(KeyRange::all())).then(ann_owns);
    let result = client.send(clean_up).await?;
    if let [OperationResult::Txn(inner)] = &result.responses[..]
        && let [OperationResult::Delete(deleted)] = &inner.responses[..]
    {
        println!("{} keys deleted", deleted.deleted);
    }
    Ok(())
}

/// Whether the name is the first to claim; of any number of callers one is.
async fn claim(client: &Client, name: &str) -> Result<bool> {
    let claim = Txn::new().when(Compare::absent("owner")).then(Put::new("owner", name.to_owned()));
    Ok(client.send(claim).await?.succeeded)
}

/// Adds one to what the counter is, and begins again if it is something else meanwhile.
async fn increment(client: &Client) -> Result<()> {
    loop {
        let (count, unchanged) = counter(client).await?;
        let step = Txn::new().when(unchanged).then(Put::new("counter", (count + 1).to_string()));
        if client.send(step).await?.succeeded {
            return Ok(());
        }
    }
}

/// What the counter stands at, and the comparison that holds as long as it does.
async fn counter(client: &Client) -> Result<(u64, Compare)> {
    let Some(kv) = client.get("counter").await? else { return Ok((0, Compare::absent("counter"))) };
    let count = String::from_utf8_lossy(&kv.value).parse().unwrap_or_default();
    Ok((count, Compare::mod_revision("counter", Relation::Equal, kv.mod_revision)))
}
