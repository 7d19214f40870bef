//! What AWS is asked for besides secrets.

use napi_derive::napi;

use super::native::NativeDelivery;
use crate::credentials::NativeCredentials;
use crate::failure::NativeCause;
use crate::messages::Outcome;
use crate::reports::finding::FoundSecret;
use crate::reports::identity::AwsIdentity;

#[napi]
impl NativeDelivery {
    /// `identity`.
    #[napi(catch_unwind)]
    pub fn identity(&self, id: u32) {
        self.start(id, |delivery| async move {
            let caller = delivery.identity().await?;
            Ok(caller.map_or(Outcome::Null, |caller| Outcome::report(AwsIdentity::from(caller))))
        });
    }

    /// `findInAws`.
    #[napi(catch_unwind)]
    pub fn find_in_aws(&self, id: u32, prefix: Option<String>) {
        self.start(id, |delivery| async move {
            let found = delivery.find_in_aws(prefix.as_deref().unwrap_or_default()).await?;
            Ok(Outcome::report(found.into_iter().map(FoundSecret::from).collect::<Vec<_>>()))
        });
    }

    /// The credentials that were asked for, or why there are none.
    #[napi(catch_unwind)]
    pub fn credentials_are(
        &self,
        id: u32,
        given: Option<NativeCredentials>,
        problem: Option<String>,
        cause: Option<NativeCause>,
    ) {
        let why = || (problem.unwrap_or_else(|| "aws.credentials gave no credentials".to_owned()), cause);
        self.credentials.answer(id, given.ok_or_else(why));
    }
}
