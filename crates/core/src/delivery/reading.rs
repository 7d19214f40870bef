//! Everything that gives a value out, or says why there is none.

use std::slice;
use std::sync::Arc;

use async_recursion::async_recursion as boxed;
use audit_log::{Cache as AuditCache, Outcome};
use aws::{MAX_BATCH, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secret::aws_ids::{AwsIds, Place};
use secret::clock::Stopwatch;
use secret::environment::Environment;
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::{Fetched, Origin};
use secret::name::SecretName;
use secret::reference::Reference;
use secret::value::SecretValue;

use super::Delivery;
use super::recording::unless_unrecorded;
use crate::audit::Access;
use crate::explain::{Explanation, explain};
use crate::metrics::add;
use crate::reads::Versions;
use crate::reads::fields::part_of;
use crate::reads::table::Answer;
use crate::resolver::{Freshness, Resolver};
use crate::source::runtime::Variables;
use crate::tool_secrets::{ToolSecrets, read_tool};

/// Reads of a turn that are worked on together: one whole call of AWS. With two, JavaScript would wait for both before it goes on
/// with the first.
const PORTION: usize = MAX_BATCH;

impl Delivery {
    /// Several secrets that are asked for at the same time, each with its variables and its own answer. A read of one
    /// secret is a read of a list of one.
    ///
    /// # Errors
    /// Each answer by itself: see [`Resolver::resolve`](crate::resolver::Resolver::resolve); `SECRET_MISSING` where a required
    /// secret is in no source; `CLOSED`.
    pub async fn read(&self, names: &[SecretName], variables: &[Variables], freshness: Freshness) -> Vec<Answer> {
        self.read_shared(names, variables, &[], freshness).await
    }

    /// [`Delivery::read`], each answer for as many readers as `readers` says; where it is empty, for one.
    ///
    /// # Errors
    /// As [`Delivery::read`].
    #[boxed]
    pub async fn read_shared(
        &self,
        names: &[SecretName],
        variables: &[Variables],
        readers: &[u32],
        freshness: Freshness,
    ) -> Vec<Answer> {
        let watch = Stopwatch::start();
        let answers = self.audited(async { Ok(self.resolver.resolve(names, variables, freshness).await) }).await;
        let answers = answers.unwrap_or_else(|error| names.iter().map(|_| Err(error.clone())).collect());
        let took = watch.took();
        let answers = self.recorded_many(names, readers, answers, took).await;
        self.note_answers(names, &answers);
        for answer in &answers {
            self.count(answer, took);
        }
        names.iter().zip(answers).map(|(name, answer)| self.unless_required(name, answer)).collect()
    }

    /// Absence, unless the secret is declared as required (decision D4).
    fn unless_required(&self, name: &SecretName, answer: Answer) -> Answer {
        let Ok(None) = answer else { return answer };
        self.missing_if_required(name).map_or(Ok(None), |missing| {
            self.metrics.failed(missing.code());
            Err(missing)
        })
    }

    fn missing_if_required(&self, name: &SecretName) -> Option<SecretError> {
        let is_required = self.tools.spec(name.as_str()).is_some_and(|spec| spec.required);
        is_required.then(|| missing(&self.resolver, name))
    }

    /// The sizes of the portions into which `count` reads that are asked for together are divided, to be worked on side
    /// by side. Each but the last is a whole call of AWS.
    pub fn portions(count: usize) -> impl Iterator<Item = usize> {
        (0..count.div_ceil(PORTION)).map(move |at| PORTION.min(count - at * PORTION))
    }

    /// [`Delivery::read`] of a list of one.
    ///
    /// # Errors
    /// See [`Resolver::resolve`](crate::resolver::Resolver::resolve); `CLOSED`.
    #[boxed]
    pub async fn read_one(&self, name: &SecretName, variables: &Variables, freshness: Freshness) -> Answer {
        let answers = self.read(slice::from_ref(name), slice::from_ref(variables), freshness).await;
        answers.into_iter().next().unwrap_or(Ok(None))
    }

    /// The bytes of a secret: those that AWS holds, or a text's as UTF-8. The buffer is the caller's to wipe.
    ///
    /// # Errors
    /// As [`Delivery::read_one`].
    #[boxed]
    pub async fn read_bytes(
        &self,
        name: &SecretName,
        variables: &Variables,
        freshness: Freshness,
    ) -> Result<Option<Vec<u8>>> {
        let found = self.read_one(name, variables, freshness).await?;
        Ok(found.map(|found| bytes_of(&found.value)))
    }

    /// What AWS has now, in `environment` or here.
    ///
    /// # Errors
    /// AWS's, in every environment: the caller asked AWS and nobody else. `CONFIG_INVALID` for an unknown environment.
    #[boxed]
    pub async fn get_from_aws(&self, name: &SecretName, environment: Option<&str>) -> Result<Option<SecretValue>> {
        let environment = self.environment_or_own(environment)?;
        let ids = self.ids_of(environment);
        self.get_at(&ids, name, || ids.place(name), environment).await
    }

    /// [`Delivery::get_from_aws`] of a secret that need not be declared.
    ///
    /// # Errors
    /// As [`Delivery::get_from_aws`].
    #[boxed]
    pub async fn get_reference_from_aws(
        &self,
        reference: &Reference,
        environment: Option<&str>,
    ) -> Result<Option<SecretValue>> {
        let environment = self.environment_or_own(environment)?;
        let ids = self.ids_of(environment);
        let place = ids.place_of(reference);
        let name = place.secret.clone();
        self.get_at(&ids, &name, || Ok(place.clone()), environment).await
    }

    async fn get_at(
        &self,
        ids: &AwsIds,
        name: &SecretName,
        place: impl FnOnce() -> Result<Place> + Send,
        environment: Environment,
    ) -> Result<Option<SecretValue>> {
        let watch = Stopwatch::start();
        let fetched = self.audited(async { self.fetch_part(ids, name, &place()?, environment).await }).await;
        let version = fetched.as_ref().ok().and_then(|fetched| fetched.as_ref()?.version_id.clone());
        let access = Access {
            environment: if environment == self.environment { "" } else { environment.as_str() },
            source: Origin::Aws.as_str(),
            cache: AuditCache::Bypass,
            version: version.as_deref().unwrap_or_default(),
            ..Self::access(name, &fetched, watch.took())
        };
        let recorded = self.record(&access).await;
        let value = unless_unrecorded(fetched, recorded)?.map(|fetched| fetched.value);
        self.note_others(name.as_str(), value.as_ref());
        Ok(value)
    }

    /// What AWS has of `name` here, past all caches and without a record.
    pub(crate) async fn fetch_from_aws(&self, name: &SecretName) -> Result<Option<Fetched>> {
        let ids = self.reads().ids();
        self.fetch_part(ids, name, &ids.place(name)?, self.environment).await
    }

    /// Those that AWS's answers showed to be one are known of the own environment only.
    fn ids_of(&self, environment: Environment) -> AwsIds {
        if environment == self.environment { self.reads().ids().clone() } else { self.aws_ids.of(environment.as_str()) }
    }

    async fn fetch_part(
        &self,
        ids: &AwsIds,
        name: &SecretName,
        place: &Place,
        environment: Environment,
    ) -> Result<Option<Fetched>> {
        let reads = self.reads();
        let is_followed = environment == self.environment && reads.follows(&place.secret);
        let fetched = if is_followed {
            Box::pin(reads.fetch_now(&place.secret)).await
        } else {
            reads.fetch_id(&ids.id(&place.secret)).await
        };
        let fetched = part_of(ids, name.as_str(), place, fetched);
        if !is_followed && fetched.as_ref().is_err_and(SecretError::is_refused) {
            add(&self.metrics.unauthorized);
        }
        Ok(fetched?.filter(|fetched| !fetched.value.is_empty()))
    }

    /// The AWS id of `name` in any environment.
    pub(crate) fn aws_id(&self, name: &SecretName, environment: Environment) -> String {
        self.aws_ids.of(environment.as_str()).id(name)
    }

    /// What the env file has now.
    ///
    /// # Errors
    /// `ENV_FILE_INVALID`, `CLOSED`.
    #[boxed]
    pub async fn get_from_env_file(&self, name: &SecretName) -> Result<Option<SecretValue>> {
        let watch = Stopwatch::start();
        let found = self.audited(self.resolver.from_env_file(name)).await;
        let value = self.recorded(name, found, watch.took()).await?.map(|found| found.value);
        self.note_others(name.as_str(), value.as_ref());
        Ok(value)
    }

    /// What the runtime environment has now.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE`, `SOURCE_RESPONSE_INVALID`, `CLOSED`.
    #[boxed]
    pub async fn get_from_runtime(&self, name: &SecretName, variables: &Variables) -> Result<Option<SecretValue>> {
        let watch = Stopwatch::start();
        let found = self.audited(self.resolver.from_runtime(name, variables)).await;
        let value = self.recorded(name, found, watch.took()).await?.map(|found| found.value);
        self.note_others(name.as_str(), value.as_ref());
        Ok(value)
    }

    /// Every secret of `tool`, for as many readers as `readers` says.
    ///
    /// # Errors
    /// As a single read of any of them.
    #[boxed]
    pub async fn get_tool(
        &self,
        tool: &str,
        variables: &Variables,
        freshness: Freshness,
        readers: u32,
    ) -> Result<ToolSecrets> {
        let watch = Stopwatch::start();
        let result = self.audited(read_tool(&self.resolver, &self.tools, tool, variables, freshness)).await;
        let result = match result {
            Ok(found) => self.recorded_tool(tool, found, (readers, watch)).await,
            Err(error) => Err(error),
        };
        let result = result.and_then(|found| self.with_required(tool, found));
        match &result {
            Ok(found) => {
                let took = watch.took();
                self.note_tool(tool, found);
                for found in found.values() {
                    self.metrics.retrieved(found.origin, found.stale, took);
                }
            }
            Err(error) => self.metrics.not_retrieved(Some(error.code()), watch.took()),
        }
        result
    }

    /// The secrets of a tool, none of the required ones missing.
    fn with_required(&self, tool: &str, found: ToolSecrets) -> Result<ToolSecrets> {
        for (secret_type, spec) in self.tools.secrets(tool).into_iter().flatten() {
            if spec.required && !found.contains_key(&secret_type.to_ascii_lowercase()) {
                return Err(missing(&self.resolver, &SecretName::of_tool(tool, secret_type)?));
            }
        }
        Ok(found)
    }

    /// Why `name` has the value it has.
    ///
    /// # Errors
    /// `CLOSED`.
    #[boxed]
    pub async fn explain(&self, name: &SecretName, variables: &Variables) -> Result<Explanation> {
        self.open(async {
            let mut explanation = explain(&self.resolver, name, variables, &self.clock).await;
            if explanation.answered_by.is_none() && explanation.error.is_none() {
                explanation.error = self.missing_if_required(name);
            }
            let version = explanation.version_id.as_deref();
            let answered = explanation.answered_by.map(|_| version.unwrap_or_default());
            let access = Access::answered(name.as_str(), explanation.error.as_ref().map_or(Ok(answered), Err));
            self.inspected("explain", vec![access]).await;
            Ok(explanation)
        })
        .await
    }

    /// The live version of `name` and those around it, for as many readers as `readers` says; past the copies of them
    /// when `fresh`.
    ///
    /// # Errors
    /// See [`Reads::versions`](crate::reads::Reads::versions); `CLOSED`.
    #[boxed]
    pub async fn versions(&self, name: &SecretName, fresh: bool, readers: u32) -> Result<Arc<Versions>> {
        let watch = Stopwatch::start();
        let versions = self.audited(self.versions_of(name, fresh)).await;
        match &versions {
            Ok(versions) => {
                self.note_versions(name, versions);
                for version in [&versions.current, &versions.previous, &versions.pending].into_iter().flatten() {
                    let access = Access { count: readers, ..Access::of(name.as_str(), Outcome::Ok, watch.took()) };
                    self.record(&Access { source: Origin::Aws.as_str(), version: &version.id, ..access }).await?;
                }
            }
            // It is refused all the same when that cannot be recorded.
            Err(error) => drop(self.record(&Access::ended(name.as_str(), Some(error), watch.took())).await),
        }
        versions
    }

    /// The versions of the secret that `name` is, or of the part of it that it is.
    pub(super) async fn versions_of(&self, name: &SecretName, fresh: bool) -> Result<Arc<Versions>> {
        let ids = self.reads().ids();
        let place = ids.place(name)?;
        let whole = self.reads().versions(&place.secret, fresh).await?;
        if place.field.is_none() {
            return Ok(whole);
        }
        let part = |version: &Option<Version>| part_of(ids, name.as_str(), &place, Ok(version.clone()));
        // Only the live version has to be readable.
        let (previous, pending) = (part(&whole.previous).ok().flatten(), part(&whole.pending).ok().flatten());
        Ok(Arc::new(Versions { current: part(&whole.current)?, previous, pending }))
    }
}

/// `SECRET_MISSING`, with where a secret was looked for.
fn missing(resolver: &Resolver, name: &SecretName) -> SecretError {
    let aws = resolver.reads.aws().is_some().then(|| {
        let field = resolver.reads.ids().place(name).ok().and_then(|place| place.field);
        let field = field.map(|field| format!(", field '{field}'")).unwrap_or_default();
        format!("AWS ({}{field})", resolver.reads.id(name))
    });
    let file = resolver.env_file.as_ref().map(|file| format!("the env file {}", file.path()));
    let looked: Vec<String> = aws.into_iter().chain(file).chain(["the runtime environment".to_owned()]).collect();
    let why = format!("{} is required, and no source has it: {}", name.as_str(), looked.join(", "));
    SecretError::new(ErrorCode::SecretMissing, why)
}

/// The bytes that AWS holds, or those of a text.
pub fn bytes_of(value: &SecretValue) -> Vec<u8> {
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: the caller asked for the bytes")]
    let text = value.expose();
    // A version id that only looks like the mark of bytes in a shared copy leaves a text.
    let decoded = if value.is_binary() { STANDARD.decode(text).ok() } else { None };
    decoded.unwrap_or_else(|| text.as_bytes().to_vec())
}
