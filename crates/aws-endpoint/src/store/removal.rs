//! Secrets that go, and come back.

use super::{ApiResult, Store, error};

impl Store {
    /// Marks a secret for deletion, or removes it at once with `force`. Returns its ARN.
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html>: "If you forcibly delete an already deleted or
    /// nonexistent secret, the operation does not return `ResourceNotFoundException`"; "You can't delete a primary secret that is
    /// replicated to other Regions."
    pub(crate) fn delete(&mut self, id: &str, force: bool) -> ApiResult<String> {
        let found = self.find(id).map(|(name, secret)| (name.clone(), secret.arn.clone(), secret.replicas.is_empty()));
        match (found, force) {
            (Ok((.., false)), _) => {
                error("InvalidParameterException", "You can't delete this secret: it still has replica regions.")
            }
            (Ok((name, arn, _)), true) => {
                self.remove(&name);
                Ok(arn)
            }
            (Err(_), true) => Ok(id.to_owned()),
            (_, false) => {
                let secret = self.live(id)?;
                secret.deleted = true;
                Ok(secret.arn.clone())
            }
        }
    }

    /// Takes the mark for deletion away. Returns the ARN.
    pub(crate) fn restore(&mut self, id: &str) -> ApiResult<String> {
        let name = self.find(id)?.0.clone();
        match self.secrets.get_mut(&name) {
            Some(secret) => {
                secret.deleted = false;
                Ok(secret.arn.clone())
            }
            None => error("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
        }
    }
}
