//! How fast a large log is verified, and in how much memory.
//!
//! ```sh
//! cargo build --release -p tcs-secret-delivery-audit-log --example verify_cost
//! target/release/examples/verify_cost write FILE GIGABYTES
//! /usr/bin/time -v target/release/examples/verify_cost verify FILE
//! ```

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use tcs_secret_delivery_audit_log::{
    AppendError, AuditLog, Cache, Destination, Event, Options, Outcome, Record, VerifyOptions, verify,
};

const RECORD: Record<'static> = Record {
    cache: Cache::Hit,
    outcome: Outcome::Ok,
    latency_us: 1,
    tool: "GITHUB",
    secret: "GITHUB_API_TOKEN",
    source: "memory",
    version: "7f3a1c52-9d0e-4b8a-a6c4-0d9f5e2b1c77",
    ..Record::new(Event::Access)
};
/// Between two looks at the length of the log.
const RECORDS: u32 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["write", file, gigabytes] => write(Path::new(file), gigabytes.parse()?),
        ["verify", file] => check(Path::new(file)),
        _ => Err("usage: verify_cost write FILE GIGABYTES | verify FILE".into()),
    }
}

fn write(path: &Path, gigabytes: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::new(Destination::File(path.to_owned()), "production");
    options.journal_bytes = 16 << 20;
    options.max_bytes = u64::MAX;
    let log = AuditLog::open(options)?;
    while std::fs::metadata(path)?.len() < gigabytes * 1_000_000_000 {
        for _ in 0..RECORDS {
            while let Err(AppendError::Full) = log.try_append(&RECORD) {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }
    log.close(Duration::from_mins(1))?;
    Ok(())
}

fn check(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let start = now();
    let found = verify(path, &VerifyOptions::default(), &mut |_| ControlFlow::Continue(()))?;
    let seconds = now().duration_since(start).as_secs_f64();
    let (bytes, records, fault) = (found.bytes, found.counts.records, found.fault);
    writeln!(std::io::stdout(), "{bytes} bytes, {records} records in {seconds:.1} s, fault: {fault:?}")?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "CLOCK: a measurement needs real time")]
fn now() -> Instant {
    Instant::now()
}
