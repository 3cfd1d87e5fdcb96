//! The bare generated client: one tonic channel, no deadline, no retry, no failover.

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use load::{Job, Peer};
use tonic::transport::{Channel, Endpoint};

#[allow(clippy::all, dead_code, reason = "generated code")]
mod stubs {
    include!(concat!(env!("OUT_DIR"), "/stubs.rs"));
}

use stubs::etcdserverpb::kv_client::KvClient;
use stubs::etcdserverpb::{PutRequest, RangeRequest};

#[derive(Clone)]
struct Bare {
    kv: KvClient<Channel>,
    deadline: Option<Duration>,
}

impl Bare {
    async fn connect(job: Job) -> Result<Self, String> {
        let endpoints = job.endpoints.into_iter().map(Endpoint::from_shared).collect::<Result<Vec<_>, _>>();
        let mut endpoints = endpoints.map_err(|error| error.to_string())?;
        let channel = match endpoints.len() {
            1 => endpoints.remove(0).connect().await.map_err(|error| error.to_string())?,
            _ => Channel::balance_list(endpoints.into_iter()),
        };
        Ok(Self { kv: KvClient::new(channel), deadline: job.deadline })
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        request
    }
}

impl Peer for Bare {
    async fn get(&mut self, key: String) -> Result<usize, String> {
        let request = self.request(RangeRequest { key: key.into(), ..RangeRequest::default() });
        let answer = self.kv.range(request).await.map_err(|status| status.to_string())?.into_inner();
        Ok(answer.kvs.first().map_or(0, |kv| kv.value.len()))
    }

    async fn put(&mut self, key: String, value: &'static [u8]) -> Result<(), String> {
        let message =
            PutRequest { key: key.into(), value: Bytes::from_static(value), ..PutRequest::default() };
        let request = self.request(message);
        self.kv.put(request).await.map(drop).map_err(|status| status.to_string())
    }
}

fn main() -> ExitCode {
    load::run(Bare::connect)
}
