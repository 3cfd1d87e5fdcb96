//! The crate etcd-client, as its documentation uses it.

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use etcd_client::{Client, Error, KvClient};
use load::{Job, Peer};
use tokio::time::timeout;

#[derive(Clone)]
struct EtcdClient {
    kv: KvClient,
    deadline: Option<Duration>,
}

impl EtcdClient {
    async fn connect(job: Job) -> Result<Self, String> {
        let client = Client::connect(job.endpoints, None).await.map_err(|error| error.to_string())?;
        Ok(Self { kv: client.kv_client(), deadline: job.deadline })
    }
}

/// Around the whole call: the crate's own timeout does not cover the wait for a connection.
async fn within<T>(
    deadline: Option<Duration>,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, String> {
    let outcome = match deadline {
        Some(deadline) => timeout(deadline, call).await.map_err(|_| "deadline".to_owned())?,
        None => call.await,
    };
    outcome.map_err(|error| error.to_string())
}

impl Peer for EtcdClient {
    async fn get(&mut self, key: String) -> Result<usize, String> {
        let answer = within(self.deadline, self.kv.get(key, None)).await?;
        Ok(answer.kvs().first().map_or(0, |kv| kv.value().len()))
    }

    async fn put(&mut self, key: String, value: &'static [u8]) -> Result<(), String> {
        within(self.deadline, self.kv.put(key, value, None)).await.map(drop)
    }
}

fn main() -> ExitCode {
    load::run(EtcdClient::connect)
}
