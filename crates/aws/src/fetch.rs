//! Reads one secret (`GetSecretValue`).

use std::sync::Arc;

use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;

use crate::answer::{request_id, unix_ms};
use crate::call::There;
use crate::operation::Operation;
use crate::source::Aws;
use crate::staging::CURRENT;
use secret::error::Result;
use secret::found::Fetched;

impl Aws {
    /// The current value of the AWS secret `id`; `None` when it does not exist or is marked for deletion.
    ///
    /// # Errors
    /// `SECRET_ACCESS_DENIED`, `SOURCE_UNAVAILABLE`, `SOURCE_TIMEOUT`, `SOURCE_RESPONSE_INVALID`.
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>
    pub async fn fetch(&self, id: &str) -> Result<Option<Fetched>> {
        #[cfg(feature = "simulation")]
        if let Some((simulated, _)) = &self.simulated {
            return self.ask_simulated(Operation::Get, id, || simulated.fetch(id)).await;
        }
        let read = |mut output: GetSecretValueOutput, region: Option<&str>| {
            Self::check_arn(&There(region).id(id), output.arn.as_deref())?;
            // Taken, not copied: the value's one buffer is wiped when the last holder drops it.
            let (text, binary) = (output.secret_string.take(), output.secret_binary.take());
            let request_id = request_id(&output);
            let created = unix_ms(output.created_date.as_ref());
            self.note_account(id, output.arn.as_deref());
            let arn = output.arn.map(Arc::from);
            let fetched = Self::fetched(id, text, binary, output.version_id, region)?;
            Ok(Fetched { created_unix_ms: created, request_id, arn, ..fetched })
        };
        self.call(&self.regions, Operation::Get, id, read, |client, there| {
            // Policies may demand that the stage is named (decision D30).
            client.get_secret_value().secret_id(there.id(id)).version_stage(CURRENT).send()
        })
        .await
    }
}
