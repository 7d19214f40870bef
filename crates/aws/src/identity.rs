//! Whose requests these are: the credentials that all clients of a delivery share. They are renewed before they end, while
//! reads go on with those that are still good, and read anew after a failure: who signed in meanwhile is let in.

mod chain;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tracing::instrument::WithSubscriber as _;

use crate::account::{account_of, expected};
use crate::assume::{self, assume};
use crate::identity_problem::{Problem, Sort};
use crate::profiles::Profiles;
use crate::settings::{AwsCredentials, AwsSettings, CredentialsSource};
use secret::clock::{Clock, Moment};
use secret::role::Role;

/// This long before they end, credentials are renewed behind the readers.
const AHEAD: Duration = Duration::from_mins(5);
/// Credentials that do not say when they end are looked at again after this long.
const ENDLESS: Duration = Duration::from_mins(15);
/// While renewing fails, it is tried again after this long.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// Without credentials, nothing is asked for this long after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// Behind the readers, a renewal that takes longer is given up: the next one would wait for it for ever.
const RENEWAL: Duration = Duration::from_secs(20);
const NO_KEY: &str = "the AWS credentials that were found cannot be used: the access key id is empty, or has a line end or \
                      another character that no request may hold";
const NO_TOKEN: &str = "the AWS credentials that were found cannot be used: the session token has a line end or another \
                        character that no request may hold";
const ENDED: &str = "the credentials in aws.credentials have ended (expiration), and nobody renews them: give the function that they are \
                     from, such as a provider of AWS's SDK (aws.credentials: provider instead of await provider())";
/// How long the account is waited for that the first credentials are of.
const ACCOUNT: Duration = Duration::from_secs(2);

/// The credentials of a delivery. Clones are the same.
#[derive(Clone)]
pub(crate) struct Identity(Arc<Shared>);

/// A load that is under way.
type Loading<'a> = Pin<Box<dyn Future<Output = Result<Credentials, Problem>> + Send + 'a>>;

/// Hears of another account.
type OfAnother = Box<dyn Fn() + Send + Sync>;

struct Shared {
    config: Arc<AwsSettings>,
    clock: Clock,
    /// The role whose credentials these are, and who assumes it.
    role: Option<(Arc<Role>, Identity)>,
    held: Mutex<Held>,
    /// One load at a time.
    loading: AsyncMutex<()>,
    /// One renewal of a session of `aws login` at a time.
    signing_in: AsyncMutex<()>,
    /// Hears that the credentials are of another account than those before.
    of_another: OnceLock<OfAnother>,
}

#[derive(Default)]
struct Held {
    credentials: Option<Loaded>,
    failed: Option<(Problem, Moment)>,
    renewal: Option<AbortHandle>,
    /// Sessions of `aws login` that are being read or renewed.
    sessions: Vec<AbortHandle>,
    /// Of the last credentials that were loaded; they may have ended.
    account: Account,
}

/// The account of credentials.
#[derive(Clone, Default)]
enum Account {
    /// None were loaded yet.
    #[default]
    Unknown,
    /// They name none.
    Unnamed,
    Named(Arc<str>),
}

#[derive(Clone)]
struct Loaded {
    credentials: Credentials,
    /// In milliseconds since 1970.
    renew_at: u64,
    /// In milliseconds since 1970.
    ends_at: Option<u64>,
}

impl Identity {
    /// That of a delivery: `aws.assumeRole`, where it is given, else what the chain finds.
    pub(crate) fn new(config: Arc<AwsSettings>, clock: Clock) -> Self {
        let role = config.assume_role.clone();
        let found = Self::of(config.clone(), clock, None);
        match role {
            Some(role) => found.assuming(role, config),
            None => found,
        }
    }

    /// That of `role`, which this identity assumes.
    pub(crate) fn assuming(&self, role: Arc<Role>, config: Arc<AwsSettings>) -> Self {
        Self::of(config, self.0.clock.clone(), Some((role, self.clone())))
    }

    fn of(config: Arc<AwsSettings>, clock: Clock, role: Option<(Arc<Role>, Self)>) -> Self {
        Self(Arc::new(Shared {
            config,
            clock,
            role,
            held: Mutex::default(),
            loading: AsyncMutex::default(),
            signing_in: AsyncMutex::default(),
            of_another: OnceLock::new(),
        }))
    }

    /// Forgets the credentials: AWS did not accept them, so the next request reads them anew.
    pub(crate) fn forget(&self) {
        self.0.held.lock().credentials = None;
    }

    /// That the credentials did not arrive in time, where there are none.
    pub(crate) fn late(&self) -> Option<Problem> {
        if self.0.held.lock().credentials.is_some() {
            return None;
        }
        Some(match &self.0.role {
            Some((role, base)) => base.late().unwrap_or_else(|| assume::late(role)),
            None => Problem::late(&self.0.config),
        })
    }

    /// That STS did not give a role's credentials in time, where it is what is waited for.
    pub(crate) fn late_role(&self) -> Option<Problem> {
        let (role, base) = self.0.role.as_ref()?;
        let is_asked = self.0.held.lock().credentials.is_none() && base.0.held.lock().credentials.is_some();
        is_asked.then(|| assume::late(role))
    }

    /// Ends what is under way, and forgets everything but the account.
    pub(crate) fn close(&self) {
        let mut held = self.0.held.lock();
        if let Some(renewal) = held.renewal.take() {
            renewal.abort();
        }
        held.sessions.iter().for_each(AbortHandle::abort);
        // Whose copies are still to be dropped is known without asking again.
        *held = Held { account: std::mem::take(&mut held.account), ..Held::default() };
        drop(held);
        if let Some((_, base)) = &self.0.role {
            base.close();
        }
    }

    /// Whether nothing names any credentials.
    pub(crate) async fn is_missing(&self) -> bool {
        Box::pin(self.credentials()).await.is_err_and(|problem| problem.sort == Sort::Missing)
    }

    /// The account of the credentials, which are loaded for that when they never were; `None` when they name none, or there are none.
    /// Where they cannot be loaded, or not within [`ACCOUNT`], what the configuration says of them.
    pub(crate) async fn account(&self) -> Result<Option<Arc<str>>, Problem> {
        let known = self.0.held.lock().account.clone();
        match known {
            Account::Named(account) => return Ok(Some(account)),
            Account::Unnamed => return Ok(None),
            Account::Unknown => {}
        }
        let this = self.clone();
        // Who waits no longer does not end the load: the first call of AWS needs it.
        let loading = tokio::spawn(async move { this.credentials().await }.with_current_subscriber());
        self.0.held.lock().renewal.get_or_insert(loading.abort_handle());
        let problem = match timeout(ACCOUNT, loading).await {
            Ok(Ok(Ok(credentials))) => return Ok(account_of(&credentials)),
            Ok(Ok(Err(problem))) if problem.sort == Sort::Missing => return Ok(None),
            Ok(Ok(Err(problem))) => problem,
            Ok(Err(_)) | Err(_) => Problem::late(&self.0.config),
        };
        let profiles = Profiles::load(&self.0.config).await.ok();
        expected(&self.0.config, profiles.as_ref()).map(Some).ok_or(problem)
    }

    /// The account of the credentials, where they were ever loaded: `Some(None)` where they name none.
    #[expect(clippy::option_option, reason = "not known yet, and known to be none, are two things")]
    pub(crate) fn known_account(&self) -> Option<Option<Arc<str>>> {
        match &self.0.held.lock().account {
            Account::Named(account) => return Some(Some(account.clone())),
            Account::Unnamed => return Some(None),
            Account::Unknown => {}
        }
        match (&self.0.role, &self.0.config.credentials) {
            (None, Some(CredentialsSource::Fixed(given))) => Some(account_of(&signing(given))),
            _ => None,
        }
    }

    /// [`Identity::account`] without loading anything: what is known, else what the configuration says.
    pub(crate) async fn account_now(&self) -> Result<Option<Arc<str>>, Problem> {
        if let Some(known) = self.known_account() {
            return Ok(known);
        }
        let profiles = Profiles::load(&self.0.config).await.ok();
        if let Some(account) = expected(&self.0.config, profiles.as_ref()) {
            return Ok(Some(account));
        }
        match self.0.held.lock().failed.clone() {
            Some((problem, _)) if problem.sort == Sort::Missing => Ok(None),
            Some((problem, _)) => Err(problem),
            None => Err(Problem::late(&self.0.config)),
        }
    }

    /// Calls `heard` whenever the credentials are those of another account than before, from then on.
    pub(crate) fn on_another_account(&self, heard: OfAnother) {
        drop(self.0.of_another.set(heard));
    }

    async fn credentials(&self) -> Result<Credentials, Problem> {
        if let Some(held) = self.held() {
            return held;
        }
        let _one = self.0.loading.lock().await;
        if let Some(held) = self.held() {
            return held;
        }
        self.renew().await.map(|loaded| loaded.credentials)
    }

    /// What is known now: good credentials, or a failure a moment ago.
    fn held(&self) -> Option<Result<Credentials, Problem>> {
        let (now, mut held) = (self.0.clock.unix_ms(), self.0.held.lock());
        if let Some(loaded) = held.credentials.clone().filter(|loaded| loaded.ends_at.is_none_or(|end| now < end)) {
            let is_renewing = held.renewal.as_ref().is_some_and(|renewal| !renewal.is_finished());
            let is_rested = held.failed.as_ref().is_none_or(|(_, at)| self.0.clock.now().since(*at) >= RENEW_EVERY);
            if now >= loaded.renew_at && !is_renewing && is_rested {
                let this = self.clone();
                let renewing = async move {
                    let _one = this.0.loading.lock().await;
                    match timeout(RENEWAL, this.renew()).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(problem)) => {
                            tracing::warn!("AWS credentials could not be renewed before they end: {problem}");
                        }
                        Err(_) => tracing::warn!("AWS credentials were not renewed within {RENEWAL:?}"),
                    }
                };
                // What is told there is heard by this delivery's logger.
                let renewal = tokio::spawn(renewing.with_current_subscriber());
                held.renewal = Some(renewal.abort_handle());
            }
            return Some(Ok(loaded.credentials));
        }
        let (problem, at) = held.failed.as_ref()?;
        let is_fresh = self.0.clock.now().since(*at) < PAUSE;
        if is_fresh { Some(Err(problem.clone())) } else { None }
    }

    async fn renew(&self) -> Result<Loaded, Problem> {
        let loaded = self.load().await;
        let mut held = self.0.held.lock();
        match loaded {
            Ok(credentials) => {
                let loaded = self.loaded(credentials);
                let account = account_of(&loaded.credentials).map_or(Account::Unnamed, Account::Named);
                let before = std::mem::replace(&mut held.account, account);
                let is_another =
                    matches!((&before, &held.account), (Account::Named(before), Account::Named(now)) if before != now);
                held.credentials = Some(loaded.clone());
                held.failed = None;
                drop(held);
                if is_another && let Some(heard) = self.0.of_another.get() {
                    heard();
                }
                Ok(loaded)
            }
            Err(problem) => {
                held.failed = Some((problem.clone(), self.0.clock.now()));
                Err(problem)
            }
        }
    }

    fn loaded(&self, credentials: Credentials) -> Loaded {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let now = self.0.clock.unix_ms();
        let ends_at = credentials.expiry().and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok()).map(millis);
        let renew_at = match ends_at {
            // Short ones are renewed when a fifth of their time is left.
            Some(end) => end.saturating_sub(millis(AHEAD).min(end.saturating_sub(now) / 5)),
            None => now + millis(ENDLESS),
        };
        Loaded { credentials, renew_at, ends_at }
    }

    /// Credentials that a request can be signed with.
    async fn load(&self) -> Result<Credentials, Problem> {
        let loaded = self.load_any().await?;
        // The signer panics over what no header may hold, such as a line end that was read along from a file.
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if loaded.access_key_id().is_empty() || !is_plain(loaded.access_key_id()) {
            return Err(Problem::new(NO_KEY));
        }
        if !loaded.session_token().is_none_or(is_plain) {
            return Err(Problem::new(NO_TOKEN));
        }
        Ok(loaded)
    }

    /// Reads files and asks services anew: nothing of an earlier load is reused.
    async fn load_any(&self) -> Result<Credentials, Problem> {
        let config = &self.0.config;
        if let Some((role, base)) = &self.0.role {
            return assumed(config, role, base).await;
        }
        match &config.credentials {
            Some(CredentialsSource::Fixed(given))
                if given.ends_unix_ms.is_some_and(|end| end <= self.0.clock.unix_ms()) =>
            {
                return Err(Problem::new(ENDED));
            }
            Some(CredentialsSource::Fixed(given)) => return Ok(signing(given)),
            Some(CredentialsSource::Asked(service)) => {
                let given = service.ask().await.map_err(|error| Problem::of_service(&error))?;
                return Ok(signing(&given));
            }
            Some(CredentialsSource::Unconnected) => return Err(Problem::new("aws.credentials cannot be asked here")),
            None => {}
        }
        self.found(config.clone()).await
    }
}

/// The credentials of `role`, which `base` assumes. Boxed, because `base` may be that of a role as well.
fn assumed<'a>(config: &'a AwsSettings, role: &'a Role, base: &'a Identity) -> Loading<'a> {
    Box::pin(async move {
        match assume(config, role, base.credentials().await?).await {
            // They may have been replaced.
            Err(problem) if problem.sort == Sort::Unaccepted => {
                base.forget();
                assume(config, role, base.credentials().await?).await
            }
            assumed => assumed,
        }
    })
}

fn signing(given: &AwsCredentials) -> Credentials {
    let ends = given.ends_unix_ms.and_then(|end| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(end)));
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: the SDK signs with it")]
    Credentials::new(
        &given.access_key_id,
        given.secret_access_key.expose(),
        given.session_token.as_ref().map(|token| token.expose().to_owned()),
        ends,
        "options.aws.credentials",
    )
}

impl ProvideCredentials for Identity {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            Box::pin(self.credentials()).await.map_err(CredentialsError::provider_error)
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}
