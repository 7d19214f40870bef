//! BatchGetSecretValue: known ids, 20 a call, or every secret under a name prefix.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_secretsmanager::operation::batch_get_secret_value::BatchGetSecretValueOutput;
use aws_sdk_secretsmanager::operation::list_secrets::ListSecretsOutput;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};

use crate::answer::{name_in, request_id, unix_ms};
use crate::awake::within;
use crate::call::{Asked, There};
use crate::classify::batch_entry;
use crate::operation::Operation;
use crate::source::Aws;
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::Fetched;
use secret::reference::Arn;

/// AWS's limit for ids and for results a page.
pub const MAX_BATCH: usize = 20;
/// Pages a listing may have, against a server that never stops giving tokens.
const MAX_PAGES: usize = 500;

/// Each id with its own answer: a value, absent, or its own error.
pub type BatchAnswer = HashMap<String, Result<Option<Fetched>>>;

/// What a listing by prefix gave, in the order of the ids.
pub type Listing = BTreeMap<String, Result<Option<Fetched>>>;

impl Aws {
    /// Fetches up to 20 ids in one call. An id that the answer leaves out is not absent: it is to be asked for alone. So is what a
    /// replica has no value of: that says nothing about the primary.
    ///
    /// # Errors
    /// When the call as a whole failed. `SECRET_ACCESS_DENIED` then means that the batch action is not granted;
    /// single reads may still be.
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html>
    pub async fn fetch_batch(&self, ids: &[String]) -> Result<BatchAnswer> {
        debug_assert!(ids.len() <= MAX_BATCH);
        #[cfg(feature = "simulation")]
        if let Some((simulated, _)) = &self.simulated {
            let about = ids.first().map_or("", String::as_str);
            return self.ask_simulated(Asked::giving_way(Operation::Batch), about, || simulated.batch(ids)).await;
        }
        let about = ids.first().map_or("", String::as_str);
        let read = |output, region: Option<&str>| {
            let (mut answers, mut twice) = (BatchAnswer::new(), Vec::new());
            self.collect(output, region, |name, arn, answer| {
                // A name and an ARN of one secret may both be asked for: each has the answer.
                for id in ids.iter().filter(|id| is_asked(&There(region).id(id), &name, arn.as_deref())) {
                    if answers.insert(id.clone(), answer.clone()).is_some() {
                        twice.push(id.clone());
                    }
                }
            });
            // Which of the two is true is not known here: left out, so that the caller asks for the name alone.
            for id in &twice {
                answers.remove(id);
            }
            Ok(answers)
        };
        let answered = self
            .call(&self.regions, Asked::giving_way(Operation::Batch), about, read, |client, there| {
                client
                    .batch_get_secret_value()
                    .set_secret_id_list(Some(ids.iter().map(|id| there.id(id)).collect()))
                    .send()
            })
            .await;
        Ok(answered.map_err(|error| batch_refused(error, about))?.unwrap_or_default())
    }

    /// Fetches every secret whose AWS name starts with `prefix`, 20 a page. AWS compares without case, so names of
    /// another case can be among the answers. Only the primary is asked: which secrets a region has copies of does not tell which
    /// there are, and a page token is of the region that gave it. `is_known`: names are known from before, and can be read one by
    /// one in the time that is left: then the listing gives up sooner.
    ///
    /// # Errors
    /// As [`Aws::fetch_batch`]; a listing needs `secretsmanager:ListSecrets` as well.
    pub async fn fetch_by_prefix(&self, prefix: &str, is_known: bool) -> Result<Listing> {
        let asked =
            Asked { operation: Operation::Batch, gives_way: is_known, has_others: is_known || self.regions.len() > 1 };
        #[cfg(feature = "simulation")]
        if let Some((simulated, _)) = &self.simulated {
            return self.ask_simulated(asked, prefix, || simulated.list(prefix)).await;
        }
        let listing = within(self.freezes, self.timeout, self.pages(prefix, asked)).await;
        listing.unwrap_or_else(|| Err(self.timed_out(prefix)))
    }

    async fn pages(&self, prefix: &str, asked: Asked) -> Result<Listing> {
        let filter = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
        let max = i32::try_from(MAX_BATCH).unwrap_or(20);
        let mut listing = Listing::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let read = |mut output: BatchGetSecretValueOutput, _: Option<&str>| {
                let (mut found, next) = (Listing::new(), output.next_token.take());
                self.collect(output, None, |name, _, answer| drop(found.insert(name, answer)));
                Ok((found, next))
            };
            let page = self
                .call(self.primary(), asked, prefix, read, |client, _| {
                    let page = client.batch_get_secret_value().filters(filter.clone()).max_results(max);
                    page.set_next_token(token.clone()).send()
                })
                .await;
            let Some((found, next)) = page.map_err(|error| batch_refused(error, prefix))? else { return Ok(listing) };
            listing.extend(found);
            token = next.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(listing);
            }
        }
        Err(SecretError::new(
            ErrorCode::SourceResponseInvalid,
            format!("{prefix}: AWS BatchGetSecretValue did not end after {MAX_PAGES} pages"),
        ))
    }

    /// Whether secrets can be listed: asks for one, and drops it.
    ///
    /// # Errors
    /// As [`Aws::fetch_batch`].
    ///
    /// # Source
    /// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>
    pub async fn list_one(&self) -> Result<()> {
        let read = |_: ListSecretsOutput, _: Option<&str>| Ok(());
        let listed = self.call(self.primary(), Operation::List, "ListSecrets", read, |client, _| {
            client.list_secrets().max_results(1).send()
        });
        listed.await.map(drop)
    }

    /// Adds what an answer says; of a replica's, which `region` names, only the values.
    fn collect(
        &self,
        output: BatchGetSecretValueOutput,
        region: Option<&str>,
        mut add: impl FnMut(String, Option<String>, Result<Option<Fetched>>),
    ) {
        let request_id = request_id(&output);
        for entry in output.secret_values.unwrap_or_default() {
            let Some(name) = entry.name else { continue };
            // Batches are about the own account only.
            self.note_account(&name, entry.arn.as_deref());
            let created_unix_ms = unix_ms(entry.created_date.as_ref());
            let fetched = Self::fetched(&name, entry.secret_string, entry.secret_binary, entry.version_id, region);
            if region.is_some() && fetched.is_err() {
                continue;
            }
            let (request_id, arn) = (request_id.clone(), entry.arn.as_deref().map(Arc::from));
            add(name, entry.arn, fetched.map(|fetched| Some(Fetched { created_unix_ms, request_id, arn, ..fetched })));
        }
        let errors = output.errors.filter(|_| region.is_none());
        for error in errors.unwrap_or_default() {
            let Some(id) = error.secret_id else { continue };
            let (name, arn) = (name_in(&id).to_owned(), id.starts_with("arn:").then_some(id));
            let answer = match batch_entry(error.error_code.as_deref().unwrap_or_default(), error.message.as_deref()) {
                None => Ok(None),
                Some(refusal) => Err(refusal.error(Operation::Batch.as_str(), &name).of_request(request_id.as_deref())),
            };
            add(name, arn, answer);
        }
    }
}

/// Whether an entry of an answer is about `id`: a complete ARN is compared as a whole, a partial one by partition, region, account
/// and name, and a name with the name.
fn is_asked(id: &str, name: &str, arn: Option<&str>) -> bool {
    match Arn::parse(id) {
        Some(asked) => arn.is_some_and(|arn| arn == id || Arn::parse(arn).is_some_and(|given| asked.names(&given))),
        None => id == name,
    }
}

fn batch_refused(error: SecretError, about: &str) -> SecretError {
    if !error.is_denied() {
        return error;
    }
    error.instead(format!(
        "{about}: AWS BatchGetSecretValue is not allowed for this identity; grant secretsmanager:BatchGetSecretValue \
         (and secretsmanager:ListSecrets to find the secrets of a tool that options.tools does not declare)"
    ))
}
