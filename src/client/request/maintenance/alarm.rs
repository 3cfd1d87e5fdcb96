use bytes::Bytes;

use super::super::{Request, WireCall, decode};
use crate::error::Result;
use crate::net::{RetryClass, Rpc};
use crate::pb::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, alarm_request::AlarmAction,
};
use crate::types::{MemberId, Namespace};

const ALARM: Rpc = Rpc::new("/etcdserverpb.Maintenance/Alarm");

/// Asks which alarms are raised. Linearizable.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ListAlarms {}

impl ListAlarms {
    /// Asks for the alarms of all members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The answer to [`ListAlarms`], without a header: 3.4 sends none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListAlarmsResult {
    /// The alarms; none if all is well.
    pub alarms: Vec<Alarm>,
}

/// An alarm that a member has raised. It holds for the whole cluster until it is disarmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Alarm {
    /// Who has raised it.
    pub member_id: MemberId,
    /// What about.
    pub kind: AlarmKind,
}

/// What an alarm is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlarmKind {
    /// The member's database is full: the cluster takes nothing that needs space.
    NoSpace,
    /// The member's data differs from the others': the cluster takes no writes.
    Corrupt,
    /// An alarm that this version of the client does not know, by its number on the wire.
    Other(i32),
}

impl AlarmKind {
    fn from_wire(wire: i32) -> Self {
        match AlarmType::try_from(wire) {
            Ok(AlarmType::Nospace) => Self::NoSpace,
            Ok(AlarmType::Corrupt) => Self::Corrupt,
            Ok(AlarmType::None) | Err(_) => Self::Other(wire),
        }
    }

    fn to_wire(self) -> i32 {
        match self {
            Self::NoSpace => AlarmType::Nospace.into(),
            Self::Corrupt => AlarmType::Corrupt.into(),
            Self::Other(wire) => wire,
        }
    }
}

/// Takes back an alarm, once its cause is gone: history compacted and every member defragmented, or the
/// corrupt member replaced.
///
/// Tried again even when the outcome of an attempt is unknown. With authentication on, root's.
#[derive(Clone, Debug)]
pub struct DisarmAlarm {
    alarm: Alarm,
}

impl DisarmAlarm {
    /// Takes back this one, as [`ListAlarms`] tells it. No error if it is not raised.
    #[must_use]
    pub fn new(alarm: Alarm) -> Self {
        Self { alarm }
    }
}

/// Raises an alarm by hand, which is for drills: the cluster then takes no writes, as if a member had raised
/// it. [`DisarmAlarm`] takes it back.
///
/// Tried again even when the outcome of an attempt is unknown. With authentication on, root's.
#[derive(Clone, Debug)]
pub struct RaiseAlarm {
    alarm: Alarm,
}

impl RaiseAlarm {
    /// Raises an alarm of this kind in this member's name.
    #[must_use]
    pub fn new(member_id: MemberId, kind: AlarmKind) -> Self {
        Self { alarm: Alarm { member_id, kind } }
    }
}

/// The answer to a [`RaiseAlarm`], without a header: 3.4 sends none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RaiseAlarmResult {
    /// What was raised, also if it was already.
    pub alarms: Vec<Alarm>,
}

/// The answer to a [`DisarmAlarm`], without a header: 3.4 sends none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DisarmAlarmResult {
    /// What was taken back; none if it was not raised.
    pub alarms: Vec<Alarm>,
}

impl Request for ListAlarms {
    type Response = ListAlarmsResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        Ok(WireCall::new(ALARM, RetryClass::Read, &AlarmRequest::default()))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<ListAlarmsResult> {
        let wire: AlarmResponse = decode(answer)?;
        Ok(ListAlarmsResult { alarms: alarms(wire.alarms) })
    }
}

impl Request for DisarmAlarm {
    type Response = DisarmAlarmResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        Ok(self.alarm.call(AlarmAction::Deactivate))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<DisarmAlarmResult> {
        let wire: AlarmResponse = decode(answer)?;
        Ok(DisarmAlarmResult { alarms: alarms(wire.alarms) })
    }
}

impl Request for RaiseAlarm {
    type Response = RaiseAlarmResult;

    fn call(&self, _: &Namespace) -> Result<WireCall> {
        Ok(self.alarm.call(AlarmAction::Activate))
    }

    fn decode(&self, answer: Bytes, _: &Namespace) -> Result<RaiseAlarmResult> {
        let wire: AlarmResponse = decode(answer)?;
        Ok(RaiseAlarmResult { alarms: alarms(wire.alarms) })
    }
}

impl Alarm {
    fn call(self, action: AlarmAction) -> WireCall {
        let (member_id, alarm) = (self.member_id.0, self.kind.to_wire());
        WireCall::new(
            ALARM,
            RetryClass::Idempotent,
            &AlarmRequest { action: action.into(), member_id, alarm },
        )
    }
}

fn alarms(wire: Vec<AlarmMember>) -> Vec<Alarm> {
    let alarm = |wire: AlarmMember| Alarm {
        member_id: MemberId(wire.member_id),
        kind: AlarmKind::from_wire(wire.alarm),
    };
    wire.into_iter().map(alarm).collect()
}
