//! Somebody deletes what others need, while everybody works on: putting it back, and the mistakes that are made then.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use etcd_ark::Client;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::ark::{PROGRAM, Place, fill, run};
use crate::support::{Permission, Server};

/// Writes to its own keys, and creates some below `/app/`, for as long as it is not stopped.
async fn work_on(place: &Place) -> JoinHandle<()> {
    let client = Client::connect([place.server.endpoint()]).await.unwrap();
    tokio::spawn(async move {
        for number in 0_u64.. {
            client.put(format!("/other/{}", number % 200), number.to_string()).await.unwrap();
            client.put(format!("/app/new-{}", number % 50), number.to_string()).await.unwrap();
            sleep(Duration::from_millis(2)).await;
        }
    })
}

async fn value(place: &Place, key: &str) -> String {
    place.server.etcdctl(&["get", key, "--print-value-only"]).await
}

async fn grant(place: &Place) -> String {
    let granted = place.server.etcdctl(&["lease", "grant", "6000"]).await;
    granted.split_whitespace().nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn a_deleted_prefix_comes_back_while_others_write() {
    let place = Place::holding("/app/", 5000, 100).await;
    fill(&place.server, "/apple/", 10, 10).await;
    let lease = grant(&place).await;
    for key in ["/app/leased-1", "/app/leased-2"] {
        place.server.etcdctl(&["put", key, "v", "--lease", &lease]).await;
    }
    place.run("backup -o saved.ark").await.succeeded();
    place.server.etcdctl(&["del", "/app/", "--prefix"]).await;
    place.server.etcdctl(&["lease", "revoke", &lease]).await;
    place.server.etcdctl(&["put", "/app/00000007", "newer"]).await;
    let others = work_on(&place).await;

    let flags = "saved.ark --prefix /app/ --mode missing";
    let plan = place.json(&format!("plan {flags}")).await;
    assert_eq!((&plan["create"][0]["keys"], &plan["keep"][0]["keys"]), (&5001.into(), &1.into()));
    assert_eq!(plan["conflicts"][0], BASE64_STANDARD.encode("/app/00000007"));
    let refused = place.run("restore saved.ark --prefix /app/ --yes").await.failed(8, "/app/00000007");
    assert!(refused.stderr.contains("nothing was written"), "{}", refused.stderr);

    let outcome = place.run(&format!("restore {flags} --yes --undo undo.ark -w json")).await.succeeded();
    assert!(outcome.stderr.contains("create           5,001 keys"), "{}", outcome.stderr);
    let done = outcome.json();
    assert_eq!((&done["written"], &done["kept"], &done["left"]), (&5001.into(), &1.into(), &0.into()));
    assert_eq!((&done["missing"], &done["different"], &done["leases"]), (&0.into(), &1.into(), &1.into()));
    assert_eq!(value(&place, "/app/00000007").await, "newer\n");
    let held = place.server.etcdctl(&["lease", "timetolive", &lease, "--keys"]).await;
    assert!(held.contains("/app/leased-1") && held.contains("/app/leased-2"), "{held}");

    place.server.etcdctl(&["put", "/app/00000008", "mine now"]).await;
    let undone = place.json("undo undo.ark saved.ark --yes").await;
    assert_eq!((&undone["deleted"], &undone["kept"]), (&5000.into(), &1.into()));
    assert_eq!(value(&place, "/app/00000008").await, "mine now\n");
    assert_eq!(value(&place, "/app/00000007").await, "newer\n");
    others.abort();
    assert!(others.await.unwrap_err().is_cancelled(), "others were never in the way");
}

#[tokio::test]
async fn mistakes_change_nothing_and_are_told() {
    let place = Place::holding("/app/", 100, 10).await;
    place.run("backup -o saved.ark").await.succeeded();
    place.wipe().await;
    for (line, code, told) in [
        ("restore save.ark --yes", 1, "save.ark"),
        ("restore saved.ark --yes --endpoints 127.0.0.1:1", 3, "--endpoints"),
        ("restore saved.ark --yes --prefix", 2, "--prefix"),
        ("restore saved.ark --yes --undo nowhere/undo.ark --mode mirror", 1, "nowhere/undo.ark"),
    ] {
        place.run(line).await.failed(code, told);
    }
    let nothing = place.run("restore saved.ark --yes --prefix /ap/ -w json").await.succeeded();
    assert!(nothing.stderr.contains("Note: none of the selected keys are there"), "{}", nothing.stderr);
    assert_eq!((nothing.json()["written"].clone(), place.count().await), (0.into(), 0));
    assert_eq!(place.files(), ["saved.ark"]);
}

#[tokio::test]
async fn a_restricted_user_backs_up_one_prefix_and_restores_to_another_and_no_more() {
    let server = Server::start().await;
    let place = Place::with(server);
    fill(&place.server, "a/", 50, 10).await;
    fill(&place.server, "b/", 50, 10).await;
    place.server.enable_auth("s3cret").await;
    let grants = [(Permission::Read, "a/"), (Permission::ReadWrite, "copy/")];
    place.server.add_user("app", "pass", &grants).await;
    let as_app = "--user app:pass";
    place.run(&format!("backup -o a.ark --prefix a/ {as_app}")).await.succeeded();
    let done = place.json(&format!("restore a.ark --yes --map a/=copy/ {as_app}")).await;
    assert_eq!((&done["written"], &done["equal"]), (&50.into(), &true.into()));

    let needs = |right: &str| format!("user app needs a role with {right} permission on keys from b/ to b0");
    place.run(&format!("backup -o b.ark --prefix b/ {as_app}")).await.failed(4, &needs("read"));
    place.run("backup -o b.ark --prefix b/ --user root:s3cret").await.succeeded();
    place.run(&format!("restore b.ark --yes --mode mirror {as_app}")).await.failed(4, &needs("read"));
    place.server.etcdctl(&["role", "grant-permission", "--prefix", "app", "read", "b/"]).await;
    place.server.etcdctl(&["put", "b/00000000", "newer"]).await;
    let refused = place.run(&format!("restore b.ark --yes --mode mirror {as_app}")).await;
    let refused = refused.failed(4, "may not write 1 of the keys, the first b/00000000; nothing was written");
    assert!(refused.stderr.contains("write permission on b/"), "{}", refused.stderr);
    assert_eq!(value(&place, "b/00000000").await, "newer\n");
    let plan = place.json(&format!("plan b.ark --mode mirror {as_app}")).await;
    assert_eq!((&plan["denied"], &plan["update"][0]["keys"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn a_full_disk_stops_a_restore_before_it_writes() {
    let place = Place::holding("/app/", 3000, 300).await;
    place.run("backup -o saved.ark").await.succeeded();
    place.wipe().await;
    fill(&place.server, "/app/x", 2000, 300).await;
    // No file may grow beyond 64 KiB, as if the disk were full then.
    let script = r#"trap "" XFSZ; ulimit -f 128; exec "$0" "$@""#;
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", script]).arg(&*PROGRAM);
    command.args(["restore", "saved.ark", "--yes", "--mode", "mirror", "--undo", "undo.ark"]);
    command.current_dir(place.folder.path()).env("ETCDCTL_ENDPOINTS", place.server.endpoint());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = run(&mut command).await.failed(1, "cannot write the archive");
    assert!(failed.stderr.contains("File too large"), "{}", failed.stderr);
    assert_eq!((place.count().await, place.files()), (2000, vec!["saved.ark".to_owned()]));
}

#[cfg(feature = "encrypt")]
#[tokio::test]
async fn what_is_saved_for_undo_is_encrypted_like_the_archive() {
    let place = Place::holding("a/", 10, 10).await;
    let made = place.json("keygen -o id").await;
    place.write("phrase", "correct horse\n");
    let recipient = made["recipient"].as_str().unwrap();
    for (number, (encrypt, unlock)) in [
        (format!("--recipient {recipient}"), "--identity id"),
        ("--passphrase-file phrase".to_owned(), "--passphrase-file phrase"),
    ]
    .into_iter()
    .enumerate()
    {
        place.run(&format!("backup -o saved{number}.ark {encrypt}")).await.succeeded();
        let present = format!("present-{number}");
        place.server.etcdctl(&["put", "a/00000000", &present]).await;
        let undo = format!("undo{number}.ark");
        let restore = format!("restore saved{number}.ark --yes --mode mirror --undo {undo} {unlock}");
        assert_eq!(place.json(&restore).await["written"], 1);
        let bytes = std::fs::read(place.path(&undo)).unwrap();
        assert!(bytes.starts_with(b"age-encryption.org/"), "{undo}");
        place.run(&format!("undo {undo} saved{number}.ark --yes")).await.failed(4, "--identity");
        let undone = place.json(&format!("undo {undo} saved{number}.ark --yes {unlock}")).await;
        assert_eq!((&undone["written"], value(&place, "a/00000000").await), (&1.into(), present + "\n"));
    }
}
