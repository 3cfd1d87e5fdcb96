//! One attempt at a backup, at one revision.

use std::time::{Instant, SystemTime};

use tokio::io::AsyncWrite;
use tokio::join;

use super::{Backup, BackupReport};
use crate::archive::{BackupOption, Compression, Header, Options};
use crate::backup::facts::versions;
use crate::backup::grants::explained;
use crate::backup::keys::Keys;
use crate::backup::output::Output;
use crate::backup::pipeline::Pipeline;
use crate::backup::progress::Phase;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::types;

impl Backup {
    pub(super) async fn attempt<W>(
        &self,
        client: &Client,
        writer: &mut W,
        restarts: u32,
    ) -> Result<BackupReport>
    where
        W: AsyncWrite + Unpin + Send,
    {
        let began = Instant::now();
        let mut keys = self.keys(client).await?;
        let mut progress = self.observer.begin_again(Phase::Reading, restarts);
        let mut page = explained(keys.next_page().await, client, &self.range).await?;
        let pinned = keys.pinned().ok_or_else(no_answer)?;
        progress.expect(keys.total());

        let header = Box::pin(self.header(client, pinned)).await;
        let mut pipeline = Pipeline::begin(&header, self.compression, self.output(writer)?).await?;
        while let Some(read) = page {
            let count = read.kvs.len() as u64;
            // The next page is on its way while this one is cut, compressed and written.
            let (next, taken) = join!(keys.next_page(), pipeline.take(read));
            progress.add(count, taken?);
            page = next?;
        }
        let options = self.options();
        let leases = Box::pin(pipeline.leases(client)).await?;
        let (auth, members) = Box::pin(pipeline.facts(client, &options)).await?;
        let summary = pipeline.finish().await?;
        let elapsed = began.elapsed();
        Ok(BackupReport { header, summary, leases, auth, members, options, restarts, elapsed })
    }

    async fn keys(&self, client: &Client) -> Result<Keys> {
        if self.via_snapshot {
            Keys::database(client, &self.range, &self.observer).await
        } else {
            Ok(Keys::Scan(client.scan(self.scan.clone().over(self.range.clone()))))
        }
    }

    fn output<'w, W: AsyncWrite + Unpin>(&self, writer: &'w mut W) -> Result<Output<'w, W>> {
        let output = Output::new(writer);
        #[cfg(feature = "encrypt")]
        let output = output.encrypted(self.encryption.as_ref())?;
        Ok(output)
    }

    fn options(&self) -> Options {
        let compression = match self.compression {
            Compression::None => "none".to_owned(),
            Compression::Zstd(level) => format!("zstd {level}"),
        };
        let option = |name: &str, value| BackupOption { name: name.to_owned(), value };
        let mut options = vec![option("compression", compression), option("range", self.range.to_string())];
        if self.via_snapshot {
            options.push(option("read", "via snapshot".to_owned()));
        }
        Options { options }
    }

    pub(in crate::backup) async fn header(&self, client: &Client, pinned: types::Header) -> Header {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Header {
            cluster_id: pinned.cluster_id,
            member_id: pinned.member_id,
            revision: pinned.revision,
            created_unix_ms: now.as_millis().try_into().unwrap_or(i64::MAX),
            server_version: versions(client).await.remove(&pinned.member_id).unwrap_or_default(),
            writer: concat!("etcd-ark ", env!("CARGO_PKG_VERSION")).to_owned(),
            range: self.range.clone(),
        }
    }
}

fn no_answer() -> Error {
    Error::new(ErrorKind::Protocol, "the scan ended without a page")
}
