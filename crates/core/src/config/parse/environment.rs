//! `options.environment` and `options.environments`.

use crate::config::{Ambient, Field, Section};
use secret::environment::{Environment, Environments};
use secret::error::{Result, SecretError};

/// The environments that are known, and the one in which the service runs.
///
/// # Errors
/// `CONFIG_INVALID`.
pub(super) fn environment(top: &mut Section, ambient: &Ambient) -> Result<(Environments, Environment)> {
    let environments = top.read("environments", environments)?.unwrap_or_default();
    if let Some(field) = top.take("environment") {
        let path = field.path().to_owned();
        let text = field.string()?;
        let found = environments.parse(&text);
        let must = || format!("must be one of {}, and {}", environments.names(), ways_out(&text));
        let environment = found.ok_or_else(|| SecretError::config(&path, must()))?;
        return Ok((environments, environment));
    }
    for variable in ["TCS_ENVIRONMENT", "NODE_ENV"] {
        if let Some(text) = ambient.variable(variable).filter(|text| !text.trim().is_empty()) {
            let found = environments.parse(text);
            let environment = found.ok_or_else(|| {
                let (known, why) = (environments.names(), ways_out(text));
                let why = format_args!("is not given, and the variable {variable} is none of {known}: it {why}");
                SecretError::config("options.environment", why)
            })?;
            return Ok((environments, environment));
        }
    }
    Ok((environments, Environment::Development))
}

/// What is said of a text that names no environment.
fn ways_out(text: &str) -> String {
    let shown: String = text.chars().take(60).flat_map(char::escape_default).collect();
    let declared = if shown.is_empty() { "qa" } else { &shown };
    format!(
        "is '{shown}'; say which one this is (TCS_ENVIRONMENT=staging), or declare it (environments: {{ {declared}: {{ like: \
         'staging' }} }})"
    )
}

/// `{ qa: { like: 'staging' } }`, or `{ qa: 'staging' }`.
fn environments(field: Field) -> Result<Environments> {
    let mut environments = Environments::default();
    for (name, field) in field.section()?.entries() {
        let path = field.path().to_owned();
        let like = if field.is_text() {
            like(field)?
        } else {
            let mut section = field.section()?;
            let found = section.read("like", like)?;
            section.finish(&["like"])?;
            found.ok_or_else(|| {
                SecretError::config(&path, "does not say which of the four it is like: { like: 'staging' }")
            })?
        };
        environments.declare(&name, like).map_err(|why| SecretError::config(&path, why))?;
    }
    Ok(environments)
}

fn like(field: Field) -> Result<Environment> {
    let path = field.path().to_owned();
    let why = "must be 'development', 'test', 'staging' or 'production'";
    Environment::parse(&field.string()?).ok_or_else(|| SecretError::config(&path, why))
}
