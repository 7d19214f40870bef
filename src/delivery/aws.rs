//! What AWS is asked for besides secrets.

use napi_derive::napi;

use super::native::NativeDelivery;
use crate::credentials::NativeCredentials;

#[napi]
impl NativeDelivery {
    /// The credentials that were asked for, or why there are none.
    #[napi(catch_unwind)]
    pub fn credentials_are(&self, id: u32, given: Option<NativeCredentials>, problem: Option<String>) {
        let why = || problem.unwrap_or_else(|| "aws.credentials gave no credentials".to_owned());
        self.credentials.answer(id, given.ok_or_else(why));
    }
}
