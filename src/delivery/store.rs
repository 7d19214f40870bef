//! `delivery.store`.
#![expect(clippy::needless_pass_by_value, reason = "napi hands arguments over owned")]

use delivery_core::delivery::bytes_of;
use delivery_core::rotation::policy::PasswordRules;
use delivery_core::store::{LENGTHS, RECOVERY_DAYS};
use delivery_core::writing::Condition;
use napi_derive::napi;
use secret::error::{Result, SecretError};
use secret::name::SecretName;
use secret::value::SecretValue;
use zeroize::Zeroizing;

use super::native::{NativeDelivery, secret};
use crate::messages::Outcome;
use crate::reports::store::{ComparedSecret, StoreReport};

/// What has to be live for a change to happen: a version, `''` for none, or whatever there is.
fn condition(version: Option<String>) -> Condition {
    match version {
        None => Condition::Any,
        Some(version) if version.is_empty() => Condition::Absent,
        Some(version) => Condition::Version(version),
    }
}

/// A text, or the bytes that it is the base64 of.
fn written(value: String, is_bytes: bool) -> SecretValue {
    if is_bytes { SecretValue::copied_binary(&Zeroizing::new(value)) } else { SecretValue::new(value) }
}

#[napi]
impl NativeDelivery {
    /// `store.read`.
    #[napi(catch_unwind)]
    pub fn store_read(&self, id: u32, name: String, environment: Option<String>) {
        self.start_named(id, &name, |delivery, name| async move {
            let value = delivery.get_from_aws(&name, environment.as_deref()).await?;
            Ok(match value {
                Some(value) if value.is_binary() => Outcome::Bytes(bytes_of(&value)),
                value => secret(value),
            })
        });
    }

    /// `store.compare`: names with their values.
    #[napi(catch_unwind)]
    pub fn store_compare(&self, id: u32, names: Vec<String>, values: Vec<String>, are_bytes: Vec<bool>) {
        let named = || -> Result<Vec<(SecretName, SecretValue)>> {
            let values = values.into_iter().zip(are_bytes).map(|(value, is_bytes)| written(value, is_bytes));
            names.iter().zip(values).map(|(name, value)| Ok((SecretName::new(name)?, value))).collect()
        };
        let named = named();
        self.start(id, |delivery| async move {
            let compared = delivery.compare_values(named?).await?;
            Ok(Outcome::report(compared.into_iter().map(ComparedSecret::from).collect::<Vec<_>>()))
        });
    }

    /// `store.put`.
    #[napi(catch_unwind)]
    pub fn store_put(&self, id: u32, name: String, value: String, is_bytes: bool, version: Option<String>) {
        let value = written(value, is_bytes);
        self.start_named(id, &name, |delivery, name| async move {
            let stored = delivery.put(&name, &value, &condition(version)).await?;
            Ok(Outcome::report(StoreReport::of(&delivery, &name, stored)))
        });
    }

    /// `store.generate`.
    #[napi(catch_unwind)]
    pub fn store_generate(&self, id: u32, name: String, length: u32, alphabet: String, version: Option<String>) {
        self.start_named(id, &name, move |delivery, name| async move {
            if !LENGTHS.contains(&length) {
                let (least, most) = (LENGTHS.start(), LENGTHS.end());
                return Err(SecretError::config("length", format_args!("must be from {least} to {most}")));
            }
            if alphabet.chars().collect::<std::collections::BTreeSet<_>>().len() < 2 {
                return Err(SecretError::config("alphabet", "must have two different characters at least"));
            }
            let rules = PasswordRules { length, alphabet, ..PasswordRules::default() };
            let stored = delivery.generate(&name, &rules, &condition(version)).await?;
            Ok(Outcome::report(StoreReport::of(&delivery, &name, stored)))
        });
    }

    /// `store.delete`.
    #[napi(catch_unwind)]
    pub fn store_delete(&self, id: u32, name: String, days: u32, version: Option<String>) {
        self.start_named(id, &name, move |delivery, name| async move {
            if !RECOVERY_DAYS.contains(&days) {
                let (least, most) = (RECOVERY_DAYS.start(), RECOVERY_DAYS.end());
                return Err(SecretError::config("recoveryDays", format_args!("must be from {least} to {most}")));
            }
            let stored = delivery.delete_stored(&name, days, &condition(version)).await?;
            Ok(Outcome::report(StoreReport::of(&delivery, &name, stored)))
        });
    }

    /// `store.undelete`.
    #[napi(catch_unwind)]
    pub fn store_undelete(&self, id: u32, name: String) {
        self.start_named(id, &name, |delivery, name| async move {
            let stored = delivery.undelete(&name).await?;
            Ok(Outcome::report(StoreReport::of(&delivery, &name, stored)))
        });
    }
}
