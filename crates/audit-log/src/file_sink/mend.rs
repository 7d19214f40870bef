//! Repairs a log that differs from its state file: after a process died in the middle of a write, after a power cut, or
//! after another program changed it.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use super::FileSink;
use super::keying::KEY_BEGINS;
use crate::boot;
use crate::chain::{Chain, Counts, keyed_from};
use crate::error::{Failure, Notice, Reason, Result};
use crate::files::{Create, FileId, open, present, set_size, sync_directory};
use crate::head::{Head, LENGTH, ParsedHead};
use crate::line::Line;
use crate::record::Event;
use crate::walk::{self, Walked};

impl FileSink {
    /// Reads the end of the chain from the state file, and repairs what differs.
    pub(super) fn find_head(&mut self) -> Result<Head> {
        let path = self.names.state();
        let mut bytes = Vec::with_capacity(LENGTH);
        let file = self.state_file()?;
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.take(LENGTH as u64 + 1).read_to_end(&mut bytes))
            .map_err(|error| Failure::io("read", &path, &error))?;
        self.take_link(&bytes)?;
        let found = Head::parse(&bytes, self.writer.link());
        if matches!(found, ParsedHead::Invalid) {
            self.take_link_of_log()?;
        }
        self.known = bytes;
        let present = present(&self.names.log)?;
        let known = match found {
            ParsedHead::Nothing => self.known_head(present, "STATE_MISSING")?,
            ParsedHead::Invalid => self.known_head(present, "STATE_INVALID")?,
            ParsedHead::Head(_) | ParsedHead::OtherKey(_) => None,
        };
        if let Some(head) = known {
            return Ok(head);
        }
        match (found, present) {
            (ParsedHead::OtherKey(method), _) => Err(Failure::other_key(&method)),
            (ParsedHead::Head(head), present) => self.reconcile(*head, present),
            // The file is empty: a process died before it wrote the first record.
            (ParsedHead::Nothing, None | Some((_, 0))) => self.begin(1, Chain::default(), ""),
            (ParsedHead::Invalid, None | Some((_, 0))) => self.begin(1, Chain::default(), "STATE_INVALID"),
            (ParsedHead::Nothing, Some(_)) => self.rebuild(None, "STATE_MISSING"),
            (ParsedHead::Invalid, Some(_)) => self.rebuild(None, "STATE_INVALID"),
        }
    }

    /// The head from what this process left last, in place of a state file that is of no use, if the log is gone or still
    /// the same file: removing or cutting the log together with its state file is noticed then.
    fn known_head(&mut self, present: Option<(FileId, u64)>, code: &'static str) -> Result<Option<Head>> {
        let is_known = |head: &&Head| present.is_none_or(|(id, size)| size == 0 || id == head.file);
        let Some(last) = self.last.as_ref().filter(is_known).cloned() else { return Ok(None) };
        let mut head = self.reconcile(last, present)?;
        if present.is_none_or(|(_, size)| size == 0) {
            return Ok(Some(head));
        }
        let message =
            format!("the state file of {} was missing or invalid; it was made anew", self.names.log.display());
        self.notices.push(Notice::Changed { code, message });
        self.cut(&mut head, 0, code)?;
        Ok(Some(head))
    }

    /// Compares the state file with the log.
    fn reconcile(&mut self, mut head: Head, present: Option<(FileId, u64)>) -> Result<Head> {
        if let Some((id, size)) = self.synced.take()
            && id == head.file
        {
            head.synced = head.synced.max(size.min(head.size));
        }
        match present {
            Some((id, size)) if id == head.file => {
                self.check_link()?;
                head.rotating.clear();
                self.reopen(id)?;
                // After a power cut the disk may hold less than the state file says.
                if !boot::is_same(head.boot, self.boot) && (size < head.size || !self.ends_with(&head)?) {
                    return self.rebuild(Some(head), "POWER_CUT");
                }
                head.boot = self.boot;
                match size.cmp(&head.size) {
                    std::cmp::Ordering::Equal => Ok(head),
                    std::cmp::Ordering::Greater => self.adopt(head, size),
                    std::cmp::Ordering::Less => self.resist(head, size, "LOG_TRUNCATED"),
                }
            }
            None | Some((_, 0)) => self.begin_next(&head),
            Some((id, size)) => {
                self.reopen(id)?;
                if size == head.size && self.ends_with(&head)? {
                    // The file was copied or restored, with the same content.
                    return Ok(Head { file: id, synced: 0, ..head });
                }
                // A process died while it began this file.
                self.take_link_of_log()?;
                let next = self.new_head(head.number + 1, id, head.chain);
                let walked = self.walk(0, Some(next.chain))?;
                if walked.good > 0 {
                    return self.adopt(next, size);
                }
                if walked.unborn {
                    self.set_size(0)?;
                    return self.begin_next(&head);
                }
                self.resist(Head { file: id, synced: 0, ..head }, size, "LOG_REPLACED")
            }
        }
    }

    /// Whether the line that ends at the noted size is the noted one.
    fn ends_with(&self, head: &Head) -> Result<bool> {
        let last = walk::last_line(self.log_file()?, head.size);
        let last = last.map_err(|error| Failure::io("read", &self.names.log, &error))?;
        Ok(last.is_some_and(|line| self.writer.link().of(&line) == head.chain.last))
    }

    /// Handles a log that is longer than its state says: a process died after it wrote lines and before it noted them,
    /// or another program wrote into the log.
    fn adopt(&mut self, mut head: Head, size: u64) -> Result<Head> {
        let from = head.size;
        let Walked { chain, good, torn, .. } = self.walk(from, Some(head.chain))?;
        (head.chain, head.size) = (chain, good);
        if good == size {
            return Ok(head);
        }
        if good + torn == size {
            self.cut(&mut head, torn, "TORN_LINE")?;
            return Ok(head);
        }
        self.resist(head, size, "FOREIGN_BYTES")
    }

    /// Makes a new head from the log. `before` is the old state, if it could be read.
    fn rebuild(&mut self, before: Option<Head>, code: &'static str) -> Result<Head> {
        let (id, size) = present(&self.names.log)?.ok_or_else(|| {
            Failure::new(Reason::Missing, format!("{} went away while it was read", self.names.log.display()))
        })?;
        self.reopen(id)?;
        let Walked { chain, good, torn, number, unborn } = self.walk(0, None)?;
        if unborn && before.is_none() {
            self.set_size(0)?;
            return self.begin(1, Chain::default(), "");
        }
        if chain.seq == 0 && before.is_none() {
            let message = format!("{} is not an audit log; choose another path", self.names.log.display());
            return Err(Failure::new(Reason::Foreign, message));
        }
        if let Some(before) = before {
            if good < before.synced || (good + torn < size && good < before.size) {
                return self.resist(before, size, "LOG_CHANGED");
            }
            let lost = before.chain.seq.saturating_sub(chain.seq);
            let mut head = Head { size: good, synced: good, chain, boot: self.boot, ..before };
            self.cut(&mut head, size - good, code)?;
            if lost > 0 {
                let message = format!("a power cut took the last {lost} records of {}", self.names.log.display());
                self.notices.push(Notice::Changed { code, message });
            }
            return Ok(head);
        }
        let mut head = Head { size: good, chain, ..self.new_head(number.unwrap_or(1), id, chain) };
        if good + torn < size {
            let last = walk::last_line(self.log_file()?, size);
            let last = last.map_err(|error| Failure::io("read", &self.names.log, &error))?;
            if let Some((bytes, line)) = last.as_ref().and_then(|bytes| Some((bytes, Line::parse(bytes)?))) {
                head.chain.take(self.writer.link(), bytes, &line);
            }
            return self.resist(head, size, "LOG_CHANGED");
        }
        let message =
            format!("the state file of {} was missing or invalid; it was made anew", self.names.log.display());
        self.notices.push(Notice::Changed { code, message });
        self.cut(&mut head, torn, code)?;
        Ok(head)
    }

    /// Cuts an incomplete line off the end, and writes a record about it.
    fn cut(&mut self, head: &mut Head, torn: u64, code: &'static str) -> Result<()> {
        if torn > 0 {
            self.set_size(head.size)?;
        }
        self.own(head, Event::Recover, code, &format!("cut={torn}"))
    }

    /// Continues the chain as it was noted, so that missing or foreign lines stay visible to every later verification.
    fn resist(&mut self, mut head: Head, size: u64, code: &'static str) -> Result<Head> {
        let (expected, mut last) = (head.size, [0]);
        head.size = size;
        head.boot = self.boot;
        if size > 0 {
            let mut file = self.log_file()?;
            file.seek(SeekFrom::Start(size - 1))
                .and_then(|_| file.read_exact(&mut last))
                .map_err(|error| Failure::io("read", &self.names.log, &error))?;
            if last != *b"\n" {
                self.append(&mut head, b"\n")?;
            }
        }
        self.own(&mut head, Event::Tamper, code, &format!("expected={expected} found={size}"))?;
        head.synced = 0;
        let message = format!(
            "{} was changed by someone else: {size} bytes where {expected} were left",
            self.names.log.display()
        );
        self.notices.push(Notice::Changed { code, message });
        Ok(head)
    }

    /// Begins a file. `code` is the reason, if the file does not follow from a rotation.
    pub(super) fn begin(&mut self, number: u64, chain: Chain, code: &'static str) -> Result<Head> {
        // An empty file is left by a process that died here, or by a tool that moves logs.
        let file = open(&self.names.log, Create::Missing, true)?;
        let looked = file.metadata().and_then(|metadata| Ok((FileId::of(&file)?, metadata.len())));
        let (id, size) = looked.map_err(|error| Failure::io("look at", &self.names.log, &error))?;
        if size > 0 {
            // The file was created since the check above; the next session handles it.
            let message = format!("{} changed while it was opened", self.names.log.display());
            return Err(Failure::new(Reason::Io, message));
        }
        self.log = Some((Arc::new(file), id));
        let mut head = self.new_head(number, id, chain);
        let mut detail = format!("file={number} chain={}", self.writer.link().method());
        if code == KEY_BEGINS {
            detail = keyed_from(self.writer.link(), &chain, &detail);
        }
        self.own(&mut head, Event::Begin, code, &detail)?;
        self.write_state(&head)?;
        self.sync_now(&mut head)?;
        sync_directory(&self.names.log)
            .map_err(|error| Failure::io("sync the directory of", &self.names.log, &error))?;
        if !matches!(code, "" | KEY_BEGINS) {
            let message = format!("{} was missing and begun anew", self.names.log.display());
            self.notices.push(Notice::Changed { code, message });
        }
        Ok(head)
    }

    /// Begins the file after that of `head`, which no longer exists.
    fn begin_next(&mut self, head: &Head) -> Result<Head> {
        let rotated = self.names.log.with_file_name(&head.rotating);
        let done = !head.rotating.is_empty() && present(&rotated)?.is_some_and(|(id, _)| id == head.file);
        self.begin(head.number + 1, head.chain, if done { "" } else { "LOG_MISSING" })
    }

    /// The head of an empty file that continues `chain`.
    fn new_head(&self, number: u64, file: FileId, chain: Chain) -> Head {
        Head {
            number,
            file,
            size: 0,
            synced: 0,
            began_us: (self.clock)(),
            chain: Chain { counts: Counts::default(), ..chain },
            counted: chain.seq,
            boot: self.boot,
            rotating: String::new(),
        }
    }

    fn walk(&self, offset: u64, chain: Option<Chain>) -> Result<Walked> {
        let walked = walk::walk(self.log_file()?, self.writer.link(), offset, chain);
        walked.map_err(|error| Failure::io("read", &self.names.log, &error))
    }

    fn set_size(&self, size: u64) -> Result<()> {
        set_size(self.log_file()?, &self.names.log, size).map_err(|error| Failure::io("mend", &self.names.log, &error))
    }
}
