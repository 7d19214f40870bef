//! Internal activity for the service's logger: the `tracing` events of this package's crates become notices. Those of
//! libraries do not, because their content is unknown.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use secret::notice::{LogLevel, Notice, Notices};

/// The beginning of the targets of this package's events: the name of the addon's crate, with which those of all others begin.
const OWN: &str = "tcs_secret_delivery";

/// Whether a target is a module of one of this package's crates, such as `tcs_secret_delivery_aws::call`.
fn is_own(target: &str) -> bool {
    target.strip_prefix(OWN).is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', ':']))
}

/// A dispatcher that sends events up to `level` to `notices`.
pub fn dispatch(level: LevelFilter, notices: Arc<dyn Notices>) -> Dispatch {
    if level == LevelFilter::OFF {
        return Dispatch::none();
    }
    Dispatch::new(Log { level, notices, last_span: AtomicU64::new(1) })
}

struct Log {
    level: LevelFilter,
    notices: Arc<dyn Notices>,
    last_span: AtomicU64,
}

impl Log {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && is_own(metadata.target())
    }
}

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.last_span.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = match *event.metadata().level() {
            Level::ERROR | Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG | Level::TRACE => LogLevel::Debug,
        };
        self.notices.notice(Notice::Log { level, message: line.message + &line.fields });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Collects the message, followed by the other fields as ` name=value`.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.push_str(&[" ", name, "=", &format!("{value:?}")].concat()),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Notices for Heard {
        fn notice(&self, notice: Notice) {
            if let Notice::Log { level, message } = notice {
                self.0.lock().push(format!("{} {message}", level.as_str()));
            }
        }
    }

    #[test]
    fn events_of_our_crates_become_lines_and_those_of_others_do_not() {
        let heard = Arc::new(Heard::default());
        let log = dispatch(LevelFilter::DEBUG, heard.clone());
        tracing::dispatcher::with_default(&log, || {
            tracing::debug!(code = "X", attempt = 2, "it failed");
            tracing::warn!("look");
            tracing::info!(target: "tcs_secret_delivery_aws::call", "another crate");
            tracing::warn!(target: "aws_sdk", "not ours");
        });
        tracing::warn!("outside");
        assert_eq!(*heard.0.lock(), ["debug it failed code=X attempt=2", "warn look", "info another crate"]);
    }

    #[test]
    fn events_of_each_crate_of_the_package_become_lines() {
        let heard = Arc::new(Heard::default());
        let log = dispatch(LevelFilter::DEBUG, heard.clone());
        tracing::dispatcher::with_default(&log, || {
            tracing::debug!(target: "tcs_secret_delivery", "addon");
            tracing::debug!(target: "tcs_secret_delivery_aws::call", "aws");
            tracing::debug!(target: "tcs_secret_delivery_audit_log", "audit log");
            tracing::debug!(target: "tcs_secret_deliverer", "not ours");
            tracing::debug!(target: "aws_config::tcs_secret_delivery", "not ours");
        });
        assert_eq!(*heard.0.lock(), ["debug addon", "debug aws", "debug audit log"]);
    }

    #[test]
    fn the_name_of_each_crate_begins_as_that_of_the_package() {
        // The path of a type begins with the name of its crate, as the targets of its events do.
        for path in [
            std::any::type_name::<Log>(),
            std::any::type_name::<audit_log::AuditLog>(),
            std::any::type_name::<aws::settings::AwsSettings>(),
            std::any::type_name::<cache::settings::CacheSettings>(),
            std::any::type_name::<files::Directory>(),
            std::any::type_name::<secret::notice::LogLevel>(),
        ] {
            assert!(is_own(path), "{path}");
        }
        assert!(!is_own(std::any::type_name::<LevelFilter>()));
    }

    #[test]
    fn levels_are_filtered_here() {
        let heard = Arc::new(Heard::default());
        let log = dispatch(LevelFilter::INFO, heard.clone());
        tracing::dispatcher::with_default(&log, || {
            tracing::debug!("no");
            tracing::info!("yes");
        });
        assert_eq!(*heard.0.lock(), ["info yes"]);
        assert!(dispatch(LevelFilter::OFF, heard).is::<tracing::subscriber::NoSubscriber>());
    }
}
