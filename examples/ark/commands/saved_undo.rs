//! What is saved so that `ark undo` can put things back.

use std::path::PathBuf;

use etcd_ark::backup::{Restore, RestoreMode};

use crate::args::{Mode, SaveUndo};
use crate::human;
use crate::output::Report;

/// Where it can be undone from.
#[derive(Debug)]
pub(super) struct SavedUndo {
    before: PathBuf,
    /// What was written, where no archive will tell it later.
    written: Option<PathBuf>,
}

impl SavedUndo {
    /// As told, or beside nothing of the same name if the mode destroys something. `archived` is whether `ark undo` can
    /// be given the archive that is restored.
    pub(super) fn told(told: &SaveUndo, mode: Mode, stem: &str, archived: bool) -> Option<Self> {
        let wanted = RestoreMode::from(mode).is_destructive() && !told.no_undo;
        let before = told.undo.clone().or_else(|| wanted.then(|| default_undo(stem)))?;
        let written = (!archived).then(|| before.with_extension("written.ark"));
        Some(Self { before, written })
    }

    pub(super) fn save(&self, restore: Restore) -> Restore {
        self.written.iter().fold(restore.save_undo(&self.before), Restore::save_written)
    }

    pub(super) fn describe(&self) -> Report {
        let report = Report::default().text("undo", self.before.display());
        self.written.iter().fold(report, |report, written| report.text("written_keys", written.display()))
    }
}

fn default_undo(stem: &str) -> PathBuf {
    let digits: String = human::time(human::now()).chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    format!("{stem}.undo-{digits}.ark").into()
}
