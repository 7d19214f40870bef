//! Formats a record as a line of JSON, and parses such lines.

use std::sync::{Arc, OnceLock};

use crate::link::{Hash, Unlinked};
use crate::record::{Event, Outcome, Record};
use crate::time::TimeText;

/// The writer: the fields that are the same in every line of an instance.
#[derive(Clone, Debug)]
pub struct Identity {
    /// 16 hexadecimal digits, random.
    pub instance: String,
    /// The process id.
    pub pid: u32,
    /// The environment of records that do not name one.
    pub environment: String,
    /// Who the instance is, as the detail of its first record: `host=… user=… program=…`.
    pub actor: String,
    /// The AWS account, once it is known. All clones share it.
    pub account: Arc<OnceLock<String>>,
    before_environment: Vec<u8>,
}

impl Identity {
    /// Prepares the fixed part of the lines.
    pub fn new(instance: String, pid: u32, environment: String) -> Self {
        let before_environment = format!("Z\",\"instance\":\"{instance}\",\"pid\":{pid}").into_bytes();
        let (actor, account) = (String::new(), Arc::default());
        Self { instance, pid, environment, actor, account, before_environment }
    }

    /// The same writer, with the text that says who it is.
    #[must_use]
    pub fn acting(self, actor: String) -> Self {
        Self { actor, ..self }
    }

    /// Who the writer is, with its AWS account, where that is known.
    pub fn says(&self) -> String {
        let account = self.account.get().map(|account| format!("account={account}"));
        let parts = [Some(self.actor.as_str()), account.as_deref()];
        parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// A line without its number, time, latency and link, ready to be copied.
#[derive(Clone, Debug, Default)]
pub struct Form {
    text: Vec<u8>,
    /// The offset of the latency; the log's own records have none.
    latency: Option<usize>,
    /// The outcome, for the counts.
    pub outcome: Outcome,
}

impl Form {
    /// The form of `record`. Its latency is not part of the form.
    pub fn new(who: &Identity, record: &Record<'_>, detail: &str) -> Self {
        let mut form = Self::default();
        form.fill(who, record, detail);
        form
    }

    /// Replaces this form, like [`Form::new`], and reuses its memory.
    pub fn fill(&mut self, who: &Identity, record: &Record<'_>, detail: &str) {
        let text = &mut self.text;
        text.clear();
        text.extend_from_slice(&who.before_environment);
        let environment = if record.environment.is_empty() { &who.environment } else { record.environment };
        field(text, b",\"environment\":\"", environment);
        field(text, b",\"event\":\"", record.event.as_str());
        field(text, b",\"tool\":\"", record.tool);
        field(text, b",\"secret\":\"", record.secret);
        field(text, b",\"source\":\"", record.source);
        field(text, b",\"cache\":\"", record.cache.as_str());
        field(text, b",\"outcome\":\"", record.outcome.as_str());
        field(text, b",\"code\":\"", record.code);
        field(text, b",\"version\":\"", record.version);
        self.latency = (!is_own(record.event)).then(|| {
            text.extend_from_slice(b",\"latency_us\":");
            text.len()
        });
        field(text, b",\"caller\":\"", record.caller);
        field(text, b",\"request\":\"", record.request);
        field(text, b",\"detail\":\"", detail);
        text.extend_from_slice(PREV);
        self.outcome = record.outcome;
    }
}

/// The fields that differ between two records of one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Varying {
    /// The time in µs since 1970.
    pub time_us: u64,
    /// The latency in µs.
    pub latency_us: u32,
    /// How many deliveries the record stands for.
    pub count: u32,
    /// How many µs after the first delivery the last one was.
    pub last_after_us: u32,
}

impl Varying {
    /// Those of a record that stands for one delivery.
    pub fn one(time_us: u64, latency_us: u32) -> Self {
        Self { time_us, latency_us, count: 1, last_after_us: 0 }
    }
}

/// Appends a line without its newline and without its link. The order of the fields is part of the format.
pub fn write_line(out: &mut Vec<u8>, times: &mut TimeText, seq: u64, varying: Varying, form: &Form) -> Unlinked {
    let Varying { time_us, latency_us, count, last_after_us } = varying;
    let start = out.len();
    let mut numbers = itoa::Buffer::new();
    out.extend_from_slice(b"{\"seq\":");
    out.extend_from_slice(numbers.format(seq).as_bytes());
    out.extend_from_slice(b",\"time\":\"");
    out.extend_from_slice(&times.of(time_us)[..26]);
    let (before, after) = form.text.split_at(form.latency.unwrap_or(0));
    if !before.is_empty() {
        out.extend_from_slice(before);
        out.extend_from_slice(numbers.format(latency_us).as_bytes());
        if count != 1 {
            out.extend_from_slice(b",\"count\":");
            out.extend_from_slice(numbers.format(count).as_bytes());
        }
        if last_after_us > 0 {
            out.extend_from_slice(b",\"last\":\"");
            out.extend_from_slice(&times.of(time_us + u64::from(last_after_us))[..26]);
            out.extend_from_slice(b"Z\"");
        }
    }
    out.extend_from_slice(after);
    let link = out.len();
    out.extend_from_slice(&[b'0'; 64]);
    out.extend_from_slice(END);
    Unlinked { start, link, end: out.len() }
}

const PREV: &[u8] = b",\"prev\":\"";
const END: &[u8] = b"\"}";

/// Whether only the log itself writes this event.
pub fn is_own(event: Event) -> bool {
    event as u8 >= Event::Begin as u8 && !matches!(event, Event::Inspect | Event::Write)
}

fn field(out: &mut Vec<u8>, name: &[u8], text: &str) {
    if text.is_empty() {
        return;
    }
    out.extend_from_slice(name);
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.extend_from_slice(text.as_bytes());
    } else {
        escape(out, text);
    }
    out.push(b'"');
}

#[cold]
fn escape(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(byte >> 4)]);
                out.push(DIGITS[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
}

/// The fields of a line that the chain and the counts need.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its number in the chain.
    pub seq: u64,
    /// The instance that wrote it.
    pub instance: &'a [u8],
    /// The field `event`.
    pub event: &'a [u8],
    /// The field `outcome`; empty if it is missing.
    pub outcome: &'a [u8],
    /// The field `detail`, still escaped; empty if it is missing.
    pub detail: &'a [u8],
    /// How many deliveries the record stands for: the field `count`, 1 if it is missing.
    pub count: u64,
    /// The link to the record before.
    pub prev: Hash,
}

impl<'a> Line<'a> {
    /// Parses a line without its newline; `None` if it is not exactly as the log writes lines.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let body = line.strip_prefix(b"{\"seq\":")?.strip_suffix(END)?;
        let (body, prev) = body.split_at_checked(body.len().checked_sub(64)?)?;
        let prev = crate::link::parse_hex(prev)?;
        let body = body.strip_suffix(PREV)?;
        let (seq, mut rest) = number(body)?;
        let mut parsed = Self { seq, instance: b"", event: b"", outcome: b"", detail: b"", count: 1, prev };
        while !rest.is_empty() {
            let (name, after) = text(rest.strip_prefix(b",\"")?)?;
            let after = after.strip_prefix(b":")?;
            let (value, after) = if let Some(after) = after.strip_prefix(b"\"") {
                text(after)?
            } else {
                let (value, after) = number(after)?;
                if name == b"count" {
                    parsed.count = value;
                }
                (&b""[..], after)
            };
            match name {
                b"instance" => parsed.instance = value,
                b"event" => parsed.event = value,
                b"outcome" => parsed.outcome = value,
                b"detail" => parsed.detail = value,
                _ => {}
            }
            rest = after;
        }
        (!parsed.instance.is_empty() && !parsed.event.is_empty()).then_some(parsed)
    }

    /// Whether the log itself wrote it.
    pub fn is_own(&self) -> bool {
        matches!(
            self.event,
            b"begin"
                | b"end"
                | b"open"
                | b"close"
                | b"checkpoint"
                | b"recover"
                | b"tamper"
                | b"session"
                | b"missed"
                | b"expire"
        )
    }
}

/// The number at the beginning of `text`, and the rest.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 19 {
        return None;
    }
    let value = text[..digits].iter().fold(0_u64, |value, digit| value.wrapping_mul(10) + u64::from(digit - b'0'));
    Some((value, &text[digits..]))
}

/// The text up to the closing quote, and the rest.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &bytes[at..])?;
        if bytes[at] == b'"' {
            return Some((&bytes[..at], &bytes[at + 1..]));
        }
        at = at.checked_add(2).filter(|at| *at <= bytes.len())?;
    }
}

/// The number after `name=` in a detail.
pub fn detail_number(detail: &[u8], name: &str) -> Option<u64> {
    let detail = std::str::from_utf8(detail).ok()?;
    detail.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// The method of the links of a file, as the `detail` of its first record says.
pub fn method_in(detail: &[u8]) -> Option<&str> {
    std::str::from_utf8(detail).ok()?.split(' ').find_map(|pair| pair.strip_prefix("chain="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Cache;

    fn line(record: &Record<'_>, detail: &str) -> String {
        let who = Identity::new("0123456789abcdef".into(), 77, "production".into());
        let mut out = Vec::new();
        let form = Form::new(&who, record, detail);
        let varying = Varying { count: record.count, ..Varying::one(1_767_225_600_000_001, record.latency_us) };
        write_line(&mut out, &mut TimeText::default(), 12, varying, &form);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_fields_and_their_order_are_the_documented_ones() {
        let record = Record {
            event: Event::Access,
            cache: Cache::Hit,
            outcome: Outcome::Ok,
            latency_us: 3,
            count: 1,
            environment: "",
            tool: "GITHUB",
            secret: "GITHUB_API_TOKEN",
            source: "memory",
            code: "X",
            version: "v1",
            caller: "job",
            request: "",
        };
        assert_eq!(
            line(&record, ""),
            format!(
                "{{\"seq\":12,\"time\":\"2026-01-01T00:00:00.000001Z\",\"instance\":\"0123456789abcdef\",\"pid\":77,\
                 \"environment\":\"production\",\"event\":\"access\",\"tool\":\"GITHUB\",\"secret\":\"GITHUB_API_TOKEN\",\
                 \"source\":\"memory\",\"cache\":\"hit\",\"outcome\":\"ok\",\"code\":\"X\",\"version\":\"v1\",\
                 \"latency_us\":3,\"caller\":\"job\",\"prev\":\"{}\"}}",
                "0".repeat(64)
            )
        );
        assert!(!line(&Record::new(Event::Begin), "").contains("latency"));
    }

    #[test]
    fn hostile_texts_stay_inside_their_field() {
        let record = Record { caller: "a\"b\\c\nd\u{1f}é\",\"event\":\"close", ..Record::new(Event::Access) };
        let line = line(&record, "chain=x");
        assert!(!line.contains('\n'));
        assert!(line.contains("a\\\"b\\\\c\\u000ad\\u001fé\\\",\\\"event\\\":\\\"close"));
        let parsed = Line::parse(line.as_bytes()).expect("a line");
        assert_eq!((parsed.seq, parsed.event, parsed.detail), (12, &b"access"[..], &b"chain=x"[..]));
        assert_eq!(parsed.instance, b"0123456789abcdef");
    }

    #[test]
    fn anything_cut_off_or_put_in_is_no_line() {
        let line = line(&Record { outcome: Outcome::Denied, ..Record::new(Event::Access) }, "n=5 m=7");
        let parsed = Line::parse(line.as_bytes()).expect("a line");
        assert_eq!((parsed.outcome, detail_number(parsed.detail, "m")), (&b"denied"[..], Some(7)));
        for end in 0..line.len() {
            assert!(Line::parse(&line.as_bytes()[..end]).is_none());
        }
        assert!(Line::parse(format!("{line} ").as_bytes()).is_none());
        assert!(Line::parse(line.replace(",\"event", ", \"event").as_bytes()).is_none());
    }
}
