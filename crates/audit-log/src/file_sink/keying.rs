//! Which link the records of a log have: with a key, or without one. A log that was begun without a key goes on with one in
//! a new file, as soon as a process opens it that has a key. Nothing goes back.

use super::{FileSink, Session};
use crate::error::{Failure, Notice, Reason, Result};
use crate::files::open_to_read;
use crate::head;
use crate::line::{Line, method_in};
use crate::link::Link;
use crate::walk::{LONGEST, Lines};

/// The code of the first record with a key, and of its notice.
pub const KEY_BEGINS: &str = "KEY_BEGINS";

impl FileSink {
    /// Takes the link that the log has, as the bytes of its state file say, or its first record.
    pub(super) fn take_link(&mut self, state: &[u8]) -> Result<()> {
        if let Some(method) = head::method_of(state) {
            return self.take_method(method);
        }
        let begun = first_method(&self.names.log)?;
        let method = begun.unwrap_or_else(|| self.given.method());
        self.take_method(&method)
    }

    /// Takes the link that the file which is the log now was begun with. The state file may be from before, or invalid.
    pub(super) fn take_link_of_log(&mut self) -> Result<()> {
        first_method(&self.names.log)?.map_or(Ok(()), |method| self.take_method(&method))
    }

    /// Checks that the log has the link that its state file says. Anybody can write a state file without a key.
    pub(super) fn check_link(&self) -> Result<()> {
        let is_settled = self.introduced.0 > 0 && self.writer.link().is_keyed() == self.given.is_keyed();
        if is_settled || self.writer.link().is_keyed() {
            return Ok(());
        }
        match first_method(&self.names.log)? {
            Some(method) if method != self.writer.link().method() => {
                let (log, state) = (self.names.log.display(), self.names.state());
                let why = format!("{log} has a key ({method}), and its state file says that it has none");
                let way = format!("{} was replaced; remove it, and the log goes on with the key", state.display());
                Err(Failure::new(Reason::Foreign, format!("{why}: {way}")))
            }
            _ => Ok(()),
        }
    }

    fn take_method(&mut self, method: &str) -> Result<()> {
        if method == self.given.method() {
            self.use_link(self.given.clone());
            return Ok(());
        }
        let plain = Link::default();
        if self.given.is_keyed() && !self.has_seen_key && method == plain.method() {
            self.use_link(plain);
            return Ok(());
        }
        Err(self.refusal(method))
    }

    fn use_link(&mut self, link: Link) {
        self.has_seen_key |= link.is_keyed();
        if self.writer.link().is_keyed() != link.is_keyed() {
            self.writer.set_link(link);
        }
    }

    /// Why this process does not go on with a log that has links of this method.
    fn refusal(&self, method: &str) -> Failure {
        let log = self.names.log.display();
        let reason = Reason::Foreign;
        if self.given.is_keyed() && method == Link::default().method() {
            let why = "had a key, and was replaced by one without: put the file away together with its state file";
            return Failure::new(reason, format!("{log} {why}"));
        }
        if self.given.is_keyed() {
            let ours = self.given.method();
            let way = "give that key, or put the file away together with its state file";
            return Failure::new(
                reason,
                format!("{log} has another key ({method}) than the given one ({ours}): {way}"),
            );
        }
        let way = "set TCS_AUDIT_KEY or audit.key";
        if self.introduced.0 > 0 {
            // It was opened without a key. What it has in its journal is written by a process with the key.
            let message =
                format!("{log} has a key since another process opened it with one: restart this one, too ({way})");
            return Failure::new(Reason::Locked, message);
        }
        Failure::new(reason, format!("{log} has a key ({method}): {way}"))
    }

    /// Whether the log is to go on with the given key.
    fn is_due_for_key(&self) -> bool {
        self.begins_key && self.given.is_keyed() && !self.writer.link().is_keyed()
    }
}

impl Session<'_> {
    /// Goes on with the given key, in a new file, if the log has none.
    pub(super) fn begin_key(&mut self) -> Result<()> {
        if !self.sink.is_due_for_key() {
            return Ok(());
        }
        // The files beside it show that it had a key before, unless they were removed as well.
        if let Some(older) = self.sink.names.list_rotated()?.last()
            && let Some(method) = first_method(older)?.filter(|method| *method != Link::default().method())
        {
            let (log, older) = (self.sink.names.log.display(), older.display());
            let why = format!("{log} has no key, although the older file {older} has one ({method}): it was replaced");
            let way = "put both away together with the state file";
            return Err(Failure::new(Reason::Foreign, format!("{why}; {way}")));
        }
        let (now, given) = ((self.sink.clock)(), self.sink.given.clone());
        self.rotate(now, Some(given))?;
        let message = format!(
            "{} has a key from record {} on; anybody who could write the file may have changed those before. If it had a \
             key already, it was replaced",
            self.sink.names.log.display(),
            self.head.chain.seq
        );
        self.sink.notices.push(Notice::Changed { code: KEY_BEGINS, message });
        Ok(())
    }
}

/// The method that the first record of a file names; `None` if there is no such file, or no such record in it.
fn first_method(path: &std::path::Path) -> Result<Option<String>> {
    let Some(file) = open_to_read(path)? else { return Ok(None) };
    let failed = |error: std::io::Error| Failure::io("read", path, &error);
    let mut lines = Lines::up_to(&file, 0, LONGEST as u64).map_err(failed)?;
    let line = lines.next().map_err(failed)?;
    let line = line.and_then(|bytes| Line::parse(bytes.strip_suffix(b"\n")?)).filter(|line| line.event == b"begin");
    Ok(line.and_then(|line| method_in(line.detail)).map(str::to_owned))
}
