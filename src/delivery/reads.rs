//! `getSecret`, `getToolSecret` and `getToolSecrets`: the reads that the caches, then every source, answer.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use std::collections::HashMap;

use delivery_core::resolver::Freshness;
use delivery_core::source::runtime::Variables;
use napi_derive::napi;
use secret::name::SecretName;
use secret::value::SecretValue;

use super::native::{NativeDelivery, secret};
use crate::messages::Outcome;
use crate::raw::{CachedReader, SecretMap};

impl NativeDelivery {
    /// What JavaScript read when the call was made; what it did not read is asked for.
    fn variables(&self, read: Option<HashMap<String, String>>) -> Variables {
        read.map_or_else(|| Variables::asked(self.variables.clone()), Variables::new)
    }
}

#[napi]
impl NativeDelivery {
    /// The function of cached reads; see `raw`.
    #[napi(ts_return_type = "(toolOrName: string, secretType?: string) => string | undefined", catch_unwind)]
    pub fn cached_reader(&self) -> CachedReader {
        CachedReader(self.delivery.hot_path().clone())
    }

    /// A declared tool's secrets when all of them are fresh in memory.
    #[napi(ts_return_type = "Record<string, string> | null", catch_unwind)]
    pub fn cached_tool(&self, tool: String) -> Option<SecretMap> {
        let entries = self.delivery.tool_in_memory(&tool)?;
        Some(SecretMap(entries.into_iter().map(|(kind, entry)| (kind, entry.value.clone())).collect()))
    }

    /// `getSecret`, of one secret. Variables that are not given are asked for when they are needed.
    #[napi(catch_unwind)]
    pub fn get_secret(&self, id: u32, name: String, variables: Option<HashMap<String, String>>) {
        let variables = self.variables(variables);
        self.start_named(id, &name, |delivery, name| async move {
            Ok(secret(delivery.read_one(&name, &variables, Freshness::Cached).await?.map(|found| found.value)))
        });
    }

    /// Several `getSecret` that were called in one turn, as one operation: what none of them finds in the caches is
    /// fetched together. `names` are joined by line ends; `variables`, where given, has each one's. Gives `false`, and
    /// begins nothing, when there are not `count` names: one of them holds a line end.
    #[napi(catch_unwind)]
    pub fn get_secrets(
        &self,
        id: u32,
        count: u32,
        names: String,
        variables: Option<Vec<HashMap<String, String>>>,
    ) -> bool {
        let count = usize::try_from(count).unwrap_or_default();
        let mut given = variables.map(Vec::into_iter);
        let (mut valid, mut variables, mut refused) =
            (Vec::with_capacity(count), Vec::with_capacity(count), Vec::new());
        for (at, name) in names.split('\n').enumerate() {
            let read = given.as_mut().map(|given| given.next().unwrap_or_default());
            match SecretName::new(name) {
                Ok(name) => {
                    valid.push(name);
                    variables.push(self.variables(read));
                }
                Err(error) => refused.push((at, error)),
            }
        }
        if valid.len() + refused.len() != count {
            return false;
        }
        self.start(id, |delivery| async move {
            let answers = delivery.read(&valid, &variables, Freshness::Cached).await.into_iter();
            let mut answers: Vec<_> = answers.map(|answer| Ok(answer?.map(|found| found.value))).collect();
            for (at, error) in refused {
                answers.insert(at, Err(error));
            }
            Ok(Outcome::Answers(answers))
        });
        true
    }

    /// `getToolSecrets`.
    #[napi(catch_unwind)]
    pub fn get_tool_secrets(&self, id: u32, tool: String, variables: HashMap<String, String>) {
        let variables = Variables::new(variables);
        self.start(id, |delivery| async move {
            let found = delivery.get_tool(&tool, &variables).await?;
            Ok(Outcome::Secrets(found.into_iter().map(|(kind, found)| (kind, found.value)).collect()))
        });
    }

    /// Whether a read needs the process variables at once.
    #[napi(catch_unwind)]
    pub fn variables_come_first(&self) -> bool {
        self.delivery.variables_come_first()
    }

    /// Whether copies are shared in Redis.
    #[napi(catch_unwind)]
    pub fn has_shared_cache(&self) -> bool {
        self.delivery.has_shared_cache()
    }

    /// The variables that were asked for; unset when they could not be read.
    #[napi(catch_unwind)]
    pub fn variables_are(&self, id: u32, variables: Option<HashMap<String, String>>) {
        let secret = |(name, value)| (name, SecretValue::new(value));
        self.variables.answer(id, variables.map(|read| read.into_iter().map(secret).collect()));
    }
}
