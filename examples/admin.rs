//! Looking after a cluster: members, alarms, space, users.
//!
//! ```sh
//! cargo run --example admin -- http://127.0.0.1:2379
//! ```

use std::env;
use std::time::Duration;

use etcd_ark::{
    Access, AddRole, AddUser, Client, Compact, DeleteRole, DeleteUser, ErrorKind, GetRole, GrantPermission,
    GrantRole, KeyRange, ListAlarms, ListMembers, Permission, Result,
};

/// A defragmentation takes as long as it takes; this is for small clusters.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<()> {
    let endpoint = env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:2379".into());
    let client = Client::connect([endpoint]).await?;
    // From here on the client reaches every member, whichever it was given.
    client.sync_endpoints().await?;

    for member in client.send(ListMembers::new()).await?.members {
        println!("member {} listens at {}", member.id, member.client_urls.join(", "));
    }
    println!("{} alarms", client.send(ListAlarms::new()).await?.alarms.len());
    free_space(&client).await?;
    users(&client).await
}

/// Drops all history, then gives its space back, one member after the other.
async fn free_space(client: &Client) -> Result<()> {
    let newest = client.put("/etcd-ark-example/admin", "last").await?.header.revision;
    client.delete("/etcd-ark-example/admin").await?;
    match client.send_within(Compact::new(newest).physical(), PATIENCE).await {
        // Someone else was faster.
        Err(error) if error.kind() == ErrorKind::Compacted => {}
        outcome => drop(outcome?),
    }
    for member in client.members() {
        member.defragment(PATIENCE).await?;
        let status = member.status().await?;
        println!("etcd {}: {} of {} bytes in use", status.version, status.db_size_in_use, status.db_size);
    }
    Ok(())
}

/// A user who may read what is under one prefix and nothing else.
async fn users(client: &Client) -> Result<()> {
    client.send(AddUser::new("example-reader", "a password")).await?;
    client.send(AddRole::new("example-reading")).await?;
    let permission = Permission::new(Access::Read, KeyRange::prefix("/etcd-ark-example/"));
    client.send(GrantPermission::new("example-reading", permission)).await?;
    client.send(GrantRole::new("example-reader", "example-reading")).await?;
    for permission in client.send(GetRole::new("example-reading")).await?.permissions {
        println!("example-reading permits {:?} of {}", permission.access, permission.range);
    }
    client.send(DeleteUser::new("example-reader")).await?;
    client.send(DeleteRole::new("example-reading")).await?;
    Ok(())
}
