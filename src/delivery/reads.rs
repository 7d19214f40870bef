//! `getSecret`, `getToolSecret` and `getToolSecrets`: the reads that the caches, then every source, answer.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use delivery_core::delivery::Delivery;
use delivery_core::resolver::Freshness;
use delivery_core::source::runtime::Variables;
use napi::bindgen_prelude::spawn;
use napi_derive::napi;
use secret::error::SecretError;
use secret::name::SecretName;
use secret::value::SecretValue;

use super::native::{NativeDelivery, secret};
use crate::completions::{Portion, ReadAnswer};
use crate::messages::Outcome;
use crate::raw::{CachedReader, Ids, Names, ToolReader};

impl NativeDelivery {
    /// What JavaScript read when the call was made; what it did not read is asked for.
    fn variables(&self, read: Option<HashMap<String, String>>) -> Variables {
        read.map_or_else(|| Variables::asked(self.variables.clone()), Variables::new)
    }
}

#[napi]
impl NativeDelivery {
    /// The function of cached reads; see `raw`.
    #[napi(
        ts_return_type = "(toolNameOrId: string | number, secretType?: string) => number | [number, string] | [number, string | undefined, number | undefined] | [string] | undefined",
        catch_unwind
    )]
    pub fn cached_reader(&self) -> CachedReader {
        CachedReader { hot: self.delivery.hot_path().clone(), strings: self.strings.clone(), ids: Ids::default() }
    }

    /// The function of cached reads of tools; see `raw`.
    #[napi(
        ts_return_type = "(tool: number, numbers: Uint32Array) => true | Array<number | [number, string]> | undefined",
        catch_unwind
    )]
    pub fn tool_reader(&self) -> ToolReader {
        ToolReader { hot: self.delivery.hot_path().clone(), strings: self.strings.clone() }
    }

    /// The number of a declared tool whose secrets are declared one by one; `null` for others.
    #[napi(catch_unwind)]
    pub fn tool_number(&self, tool: String) -> Option<u32> {
        self.delivery.hot_path().tool_number(&tool)
    }

    /// The keys of what is read of the tool of this number, in its order.
    #[napi(catch_unwind)]
    pub fn tool_keys(&self, tool: u32) -> Vec<String> {
        self.delivery.hot_path().tool_keys(tool)
    }

    /// `getSecret` and `getToolSecret` that were called in one turn, as one operation. `variables`, where given, has each
    /// one's; variables that are not given are asked for when they are needed. `readers`, where given, says how many
    /// callers share each of them.
    #[napi(catch_unwind)]
    pub fn get_secrets(
        &self,
        id: u32,
        #[napi(ts_arg_type = "Array<string>")] names: Names,
        variables: Option<Vec<HashMap<String, String>>>,
        readers: Option<Vec<u32>>,
    ) {
        let count = names.0.len();
        let mut readers = readers.map(Vec::into_iter);
        let mut next_readers = || readers.as_mut().and_then(Iterator::next).unwrap_or(1);
        let mut given = variables.map(Vec::into_iter);
        let reads: Vec<_> = names
            .0
            .into_iter()
            .map(|name| {
                let variables = self.variables(given.as_mut().map(|given| given.next().unwrap_or_default()));
                (name, variables, next_readers())
            })
            .collect();
        self.completions.begin();
        let left = Arc::new(AtomicUsize::new(count));
        let mut reads = reads.into_iter();
        let mut first = 0;
        for size in Delivery::portions(count) {
            let portion = Portion::new(id, first, size, left.clone(), self.completions.clone());
            first += size;
            let reads: Vec<_> = reads.by_ref().take(size).collect();
            let delivery = self.delivery.clone();
            spawn(async move { portion.finish(read(&delivery, reads).await) });
        }
    }

    /// `getSecret` and `getToolSecret` with `maxAgeSeconds`.
    #[napi(catch_unwind)]
    pub fn get_secret_within(&self, id: u32, name: String, variables: HashMap<String, String>, max_age_seconds: f64) {
        let (variables, freshness) = (Variables::new(variables), within(Some(max_age_seconds)));
        self.start_named(id, &name, |delivery, name| async move {
            Ok(secret(delivery.read_one(&name, &variables, freshness).await?.map(|found| found.value)))
        });
    }

    /// `getToolSecretBytes`.
    #[napi(catch_unwind)]
    pub fn get_secret_bytes(
        &self,
        id: u32,
        name: String,
        variables: HashMap<String, String>,
        max_age_seconds: Option<f64>,
    ) {
        let (variables, freshness) = (Variables::new(variables), within(max_age_seconds));
        self.start_named(id, &name, |delivery, name| async move {
            let bytes = delivery.read_bytes(&name, &variables, freshness).await?;
            Ok(bytes.map_or(Outcome::Null, Outcome::Bytes))
        });
    }

    /// `getToolSecrets`.
    #[napi(catch_unwind)]
    pub fn get_tool_secrets(
        &self,
        id: u32,
        tool: String,
        variables: HashMap<String, String>,
        max_age_seconds: Option<f64>,
        readers: Option<u32>,
    ) {
        let (variables, freshness) = (Variables::new(variables), within(max_age_seconds));
        self.start(id, |delivery| async move {
            let found = delivery.get_tool(&tool, &variables, freshness, readers.unwrap_or(1)).await?;
            Ok(Outcome::Secrets(found.into_iter().map(|(kind, found)| (kind, found.value)).collect()))
        });
    }

    /// Whether there is an audit log.
    #[napi(catch_unwind)]
    pub fn is_audited(&self) -> bool {
        self.delivery.audit().is_some()
    }

    /// Whether a read needs the process variables at once.
    #[napi(catch_unwind)]
    pub fn variables_come_first(&self) -> bool {
        self.delivery.variables_come_first()
    }

    /// The variables that were asked for; unset when they could not be read.
    #[napi(catch_unwind)]
    pub fn variables_are(&self, id: u32, variables: Option<HashMap<String, String>>) {
        let secret = |(name, value)| (name, SecretValue::new(value));
        self.variables.answer(id, variables.map(|read| read.into_iter().map(secret).collect()));
    }
}

/// How old a copy may be that answers. JavaScript has checked the number.
fn within(max_age_seconds: Option<f64>) -> Freshness {
    max_age_seconds
        .map_or(Freshness::Cached, |age| Freshness::Within(Duration::try_from_secs_f64(age).unwrap_or(Duration::MAX)))
}

/// The answers of a portion, in its order. A name that is none has the error that it rejects with.
async fn read(
    delivery: &Delivery,
    reads: Vec<(std::result::Result<SecretName, SecretError>, Variables, u32)>,
) -> Vec<ReadAnswer> {
    let (mut names, mut variables) = (Vec::with_capacity(reads.len()), Vec::with_capacity(reads.len()));
    let (mut readers, mut refused) = (Vec::with_capacity(reads.len()), Vec::new());
    for (at, (name, read, count)) in reads.into_iter().enumerate() {
        match name {
            Ok(name) => {
                names.push(name);
                variables.push(read);
                readers.push(count);
            }
            Err(error) => refused.push((at, error)),
        }
    }
    let answers = delivery.read_shared(&names, &variables, &readers, Freshness::Cached).await.into_iter();
    let mut answers: Vec<_> = answers.map(|answer| Ok(answer?.map(|found| found.value))).collect();
    for (at, error) in refused {
        answers.insert(at, Err(error));
    }
    answers
}
