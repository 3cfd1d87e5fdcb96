//! Command lines that cannot work, helps, and what wins over what.

use crate::ark::{Place, ark, run};

#[tokio::test]
async fn mistakes_are_usage_errors() {
    for (line, told) in [
        ("backup", "--output"),
        ("backup -o", "--output"),
        ("backup -o x extra", "extra"),
        ("bakup -o x", "'backup'"),
        ("info", "<FILE|->"),
        ("get file", "<KEY>"),
        (r"get file a\q", r"unknown escape \q"),
        ("restore file --mode mirrors", "refuse, missing, unchanged, replace, mirror, overwrite"),
        ("restore file --map a", "FROM=TO"),
        ("restore file --range a", "2"),
        ("restore file --matching (", "regex"),
        ("restore file --undo u --no-undo", "--no-undo"),
        ("plan file --unchanged-since 0", "--unchanged-since"),
        ("undo file", "<RESTORED>"),
        ("info file -w table", "simple, json"),
        ("info file --dial-timeout 2", "500ms"),
        ("info file --command-timeout 0s", "more than 0"),
        ("info file --cert x", "--key"),
        ("info file --key x", "--cert"),
        ("backup -o x --endpoints a:b", "endpoint"),
        ("backup -o x --endpoints ftp://a", "scheme"),
        ("backup -o x --cacert /nowhere/ca.pem", "/nowhere/ca.pem"),
        ("snapshot save", "FILE"),
    ] {
        run(ark(line).current_dir(std::env::temp_dir())).await.failed(2, told);
    }
    assert_eq!(run(&mut ark("")).await.code, Some(2));
}

#[tokio::test]
async fn helps_tell_flags_variables_and_exit_codes() {
    let help = run(&mut ark("--help")).await.succeeded().text();
    for told in
        ["ETCDCTL_ENDPOINTS", "ETCDCTL_PASSWORD", "--insecure-skip-tls-verify", "  130  ", "\n    6  "]
    {
        assert!(help.contains(told), "{told} is not in {help}");
    }
    for (command, connects) in [
        ("backup", true),
        ("restore", true),
        ("plan", true),
        ("undo", true),
        ("snapshot save", true),
        ("verify", true),
        ("bench", true),
        ("ls", false),
        ("get", false),
        ("find", false),
        ("export", false),
        ("import", false),
    ] {
        let help = run(&mut ark(&format!("{command} --help"))).await.succeeded().text();
        assert_eq!(help.contains("--endpoints"), connects, "{command}: {help}");
        assert!(help.contains("--write-out"), "{help}");
    }
    assert!(run(&mut ark("--version")).await.succeeded().text().starts_with("ark "));
}

#[tokio::test]
async fn flags_win_over_variables_and_empty_variables_are_not_set() {
    let place = Place::new().await;
    let mut flag = place.ark("backup -o one.ark -w json --endpoints");
    flag.arg(place.server.endpoint())
        .env("ETCDCTL_ENDPOINTS", "127.0.0.1:1")
        .env("ETCDCTL_WRITE_OUT", "simple");
    run(&mut flag).await.succeeded().json();

    let mut variable = place.ark("backup -o two.ark");
    variable.env("ETCDCTL_WRITE_OUT", "json").env("ETCDCTL_COMMAND_TIMEOUT", "3s");
    run(&mut variable).await.succeeded().json();

    let mut empty = place.ark("backup -o three.ark");
    for name in
        ["CACERT", "CERT", "KEY", "USER", "PASSWORD", "DIAL_TIMEOUT", "WRITE_OUT", "INSECURE_SKIP_TLS_VERIFY"]
    {
        empty.env(format!("ETCDCTL_{name}"), "");
    }
    run(&mut empty).await.succeeded();

    let mut bad = place.ark("backup -o four.ark");
    run(bad.env("ETCDCTL_DIAL_TIMEOUT", "soon")).await.failed(2, "--dial-timeout");
}

#[tokio::test]
async fn no_secret_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    for line in [
        "info file --password hunter2 --nonsense",
        "--user=root:hunter2 --nonsense info file",
        "info file --password hunter2 --password hunter2",
        "info file --pasword=hunter2",
        "info file --usr=root:hunter2",
        "backup -o unused --user :hunter2",
        "backup -o unused --password hunter2",
        "backup -o unused --user root:hunter2 --password hunter2",
        "backup -o unused --endpoints http://root:hunter2@host",
        "backup --help --user root:hunter2",
    ] {
        let mut command = ark(line);
        command.current_dir(folder.path());
        command.env("ETCDCTL_PASSWORD", "hunter2").env("ETCDCTL_USER", "root:hunter2");
        let outcome = run(&mut command).await;
        assert!(!format!("{outcome:?}").contains("hunter2"), "{line}: {outcome:?}");
    }
}
