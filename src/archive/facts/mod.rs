//! What an archive holds beside keys and leases: users and roles, members and alarms, the options of the
//! backup. A reader that does not know these frames may skip them.

mod auth;
mod list;
mod members;
mod options;

pub use auth::{Auth, AuthState, Role, RolePermission, User};
pub use members::{Members, RaisedAlarm, SavedMember};
pub use options::{BackupOption, Options};
