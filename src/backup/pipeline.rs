use std::collections::BTreeSet;
use std::mem;

use tokio::io::AsyncWrite;

use super::facts::{read_auth, read_members};
use super::in_order::InOrder;
use super::leases::read_leases;
use super::output::Output;
use crate::archive::{
    Auth, Compression, Cutter, Encoder, Header, Members, Options, RawBlock, SealedBlock, Summary,
};
use crate::client::Client;
use crate::error::Result;
use crate::stream::ScanPage;
use crate::types::LeaseId;

/// Blocks that are hashed and compressed while others are read and written.
const SEALING: usize = 4;

/// Cut, hash and compress on other threads, write in order.
pub(super) struct Pipeline<'w, W> {
    cutter: Cutter,
    sealing: InOrder<SealedBlock>,
    compression: Compression,
    encoder: Encoder,
    leases: BTreeSet<LeaseId>,
    output: Output<'w, W>,
}

impl<'w, W: AsyncWrite + Unpin> Pipeline<'w, W> {
    pub(super) async fn begin(
        header: &Header,
        compression: Compression,
        mut output: Output<'w, W>,
    ) -> Result<Self> {
        let (encoder, start) = Encoder::new(header)?;
        output.write(&start).await?;
        let (sealing, leases) = (InOrder::of(SEALING), BTreeSet::new());
        Ok(Self { cutter: Cutter::new(), sealing, compression, encoder, leases, output })
    }

    /// Takes a page and says how many bytes of keys and values it held.
    pub(super) async fn take(&mut self, page: ScanPage) -> Result<u64> {
        let mut bytes = 0;
        for kv in &page.kvs {
            bytes += (kv.key.len() + kv.value.len()) as u64;
            self.leases.extend(kv.lease);
            if let Some(block) = self.cutter.push(kv)? {
                self.seal(block).await?;
            }
        }
        Ok(bytes)
    }

    async fn seal(&mut self, block: RawBlock) -> Result<()> {
        let compression = self.compression;
        match self.sealing.push(move || block.seal(compression)).await? {
            Some(oldest) => self.append(oldest).await,
            None => Ok(()),
        }
    }

    async fn append(&mut self, sealed: SealedBlock) -> Result<()> {
        self.output.write(&self.encoder.append(sealed)?).await
    }

    /// Writes what is left of the records, and the leases that they go with; says how many.
    pub(super) async fn leases(&mut self, client: &Client) -> Result<u64> {
        if let Some(last) = mem::take(&mut self.cutter).finish() {
            self.seal(last).await?;
        }
        while let Some(oldest) = self.sealing.next().await? {
            self.append(oldest).await?;
        }
        let leases = read_leases(client, mem::take(&mut self.leases)).await?;
        self.output.write(&self.encoder.leases(&leases)?).await?;
        Ok(leases.len() as u64)
    }

    /// Writes how it was made.
    pub(super) async fn options(&mut self, options: &Options) -> Result<()> {
        self.output.write(&self.encoder.options(options)?).await
    }

    /// Writes what there is beside keys and leases.
    pub(super) async fn facts(&mut self, client: &Client, options: &Options) -> Result<(Auth, Members)> {
        let auth = self.auth(read_auth(client).await).await?;
        let members = read_members(client).await;
        self.output.write(&self.encoder.members(&members)?).await?;
        self.options(options).await?;
        Ok((auth, members))
    }

    /// Writes the end.
    pub(super) async fn finish(mut self) -> Result<Summary> {
        let (end, summary) = self.encoder.finish()?;
        self.output.write(&end).await?;
        self.output.finish().await?;
        Ok(summary)
    }

    /// Writes users and roles; if they are too many, that they are.
    async fn auth(&mut self, read: Auth) -> Result<Auth> {
        let (frame, auth) = match self.encoder.auth(&read) {
            Ok(frame) => (frame, read),
            Err(error) => {
                let note = Auth { state: read.state, missing: error.to_string(), ..Auth::default() };
                (self.encoder.auth(&note)?, note)
            }
        };
        self.output.write(&frame).await?;
        Ok(auth)
    }
}
