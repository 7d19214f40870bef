//! Opens a delivery: options are read, and the core is put together with what JavaScript does for it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use aws::settings::CredentialsSource;
use delivery_core::audit::Actor;
use delivery_core::config::{Ambient, Config};
use delivery_core::delivery::Delivery;
use napi::Env;
use napi::bindgen_prelude::{Either, Object, Result, Unknown, within_runtime_if_available};
use napi_derive::napi;
use secret::clock::Clock;
use tokio::runtime::Handle;

use super::native::NativeDelivery;
use crate::completions::Completions;
use crate::credentials::JsCredentials;
use crate::failure::NativeFailure;
use crate::hooks::JsHooks;
use crate::messages::Message;
use crate::notices::JsNotices;
use crate::options;
use crate::raw::{Slots, Strings};
use crate::sink::JsSink;
use crate::variables::JsVariables;

/// What the process looks like, read on the JavaScript thread.
#[napi(object)]
pub struct NativeAmbient {
    /// The variables that configuration may read.
    pub variables: HashMap<String, String>,
    /// `process.cwd()`.
    pub working_directory: String,
    /// The name of the machine.
    pub host: Option<String>,
    /// The number of the user.
    pub uid: Option<u32>,
    /// The name of the script.
    pub program: Option<String>,
}

/// Opens a delivery, or says why not.
#[napi(catch_unwind)]
pub fn open_delivery(
    env: Env,
    options: Unknown<'_>,
    ambient: NativeAmbient,
    #[napi(
        ts_arg_type = "{ settle(batch: { ids: Array<number>, values: Array<unknown>, others: Array<unknown> }): void, hasRef(): boolean }"
    )]
    target: Object<'_>,
) -> Result<Either<NativeDelivery, NativeFailure>> {
    let options = options::read(options)?;
    let NativeAmbient { variables, working_directory, host, uid, program } = ambient;
    let actor = Actor { host, uid, program, sudo_user: None };
    let ambient = Ambient { variables, working_directory: PathBuf::from(working_directory), actor };
    let completions = Completions::new(env, target)?;
    let handle = within_runtime_if_available(Handle::try_current)
        .map_err(|_| napi::Error::from_reason("the addon's runtime is not there (is the environment closing?)"))?;
    let opened = Config::from_options(options, &ambient).and_then(|mut config| {
        let credentials = Arc::new(JsCredentials::new(completions.clone()));
        if let Some(aws) = &mut config.aws
            && let Some(source @ CredentialsSource::Unconnected) = &mut aws.credentials
        {
            *source = CredentialsSource::Asked(credentials.clone());
        }
        let hooks = Arc::new(JsHooks::new(
            config.rotation.hooks.clone(),
            config.rotation.hooks_of.clone(),
            completions.clone(),
        ));
        let variables = Arc::new(JsVariables::new(completions.clone()));
        let sink = Arc::new(JsSink::new(completions.clone()));
        let shipper = {
            let sink = sink.clone();
            Arc::new(move |lines| sink.take(lines))
        };
        let notices = Arc::new(JsNotices { completions: completions.clone(), environment: config.environment });
        let delivery = Delivery::new(config, notices, hooks.clone(), Some(shipper), Clock::system(), handle)?;
        let strings = strings(&completions);
        Ok(NativeDelivery { delivery: Arc::new(delivery), completions, hooks, variables, credentials, sink, strings })
    });
    Ok(match opened {
        Ok(delivery) => Either::A(delivery),
        Err(error) => Either::B(error.into()),
    })
}

/// The strings that JavaScript holds, and how it is told to let go of one.
fn strings(completions: &Arc<Completions>) -> Arc<Strings> {
    let slots = Arc::new(Slots::default());
    let (completions, freed) = (Arc::downgrade(completions), slots.clone());
    let let_go = Arc::new(move |slot| {
        if let Some(completions) = completions.upgrade() {
            completions.push(Message::LetGo { slot, slots: freed.clone() });
        }
    });
    Arc::new(Strings { slots, let_go })
}
