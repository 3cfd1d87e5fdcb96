use std::path::PathBuf;

use clap::{Args as Flags, ValueEnum};

use super::Prefix;

#[derive(Debug, Flags)]
#[command(
    after_help = "Examples:\n  ark check-config --store /var/backups\n  ark check-config --for restore --prefix /app/ --user app"
)]
pub(crate) struct CheckConfig {
    /// What the settings are for: a backup reads, a restore writes too.
    #[arg(long = "for", value_enum, default_value_t)]
    pub(crate) purpose: Purpose,
    #[command(flatten)]
    pub(crate) keys: Prefix,
    /// The folder that archives are to go to.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) store: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    #[default]
    Backup,
    Restore,
}
