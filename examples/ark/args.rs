//! The command line.

mod bench;
mod check_config;
mod copy;
mod diff;
mod restore;
mod select;
mod text;

use std::env;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, OsStringValueParser, StringValueParser, TypedValueParser};
use clap::{Arg, Args as Flags, CommandFactory, FromArgMatches, Id, Parser, Subcommand, ValueEnum};
use etcd_ark::KeyRange;

pub(crate) use self::bench::Bench;
pub(crate) use self::check_config::{CheckConfig, Purpose};
pub(crate) use self::copy::Copy;
pub(crate) use self::diff::{Diff, Side};
pub(crate) use self::restore::{Consent, How, Mode, Plan, Restore, SaveUndo, Undo, Users, Writing};
pub(crate) use self::text::{Export, Find, Import};
use crate::failure::exit_codes;
use crate::key::{self, Key};
use crate::output::Format;
use crate::password::{Secret, User};

const GLOBAL: &str = "Global options";
const CONNECTION: &str = "Connection";
/// Commands that read archives only: their helps need not tell about connecting.
const OFFLINE: &[&str] = if cfg!(feature = "encrypt") {
    &["info", "ls", "get", "find", "export", "import", "keygen"]
} else {
    &["info", "ls", "get", "find", "export", "import"]
};

/// Consistent, verified backup and restore of etcd.
///
/// An archive holds a cluster's keys, or those below a prefix, as they were at one revision: compressed, hashed,
/// and complete in one file. The flags for connecting, and their environment variables, are etcdctl's; a flag wins
/// over its variable.
#[derive(Debug, Parser)]
#[command(name = "ark", version, max_term_width = 110)]
#[command(after_help = exit_codes(), after_long_help = conventions())]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How results are written.
    #[arg(short, long, global = true, env = "ETCDCTL_WRITE_OUT", value_name = "FORMAT", value_enum)]
    #[arg(default_value_t, help_heading = GLOBAL)]
    pub(crate) write_out: Format,
}

/// How to reach the cluster, and as whom.
#[derive(Debug, Flags)]
#[command(next_help_heading = CONNECTION)]
pub(crate) struct Connection {
    /// Members to connect to: HOST:PORT, http://… or https://…, with commas in between.
    #[arg(long, global = true, env = "ETCDCTL_ENDPOINTS", value_name = "LIST", value_delimiter = ',')]
    #[arg(default_value = "127.0.0.1:2379")]
    pub(crate) endpoints: Vec<String>,
    /// Trust servers whose certificates are signed by this CA, instead of the machine's CAs.
    #[arg(long, global = true, env = "ETCDCTL_CACERT", value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Show this client certificate.
    #[arg(long, global = true, env = "ETCDCTL_CERT", value_name = "FILE", requires = "key_file")]
    pub(crate) cert: Option<PathBuf>,
    /// The key of the client certificate.
    #[arg(id = "key_file", long = "key", global = true, env = "ETCDCTL_KEY", value_name = "FILE")]
    #[arg(requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Accept any server certificate: whoever is in between can read and change everything.
    #[arg(long, global = true, env = "ETCDCTL_INSECURE_SKIP_TLS_VERIFY", value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    #[arg(value_parser = BoolishValueParser::new(), hide_default_value = true, hide_possible_values = true)]
    pub(crate) insecure_skip_tls_verify: bool,
    /// The user to act as [env: ETCDCTL_USER].
    ///
    /// Without a password from elsewhere, it is asked for on the terminal. NAME:PASSWORD on the command line can be
    /// seen by other users of the machine.
    #[arg(long, global = true, value_name = "NAME[:PASSWORD]", value_parser = User::parser())]
    pub(crate) user: Option<User>,
    /// The user's password [env: ETCDCTL_PASSWORD].
    ///
    /// On the command line it can be seen by other users of the machine: prefer the variable, --password-file, or
    /// being asked.
    #[arg(long, global = true, value_parser = Secret::parser())]
    pub(crate) password: Option<Secret>,
    /// Read the user's password from the first line of this file [env: ETCDCTL_PASSWORD_FILE].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// How long connecting to one member may take.
    #[arg(long, global = true, env = "ETCDCTL_DIAL_TIMEOUT", value_name = "DURATION", default_value = "2s")]
    #[arg(value_parser = duration())]
    pub(crate) dial_timeout: Duration,
    /// How long one request may take, all attempts together.
    ///
    /// The pages of a backup and the batches of a restore have 30 s each in any case.
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_COMMAND_TIMEOUT",
        value_name = "DURATION",
        default_value = "5s"
    )]
    #[arg(value_parser = duration())]
    pub(crate) command_timeout: Duration,
    /// What the variables begin with that may hold user and password.
    #[arg(skip = "ETCDCTL_")]
    pub(crate) variables: &'static str,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Save the cluster's keys to an archive.
    ///
    /// All keys are read at one revision, whatever is written meanwhile. The file gets its name once it is complete
    /// and on disk; an existing file is never overwritten. A command that was killed leaves a hidden .part file
    /// behind, to be deleted.
    Backup(Backup),
    /// Read an archive through and check every byte of it.
    ///
    /// Everything that is wrong is told: where, in what, what it means, and which keys are lost. With
    /// --level structure only header, index and footer are read: quick, but blind to damage inside the data.
    ///
    /// With --against-cluster the cluster is asked whether it held the same keys at the archive's revision.
    Verify(Verify),
    /// Show what an archive says about itself, without reading all of it.
    Info(Info),
    /// List an archive's keys.
    Ls(Ls),
    /// Show one key of an archive.
    ///
    /// The value goes to standard output as it is; on a terminal, what could steer the terminal is escaped and a
    /// line end added. With -w json all about the key is shown.
    Get(Get),
    /// List the keys of an archive that hold a text, or whose values do.
    ///
    /// Exit code 1 if there is none. With --prefix only the blocks with such keys are read.
    Find(Find),
    /// Write an archive's keys and values as text, for other programs.
    ///
    /// docs/interchange.md has the formats.
    Export(Export),
    /// Make an archive out of text; then restore, plan, diff and all others work on it.
    ///
    /// Nothing is made of text that is damaged: the line and what is wrong with it are told.
    Import(Import),
    /// Write an archive's keys to the cluster.
    ///
    /// The whole archive is verified and compared with the cluster, and what will be done is shown, before the first
    /// key is written. Leases are granted again, by default with their ids and full times. An interrupted restore goes on
    /// when it is started again.
    Restore(Restore),
    /// Show what a restore would do, and do nothing.
    Plan(Plan),
    /// Put back what a restore or a copy has changed.
    ///
    /// Keys that hold something else than what was restored are left alone. Users and roles that `ark restore --users`
    /// has added stay: the report of the restore says what takes each of them back.
    Undo(Undo),
    /// Copy the cluster's keys to another cluster, without a file in between.
    ///
    /// The flags for connecting name the cluster that is read, those that begin with --to the one that is written. The
    /// source is read at one revision, and what will be done is shown before the first key is written. At the end both
    /// are compared. Modes that overwrite or delete save what they change, and what they write, for `ark undo`.
    Copy(Copy),
    /// Compare the keys and values of archives and clusters.
    ///
    /// A line for each key that differs: + only in B, - only in A, ~ with another value. Exit codes are those of diff:
    /// 0 if both are the same, 1 if they differ, above that if it could not be told.
    Diff(Diff),
    /// Contact the cluster with the given settings, and tell of each whether it works.
    ///
    /// A line for each: a tick or a cross, what it is about, and what was found. Nothing is changed. The exit code is
    /// that of the first cross.
    CheckConfig(CheckConfig),
    /// Measure how fast the cluster's keys can be read, and what others notice of it.
    ///
    /// Nothing is written: no key, no lease, no file. But meanwhile the cluster is as busy as during a backup.
    ///
    /// Ways to read take turns, all at one revision: as a backup reads, with several numbers of parts at once; as other
    /// clients do; a member's snapshot. Beside each, one small linearizable read after the other, 10 ms apart and over
    /// a connection of its own, tells what others notice. At the end it says how long a backup will read, and with
    /// which --concurrency; what compressing and writing take beyond that depends on the machine.
    Bench(Bench),
    /// Create an identity file, and show the recipient that goes with it.
    ///
    /// Give the recipient to `ark backup`; keep the file where backups can be restored, and a copy elsewhere: without it
    /// what was encrypted is lost.
    #[cfg(feature = "encrypt")]
    Keygen(Keygen),
    /// Save a member's whole database, as etcdctl does.
    #[command(subcommand)]
    Snapshot(Snapshot),
}

#[derive(Debug, Flags)]
#[command(
    after_help = "Examples:\n  ark backup -o today.ark\n  ark backup --prefix /registry/ -o - | age -r KEY > today.ark.age"
)]
pub(crate) struct Backup {
    /// The archive to create, or - for standard output; the result then goes to standard error.
    #[arg(short, long, value_name = "FILE|-", value_parser = target())]
    pub(crate) output: Target,
    #[command(flatten)]
    pub(crate) keys: Prefix,
    /// How often to begin anew, at a newer revision, if the cluster compacts the one that is being read.
    ///
    /// Only into a file: what went to standard output can't be taken back.
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    pub(crate) restarts: u32,
    /// Read the keys out of a snapshot of a member, which no compaction can disturb.
    ///
    /// For clusters that compact their history faster than all keys can be read. Needs the root role, and room for
    /// twice the member's database in the folder that TMPDIR names.
    #[arg(long)]
    pub(crate) via_snapshot: bool,
    /// How many parts of the keys to read at once. With 1, a busy cluster notices the least.
    ///
    /// More is faster up to some number, and others wait longer for their answers meanwhile: `ark bench` tells both of
    /// the cluster at hand, "Puts beside scans" in docs/benchmarks.md of others.
    #[arg(long, value_name = "COUNT", default_value = "4", conflicts_with = "via_snapshot")]
    pub(crate) concurrency: NonZeroUsize,
    /// Read no more than so many MiB of keys and values a second.
    #[arg(long, value_name = "MIB", conflicts_with = "via_snapshot")]
    pub(crate) rate: Option<NonZeroU32>,
    #[command(flatten)]
    pub(crate) encrypt: Encrypt,
}

/// Who can read the archive; nobody else can.
#[derive(Debug, Flags)]
pub(crate) struct Encrypt {
    /// Encrypt the archive to this recipient, age1…, as `ark keygen` and age-keygen show it; may be repeated.
    #[cfg(feature = "encrypt")]
    #[arg(long = "recipient", value_name = "RECIPIENT")]
    pub(crate) recipients: Vec<String>,
    /// Encrypt the archive to the passphrase on the first line of this file.
    #[cfg(feature = "encrypt")]
    #[arg(long, value_name = "FILE", conflicts_with = "recipients")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// What opens an encrypted archive.
#[derive(Debug, Flags)]
pub(crate) struct Unlock {
    /// Open an encrypted archive with the identities in this file; may be repeated.
    #[cfg(feature = "encrypt")]
    #[arg(long = "identity", value_name = "FILE")]
    pub(crate) identities: Vec<PathBuf>,
    /// Open an encrypted archive with the passphrase on the first line of this file.
    #[cfg(feature = "encrypt")]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

impl Unlock {
    pub(crate) fn is_given(&self) -> bool {
        #[cfg(feature = "encrypt")]
        return !self.identities.is_empty() || self.passphrase_file.is_some();
        #[cfg(not(feature = "encrypt"))]
        false
    }
}

#[cfg(feature = "encrypt")]
#[derive(Debug, Flags)]
pub(crate) struct Keygen {
    /// The identity file to create: whoever has it can read what is encrypted to its recipient.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Flags)]
#[command(after_help = "Examples:\n  ark verify monday.ark\n  \
ark verify monday.ark --against-cluster --endpoints 10.0.0.2:2379\n  age -d -i id monday.ark.age | ark verify -")]
pub(crate) struct Verify {
    /// The archive, or - for standard input.
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    /// How thoroughly to check.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) level: Level,
    /// Read the keys from the cluster once more, at the archive's revision, and compare.
    ///
    /// Revisions, versions and leases count too. With one of --endpoints, another one than was backed up, it shows
    /// whether that member holds the same. Soon after the backup: once the cluster has compacted the revision, it can't
    /// tell any more.
    #[arg(long)]
    pub(crate) against_cluster: bool,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// That the file is complete and its parts fit together.
    Structure,
    /// Every byte.
    #[default]
    Data,
}

#[derive(Debug, Flags)]
pub(crate) struct Info {
    /// The archive, or - for standard input.
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
}

#[derive(Debug, Flags)]
pub(crate) struct Ls {
    /// The archive, or - for standard input.
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    #[command(flatten)]
    pub(crate) keys: Prefix,
}

#[derive(Debug, Flags)]
pub(crate) struct Get {
    /// The archive, or - for standard input.
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    /// The key, as `ark ls` shows it.
    #[arg(value_parser = key::parser())]
    pub(crate) key: Key,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Save the database of the one endpoint given, or of the first.
    ///
    /// The file is what `etcdutl snapshot restore` takes. Its digest is checked while it arrives; the file gets its
    /// name once it is complete and on disk, and an existing file is never overwritten. With authentication on, the
    /// user needs the root role.
    Save(Save),
}

#[derive(Debug, Flags)]
pub(crate) struct Save {
    /// The file to create, or - for standard output; the result then goes to standard error.
    #[arg(value_name = "FILE|-", value_parser = target())]
    pub(crate) file: Target,
    /// Compress the file with zstd: `zstd -d` gives the snapshot back.
    #[arg(long)]
    pub(crate) compress: bool,
}

/// Which keys.
#[derive(Debug, Flags)]
pub(crate) struct Prefix {
    /// Only keys that begin with this, written as `ark ls` shows keys.
    #[arg(long, value_name = "PREFIX", value_parser = key::parser())]
    prefix: Option<Key>,
}

impl Prefix {
    /// The range, if there is one.
    pub(crate) fn given(&self) -> Option<KeyRange> {
        self.prefix.as_ref().map(|prefix| KeyRange::prefix(prefix.0.clone()))
    }

    pub(crate) fn range(&self) -> KeyRange {
        self.given().unwrap_or_else(KeyRange::all)
    }
}

/// A file, or one of the standard streams.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    File(PathBuf),
    Stream,
}

fn target() -> impl TypedValueParser<Value = Target> {
    OsStringValueParser::new().try_map(|text| match text.to_str() {
        Some("") => Err("the name is empty"),
        Some("-") => Ok(Target::Stream),
        _ => Ok(Target::File(text.into())),
    })
}

fn duration() -> impl TypedValueParser<Value = Duration> {
    StringValueParser::new().try_map(|text| crate::duration::parse(&text))
}

fn conventions() -> String {
    format!("{KEYS}\n\n{JSON}\n\n{}", exit_codes())
}

const KEYS: &str = r#"Keys and prefixes are written as `ark ls` shows them: a backslash begins an escape (\\ \" \' \n \r \t \xNN), everything else stands for itself."#;
const JSON: &str = "With -w json a command prints one object, `ls` one a line. Counts are numbers; ids and hashes are \
     hexadecimal strings, as etcdctl shows ids; keys and values are base64, as in etcdctl's JSON.";

impl Args {
    /// Reads the command line and the environment; ends the process where that is all there is to do: a help, a
    /// version, a line that can't be understood.
    pub(crate) fn from_command_line() -> Self {
        let mut command = command();
        let mut matches = command.get_matches_mut();
        Self::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

fn command() -> clap::Command {
    // Helps are shown around: they need not tell what somebody's variables hold.
    let command = Args::command().mut_args(|argument| argument.hide_env_values(true));
    let mut command = without_empty_variables(command);
    // Spreads the global flags over the commands, where they can then be hidden.
    command.build();
    OFFLINE.iter().fold(command, |command, name| {
        command.mut_subcommand(name, |offline| offline.mut_args(hide_if_connection))
    })
}

fn hide_if_connection(argument: Arg) -> Arg {
    let connects = argument.get_help_heading() == Some(CONNECTION);
    argument.hide(connects)
}

/// As for etcdctl, a variable that is set but empty counts as not set.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty =
        |argument: &&Arg| argument.get_env().and_then(env::var_os).is_some_and(|value| value.is_empty());
    let empty: Vec<Id> =
        command.get_arguments().filter(is_empty).map(|argument| argument.get_id().clone()).collect();
    empty.into_iter().fold(command, |command, id| command.mut_arg(id, |argument| argument.env(None::<&str>)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
