//! Finds out what this identity may do in AWS, from AWS's answers to reads. Writes nothing.

use std::collections::HashMap;

use async_recursion::async_recursion as boxed;
use futures_util::{StreamExt as _, stream};

use super::{Validated, missing};
use crate::delivery::Delivery;
use crate::metrics::add;
use crate::migration::{AT_ONCE, Scope};
use aws::permission::{BATCH, DECRYPT, DESCRIBE, GET, LIST, WRITES};
use secret::error::{Result, SecretError};
use secret::found::Origin;
use secret::name::SecretName;

/// Whether a permission is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    /// AWS allowed it for every secret that was tried.
    Yes,
    /// AWS refused it for at least one secret.
    No,
    /// Unknown: nothing was tried, or AWS's answer did not show it.
    Unknown,
}

impl Granted {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "granted",
            Self::No => "denied",
            Self::Unknown => "unknown",
        }
    }
}

/// An IAM action, and whether it is granted.
#[derive(Clone, Debug)]
pub struct Permission {
    /// The name of the action in IAM.
    pub action: &'static str,
    /// Whether it is granted.
    pub granted: Granted,
    /// The secrets that it was refused for. Empty for actions that are not about a secret.
    pub refused_for: Vec<SecretName>,
}

/// The result of `validateSecretAccess`.
#[derive(Clone, Debug)]
pub struct Access {
    /// The validated secrets.
    pub secrets: Vec<Validated>,
    /// The actions that were tried.
    pub permissions: Vec<Permission>,
}

/// Collects answers about one action.
struct Tried {
    action: &'static str,
    done: usize,
    refused_for: Vec<SecretName>,
    refused: bool,
}

impl Tried {
    fn of(action: &'static str) -> Self {
        Self { action, done: 0, refused_for: Vec::new(), refused: false }
    }

    /// Takes an answer of AWS: success, a refusal of this action, or a failure that says nothing about it.
    fn note<T>(&mut self, answer: &Result<T>, about: Option<&SecretName>) {
        match answer {
            Ok(_) => self.done += 1,
            Err(error) if error.action() == Some(self.action) => {
                self.refused = true;
                self.refused_for.extend(about.cloned());
            }
            Err(_) => {}
        }
    }

    fn permission(self) -> Permission {
        let granted = match (self.refused, self.done) {
            (true, _) => Granted::No,
            (false, 0) => Granted::Unknown,
            (false, _) => Granted::Yes,
        };
        Permission { action: self.action, granted, refused_for: self.refused_for }
    }
}

impl Delivery {
    /// Checks whether this identity can read each declared secret of `scope` from AWS, and which other actions it may
    /// do.
    ///
    /// # Errors
    /// `CONFIG_INVALID` where AWS is switched off, `CLOSED`.
    #[boxed]
    pub async fn validate_access(&self, scope: &Scope) -> Result<Access> {
        let names = self.names_in(scope, &HashMap::new());
        self.open(async {
            let answers = self.in_aws(&names).await?;
            let (mut get, mut decrypt) = (Tried::of(GET), Tried::of(DECRYPT));
            for (name, answer) in names.iter().zip(&answers) {
                get.note(answer, Some(name));
                // An answer that the secret does not exist says nothing about its key.
                if !matches!(answer, Ok(None)) {
                    decrypt.note(answer, Some(name));
                }
            }
            let [batch, list, describe] = self.try_others(&names).await?;
            let tried = [get, decrypt, batch, list, describe].into_iter().map(Tried::permission);
            // Only a write would show it. `apply` names a missing permission.
            let writes = WRITES.into_iter().map(|action| Tried::of(action).permission());
            let permissions = tried.chain(writes).collect();
            let secrets = names.into_iter().zip(answers).map(|(name, answer)| {
                if answer.as_ref().is_err_and(SecretError::is_refused) {
                    add(&self.metrics().unauthorized);
                }
                let spec = self.spec(&name);
                let mut seen = self.seen(name);
                match answer {
                    Ok(Some(fetched)) if !fetched.value.is_empty() => {
                        seen.source = Some(Origin::Aws);
                        seen.version_id = fetched.version_id.as_deref().map(str::to_owned);
                    }
                    Ok(_) => missing(&mut seen, spec.as_ref(), "AWS has no such secret"),
                    Err(error) => seen.failed(&error),
                }
                seen
            });
            Ok(Access { secrets: secrets.collect(), permissions })
        })
        .await
    }

    /// The actions that reads can do without: batches, listings, and those of rotations and migrations.
    async fn try_others(&self, names: &[SecretName]) -> Result<[Tried; 3]> {
        let aws = self.migrating_aws()?;
        let (mut batch, mut list, mut describe) = (Tried::of(BATCH), Tried::of(LIST), Tried::of(DESCRIBE));
        let ids: Vec<String> = names.iter().map(|name| self.aws_id(name, self.environment())).collect();
        if let Some(first) = ids.get(..1) {
            self.turn(aws).await;
            batch.note(&aws.fetch_batch(first).await, None);
        }
        self.turn(aws).await;
        list.note(&aws.list_one().await, None);
        let at_once = aws.calls_per_second().clamp(1, AT_ONCE);
        let described = ids.into_iter().map(|id| async move {
            self.turn(aws).await;
            aws.describe(&id).await
        });
        let described: Vec<_> = stream::iter(described).buffered(at_once).collect().await;
        for (name, answer) in names.iter().zip(described) {
            describe.note(&answer, Some(name));
        }
        Ok([batch, list, describe])
    }
}
