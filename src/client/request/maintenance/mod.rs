mod alarm;
mod downgrade;

pub use alarm::{Alarm, AlarmKind, DisarmAlarm, DisarmAlarmResult, ListAlarms, ListAlarmsResult};
pub use downgrade::{Downgrade, DowngradeResult};
