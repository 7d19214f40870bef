//! Marks secrets for deletion, and takes the mark away.

use aws_sdk_secretsmanager::operation::delete_secret::DeleteSecretOutput;
use aws_sdk_secretsmanager::operation::restore_secret::RestoreSecretOutput;

use crate::answer::unix_ms;
use crate::operation::Operation;
use crate::source::Aws;
use secret::error::Result;

impl Aws {
    /// Has AWS delete `id` in `days`; until then [`Aws::restore`] brings it back. Gives when that is, in milliseconds since 1970
    /// (0 where AWS does not say), and `None` when there is no such secret.
    ///
    /// # Errors
    /// As [`Aws::fetch`].
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html>
    pub async fn delete(&self, id: &str, days: u32) -> Result<Option<u64>> {
        let read = |output: DeleteSecretOutput, _: Option<&str>| {
            Ok(unix_ms(output.deletion_date.as_ref()).unwrap_or_default())
        };
        self.call(self.primary(), Operation::Delete, id, read, |client, there| {
            client.delete_secret().secret_id(there.id(id)).recovery_window_in_days(i64::from(days)).send()
        })
        .await
    }

    /// Takes the mark for deletion away. `None` when there is no such secret (any more).
    ///
    /// # Errors
    /// As [`Aws::fetch`].
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RestoreSecret.html>
    pub async fn restore(&self, id: &str) -> Result<Option<()>> {
        let read = |_: RestoreSecretOutput, _: Option<&str>| Ok(());
        self.call(self.primary(), Operation::Restore, id, read, |client, there| {
            client.restore_secret().secret_id(there.id(id)).send()
        })
        .await
    }
}
