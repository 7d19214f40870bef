//! Names as parts of AWS secrets: one fetch, one copy and one version for all names of a secret (decision D15).

use std::collections::BTreeMap;

use aws::Version;
use secret::aws_ids::{AwsIds, Place};
use secret::error::{ErrorCode, Result, SecretError};
use secret::found::{Fetched, Found};
use secret::json_field::Unreadable;
use secret::name::SecretName;
use secret::value::SecretValue;

use super::Reads;

/// The AWS secrets that names are parts of.
pub struct Wanted<'a> {
    ids: &'a AwsIds,
    names: &'a [SecretName],
    places: Vec<Result<Place>>,
}

impl<'a> Wanted<'a> {
    /// Those of `names`.
    pub fn of(ids: &'a AwsIds, names: &'a [SecretName]) -> Self {
        Self { ids, names, places: names.iter().map(|name| ids.place(name)).collect() }
    }

    /// Each secret once, in the order of the names.
    pub fn secrets(&self) -> Vec<SecretName> {
        let mut secrets: Vec<SecretName> = Vec::with_capacity(self.places.len());
        let mut seen = std::collections::HashSet::new();
        for place in self.places.iter().flatten() {
            if seen.insert(&place.secret) {
                secrets.push(place.secret.clone());
            }
        }
        secrets
    }

    /// AWS has not what some names went by: what else these names may mean, now that they are no words for it any more. To be
    /// asked for as well.
    pub fn taken_apart<T>(&mut self, secrets: &[SecretName], answers: &[Result<Option<T>>]) -> Vec<SecretName> {
        let mut others = Vec::new();
        let absent = |secret: &SecretName| {
            secrets.iter().zip(answers).any(|(asked, answer)| asked == secret && matches!(answer, Ok(None)))
        };
        for (place, name) in self.places.iter_mut().zip(self.names) {
            let Ok(before) = place else { continue };
            if self.ids.twins().get(&before.secret).is_none() || !absent(&before.secret) {
                continue;
            }
            if let Ok(now) = self.ids.place(name)
                && now.secret != before.secret
            {
                if !others.contains(&now.secret) {
                    others.push(now.secret.clone());
                }
                *before = now;
            }
        }
        others.retain(|secret| !secrets.contains(secret));
        others
    }

    /// The answers about `secrets`, for each name its part.
    pub fn parts<T: Part>(self, secrets: &[SecretName], answers: Vec<Result<Option<T>>>) -> Vec<Result<Option<T>>> {
        let answers: BTreeMap<&SecretName, Result<Option<T>>> = secrets.iter().zip(answers).collect();
        let part = |(place, name): (Result<Place>, &SecretName)| {
            let place = place?;
            let answer = answers.get(&place.secret).cloned().unwrap_or(Ok(None));
            part_of(self.ids, name.as_str(), &place, answer)
        };
        self.places.into_iter().zip(self.names).map(part).collect()
    }
}

impl Reads {
    /// Whether this process ever had the secret of `name` from AWS or from a copy. Where it did not, a denial does not tell
    /// whether there is such a secret (decision D30).
    pub fn was_given(&self, name: &SecretName) -> bool {
        self.ids().place(name).is_ok_and(|place| self.copies.was_given(&place.secret))
    }

    /// Says once that a value of another source answers for a secret that AWS does not show.
    pub fn warn_not_shown(&self, name: &SecretName) {
        self.copies.warn_not_shown(name);
    }
}

/// Something with a value of which a part can be taken.
pub trait Part: Clone {
    /// The value.
    fn value(&self) -> &SecretValue;
    /// The same with another value.
    #[must_use]
    fn with_value(self, value: SecretValue) -> Self;
}

impl Part for Found {
    fn value(&self) -> &SecretValue {
        &self.value
    }

    fn with_value(self, value: SecretValue) -> Self {
        Self { value, ..self }
    }
}

impl Part for Fetched {
    fn value(&self) -> &SecretValue {
        &self.value
    }

    fn with_value(self, value: SecretValue) -> Self {
        Self { value, ..self }
    }
}

impl Part for Version {
    fn value(&self) -> &SecretValue {
        &self.value
    }

    fn with_value(self, value: SecretValue) -> Self {
        Self { value, is_binary: false, ..self }
    }
}

/// Of an answer about a whole secret what is at `place`.
///
/// # Errors
/// That of the answer; `SOURCE_RESPONSE_INVALID` when the secret has no fields (decision D16).
pub fn part_of<T: Part>(ids: &AwsIds, name: &str, place: &Place, answer: Result<Option<T>>) -> Result<Option<T>> {
    let Some(whole) = answer? else { return Ok(None) };
    let Some(field) = &place.field else { return Ok(Some(whole)) };
    if whole.value().is_empty() {
        return Ok(None);
    }
    let part = whole.value().field(field).map_err(|why| no_fields(name, &ids.id(&place.secret), field, why))?;
    Ok(part.map(|value| whole.with_value(value)))
}

/// `SOURCE_RESPONSE_INVALID`: the secret has no fields, and `name` would be one.
pub fn no_fields(name: &str, id: &str, field: &str, why: Unreadable) -> SecretError {
    let field: String = field.chars().take(100).flat_map(char::escape_default).collect();
    let message = format!("{name}: the field '{field}' cannot be read from the secret {id}: {why}");
    SecretError::new(ErrorCode::SourceResponseInvalid, message).about_one_request()
}
