//! The flags of the commands that write to a cluster, or say what they would write.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args as Flags, ValueEnum};
use etcd_ark::backup::{LeasePolicy, LeaseTtl, RestoreMode};

use super::Unlock;
use super::select::SelectAndMap;

/// What is to be restored.
#[derive(Debug, Flags)]
pub(crate) struct Plan {
    /// The archive, or - for standard input.
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    /// Restore what is left of a damaged or incomplete archive, and tell which keys are missing.
    #[arg(long)]
    pub(crate) salvage: bool,
    #[command(flatten)]
    pub(crate) how: How,
    /// Let the target be another cluster than the one that was backed up.
    #[arg(long)]
    pub(crate) any_cluster: bool,
}

/// What is to become of which keys.
#[derive(Debug, Flags)]
pub(crate) struct How {
    /// What to do about keys that the cluster holds already.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mode: Mode,
    #[command(flatten)]
    pub(crate) keys: SelectAndMap,
    /// Which leases the keys get; keys that shared one share one again.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) leases: Leases,
    /// How long the leases live that are granted; one that the cluster has is used as it is.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) lease_ttl: Ttl,
    /// Leave keys alone that were written after this revision: that of the plan of a restore which was interrupted.
    #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) unchanged_since: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Leases {
    /// Their old ones: a holder who is still alive can go on renewing them.
    #[default]
    SameId,
    /// Others, where the old ids mean something else. The same restore again finds the same ones.
    NewId,
    /// None: the keys stay until somebody deletes them.
    Drop,
}

impl From<Leases> for LeasePolicy {
    fn from(leases: Leases) -> Self {
        match leases {
            Leases::SameId => Self::SameId,
            Leases::NewId => Self::NewId,
            Leases::Drop => Self::Drop,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Ttl {
    /// As long as they were granted for.
    #[default]
    Full,
    /// As long as they had left when they were read.
    Remaining,
}

impl From<Ttl> for LeaseTtl {
    fn from(ttl: Ttl) -> Self {
        match ttl {
            Ttl::Full => Self::Full,
            Ttl::Remaining => Self::Remaining,
        }
    }
}

/// Whether users and roles are restored, and with which passwords.
#[derive(Debug, Flags)]
pub(crate) struct Users {
    /// Add the users, roles and permissions that the cluster lacks, too; takes the root role.
    ///
    /// Nothing is taken away, and authentication is neither switched on nor off. No archive holds passwords: those
    /// of new users are asked for on the terminal. `ark undo` leaves them: the report says what takes each change back.
    #[arg(long)]
    pub(crate) users: bool,
    /// Take the passwords of new users from this file, NAME:PASSWORD a line.
    #[arg(long, value_name = "FILE", requires = "users")]
    pub(crate) passwords_from: Option<PathBuf>,
    /// Give new users that are in no such file no password: only a client certificate lets them in.
    #[arg(long, requires = "users")]
    pub(crate) no_passwords: bool,
}

#[derive(Debug, Flags)]
#[command(
    after_help = "Examples:\n  ark restore today.ark\n  ark restore today.ark --prefix /app/ --mode mirror\n  ark restore today.ark --map /app/=/old-app/ --yes"
)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) plan: Plan,
    #[command(flatten)]
    pub(crate) undo: SaveUndo,
    #[command(flatten)]
    pub(crate) users: Users,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

#[derive(Debug, Flags)]
pub(crate) struct SaveUndo {
    /// Save what the cluster holds of the keys that will be changed to this file, for `ark undo`.
    ///
    /// Modes that overwrite or delete do so in any case, by default to a file in the current folder whose name
    /// tells archive and time. It is encrypted to whatever --identity or --passphrase-file opens the archive. A
    /// copy, and a restore from standard input or of a damaged archive, also saves what it writes, for `ark undo` to
    /// tell its keys from others: to FILE with `written` in its name.
    #[arg(long, value_name = "FILE")]
    pub(crate) undo: Option<PathBuf>,
    /// Don't.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) no_undo: bool,
}

/// How what was planned is written.
#[derive(Clone, Copy, Debug, Flags)]
pub(crate) struct Writing {
    /// Don't compare once more when everything is written.
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Write at most so many keys in a second.
    #[arg(long, value_name = "KEYS")]
    pub(crate) rate: Option<NonZeroU32>,
    #[command(flatten)]
    pub(crate) consent: Consent,
}

#[derive(Clone, Copy, Debug, Flags)]
pub(crate) struct Consent {
    /// Don't ask; needed where there is no terminal to ask on.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Flags)]
#[command(after_help = "Example:\n  ark undo today.undo-20300101T000000Z.ark today.ark")]
pub(crate) struct Undo {
    /// What `ark restore` or `ark copy` saved before it wrote.
    pub(crate) undo: PathBuf,
    /// The archive that was restored, or the file with `written` in its name, where one was saved: a key that holds
    /// something else now is left alone.
    pub(crate) restored: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    /// As it was restored.
    #[command(flatten)]
    pub(crate) keys: SelectAndMap,
    #[command(flatten)]
    pub(crate) consent: Consent,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Mode {
    /// Write nothing if the cluster holds any key with another value or lease.
    #[default]
    Refuse,
    /// Write only keys that the cluster does not hold.
    Missing,
    /// Write over what the cluster holds, but not over what changes after the plan is shown.
    Unchanged,
    /// Write over what the cluster holds.
    Replace,
    /// As replace, and at last delete the keys that the archive does not hold.
    Mirror,
    /// Write every key anew, and at last delete the others.
    Overwrite,
}

impl From<Mode> for RestoreMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Refuse => Self::Refuse,
            Mode::Missing => Self::Missing,
            Mode::Unchanged => Self::Unchanged,
            Mode::Replace => Self::Replace,
            Mode::Mirror => Self::Mirror,
            Mode::Overwrite => Self::Overwrite,
        }
    }
}

impl Mode {
    pub(crate) fn consequence(self) -> &'static str {
        match self {
            Self::Refuse => "Mode refuse: nothing is written if a key is there with another value or lease.",
            Self::Missing => "Mode missing: keys that the cluster holds are left as they are.",
            Self::Unchanged => "Mode unchanged: keys are OVERWRITTEN, unless they change from now on.",
            Self::Replace => "Mode replace: keys that the cluster holds are OVERWRITTEN.",
            Self::Mirror => {
                "Mode mirror: keys are OVERWRITTEN, and those that the archive does not hold DELETED."
            }
            Self::Overwrite => "Mode overwrite: ALL keys are written anew, and the others DELETED.",
        }
    }
}
