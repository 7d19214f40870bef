//! `identity`.

use aws::Caller;
use napi_derive::napi;

/// Who AWS takes this process for.
#[napi(object)]
pub struct AwsIdentity {
    pub account: String,
    pub arn: String,
}

impl From<Caller> for AwsIdentity {
    fn from(Caller { account, arn }: Caller) -> Self {
        Self { account, arn }
    }
}
