//! Encrypted archives, whose secrets come from files.

use std::os::unix::fs::PermissionsExt;

use crate::ark::Place;

#[tokio::test]
async fn a_backup_is_encrypted_to_a_recipient_and_read_with_its_identity() {
    let place = Place::holding("a/", 1000, 300).await;
    let made = place.json("keygen -o id").await;
    let recipient = made["recipient"].as_str().unwrap();
    assert!(
        recipient.starts_with("age1")
            && place.path("id").metadata().unwrap().permissions().mode() & 0o77 == 0
    );
    place.run("keygen -o id").await.failed(8, "exists");

    let saved = place.json(&format!("backup -o saved.ark --recipient {recipient}")).await;
    let info = place.json("info saved.ark --identity id").await;
    assert_eq!(info["archive_root"], saved["archive_root"]);
    assert_eq!(place.json("verify saved.ark --identity id").await["good"], true);
    assert_eq!(place.run("ls saved.ark --identity id").await.succeeded().lines().len(), 1000);
    assert_eq!(place.run("get saved.ark a/00000007 --identity id").await.succeeded().stdout.len(), 300);
    for command in ["info", "verify"] {
        place.run(&format!("{command} saved.ark")).await.failed(4, "--identity");
    }
    place.json("keygen -o other").await;
    place.run("info saved.ark --identity other").await.failed(4, "no identity");
    place.run("info saved.ark --identity saved.ark").await.failed(2, "saved.ark");

    place.wipe().await;
    assert_eq!(place.json("restore saved.ark --yes --identity id").await["written"], 1000);
}

#[tokio::test]
async fn a_passphrase_comes_from_a_file() {
    let place = Place::holding("a/", 10, 10).await;
    place.write("phrase", "correct horse\n");
    place.write("wrong", "wrong horse\n");
    place.run("backup -o saved.ark --passphrase-file phrase").await.succeeded();
    assert_eq!(place.json("info saved.ark --passphrase-file phrase").await["keys"], 10);
    let refused = place.run("info saved.ark --passphrase-file wrong").await.failed(4, "passphrase");
    assert!(!refused.stderr.contains("horse"), "{}", refused.stderr);
    place.run("backup -o no.ark --recipient age1nonsense").await.failed(2, "age1nonsense");
    assert!(!place.path("no.ark").exists());
}

#[tokio::test]
async fn what_is_left_of_a_damaged_archive_is_restored_with_its_identity() {
    let place = Place::holding("a/", 3000, 300).await;
    let recipient = place.json("keygen -o id").await["recipient"].as_str().unwrap().to_owned();
    place.run(&format!("backup -o saved.ark --recipient {recipient}")).await.succeeded();
    place.wipe().await;
    place.damage("saved.ark", "bad");
    place.run("restore bad --yes --identity id").await.failed(6, "encryption is damaged");
    place.run("restore bad --yes --salvage").await.failed(4, "--identity");
    place.run_with("restore - --yes --salvage", "bad").await.failed(4, "--identity");
    assert_eq!(place.count().await, 0);

    let restored = place.json("restore bad --yes --salvage --identity id").await;
    let missing = restored["lost"][0]["keys"].as_u64().unwrap();
    assert!(missing > 0 && missing < 3000, "{restored}");
    assert_eq!(restored["written"].as_u64().unwrap() + missing, 3000);
    assert_eq!(place.count().await, 3000 - missing);
    let piped = place.run_with("plan - --salvage --identity id -w json", "bad").await.succeeded().json();
    assert_eq!(piped["lost"], restored["lost"]);
}

#[tokio::test]
async fn an_encrypted_archive_comes_through_a_pipe_too() {
    let place = Place::holding("a/", 1000, 300).await;
    let recipient = place.json("keygen -o id").await["recipient"].as_str().unwrap().to_owned();
    place.run(&format!("backup -o saved.ark --recipient {recipient}")).await.succeeded();
    for (line, lines) in [
        ("verify - --identity id -w json", 1),
        ("verify - --identity id --level structure -w json", 1),
        ("info - --identity id -w json", 1),
        ("ls - --identity id", 1000),
        ("find - a/0000007 --identity id", 10),
    ] {
        let outcome = place.run_with(line, "saved.ark").await.succeeded();
        assert_eq!(outcome.lines().len(), lines, "{line}");
    }
    place.run_with("ls -", "saved.ark").await.failed(4, "--identity");
    place.wipe().await;
    let restored =
        place.run_with("restore - --yes --identity id -w json", "saved.ark").await.succeeded().json();
    assert_eq!(restored["written"], 1000);
}
