//! The credentials that the chain finds: of variables, profiles, web identities, containers and EC2.

use std::sync::Arc;

use aws_credential_types::Credentials;
use tokio::time::timeout;
use tracing::instrument::WithSubscriber as _;

use super::{Identity, Loading, RENEWAL};
use crate::identity_problem::Problem;
use crate::lasting::{self, Lasting};
use crate::login::Session;
use crate::process::Process;
use crate::profile_problem::warn_of_unused_keys;
use crate::profiles::Profiles;
use crate::sdk;
use crate::settings::AwsSettings;
use crate::sso::Redated;
use secret::caught::caught;

const NO_CREDENTIALS: &str =
    "what gives AWS credentials here (a container's service, EC2, STS, SSO) answered with what are none";

impl Identity {
    /// What the chain finds. Boxed, because the source of a role may be a role as well.
    pub(super) fn found(&self, config: Arc<AwsSettings>) -> Loading<'_> {
        Box::pin(async move { self.found_by(&config).await })
    }

    async fn found_by(&self, config: &Arc<AwsSettings>) -> Result<Credentials, Problem> {
        let mut profiles = Profiles::load(config).await.map_err(|error| Problem::new(error.to_string()))?;
        let mut lasting = None;
        // Not of the source of a role, which nobody chose.
        if Arc::ptr_eq(config, &self.0.config) {
            warn_of_unused_keys(config, &profiles);
        }
        if !config.has_keys() {
            if let Some(problem) = Problem::of_profile(&profiles, config) {
                profiles = profiles.with_chosen().ok_or(problem)?;
            }
            sdk::tokens_answer(config, &profiles).await.map_err(|error| Problem::new(error.to_string()))?;
            lasting = Lasting::of(&profiles).await?;
            if let Some(Lasting { role, source: Some(source) }) = &lasting {
                let asking = AwsSettings { profile: Some(source.clone()), ..AwsSettings::clone(config) };
                return lasting::assumed(config, role, self.found(Arc::new(asking)).await?).await;
            }
            if let Some(process) = Process::of(&profiles) {
                let ran = process.run().await;
                let credentials = ran.map_err(|how| Problem::of_process(process.profile, &how))?;
                if process.is_direct {
                    return Ok(credentials);
                }
                let profile = process.profile.to_owned();
                profiles = profiles.with_output(&profile, &credentials);
            }
            profiles = profiles.with_environment(&config.variables);
            if lasting.is_some() {
                profiles = profiles.without_role().await;
            }
        }
        let credentials = self.chained(config, profiles).await?;
        match lasting {
            Some(Lasting { role, .. }) => lasting::assumed(config, &role, credentials).await,
            None => Ok(credentials),
        }
    }

    async fn chained(&self, config: &Arc<AwsSettings>, profiles: Profiles) -> Result<Credentials, Problem> {
        if let Some(session) = Session::of(config, &profiles) {
            return self.signed_in(config.clone(), session, profiles).await;
        }
        let connections = sdk::connections(config, &profiles);
        // The SDK panics over some answers of what gives credentials.
        let session = Redated::of(config, &profiles).await;
        let files = session.as_ref().map(Redated::files);
        let loaded = caught(sdk::chained(config, &profiles, &connections, None, files)).await;
        if let Some(session) = session {
            session.keep().await;
        }
        match loaded {
            Some(Ok(credentials)) => Ok(credentials),
            Some(Err(error)) => Err(Problem::of(&error, config, &profiles, &connections).await),
            None => Err(Problem::new(NO_CREDENTIALS)),
        }
    }

    /// The credentials of a session of `aws login`. Renewing it replaces what it is renewed with the next time, so a reader that
    /// waits no longer must not cut it off; and the next load waits for it.
    async fn signed_in(
        &self,
        config: Arc<AwsSettings>,
        session: Session,
        profiles: Profiles,
    ) -> Result<Credentials, Problem> {
        let this = self.clone();
        let signing_in = async move {
            let _one = this.0.signing_in.lock().await;
            let loaded = timeout(RENEWAL, session.credentials(&config, &profiles, &this.0.clock)).await;
            loaded.unwrap_or_else(|_| Err(Problem::late(&config)))
        };
        let signing_in = tokio::spawn(signing_in.with_current_subscriber());
        {
            let sessions = &mut self.0.held.lock().sessions;
            sessions.retain(|session| !session.is_finished());
            sessions.push(signing_in.abort_handle());
        }
        signing_in.await.unwrap_or_else(|_| Err(Problem::late(&self.0.config)))
    }
}
