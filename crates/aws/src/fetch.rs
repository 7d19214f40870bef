//! Reads one secret (`GetSecretValue`).

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;

use tokio::time::sleep;

use crate::answer::{request_id, unix_ms};
use crate::call::{Asked, There};
use crate::operation::Operation;
use crate::source::Aws;
use crate::staging::CURRENT;
use secret::error::Result;
use secret::found::Fetched;

/// How often a probe looks whether AWS throttles.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// What a probe found.
#[derive(Debug)]
pub struct Probed {
    /// What AWS said of the secret that was asked for.
    pub answer: Result<Option<Fetched>>,
    /// Whether AWS answered something meanwhile.
    pub answers_others: bool,
}

impl Aws {
    /// The current value of the AWS secret `id`; `None` when it does not exist or is marked for deletion.
    ///
    /// # Errors
    /// `SECRET_ACCESS_DENIED`, `SOURCE_UNAVAILABLE`, `SOURCE_TIMEOUT`, `SOURCE_RESPONSE_INVALID`.
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
    pub async fn fetch(&self, id: &str) -> Result<Option<Fetched>> {
        self.fetch_asked(id, Operation::Get.into()).await
    }

    /// Whether AWS answers, asked as [`Aws::fetch`] asks, and what else is known: no call waits while AWS throttles.
    pub async fn probe(&self, id: &str) -> Probed {
        let before = self.answers();
        // Readers that wait for their turn hold all places for calls, and the probe would wait for one of those.
        let throttled = async {
            loop {
                sleep(LOOK_AGAIN).await;
                if let Some(error) = self.regions[0].pace(Operation::Get).error() {
                    return Err(error);
                }
            }
        };
        let answer = tokio::select! {
            biased;
            answer = self.fetch_asked(id, Asked::giving_way(Operation::Get)) => answer,
            throttled = throttled => throttled,
        };
        let answers_others = self.answers() > before;
        Probed { answer, answers_others }
    }

    async fn fetch_asked(&self, id: &str, asked: Asked) -> Result<Option<Fetched>> {
        #[cfg(feature = "simulation")]
        if let Some((simulated, _)) = &self.simulated {
            return self.ask_simulated(asked, id, || simulated.fetch(id)).await;
        }
        let read = |mut output: GetSecretValueOutput, region: Option<&str>| {
            Self::check_answer(&There(region).id(id), output.arn.as_deref(), output.name.as_deref())?;
            // Taken, not copied: the value's one buffer is wiped when the last holder drops it.
            let (text, binary) = (output.secret_string.take(), output.secret_binary.take());
            let request_id = request_id(&output);
            let created = unix_ms(output.created_date.as_ref());
            self.note_account(id, output.arn.as_deref());
            let arn = output.arn.map(Arc::from);
            let fetched = Self::fetched(id, text, binary, output.version_id, region)?;
            Ok(Fetched { created_unix_ms: created, request_id, arn, ..fetched })
        };
        self.call(&self.regions, asked, id, read, |client, there| {
            // Policies may demand that the stage is named (decision D30).
            client.get_secret_value().secret_id(there.id(id)).version_stage(CURRENT).send()
        })
        .await
    }
}
