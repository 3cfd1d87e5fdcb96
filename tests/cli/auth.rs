//! Users and passwords, from wherever they come, and what happens when they are not right.

use crate::ark::{Place, run};
use crate::support::{Permission, Server};

async fn with_auth() -> Place {
    let server = Server::start().await;
    server.enable_auth("s3cret").await;
    server.add_user("reader", "pass", &[(Permission::Read, "open/")]).await;
    server.etcdctl(&["put", "open/k", "v"]).await;
    server.etcdctl(&["put", "closed/k", "v"]).await;
    Place::with(server)
}

#[tokio::test]
async fn a_password_may_come_from_anywhere() {
    let place = with_auth().await;
    place.write("password", "s3cret\n");
    place.write("password-dos", "s3cret\r\nand a second line\n");
    let settings: [(&str, &[(&str, &str)]); 8] = [
        ("--user root:s3cret", &[]),
        ("--user root --password s3cret", &[]),
        ("--user root --password-file password", &[]),
        ("--user root --password-file password-dos", &[]),
        ("--user root", &[("PASSWORD", "s3cret")]),
        ("--user root", &[("PASSWORD_FILE", "password")]),
        ("", &[("USER", "root:s3cret")]),
        ("--user root:s3cret", &[("USER", "reader"), ("PASSWORD", "wrong")]),
    ];
    for (number, (flags, variables)) in settings.into_iter().enumerate() {
        let mut command = place.ark(&format!("backup -o {number}.ark -w json {flags}"));
        for (name, value) in variables {
            command.env(format!("ETCDCTL_{name}"), value);
        }
        assert_eq!(run(&mut command).await.succeeded().json()["keys"], 2, "{flags} {variables:?}");
    }
}

#[tokio::test]
async fn who_is_not_known_or_not_allowed_is_told_so() {
    let place = with_auth().await;
    for (flags, told) in [
        ("--user root:hunter2", "authentication failed"),
        ("--user nobody:hunter2", "authentication failed"),
        ("", "--user"),
        ("--user reader:pass", "permission denied"),
    ] {
        let outcome = place.run(&format!("backup -o saved.ark {flags}")).await.failed(4, told);
        assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
        assert!(outcome.stderr.contains("help: "), "{}", outcome.stderr);
    }
    assert_eq!(place.files(), [""; 0], "no file is left behind");
}

#[tokio::test]
async fn a_reader_can_back_up_what_it_may_read_and_restore_nothing() {
    let place = with_auth().await;
    let as_reader = "--user reader:pass";
    assert_eq!(place.json(&format!("backup -o saved.ark --prefix open/ {as_reader}")).await["keys"], 1);
    let restore = format!("restore saved.ark --yes --mode overwrite {as_reader}");
    place.run(&restore).await.failed(4, "permission denied");
    place.run(&format!("snapshot save s.db {as_reader}")).await.failed(4, "needs root");
    place.run("snapshot save s.db --user root:s3cret").await.succeeded();
}

#[tokio::test]
async fn without_a_password_and_a_terminal_it_is_a_usage_error() {
    let place = with_auth().await;
    place.write("empty", "\n");
    for (flags, told) in [
        ("--user root", "no terminal to ask on"),
        ("--user root --password-file missing", "missing"),
        ("--user root --password-file empty", "first line is empty"),
        ("--password s3cret", "no user"),
        ("--user root:s3cret --password s3cret", "more than once"),
    ] {
        place.run(&format!("backup -o saved.ark {flags}")).await.failed(2, told);
    }
}
