//! Leases, and the frames that hold them.

use std::time::Duration;

use bytes::Bytes;

use super::facts::Facts;
use super::layout::{FrameType, MAX_LEASES_PER_FRAME};
use super::wire::{Malformed, Reader, bytes_tag, put_message, put_u64, varint_tag};
use crate::types::LeaseId;

/// A lease as it was when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// The TTL that it was granted with. etcd counts in whole seconds; a fraction is dropped.
    pub granted_ttl: Duration,
    /// What was left of that, in whole seconds as well; zero if it had expired.
    pub remaining_ttl: Duration,
}

const LEASE: u8 = bytes_tag(1);

/// The payload of a frame with these leases.
pub(crate) fn encode(leases: &[Lease]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut message = Vec::new();
    for lease in leases {
        message.clear();
        put_u64(&mut message, varint_tag(1), lease.id.0.cast_unsigned());
        put_u64(&mut message, varint_tag(2), seconds(lease.granted_ttl));
        put_u64(&mut message, varint_tag(3), seconds(lease.remaining_ttl));
        put_message(&mut out, LEASE, &message);
    }
    out
}

/// Protobuf's `int64` ends at half of what a `Duration` holds: 292 billion years.
fn seconds(ttl: Duration) -> u64 {
    ttl.as_secs().min(i64::MAX.cast_unsigned())
}

impl Facts for Vec<Lease> {
    const FRAME: FrameType = FrameType::Leases;

    fn decode(payload: &Bytes) -> Result<Self, Malformed> {
        let mut leases = Self::new();
        let mut fields = Reader::new(payload);
        while let Some((number, value)) = fields.field()? {
            if number != 1 {
                continue;
            }
            if leases.len() == MAX_LEASES_PER_FRAME {
                return Err(Malformed);
            }
            leases.push(decode_lease(value.slice()?)?);
        }
        Ok(leases)
    }
}

fn decode_lease(message: &[u8]) -> Result<Lease, Malformed> {
    let mut lease = Lease { id: LeaseId(0), granted_ttl: Duration::ZERO, remaining_ttl: Duration::ZERO };
    let mut fields = Reader::new(message);
    while let Some((number, value)) = fields.field()? {
        match number {
            1 => lease.id = id(value.i64()?)?,
            2 => lease.granted_ttl = ttl(value.i64()?)?,
            3 => lease.remaining_ttl = ttl(value.i64()?)?,
            _ => {}
        }
    }
    // The id may be missing.
    id(lease.id.0)?;
    Ok(lease)
}

fn id(id: i64) -> Result<LeaseId, Malformed> {
    LeaseId::from_wire(id).ok_or(Malformed)
}

fn ttl(seconds: i64) -> Result<Duration, Malformed> {
    u64::try_from(seconds).map(Duration::from_secs).map_err(|_| Malformed)
}
