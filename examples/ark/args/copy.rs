//! The flags of `ark copy`: how to reach the second cluster.

use std::path::PathBuf;

use clap::Args as Flags;
use clap::builder::BoolishValueParser;

use super::restore::{How, SaveUndo, Writing};
use super::{Connection, Encrypt};
use crate::failure::Failure;
use crate::password::User;

#[derive(Debug, Flags)]
#[command(
    after_help = "Examples:\n  ark copy --endpoints old:2379 --to-endpoints new:2379\n  ark copy --to-endpoints new:2379 --prefix /app/ --mode mirror --yes"
)]
pub(crate) struct Copy {
    #[command(flatten)]
    pub(crate) to: To,
    #[command(flatten)]
    pub(crate) how: How,
    #[command(flatten)]
    pub(crate) undo: SaveUndo,
    /// Of what is saved for undo.
    #[command(flatten)]
    pub(crate) encrypt: Encrypt,
    #[command(flatten)]
    pub(crate) writing: Writing,
}

/// How to reach the cluster that is written to, and as whom.
#[derive(Debug, Flags)]
#[command(next_help_heading = "Target")]
pub(crate) struct To {
    /// Members to write to, as --endpoints.
    #[arg(long, env = "ARK_TO_ENDPOINTS", value_name = "LIST", value_delimiter = ',', required = true)]
    to_endpoints: Vec<String>,
    /// As --cacert.
    #[arg(long, env = "ARK_TO_CACERT", value_name = "FILE")]
    to_cacert: Option<PathBuf>,
    /// As --cert.
    #[arg(long, env = "ARK_TO_CERT", value_name = "FILE", requires = "to_key")]
    to_cert: Option<PathBuf>,
    /// As --key.
    #[arg(long, env = "ARK_TO_KEY", value_name = "FILE", requires = "to_cert")]
    to_key: Option<PathBuf>,
    /// As --insecure-skip-tls-verify.
    #[arg(long, env = "ARK_TO_INSECURE_SKIP_TLS_VERIFY", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_default_value = true, hide_possible_values = true)]
    to_insecure_skip_tls_verify: bool,
    /// The user to write as [env: ARK_TO_USER]. The password is in ARK_TO_PASSWORD or in a file, or it is asked for.
    #[arg(long, value_name = "NAME", value_parser = User::parser())]
    to_user: Option<User>,
    /// Read the password from the first line of this file [env: ARK_TO_PASSWORD_FILE].
    #[arg(long, value_name = "FILE")]
    to_password_file: Option<PathBuf>,
}

impl To {
    /// The second connection; its times are those of the first.
    pub(crate) fn connection(&self, source: &Connection) -> Result<Connection, Failure> {
        if self.to_user.as_ref().is_some_and(User::has_password) {
            let what = "--to-user takes a name: a password there could be seen by other users of the machine";
            return Err(
                Failure::usage(what).help("give the password by --to-password-file or ARK_TO_PASSWORD")
            );
        }
        Ok(Connection {
            endpoints: self.to_endpoints.clone(),
            cacert: self.to_cacert.clone(),
            cert: self.to_cert.clone(),
            key: self.to_key.clone(),
            insecure_skip_tls_verify: self.to_insecure_skip_tls_verify,
            user: self.to_user.clone(),
            password: None,
            password_file: self.to_password_file.clone(),
            dial_timeout: source.dial_timeout,
            command_timeout: source.command_timeout,
            variables: "ARK_TO_",
        })
    }
}
