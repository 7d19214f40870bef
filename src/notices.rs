//! The core's notices, turned into messages.

use std::sync::Arc;

use secret::clock::iso8601;
use secret::environment::Environment;
use secret::notice::{Notice, Notices};

use crate::completions::Completions;
use crate::messages::Message;
use crate::reports::metrics::Alert;
use crate::reports::rotation::{RotationAnnounced, RotationEnded};
use crate::reports::{AnyReport, count};

/// Passes on the notices of a delivery.
pub struct JsNotices {
    pub completions: Arc<Completions>,
    pub environment: Environment,
}

impl Notices for JsNotices {
    fn notice(&self, notice: Notice) {
        self.completions.push(match notice {
            Notice::Warning { code, message } => Message::Warning { code, message },
            Notice::Log { level, message } => Message::Log { level: level.as_str(), message },
            Notice::Rotated { tool, secret_type } => Message::Rotated { tool, secret_type },
            Notice::RotationAnnounced { name, tool, secret_type, rotation_type, due_unix_ms, days_left, by, why } => {
                let (due_at, days_left) = (iso8601(due_unix_ms), count(days_left));
                let kind = "announced";
                let announced =
                    RotationAnnounced { kind, name, tool, secret_type, rotation_type, due_at, days_left, by, why };
                Message::RotationNotice(AnyReport::new(announced))
            }
            Notice::RotationEnded(report) => Message::RotationNotice(AnyReport::new(RotationEnded::from(&*report))),
            Notice::Alert(alert) => Message::Alert(AnyReport::new(Alert::of(self.environment, &alert))),
        });
    }
}
