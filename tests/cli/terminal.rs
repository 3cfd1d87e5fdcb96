//! On a terminal, which util-linux's `script` plays: being asked, progress, values made harmless.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::ark::{PROGRAM, Place};
use crate::support::{Server, clock};

/// A command on a terminal, and all that the terminal has shown.
struct Session {
    child: Child,
    shown: String,
}

impl Session {
    fn start(place: &Place, line: &str) -> Self {
        let mut command = Command::from(std::process::Command::new("script"));
        let ark = format!("{} {line}", PROGRAM.display());
        command.args(["--quiet", "--return", "--flush", "--command", &ark, "/dev/null"]);
        command.current_dir(place.folder.path()).env("ETCDCTL_ENDPOINTS", place.server.endpoint());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        Self { child: command.spawn().expect("util-linux's script"), shown: String::new() }
    }

    /// Reads until the text is shown.
    async fn expect(&mut self, text: &str) {
        let stdout = self.child.stdout.as_mut().unwrap();
        while !self.shown.contains(text) {
            let mut buffer = [0; 1024];
            let read = timeout(Duration::from_secs(60), stdout.read(&mut buffer)).await;
            let count = read.unwrap_or_else(|_| panic!("{text:?} does not come: {}", self.shown)).unwrap();
            assert!(count > 0, "{text:?} did not come: {}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    async fn type_in(&mut self, text: &str) {
        // The prompt is shown a moment before the terminal stops showing what is typed.
        clock::pass(Duration::from_millis(300)).await;
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).await.unwrap();
    }

    /// The exit code, and all that was shown.
    async fn end(mut self) -> (Option<i32>, String) {
        let mut rest = Vec::new();
        self.child.stdout.as_mut().unwrap().read_to_end(&mut rest).await.unwrap();
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        (self.child.wait().await.unwrap().code(), self.shown)
    }
}

#[tokio::test]
async fn a_restore_asks_and_takes_no_for_an_answer() {
    let place = Place::holding("a/", 1200, 10).await;
    let saved = place.json("backup -o saved.ark").await;
    place.wipe().await;
    for (line, answer, code, keys) in [
        ("restore saved.ark", "\n", 1, 0),
        ("restore saved.ark", "nonsense\n", 1, 0),
        ("restore saved.ark", "\u{3}", 130, 0),
        ("restore saved.ark --prefix a/000001 --mode missing", "y\n", 0, 100),
        ("restore saved.ark --mode mirror", "yes\n", 0, 1200),
    ] {
        let mut session = Session::start(&place, line);
        session.expect("Proceed? [y/N] ").await;
        for told in [saved["cluster_id"].as_str().unwrap(), &place.server.endpoint(), "saved.ark", "Mode "] {
            assert!(session.shown.contains(told), "{told} is not in {}", session.shown);
        }
        assert!(session.shown.contains(match (line.contains("prefix"), line.contains("mirror")) {
            (true, _) => "Restore 100 keys",
            (_, true) => "Restore 1,100 keys",
            _ => "Restore 1,200 keys",
        }));
        session.type_in(answer).await;
        let (ended, shown) = session.end().await;
        assert_eq!((ended, place.count().await), (Some(code), keys), "{answer:?}: {shown}");
    }
}

#[tokio::test]
async fn what_overwrites_wants_the_clusters_id() {
    let place = Place::holding("a/", 50, 10).await;
    let saved = place.json("backup -o saved.ark").await;
    place.server.etcdctl(&["put", "a/00000000", "newer"]).await;
    let id = saved["cluster_id"].as_str().unwrap();
    for (answer, code) in [("y\n".to_owned(), 1), ("\n".to_owned(), 1), (format!("{id}\n"), 0)] {
        let mut session = Session::start(&place, "restore saved.ark --mode replace --undo undo.ark");
        session.expect(&format!("Type the cluster's id, {id}, to proceed: ")).await;
        assert!(session.shown.contains("OVERWRITTEN"), "{}", session.shown);
        session.type_in(&answer).await;
        let (ended, shown) = session.end().await;
        assert_eq!(ended, Some(code), "{answer:?}: {shown}");
        assert_eq!(place.files().contains(&"undo.ark".to_owned()), code == 0);
    }
}

#[tokio::test]
async fn a_password_is_asked_for_and_not_shown() {
    let server = Server::start().await;
    server.enable_auth("s3cret").await;
    let place = Place::with(server);
    for (password, code) in [("s3cret\n", 0), ("hunter2\n", 4), ("\u{3}", 130)] {
        let mut session = Session::start(&place, &format!("backup -o {code}.ark --user root"));
        session.expect("Password of root: ").await;
        session.type_in(password).await;
        let (ended, shown) = session.end().await;
        assert_eq!(ended, Some(code), "{shown}");
        assert!(!shown.contains(password.trim_end()), "{shown}");
    }
    assert_eq!(place.files(), ["0.ark"]);
}

#[tokio::test]
async fn values_are_made_harmless_and_archives_are_not_written_there() {
    let place = Place::new().await;
    place.server.etcdctl(&["put", "k", "two\nlines \u{1b}[31m"]).await;
    place.run("backup -o saved.ark").await.succeeded();
    let (code, shown) = Session::start(&place, "get saved.ark k").end().await;
    assert_eq!((code, &*shown), (Some(0), "two\r\nlines \\x1b[31m\r\n"));
    let (code, shown) = Session::start(&place, "backup -o -").end().await;
    assert!(code == Some(2) && shown.contains("is a terminal"), "{shown}");
}

#[tokio::test]
async fn progress_is_shown_and_goes_away() {
    let place = Place::holding("a/", 5000, 100).await;
    let (code, shown) = Session::start(&place, "backup -o saved.ark").end().await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("reading") && shown.contains("of 5,000 keys"), "{shown:?}");
    let (code, shown) = Session::start(&place, "verify saved.ark").end().await;
    assert!(code == Some(0) && shown.contains("verifying") && shown.contains("good: "), "{shown:?}");
}

#[tokio::test]
async fn a_measurement_shows_which_way_has_its_turn() {
    let place = Place::holding("a/", 1000, 100).await;
    let mut session = Session::start(&place, "bench --rounds 1 --concurrency 2");
    session.expect("no reading (1 of 5)").await;
    session.expect("scan by pages, 2 at once (2 of 5)").await;
    session.expect("A backup reads these keys in about").await;
    let (code, _) = session.end().await;
    assert_eq!(code, Some(0));
}
