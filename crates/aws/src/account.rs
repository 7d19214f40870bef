//! The account that credentials are of, told without a call of AWS.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::attributes::AccountId;

use crate::profiles::Profiles;
use crate::settings::AwsSettings;
use secret::role::is_account;

/// The letters of AWS's access key ids, which are base32 behind the first four.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The account of credentials: as their source names it, else as their access key id does.
pub(crate) fn account_of(credentials: &Credentials) -> Option<Arc<str>> {
    let named = credentials.account_id().map(AccountId::as_str).filter(|account| is_account(account));
    named.map(Arc::from).or_else(|| account_in(credentials.access_key_id()))
}

/// The account that the variables or the profile name, where the credentials cannot be had at the moment.
pub(crate) fn expected(config: &AwsSettings, profiles: Option<&Profiles>) -> Option<Arc<str>> {
    if config.credentials.is_some() {
        return None;
    }
    let variable = |name: &str| config.variables.get(name).map(String::as_str);
    let in_profile = |name: &str| profiles.and_then(|profiles| profiles.get(name));
    let by_token = variable("AWS_ROLE_ARN").filter(|_| variable("AWS_WEB_IDENTITY_TOKEN_FILE").is_some());
    let account = variable("AWS_ACCOUNT_ID")
        .or_else(|| in_profile("role_arn").and_then(account_in_arn))
        .or_else(|| in_profile("sso_account_id"))
        .or_else(|| in_profile("login_session").and_then(account_in_arn))
        .or_else(|| in_profile("aws_account_id"))
        .or_else(|| by_token.and_then(account_in_arn));
    account.filter(|account| is_account(account)).map(Arc::from)
}

fn account_in_arn(arn: &str) -> Option<&str> {
    arn.split(':').nth(4)
}

/// The account inside an access key id. AWS does not document the form; `sts get-access-key-info` tells the same account. It is
/// used to keep accounts apart and gives no right, so a wrong number costs a shared copy and nothing else. `None` for what has
/// another form, and for ids from before 2019 (`AKIAI…`, `AKIAJ…`), which hold no account.
fn account_in(access_key_id: &str) -> Option<Arc<str>> {
    let body = access_key_id.strip_prefix("AKIA").or_else(|| access_key_id.strip_prefix("ASIA"))?;
    if body.len() != 16 || body.starts_with(['I', 'J']) {
        return None;
    }
    // 80 bits, of which the account is the second to the forty-first.
    let bits = body.bytes().try_fold(0_u128, |bits, letter| {
        let digit = BASE32.iter().position(|known| *known == letter)?;
        Some(bits << 5 | digit as u128)
    })?;
    let account = (bits >> 39) & ((1 << 40) - 1);
    let account = format!("{account:012}");
    is_account(&account).then(|| account.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_key_id_names_its_account() {
        // Ids that were published with their accounts; they open nothing.
        for (id, account) in [
            ("ASIAQNZGKIQY56JQ7WML", Some("029608264753")),
            ("ASIAY34FZKBOKMUTVV7A", Some("609629065308")),
            ("AKIASP2TPHJSQH3FJRUX", Some("171436882533")),
            ("AKIAIOSFODNN7EXAMPLE", None),
            ("AKIATEST", None),
            ("AKIAy34fzkbokmutvv7a", None),
            ("AKIA0000000000000000", None),
            ("test", None),
            ("", None),
        ] {
            assert_eq!(account_in(id).as_deref(), account, "{id}");
        }
    }

    #[test]
    fn the_source_of_credentials_goes_before_their_id() {
        let given = |account: &str| {
            let credentials = Credentials::builder().access_key_id("ASIAY34FZKBOKMUTVV7A").secret_access_key("s");
            account_of(&credentials.account_id(account).provider_name("test").build())
                .map(|account| account.to_string())
        };
        assert_eq!(given("111122223333").as_deref(), Some("111122223333"));
        assert_eq!(given("nonsense:").as_deref(), Some("609629065308"));
    }
}
