//! Who is asking: the user, and the password from wherever it may come. It is shown nowhere.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::builder::{StringValueParser, TypedValueParser};
use etcd_ark::Credentials;

use crate::args::Connection;
use crate::failure::{Exit, Failure};

/// etcd takes passwords of up to 72 bytes, what bcrypt looks at; a longer line is another kind of file.
const MAX_LINE: u64 = 4096;

/// Text that `Debug` does not show.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// Takes any text: an error of a parser's would repeat it.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        StringValueParser::new().map(Self)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// `NAME` or `NAME:PASSWORD`.
#[derive(Clone, Debug)]
pub(crate) struct User {
    name: String,
    password: Option<Secret>,
}

impl User {
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        StringValueParser::new().map(|text| Self::new(&text))
    }

    pub(crate) fn has_password(&self) -> bool {
        self.password.is_some()
    }

    fn new(text: &str) -> Self {
        match text.split_once(':') {
            Some((name, password)) => {
                Self { name: name.to_owned(), password: Some(Secret(password.to_owned())) }
            }
            None => Self { name: text.to_owned(), password: None },
        }
    }
}

/// What was said in one place: on the command line, or in the environment.
#[derive(Debug)]
struct Given {
    user: Option<User>,
    password: Option<Secret>,
    file: Option<PathBuf>,
}

/// Where a password is.
#[derive(Clone, Debug)]
enum Source {
    Here(Secret),
    File(PathBuf),
}

/// The credentials to connect with; `None` if no user is named. May ask on the terminal.
pub(crate) fn credentials(flags: &Connection) -> Result<Option<Credentials>, Failure> {
    choose(Given::by_flags(flags), Given::by_environment(flags.variables))?
        .map(|(name, source)| {
            let Secret(password) = source.map_or_else(|| ask(&name), Source::read)?;
            Ok(Credentials::new(name, password))
        })
        .transpose()
}

/// Flags win over the environment, and a password inside its user belongs to that user alone.
fn choose(flags: Given, mut environment: Given) -> Result<Option<(String, Option<Source>)>, Failure> {
    if flags.user.is_some() {
        environment.user = None;
    }
    let Some(user) = flags.user.as_ref().or(environment.user.as_ref()) else {
        return if flags.is_empty() { Ok(None) } else { Err(no_user()) };
    };
    let name = user.name.clone();
    if name.is_empty() {
        return Err(no_user());
    }
    let source = match flags.source()? {
        Some(source) => Some(source),
        None => environment.source()?,
    };
    Ok(Some((name, source)))
}

fn no_user() -> Failure {
    Failure::usage("a password was given but no user").help("name the user by --user or ETCDCTL_USER")
}

impl Given {
    fn by_flags(flags: &Connection) -> Self {
        Self { user: flags.user.clone(), password: flags.password.clone(), file: flags.password_file.clone() }
    }

    fn by_environment(prefix: &str) -> Self {
        let value = |name: &str| env::var_os(format!("{prefix}{name}")).filter(|value| !value.is_empty());
        let text = |name: &str| value(name).and_then(|value| value.into_string().ok());
        Self {
            user: text("USER").map(|text| User::new(&text)),
            password: text("PASSWORD").map(Secret),
            file: value("PASSWORD_FILE").map(PathBuf::from),
        }
    }

    fn is_empty(&self) -> bool {
        self.user.is_none() && self.password.is_none() && self.file.is_none()
    }

    /// Where the one password is that was given.
    fn source(&self) -> Result<Option<Source>, Failure> {
        let inside = self.user.as_ref().and_then(|user| user.password.clone()).map(Source::Here);
        let plain = self.password.clone().map(Source::Here);
        let file = self.file.clone().map(Source::File);
        let mut sources = [inside, plain, file].into_iter().flatten();
        let first = sources.next();
        match sources.next() {
            None => Ok(first),
            Some(_) => Err(Failure::usage("the password is given more than once").help(
                "give it in one way: NAME:PASSWORD, --password, --password-file or the variable of one",
            )),
        }
    }
}

impl Source {
    fn read(self) -> Result<Secret, Failure> {
        match self {
            Self::Here(secret) => Ok(secret),
            Self::File(path) => first_line(&path).map(Secret).map_err(|error| {
                Failure::usage(format!("cannot read the password from {}: {error}", path.display()))
            }),
        }
    }
}

fn first_line(path: &Path) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(File::open(path)?.take(MAX_LINE)).read_line(&mut line)?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err(io::Error::other("its first line is empty")),
        _ if line.len() as u64 == MAX_LINE => Err(io::Error::other("its first line is too long")),
        password => Ok(password.to_owned()),
    }
}

fn ask(name: &str) -> Result<Secret, Failure> {
    prompt("Password", name, "give it by --password-file or ETCDCTL_PASSWORD").map(Secret)
}

/// The password that a new user is to have.
pub(crate) fn ask_for_new(name: &str) -> Result<String, Failure> {
    const HELP: &str = "give it by --passwords-from, or say --no-passwords";
    let password = prompt("New password", name, HELP)?;
    if password.is_empty() || prompt("Once more the new password", name, HELP)? != password {
        return Err(Failure::usage(format!(
            "no password for user {name}: it is empty, or not the same twice"
        )));
    }
    Ok(password)
}

fn prompt(what: &str, name: &str, help: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(
            Failure::usage(format!("no password for user {name}, and no terminal to ask on")).help(help)
        );
    }
    match rpassword::prompt_password(format!("{what} of {name}: ")) {
        Ok(password) => Ok(password),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            Err(Failure::new(Exit::Interrupted, "interrupted; nothing was done"))
        }
        Err(error) => Err(Failure::usage(format!("no password for user {name}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(user: &str, password: &str, file: &str) -> Given {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Given {
            user: text(user).map(|user| User::new(&user)),
            password: text(password).map(Secret),
            file: text(file).map(PathBuf::from),
        }
    }

    fn chosen(flags: Given, environment: Given) -> String {
        match choose(flags, environment) {
            Ok(None) => "nobody".into(),
            Ok(Some((name, None))) => format!("{name}, ask"),
            Ok(Some((name, Some(Source::Here(Secret(password)))))) => format!("{name}, {password}"),
            Ok(Some((name, Some(Source::File(path))))) => format!("{name}, file {}", path.display()),
            Err(failure) => failure.to_string(),
        }
    }

    fn nothing() -> Given {
        given("", "", "")
    }

    #[test]
    fn flags_win_over_the_environment() {
        assert_eq!(chosen(nothing(), nothing()), "nobody");
        assert_eq!(chosen(given("u", "", ""), nothing()), "u, ask");
        assert_eq!(chosen(given("u", "", ""), given("v", "p", "")), "u, p");
        assert_eq!(chosen(given("u:q", "", ""), given("v", "p", "")), "u, q");
        assert_eq!(chosen(given("u", "", "f"), given("v", "p", "")), "u, file f");
        assert_eq!(chosen(nothing(), given("v:p:q", "", "")), "v, p:q");
        assert_eq!(chosen(given("", "q", ""), given("v", "p", "")), "v, q");
    }

    #[test]
    fn one_users_password_is_not_anothers() {
        assert_eq!(chosen(given("u", "", ""), given("v:p", "", "")), "u, ask");
    }

    #[test]
    fn a_password_without_a_user_or_twice_is_refused_and_not_shown() {
        for (flags, environment) in [
            (given("", "hunter2", ""), nothing()),
            (given(":hunter2", "", ""), nothing()),
            (given("u:hunter2", "hunter2", ""), nothing()),
            (given("u", "", ""), given("", "hunter2", "f")),
        ] {
            assert!(!format!("{flags:?} {environment:?}").contains("hunter2"));
            let text = chosen(flags, environment);
            assert!(text.starts_with("error: ") && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_password_in_the_environment_alone_is_nobodys() {
        assert_eq!(chosen(nothing(), given("", "p", "")), "nobody");
    }
}
