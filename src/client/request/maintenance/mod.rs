mod alarm;
mod downgrade;

pub use alarm::{
    Alarm, AlarmKind, DisarmAlarm, DisarmAlarmResult, ListAlarms, ListAlarmsResult, RaiseAlarm,
    RaiseAlarmResult,
};
pub use downgrade::{Downgrade, DowngradeResult};
