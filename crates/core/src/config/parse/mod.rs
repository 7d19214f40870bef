//! Turns options into a [`Config`], with one function for each section.

mod alerts;
pub mod audit;
mod aws;
mod cache;
mod compliance;
mod environment;
mod migration;
mod role;
mod rotation;
mod tools;

pub use tools::reference_of;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;

use super::{Ambient, Config, Field, OptionValue, Section};
use crate::source::env_file::{EnvFileSettings, EnvFileSyntax};
use crate::source::runtime::{Precedence, RuntimeSettings};
use secret::clock::is_shown_right;
use secret::environment::Environment;
use secret::error::{Result, SecretError};

const TOP: &[&str] = &[
    "environment",
    "environments",
    "tools",
    "secrets",
    "aws",
    "envFile",
    "runtime",
    "cache",
    "rotation",
    "migration",
    "events",
    "alerts",
    "audit",
    "logLevel",
    "compliance",
    "monitoring",
    "encryption",
    "alerting",
];

pub(super) fn config(options: OptionValue, ambient: &Ambient) -> Result<Config> {
    let options = match options {
        OptionValue::Null => OptionValue::Record(BTreeMap::new()),
        given => given,
    };
    let mut top = Field::new("options", options).section()?;
    let (environments, environment) = environment::environment(&mut top, ambient)?;
    let mut preset = environment.preset();
    let compliance = compliance::settings(&mut top, &preset)?;
    if compliance.is_watched {
        preset.compliance = Some(compliance::PROFILE);
    }
    preset.monitoring = top.read("monitoring", Field::bool)?.unwrap_or(preset.monitoring);
    preset.encryption_required = top.read("encryption", Field::bool)?.unwrap_or(preset.encryption_required);
    let alerting = top.read("alerting", Field::bool)?;
    preset.alerting = alerting.unwrap_or(preset.alerting);
    let declared = tools::declared(&mut top, &environments)?;
    let trust = Arc::new(aws::trust(ambient));
    let (aws, aws_id_template) = aws::aws(&mut top, environment, ambient, &trust)?;
    let (tools, aws_id_template) = declared.placed(aws_id_template, environment)?;
    let env_file = env_file(&mut top, environment, ambient)?;
    let runtime = runtime(&mut top, ambient)?;
    let cache = cache::cache(&mut top, &preset, ambient, &trust)?;
    let migration = migration::migration(&mut top)?;
    let rotation = rotation::rotation(&mut top, &preset, &tools)?;
    let events = rotation::events(&mut top)?;
    let alerts = alerts::alerts(&mut top, &preset)?.filter(|_| alerting != Some(false));
    let mut audit = audit::audit(&mut top, environment, &preset, ambient)?;
    if let Some(audit) = &mut audit {
        // AWS's answers show it.
        audit.may_delete = if aws.is_some() { is_shown_right } else { || true };
    }
    let label = audit.as_ref().map(|audit| audit.label.clone()).filter(|label| !label.is_empty());
    let service = ambient.variable("OTEL_SERVICE_NAME").map(str::to_owned).or(label);
    let levels = [
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("silent", LevelFilter::OFF),
    ];
    let log_level = top.read("logLevel", |field| field.one_of(&levels))?.unwrap_or(LevelFilter::WARN);
    top.finish(TOP)?;
    let config = Config {
        environment,
        environments,
        preset,
        tools,
        aws,
        aws_id_template,
        env_file,
        runtime,
        cache,
        rotation,
        migration,
        events,
        alerts,
        audit,
        log_level,
        trust,
        service,
        compliance: Arc::default(),
    };
    compliance::judged(config, compliance)
}

fn env_file(top: &mut Section, environment: Environment, ambient: &Ambient) -> Result<Option<EnvFileSettings>> {
    let preset = environment.preset();
    let private = matches!(environment.base(), Environment::Staging | Environment::Production);
    let Some(field) = top.take("envFile") else {
        return Ok(preset.env_file.map(|name| EnvFileSettings {
            paths: vec![ambient.working_directory.join(name)],
            expected: Some(ambient.working_directory.join(".env")),
            syntax: EnvFileSyntax::Dotenv,
            deprecated: preset.env_file_deprecated,
            private,
        }));
    };
    if field.is_false() {
        return Ok(None);
    }
    let mut section = field.section()?;
    let paths = section.read("path", env_paths)?;
    let directory = section.read("directory", Field::string)?;
    let syntax = section
        .read("syntax", |f| f.one_of(&[("dotenv", EnvFileSyntax::Dotenv), ("dotenvy", EnvFileSyntax::Dotenvy)]))?
        .unwrap_or(EnvFileSyntax::Dotenv);
    section.finish(&["path", "directory", "syntax"])?;
    let directory = directory
        .map_or_else(|| ambient.working_directory.clone(), |directory| ambient.working_directory.join(directory));
    // A path that the caller gives is used in production too. The preset decides only the default.
    let expected = paths.is_none().then(|| directory.join(".env"));
    let Some(paths) = paths.or_else(|| preset.env_file.map(|name| vec![PathBuf::from(name)])) else {
        return Ok(None);
    };
    let (deprecated, paths) = (preset.env_file_deprecated, paths.iter().map(|path| directory.join(path)).collect());
    Ok(Some(EnvFileSettings { paths, expected, syntax, deprecated, private }))
}

/// A path, or a list of paths.
fn env_paths(field: Field) -> Result<Vec<PathBuf>> {
    if field.is_text() {
        return Ok(vec![field.string()?.into()]);
    }
    let path = field.path().to_owned();
    let paths = field.list()?.into_iter().map(|item| item.string().map(PathBuf::from)).collect::<Result<Vec<_>>>()?;
    if paths.is_empty() { Err(SecretError::config(&path, "names no file")) } else { Ok(paths) }
}

fn runtime(top: &mut Section, ambient: &Ambient) -> Result<RuntimeSettings> {
    let mut section = sub_section(top, "runtime")?;
    let precedence = section
        .read("precedence", |f| f.one_of(&[("last", Precedence::Last), ("override", Precedence::Override)]))?
        .unwrap_or(Precedence::Last);
    // Only checks the variables. JavaScript keeps them, and reads them at each call.
    if let Some(field) = section.take("variables") {
        for (_, variable) in field.section()?.entries() {
            variable.text_or_empty()?;
        }
    }
    let directories = section.read("secretDirectories", |field| {
        field
            .list()?
            .into_iter()
            .map(|item| item.string().map(|dir| ambient.working_directory.join(dir)))
            .collect::<Result<Vec<_>>>()
    })?;
    section.finish(&["precedence", "variables", "secretDirectories"])?;
    Ok(RuntimeSettings { precedence, directories: directories.unwrap_or_else(|| default_directories(cfg!(windows))) })
}

/// Where containers find secrets. On Windows the path would have no drive, and any user may make `C:\\run\\secrets`.
fn default_directories(is_windows: bool) -> Vec<PathBuf> {
    if is_windows { Vec::new() } else { vec![PathBuf::from("/run/secrets")] }
}

fn sub_section(top: &mut Section, name: &str) -> Result<Section> {
    match top.take(name) {
        Some(field) => field.section(),
        None => empty_section(&format!("options.{name}")),
    }
}

fn empty_section(path: &str) -> Result<Section> {
    Field::new(path, OptionValue::Record(BTreeMap::new())).section()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_have_their_secrets_where_nobody_else_may_put_them() {
        assert_eq!(default_directories(false), [PathBuf::from("/run/secrets")]);
        assert!(default_directories(true).is_empty(), "the path would be on whatever drive the process is");
    }
}
