//! How the command fails: an exit code for scripts, and for people what happened, why, and what to do.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::iter;
use std::process::ExitCode;

use etcd_ark::archive::FormatError;
use etcd_ark::{Error, ErrorKind};

use crate::human::Printable;

/// What the exit code says. Part of the command's interface: numbers keep their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Other = 1,
    Usage = 2,
    Connect = 3,
    Auth = 4,
    SourceChanged = 5,
    Corrupt = 6,
    Partial = 7,
    Conflict = 8,
    Interrupted = 130,
}

impl Exit {
    const ALL: [Self; 9] = [
        Self::Other,
        Self::Usage,
        Self::Connect,
        Self::Auth,
        Self::SourceChanged,
        Self::Corrupt,
        Self::Partial,
        Self::Conflict,
        Self::Interrupted,
    ];

    fn meaning(self) -> &'static str {
        match self {
            Self::Other => "any other failure; of ark diff: they differ",
            Self::Usage => "the command line, or a file that it names for connecting, cannot work",
            Self::Connect => "no member could be reached, or none answered in time",
            Self::Auth => "unknown user, wrong password, or not allowed",
            Self::SourceChanged => "the revision being backed up was compacted away",
            Self::Corrupt => {
                "the archive or snapshot is damaged, incomplete, of a newer format, none, or not what the cluster held"
            }
            Self::Partial => {
                "a restore ended early, or keys changed meanwhile: they were left alone, or are something else again"
            }
            Self::Conflict => "the cluster holds keys, or the output file exists; nothing was changed",
            Self::Interrupted => "interrupted by ctrl-C or SIGTERM; nothing was written",
        }
    }

    fn of(error: &Error) -> Self {
        match error.kind() {
            // What only a newer program can read is of no more use than damage.
            _ if is_about_an_archive(error) => Self::Corrupt,
            ErrorKind::Config => Self::Usage,
            ErrorKind::Unavailable | ErrorKind::Deadline => Self::Connect,
            ErrorKind::Auth | ErrorKind::PermissionDenied => Self::Auth,
            ErrorKind::Compacted => Self::SourceChanged,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Conflict | ErrorKind::AlreadyExists => Self::Conflict,
            _ => Self::Other,
        }
    }
}

/// The table of exit codes, for `ark --help`.
pub(crate) fn exit_codes() -> String {
    let mut table = String::from("Exit codes:\n    0  done\n");
    for exit in Exit::ALL {
        // Writing to a string does not fail.
        let _ = writeln!(table, "  {:>3}  {}", exit as u8, exit.meaning());
    }
    table
}

/// Why the command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    causes: Vec<String>,
    help: Vec<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), causes: Vec::new(), help: Vec::new() }
    }

    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Adds what to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// What happened, in one line.
    pub(crate) fn summary(&self) -> String {
        iter::once(&self.what).chain(&self.causes).cloned().collect::<Vec<_>>().join(": ")
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// As the error says, but with an exit code that tells more than the error's kind.
    pub(crate) fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Where one exit code has another meaning.
    pub(crate) fn not_as(self, taken: Exit, instead: Exit) -> Self {
        if self.exit == taken { self.with_exit(instead) } else { self }
    }

    /// Says it all on standard error. Nothing can be done if that fails.
    pub(crate) fn report(&self) -> ExitCode {
        let _ = write!(io::stderr(), "{self}");
        ExitCode::from(self.exit as u8)
    }
}

/// The causes of an error, from the nearest on.
fn causes(error: &Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    iter::successors(error.source(), |cause| (*cause).source())
}

fn is_about_an_archive(error: &Error) -> bool {
    causes(error).any(|cause| cause.is::<FormatError>())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut causes = Vec::new();
        let mut above = error.to_string();
        for cause in self::causes(&error) {
            let text = cause.to_string();
            // Some messages hold their cause already.
            if !above.contains(&text) {
                causes.push(text.clone());
                above = text;
            }
        }
        let help = advice(&error).map(str::to_owned).into_iter().collect();
        Self { exit: Exit::of(&error), what: error.to_string(), causes, help }
    }
}

/// What to do where the message alone does not tell.
fn advice(error: &Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::Auth => Some("give --user NAME, and the password by --password-file or when asked"),
        ErrorKind::Deadline => Some("try again, or allow more time by --command-timeout"),
        ErrorKind::PermissionDenied => Some("the user needs a role that allows this; a snapshot needs root"),
        ErrorKind::Conflict => Some(
            "--mode missing leaves existing keys alone, --mode replace overwrites them; ark plan shows more",
        ),
        ErrorKind::Compacted => Some(
            "run the backup again with --via-snapshot, or raise the servers' --auto-compaction-retention",
        ),
        ErrorKind::NoSpace => {
            Some("compact, defragment and disarm the alarm, or raise --quota-backend-bytes")
        }
        _ => None,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", Printable(self.what.as_bytes()))?;
        for cause in &self.causes {
            writeln!(f, "  caused by: {}", Printable(cause.as_bytes()))?;
        }
        for help in &self.help {
            writeln!(f, "  help: {}", Printable(help.as_bytes()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_causes_and_what_to_do() {
        let mut failure = Failure::usage("outer").help("do this");
        failure.causes.push("inner".into());
        assert_eq!(failure.to_string(), "error: outer\n  caused by: inner\n  help: do this\n");
    }

    #[test]
    fn no_control_character_reaches_the_terminal() {
        let failure = Failure::new(Exit::Other, "from a server: \x1b[31m");
        assert_eq!(failure.to_string(), "error: from a server: \\x1b[31m\n");
    }

    #[test]
    fn every_exit_code_is_in_the_table_once() {
        let table = exit_codes();
        for exit in Exit::ALL {
            assert_eq!(table.matches(exit.meaning()).count(), 1);
            assert!(table.contains(&format!("{:>3}  ", exit as u8)));
        }
    }
}
