//! This library, with every default: a deadline for each call, retries, failover.

use std::process::ExitCode;

use etcd_ark::{Client, Error};
use load::{Job, Peer};

#[derive(Clone)]
struct Ark(Client);

impl Ark {
    async fn connect(job: Job) -> Result<Self, String> {
        let mut builder = Client::builder(job.endpoints).map_err(told)?;
        if let Some(deadline) = job.deadline {
            builder = builder.request_timeout(deadline);
        }
        builder.connect().await.map(Self).map_err(told)
    }
}

fn told(error: Error) -> String {
    error.to_string()
}

impl Peer for Ark {
    async fn get(&mut self, key: String) -> Result<usize, String> {
        let found = self.0.get(key).await.map_err(told)?;
        Ok(found.map_or(0, |kv| kv.value.len()))
    }

    async fn put(&mut self, key: String, value: &'static [u8]) -> Result<(), String> {
        self.0.put(key, value).await.map(drop).map_err(told)
    }
}

fn main() -> ExitCode {
    load::run(Ark::connect)
}
