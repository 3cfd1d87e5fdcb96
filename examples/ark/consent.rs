//! Asking before something is written.

use std::io::{self, BufRead, IsTerminal, Write};

use tokio::task::spawn_blocking;

use crate::args::Consent;
use crate::failure::{Exit, Failure};
use crate::human::Printable;

/// What has to be typed.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Yes,
    /// What stands for the target: nobody types that by habit.
    Name(String),
}

impl Consent {
    /// Fails if there is nobody to read the question and to answer it.
    pub(crate) fn check(self) -> Result<(), Failure> {
        if self.yes || (io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Ok(());
        }
        Err(Failure::usage("this wants to be confirmed, and there is no terminal to ask on")
            .help("say --yes, after a look at what `ark plan` shows"))
    }

    /// Goes on only after a clear yes, or without asking if told so.
    pub(crate) async fn ask(self, wanted: Answer) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let asked = spawn_blocking(move || ask(&wanted)).await;
        match asked.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::new(Exit::Other, "not confirmed; nothing was written")),
            Err(error) => Err(Failure::new(Exit::Other, format!("cannot ask for confirmation: {error}"))),
        }
    }
}

fn ask(wanted: &Answer) -> io::Result<bool> {
    let question = match wanted {
        Answer::Yes => "Proceed? [y/N] ".to_owned(),
        Answer::Name(name) => format!("Type the cluster's id, {name}, to proceed: "),
    };
    write!(io::stderr(), "{}", Printable(question.as_bytes()))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(wanted.is(answer.trim()))
}

impl Answer {
    fn is(&self, typed: &str) -> bool {
        match self {
            Self::Yes => ["y", "yes"].contains(&typed.to_ascii_lowercase().as_str()),
            Self::Name(name) => typed == name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_a_yes() {
        assert!(Answer::Yes.is("y") && Answer::Yes.is("YES") && !Answer::Yes.is("") && !Answer::Yes.is("no"));
        let name = Answer::Name("8e9e05c5".into());
        assert!(name.is("8e9e05c5") && !name.is("y") && !name.is(""));
    }
}
