//! Copying a cluster to another, as a command.

use crate::ark::{Place, run};
use crate::support::{Server, Tls};

async fn with_auth(password: &str) -> Place {
    let server = Server::start().await;
    server.enable_auth(password).await;
    Place::with(server)
}

#[tokio::test]
async fn a_copy_tells_what_it_does_and_that_both_are_equal() {
    let (place, target) = (Place::holding("/app/", 300, 100).await, Place::new().await);
    let mut copy = place.ark("copy --yes -w json");
    copy.env("ARK_TO_ENDPOINTS", target.server.endpoint());
    let outcome = run(&mut copy).await.succeeded();
    let shown = &outcome.stderr;
    assert!(
        shown.contains("Copy 300 keys of cluster") && shown.contains(&target.server.endpoint()),
        "{shown}"
    );
    let copied = outcome.json();
    assert_eq!((&copied["written"], &copied["equal"]), (&300.into(), &true.into()));
    assert_eq!(copied["content_root"], place.json("backup -o saved.ark").await["content_root"]);
    assert_ne!(copied["cluster_id"], copied["source_cluster_id"]);
    assert_eq!(place.files(), ["saved.ark"], "there is no file in between");

    target.server.etcdctl(&["put", "/app/00000000", "newer"]).await;
    let to = format!("--to-endpoints {}", target.server.endpoint());
    place.run(&format!("copy {to} --yes")).await.failed(8, "/app/00000000");
    place.run(&format!("copy {to} --mode mirror")).await.failed(2, "--yes");
    assert_eq!(place.json(&format!("copy {to} --yes --mode mirror")).await["written"], 1);
    place.run("copy --yes").await.failed(2, "--to-endpoints");
    let itself = format!("copy --yes --to-endpoints {}", place.server.endpoint());
    place.run(&itself).await.failed(2, "same cluster");
    place.run("copy --yes --to-endpoints 127.0.0.1:1").await.failed(3, "about the target");
}

#[tokio::test]
async fn a_copy_that_overwrites_can_be_undone() {
    let (place, target) = (Place::holding("/app/", 300, 100).await, Place::new().await);
    for key in ["/app/00000000", "/extra"] {
        target.server.etcdctl(&["put", key, "mine"]).await;
    }
    let to = format!("--to-endpoints {}", target.server.endpoint());
    assert!(place.json(&format!("copy {to} --yes --mode missing")).await["undo"].is_null());
    let copied = place.json(&format!("copy {to} --yes --mode mirror")).await;
    let [undo, written] = ["undo", "written_keys"].map(|file| copied[file].as_str().unwrap().to_owned());
    assert!(undo.starts_with("copy.undo-") && place.files() == [undo.clone(), written.clone()], "{undo}");
    let again = place.json(&format!("copy {to} --yes --mode mirror")).await;
    assert!(again["undo"].is_null() && place.files().len() == 2, "what changes nothing saves nothing");
    let at = target.server.endpoint();
    let undone = place.json(&format!("--endpoints {at} undo {undo} {written} --yes")).await;
    assert_eq!((&undone["written"], &undone["deleted"]), (&2.into(), &0.into()));
    for key in ["/app/00000000", "/extra"] {
        assert_eq!(target.server.etcdctl(&["get", key, "--print-value-only"]).await.trim(), "mine");
    }
    place.run(&format!("copy {to} --yes --mode mirror --no-undo")).await.succeeded();
    assert_eq!(place.files().len(), 2);
    place.run(&format!("copy {to} --yes --mode mirror --no-undo --undo x.ark")).await.failed(2, "--undo");
}

/// Both files hold values.
#[cfg(feature = "encrypt")]
#[tokio::test]
async fn what_a_copy_saves_is_encrypted_if_that_is_said() {
    let (place, target) = (Place::holding("/app/", 10, 100).await, Place::new().await);
    target.server.etcdctl(&["put", "/extra", "mine"]).await;
    place.write("pass", "secret\n");
    let at = target.server.endpoint();
    let copy = format!("copy --to-endpoints {at} --yes --mode mirror --undo u.ark --passphrase-file pass");
    place.run(&copy).await.succeeded();
    for file in ["u.ark", "u.written.ark"] {
        assert!(std::fs::read(place.path(file)).unwrap().starts_with(b"age-encryption.org"), "{file}");
    }
    let undo = format!("--endpoints {at} undo u.ark u.written.ark --yes");
    place.run(&undo).await.failed(4, "--passphrase-file");
    let undone = place.json(&format!("{undo} --passphrase-file pass")).await;
    assert_eq!((&undone["written"], &undone["deleted"]), (&1.into(), &10.into()));
}

#[tokio::test]
async fn each_cluster_has_its_own_user_and_password() {
    let (place, target) = (with_auth("of-source").await, with_auth("of-target").await);
    place.server.etcdctl(&["put", "k", "v"]).await;
    place.write("password", "of-target\n");
    // A password takes the server a while to compare, on a busy machine.
    let to = format!("--command-timeout 1m --to-endpoints {} --to-user root", target.server.endpoint());
    let line = format!("copy {to} --to-password-file password --user root --yes");
    let copy = async |line: &str, variables: &[(&str, &str)]| {
        let mut copy = place.ark(line);
        copy.envs(variables.iter().copied());
        run(&mut copy).await
    };
    copy(&line, &[("ETCDCTL_PASSWORD", "of-source")]).await.succeeded();
    let both = [("ETCDCTL_PASSWORD", "of-source"), ("ARK_TO_PASSWORD", "of-target")];
    copy(&format!("copy {to} --user root --yes"), &both).await.succeeded();
    let swapped = [("ETCDCTL_PASSWORD", "of-source"), ("ARK_TO_PASSWORD", "of-source")];
    copy(&format!("copy {to} --user root --yes"), &swapped).await.failed(4, "authentication failed");
    // The source's password is not shown to the target.
    copy(&format!("copy {to} --user root --yes"), &both[..1]).await.failed(2, "no password for user root");
    let inside = format!("copy --to-endpoints {} --to-user root:hunter2 --yes", target.server.endpoint());
    let refused = copy(&inside, &[]).await.failed(2, "--to-password-file");
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
}

#[tokio::test]
async fn each_cluster_has_its_own_certificates() {
    let (place, tls) = (Place::holding("k", 10, 10).await, Tls::new());
    let target = Server::builder().mtls(&tls).start().await;
    let (ca, copier) = (tls.ca(), tls.client("copier"));
    let to = format!("copy --yes --to-endpoints {}", target.endpoint());
    place.run(&to).await.failed(3, "certificate");
    let files = [("cacert", &ca), ("cert", &copier.cert), ("key", &copier.key)];
    let flags: Vec<_> = files.iter().map(|(flag, file)| format!("--to-{flag} {}", file.display())).collect();
    assert_eq!(place.json(&format!("{to} {}", flags.join(" "))).await["equal"], true);
}
