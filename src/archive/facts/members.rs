use bytes::Bytes;

use super::Facts;
use super::list::{Budget, ascends};
use crate::archive::layout::FrameType;
use crate::archive::wire::{Malformed, Reader, bytes_tag, put_bytes, put_message, put_u64, varint_tag};
use crate::types::MemberId;

/// The cluster's members and its alarms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The members, ascending by id.
    pub members: Vec<SavedMember>,
    /// The alarms that were raised.
    pub alarms: Vec<RaisedAlarm>,
    /// Why some of this could not be read; empty if all could.
    pub missing: String,
}

/// A member as it was when the backup was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedMember {
    /// Its id.
    pub id: MemberId,
    /// Its name; empty until it has started for the first time.
    pub name: String,
    /// Where it listens for the other members.
    pub peer_urls: Vec<String>,
    /// Where it says that it listens for clients.
    pub client_urls: Vec<String>,
    /// Whether it only follows, without a vote.
    pub is_learner: bool,
    /// The version of its etcd; empty if it did not say.
    pub server_version: String,
}

/// An alarm that a member had raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaisedAlarm {
    /// Who had raised it.
    pub member_id: MemberId,
    /// What about, as etcd numbers alarms: 1 is NOSPACE, 2 is CORRUPT.
    pub kind: u32,
}

impl Members {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.members.iter().for_each(|member| put_message(&mut out, bytes_tag(1), &member.encode()));
        self.alarms.iter().for_each(|alarm| put_message(&mut out, bytes_tag(2), &alarm.encode()));
        put_bytes(&mut out, bytes_tag(3), self.missing.as_bytes());
        out
    }
}

impl Facts for Members {
    const FRAME: FrameType = FrameType::Members;

    fn decode(payload: &Bytes) -> Result<Self, Malformed> {
        let (mut members, mut budget) = (Self::default(), Budget::default());
        let mut fields = Reader::new(payload);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => {
                    let member = SavedMember::decode(value.slice()?, &mut budget)?;
                    budget.add(&mut members.members, member)?;
                }
                2 => budget.add(&mut members.alarms, RaisedAlarm::decode(value.slice()?)?)?,
                3 => members.missing = value.string()?,
                _ => {}
            }
        }
        ascends(&members.members, |member| member.id)?;
        Ok(members)
    }
}

impl SavedMember {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_u64(&mut out, varint_tag(1), self.id.0);
        put_bytes(&mut out, bytes_tag(2), self.name.as_bytes());
        self.peer_urls.iter().for_each(|url| put_message(&mut out, bytes_tag(3), url.as_bytes()));
        self.client_urls.iter().for_each(|url| put_message(&mut out, bytes_tag(4), url.as_bytes()));
        put_u64(&mut out, varint_tag(5), self.is_learner.into());
        put_bytes(&mut out, bytes_tag(6), self.server_version.as_bytes());
        out
    }

    fn decode(message: &[u8], budget: &mut Budget) -> Result<Self, Malformed> {
        let mut member = Self {
            id: MemberId(0),
            name: String::new(),
            peer_urls: Vec::new(),
            client_urls: Vec::new(),
            is_learner: false,
            server_version: String::new(),
        };
        let mut fields = Reader::new(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => member.id.0 = value.u64()?,
                2 => member.name = value.string()?,
                3 => budget.add(&mut member.peer_urls, value.string()?)?,
                4 => budget.add(&mut member.client_urls, value.string()?)?,
                5 => member.is_learner = value.u32()? != 0,
                6 => member.server_version = value.string()?,
                _ => {}
            }
        }
        Ok(member)
    }
}

impl RaisedAlarm {
    fn encode(self) -> Vec<u8> {
        let mut out = Vec::new();
        put_u64(&mut out, varint_tag(1), self.member_id.0);
        put_u64(&mut out, varint_tag(2), self.kind.into());
        out
    }

    fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let mut alarm = Self { member_id: MemberId(0), kind: 0 };
        let mut fields = Reader::new(message);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => alarm.member_id.0 = value.u64()?,
                2 => alarm.kind = value.u32()?,
                _ => {}
            }
        }
        Ok(alarm)
    }
}
