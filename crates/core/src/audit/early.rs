//! Records that are made before the log is open, where nothing waits for it (`onFailure: 'warn'`).

use audit_log::{AuditLog, Cache, Event, Outcome, Record};

/// More records than this are only counted.
const MOST: usize = 10_000;

/// The records, in the order in which they were made.
#[derive(Default)]
pub(super) struct Early {
    kept: Vec<Kept>,
    /// Deliveries that had no place here.
    missed: u64,
}

struct Kept {
    event: Event,
    cache: Cache,
    outcome: Outcome,
    latency_us: u32,
    count: u32,
    texts: [String; 8],
}

impl Early {
    /// Keeps a copy of `record`.
    pub(super) fn keep(&mut self, record: &Record<'_>) {
        if self.kept.len() >= MOST {
            self.missed += u64::from(record.count);
            return;
        }
        let Record { event, cache, outcome, latency_us, count, .. } = *record;
        let Record { environment, tool, secret, source, code, version, caller, request, .. } = *record;
        let texts = [environment, tool, secret, source, code, version, caller, request].map(str::to_owned);
        self.kept.push(Kept { event, cache, outcome, latency_us, count, texts });
    }

    /// How many deliveries and other events are kept or counted.
    pub(super) fn len(&self) -> u64 {
        self.kept.len() as u64 + self.missed
    }

    /// Moves everything into a log that is open now.
    pub(super) fn move_to(&mut self, log: &AuditLog) {
        for Kept { event, cache, outcome, latency_us, count, texts } in self.kept.drain(..) {
            let [environment, tool, secret, source, code, version, caller, request] = &texts;
            let record = Record {
                event,
                cache,
                outcome,
                latency_us,
                count,
                environment,
                tool,
                secret,
                source,
                code,
                version,
                caller,
                request,
            };
            if log.try_append(&record).is_err() {
                self.missed += u64::from(count);
            }
        }
        if self.missed > 0 {
            log.miss(std::mem::take(&mut self.missed));
        }
    }
}
