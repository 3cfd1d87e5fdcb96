//! Restores that are killed, and then done again.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::ark::{Place, fill};
use crate::support::Random;

/// How many restores are killed; by default few enough for every run of the tests.
const KILLS: &str = "ETCD_ARK_KILLS";
const DEFAULT_KILLS: usize = 12;

const MODES: [&str; 5] = ["missing", "unchanged", "replace", "mirror", "overwrite"];
/// Slow enough that most are killed while they write.
const RESTORE: &str = "restore saved.ark --yes --rate 8000 --mode";

/// A server whose keys are brought back to the same state before every round.
struct Rounds {
    place: Place,
    before: Value,
}

impl Rounds {
    async fn new() -> Self {
        let place = Place::holding("a/", 3000, 300).await;
        let granted = place.server.etcdctl(&["lease", "grant", "6000"]).await;
        let lease = granted.split_whitespace().nth(1).unwrap();
        for number in 0..20 {
            place.server.etcdctl(&["put", &format!("c/{number}"), "leased", "--lease", lease]).await;
        }
        place.run("backup -o saved.ark").await.succeeded();
        change(&place).await;
        let before = root(&place).await;
        Self { place, before }
    }

    async fn reset(&self) {
        change(&self.place).await;
        assert_eq!(root(&self.place).await, self.before);
    }

    /// What an undisturbed restore in this mode leaves behind, and how long it takes.
    async fn undisturbed(&self, mode: &str) -> (Value, Duration) {
        self.reset().await;
        let began = std::time::Instant::now();
        self.place.run(&format!("{RESTORE} {mode} --no-undo")).await.succeeded();
        (root(&self.place).await, began.elapsed())
    }

    /// Starts a restore and kills it after this time; says whether that was while it wrote.
    async fn killed_after(&self, moment: Duration, mode: &str, undo: &str) -> bool {
        let mut child = self.place.ark(&format!("{RESTORE} {mode} --undo {undo}")).spawn().unwrap();
        sleep(moment).await;
        // It may have ended before.
        let _ = child.start_kill();
        let killed = !child.wait().await.unwrap().success();
        killed && root(&self.place).await != self.before
    }
}

/// Another state than that of the archive: keys that are gone, changed and new.
async fn change(place: &Place) {
    place.wipe().await;
    fill(&place.server, "b/", 200, 10).await;
    fill(&place.server, "a/000000", 50, 10).await;
    place.server.etcdctl(&["put", "c/7", "before"]).await;
}

/// Stands for all that the server holds.
async fn root(place: &Place) -> Value {
    let mut backup = place.ark("backup -o now.ark -w json");
    let outcome = crate::ark::run(&mut backup).await.succeeded().json();
    std::fs::remove_file(place.path("now.ark")).unwrap();
    outcome["content_root"].clone()
}

#[tokio::test]
async fn a_restore_that_is_killed_at_any_moment_goes_on_and_can_be_undone() {
    let kills = std::env::var(KILLS).map_or(DEFAULT_KILLS, |text| text.parse().unwrap());
    let rounds = Rounds::new().await;
    let mut expected = Vec::new();
    for mode in MODES {
        expected.push((mode, rounds.undisturbed(mode).await));
    }
    let (mut random, mut while_writing) = (Random::new(), 0);
    for round in 0..kills {
        let (mode, (planned, took)) = &expected[round % MODES.len()];
        let (undo, moment) =
            (format!("undo{round}.ark"), *took * u32::try_from(random.below(1100)).unwrap() / 1000);
        let told = format!("round {round}, mode {mode}, killed after {moment:?}");
        rounds.reset().await;
        while_writing += usize::from(rounds.killed_after(moment, mode, &undo).await);

        // What the first one saved is everything that both change.
        let saved_already = rounds.place.path(&undo).exists();
        let flag = if saved_already { "--no-undo".to_owned() } else { format!("--undo {undo}") };
        rounds.place.run(&format!("{RESTORE} {mode} {flag}")).await.succeeded();
        assert_eq!(&root(&rounds.place).await, planned, "{told}");
        rounds.place.run(&format!("undo {undo} saved.ark --yes")).await.succeeded();
        assert_eq!(root(&rounds.place).await, rounds.before, "{told}");
        std::fs::remove_file(rounds.place.path(&undo)).unwrap();
    }
    eprintln!("{while_writing} of {kills} restores were killed while they wrote");
}
