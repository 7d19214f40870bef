//! What an append costs on the calling thread, how fast the log follows, and how fast it is verified.
//!
//! `cargo run --release -p tcs-secret-delivery-audit-log --example append_cost`

use std::io::Write as _;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tcs_secret_delivery_audit_log::{
    AppendError, AuditLog, Cache, Destination, Event, Options, Outcome, Record, VerifyOptions, verify,
};

const RECORD: Record<'static> = Record {
    event: Event::Access,
    cache: Cache::Hit,
    outcome: Outcome::Ok,
    latency_us: 1,
    count: 1,
    environment: "",
    tool: "GITHUB",
    secret: "GITHUB_API_TOKEN",
    source: "memory",
    code: "",
    version: "7f3a1c52-9d0e-4b8a-a6c4-0d9f5e2b1c77",
    caller: "",
    request: "",
};

/// Bursts that fit into the journal, so that the cost of the call is measured and not the speed of the disk.
const BURST: u32 = 20_000;
const BURSTS: u32 = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("audit.jsonl");
    let mut options = Options::new(Destination::File(path.clone()), "production");
    options.journal_bytes = 16 << 20;
    let mut out = std::io::stdout().lock();
    let start = now();
    let first = AuditLog::open(Options::new(Destination::File(path.clone()), "production"))?;
    writeln!(out, "opened in {:.1} ms", now().duration_since(start).as_secs_f64() * 1e3)?;
    let start = now();
    first.close(Duration::from_secs(5))?;
    writeln!(out, "closed in {:.1} ms", now().duration_since(start).as_secs_f64() * 1e3)?;
    let log = AuditLog::open(options)?;
    log.flush()?;
    for threads in [1, 4] {
        let mut costs: Vec<f64> = Vec::new();
        for _ in 0..BURSTS {
            let burst = BURST / threads;
            let spent: Vec<Duration> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| append(&log, burst))).collect();
                threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
            });
            costs.extend(spent.iter().map(|spent| spent.as_secs_f64() * 1e9 / f64::from(burst)));
            log.flush()?;
        }
        costs.sort_by(f64::total_cmp);
        let (low, middle, high) = (costs[0], costs[costs.len() / 2], costs[costs.len() * 9 / 10]);
        writeln!(out, "append, {threads} thread(s): {middle:.0} ns (best {low:.0}, 90 % below {high:.0})")?;
    }
    let (count, start) = (2_000_000, now());
    for _ in 0..count {
        while let Err(AppendError::Full) = log.try_append(&RECORD) {
            std::thread::yield_now();
        }
    }
    log.flush()?;
    let each = now().duration_since(start).as_secs_f64() * 1e9 / f64::from(count);
    writeln!(out, "appended and in the file: {each:.0} ns a record, sustained")?;
    log.close(Duration::from_secs(5))?;
    let start = now();
    let found = verify(&path, &VerifyOptions::default(), &mut |_| ControlFlow::Continue(()))?;
    let seconds = now().duration_since(start).as_secs_f64();
    let megabytes = f64::from(u32::try_from(found.bytes / 1000)?) / 1000.0;
    let bytes = found.bytes / found.counts.records;
    writeln!(
        out,
        "verified {} records of {bytes} bytes in {} files, {:.0} MB/s, fault: {:?}",
        found.counts.records,
        found.files,
        megabytes / seconds,
        found.fault
    )?;
    Ok(())
}

fn append(log: &AuditLog, count: u32) -> Duration {
    let start = now();
    for _ in 0..count {
        while log.try_append(&RECORD).is_err() {
            std::thread::yield_now();
        }
    }
    now().duration_since(start)
}

#[expect(clippy::disallowed_methods, reason = "CLOCK: a measurement needs real time")]
fn now() -> Instant {
    Instant::now()
}
