//! Deletes rotated files that were kept long enough, and says so in the log.

use std::time::Duration;

use super::Session;
use crate::error::{Failure, Notice, Result};
use crate::record::Event;
use crate::time::{file_stamp, now, since};

/// How often old files are looked for.
const EVERY: Duration = Duration::from_hours(1);
/// The code of the notice when a file cannot be deleted. The log goes on, and tries again an hour later.
const NOT_DELETED: &str = "OLD_FILE_KEPT";

impl Session<'_> {
    /// Deletes the rotated files that ended more than `Limits::keep` ago. The record of a deletion is on the disk before
    /// the file goes. After a kill in between, the next session repeats both.
    pub(super) fn expire(&mut self, now_us: u64) -> Result<()> {
        let keep = self.sink.limits.keep;
        // With a clock that is wrong by months everything would be old.
        if keep == Duration::MAX || !(self.sink.limits.may_delete)() {
            return Ok(());
        }
        if self.sink.last_expiry.is_some_and(|last| since(last) < EVERY) {
            return Ok(());
        }
        self.sink.last_expiry = Some(now());
        let keep_us = u64::try_from(keep.as_micros()).unwrap_or(u64::MAX);
        let oldest = file_stamp(now_us.saturating_sub(keep_us));
        // What cannot be deleted must not stop the log.
        let ended = self.sink.names.list_ended().unwrap_or_else(|failure| {
            self.sink.notices.push(Notice::Changed { code: NOT_DELETED, message: failure.message });
            Vec::new()
        });
        for (path, _, number) in ended.into_iter().filter(|(_, stamp, _)| *stamp < oldest) {
            if !std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
                continue;
            }
            self.own(Event::Expire, "", &format!("number={number}"))?;
            self.sink.sync_now(&mut self.head)?;
            self.sink.write_state(&self.head)?;
            if let Err(error) = std::fs::remove_file(&path) {
                let message = Failure::io("delete the old file", &path, &error).message;
                self.sink.notices.push(Notice::Changed { code: NOT_DELETED, message });
                break;
            }
        }
        Ok(())
    }
}
