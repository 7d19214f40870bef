//! A process that appends and is killed by the tests.
//!
//! `audit-log-child <destination> <name> <threads> <records> [setting=value…]`: each thread appends records whose
//! `caller` is `name-thread-number`, and after each says so on standard output (on standard error when the log goes to
//! standard output): two little-endian words, thread and number. Then it closes the log and ends. With `wait=1` it
//! first waits for the end of its standard input. With `counted=1` its records count deliveries of three secrets, and all
//! have the caller `name-thread`.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tcs_secret_delivery_audit_log::{
    AuditLog, Cache, Counted, Destination, Event, Key, Options, Outcome, Record, Tally,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [destination, name, threads, records, settings @ ..] = arguments.as_slice() else {
        return Err("usage: audit-log-child <destination> <name> <threads> <records> [setting=value…]".into());
    };
    let to_stdout = destination == "stdout";
    let (threads, records) = (threads.parse::<u32>()?, records.parse::<u32>()?);
    let destination = if to_stdout { Destination::Stdout } else { Destination::File(PathBuf::from(destination)) };
    let mut options = Options::new(destination, "test");
    let (mut wait, mut counted) = (false, false);
    for setting in settings {
        let (setting, value) = setting.split_once('=').ok_or("a setting is name=value")?;
        match setting {
            "journal_bytes" => options.journal_bytes = value.parse()?,
            "max_bytes" => options.max_bytes = value.parse()?,
            "checkpoint_records" => options.checkpoint_records = value.parse()?,
            "key" => options.key = Key::new(value.as_bytes()),
            "journals" => options.journals = Some(PathBuf::from(value)),
            "counted" => counted = value == "1",
            "wait" => wait = value == "1",
            _ => return Err(format!("unknown setting {setting}").into()),
        }
    }
    let log = Arc::new(AuditLog::open(options)?);
    let tally = counted.then(Tally::default);
    if wait {
        std::io::stdin().read_to_end(&mut Vec::new())?;
    }
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (log, tally) = (&log, tally.as_ref());
            scope.spawn(move || run((log, tally), name, (thread, records), to_stdout));
        }
    });
    log.close(Duration::from_secs(5))?;
    Ok(())
}

fn run((log, tally): (&Arc<AuditLog>, Option<&Tally>), name: &str, (thread, records): (u32, u32), to_stdout: bool) {
    for number in 0..records {
        // A record stands for several deliveries, all of which have its caller.
        let caller = if tally.is_some() { format!("{name}-{thread}") } else { format!("{name}-{thread}-{number}") };
        // Some records take two places in the journal.
        let version = if number % 7 == 0 { "v".repeat(100) } else { "v1".to_owned() };
        let record = Record {
            cache: Cache::Hit,
            outcome: Outcome::Ok,
            tool: "GITHUB",
            secret: "GITHUB_API_TOKEN",
            source: "memory",
            version: &version,
            caller: &caller,
            ..Record::new(Event::Access)
        };
        let secret = format!("SECRET_{thread}_{}", number % 3);
        let of = "v1".into();
        let counted = tally.map(|tally| tally.secret(&secret));
        let one = counted.as_ref().map(|secret| Counted { secret, version: Some(&of), cache: Cache::Hit });
        let appended = match one {
            // The clock stands still: a record is counted in until it is written.
            Some(one) if one.add(0, true) => Ok(()),
            Some(one) => one.begin(log, 0, || Record { secret: &secret, version: "v1", ..record }),
            None => log.append(&record, Duration::from_secs(30)),
        };
        if appended.is_err() {
            return;
        }
        let told = [thread.to_le_bytes(), number.to_le_bytes()].concat();
        let written =
            if to_stdout { std::io::stderr().write_all(&told) } else { std::io::stdout().lock().write_all(&told) };
        if written.and_then(|()| std::io::stdout().flush()).is_err() {
            return;
        }
    }
}
