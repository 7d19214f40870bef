//! Turns options into a [`Config`], with one function for each section.

mod alerts;
mod audit;
mod aws;
mod cache;
mod rotation;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use network::Trust;
use regex::Regex;
use tracing::level_filters::LevelFilter;

use super::{Ambient, Config, Field, OptionValue, Section};
use crate::source::env_file::{EnvFileSettings, EnvFileSyntax};
use crate::source::runtime::{Precedence, RuntimeSettings};
use secret::environment::Environment;
use secret::error::{Result, SecretError};
use secret::manifest::{Manifest, Phase, SecretSpec};
use secret::name::check_part;

const TOP: &[&str] = &[
    "environment",
    "tools",
    "aws",
    "envFile",
    "runtime",
    "cache",
    "rotation",
    "events",
    "alerts",
    "audit",
    "logLevel",
];

pub(super) fn config(options: OptionValue, ambient: &Ambient) -> Result<Config> {
    let options = match options {
        OptionValue::Null => OptionValue::Record(BTreeMap::new()),
        given => given,
    };
    let mut top = Field::new("options", options).section()?;
    let environment = environment(&mut top, ambient)?;
    let preset = environment.preset();
    let tools = top.read("tools", tools)?.unwrap_or_default();
    let trust = Arc::new(Trust::new(aws::bundle(ambient, "NODE_EXTRA_CA_CERTS")));
    let (aws, aws_id_template) = aws::aws(&mut top, environment, ambient, &trust)?;
    let env_file = env_file(&mut top, environment, ambient)?;
    let runtime = runtime(&mut top, ambient)?;
    let cache = cache::cache(&mut top, &preset, ambient, &trust)?;
    let rotation = rotation::rotation(&mut top, &preset)?;
    let events = rotation::events(&mut top)?;
    let alerts = alerts::alerts(&mut top, &preset)?;
    let audit = audit::audit(&mut top, &preset, ambient)?;
    let levels = [
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("silent", LevelFilter::OFF),
    ];
    let log_level = top.read("logLevel", |field| field.one_of(&levels))?.unwrap_or(LevelFilter::WARN);
    top.finish(TOP)?;
    Ok(Config {
        environment,
        preset,
        tools,
        aws,
        aws_id_template,
        env_file,
        runtime,
        cache,
        rotation,
        events,
        alerts,
        audit,
        log_level,
        trust,
    })
}

fn environment(top: &mut Section, ambient: &Ambient) -> Result<Environment> {
    let known = "must be 'development', 'test', 'staging' or 'production'";
    if let Some(field) = top.take("environment") {
        let path = field.path().to_owned();
        return Environment::parse(&field.string()?).ok_or_else(|| SecretError::config(&path, known));
    }
    for variable in ["TCS_ENVIRONMENT", "NODE_ENV"] {
        if let Some(value) = ambient.variable(variable) {
            return Environment::parse(value).ok_or_else(|| {
                SecretError::config(
                    "options.environment",
                    format_args!(
                        "is not given and the variable {variable} {known}. If {variable} is there for something else, set \
                         TCS_ENVIRONMENT, which goes first"
                    ),
                )
            });
        }
    }
    Ok(Environment::Development)
}

fn tools(field: Field) -> Result<Manifest> {
    let mut manifest = Manifest::default();
    for (tool, field) in field.section()?.entries() {
        check_part("tool name", &tool)
            .map_err(|error| SecretError::config("options.tools", format_args!("has a bad key: {error}")))?;
        let path = field.path().to_owned();
        let mut section = field.section()?;
        let secrets = section.read("secrets", secrets)?.unwrap_or_default();
        section.finish(&["secrets"])?;
        if !manifest.declare(&tool, secrets) {
            return Err(SecretError::config(&path, "is declared twice (names differ only in case)"));
        }
    }
    Ok(manifest)
}

fn secrets(field: Field) -> Result<BTreeMap<String, SecretSpec>> {
    let parent = field.path().to_owned();
    let mut secrets = BTreeMap::new();
    for (secret_type, field) in field.section()?.entries() {
        check_part("secret type", &secret_type)
            .map_err(|error| SecretError::config(&parent, format_args!("has a bad key: {error}")))?;
        let path = field.path().to_owned();
        let spec = secret_spec(field)?;
        if secrets.insert(secret_type.to_ascii_uppercase(), spec).is_some() {
            return Err(SecretError::config(&path, "is declared twice (names differ only in case)"));
        }
    }
    Ok(secrets)
}

fn secret_spec(field: Field) -> Result<SecretSpec> {
    let mut section = field.section()?;
    let spec = SecretSpec {
        required: section.read("required", Field::bool)?.unwrap_or(false),
        pattern: section.read("pattern", pattern)?,
        min_length: section.read("minLength", |f| f.integer(0..=65_536))?,
        json_fields: section.read("json", json_fields)?.flatten(),
        rotation_type: section.read("rotationType", Field::string)?,
        phase: section.read("phase", |f| f.one_of(&Phase::ALL.map(|phase| (phase.as_str(), phase))))?,
    };
    section.finish(&["required", "pattern", "minLength", "json", "rotationType", "phase"])?;
    Ok(spec)
}

fn pattern(field: Field) -> Result<Regex> {
    let path = field.path().to_owned();
    let text = field.string()?;
    Regex::new(&text).map_err(|_| {
        SecretError::config(
            &path,
            "is not a regular expression (Rust regex syntax: no look-around, no back-references)",
        )
    })
}

/// `tools.*.secrets.*.json`: an array of top-level fields, which is empty for JSON of any shape; `false` for any text.
fn json_fields(field: Field) -> Result<Option<Vec<String>>> {
    if field.is_false() {
        return Ok(None);
    }
    let path = field.path().to_owned();
    match field.list() {
        Ok(items) => items.into_iter().map(Field::string).collect::<Result<_>>().map(Some),
        Err(_) => Err(SecretError::config(&path, "must be an array of field names (empty for any JSON) or false")),
    }
}

fn env_file(top: &mut Section, environment: Environment, ambient: &Ambient) -> Result<Option<EnvFileSettings>> {
    let preset = environment.preset();
    let private = matches!(environment, Environment::Staging | Environment::Production);
    let Some(field) = top.take("envFile") else {
        return Ok(preset.env_file.map(|name| EnvFileSettings {
            path: ambient.working_directory.join(name),
            syntax: EnvFileSyntax::Dotenv,
            deprecated: preset.env_file_deprecated,
            private,
        }));
    };
    if field.is_false() {
        return Ok(None);
    }
    let mut section = field.section()?;
    let path = section.read("path", Field::string)?.map(PathBuf::from);
    let directory = section.read("directory", Field::string)?;
    let syntax = section
        .read("syntax", |f| f.one_of(&[("dotenv", EnvFileSyntax::Dotenv), ("dotenvy", EnvFileSyntax::Dotenvy)]))?
        .unwrap_or(EnvFileSyntax::Dotenv);
    section.finish(&["path", "directory", "syntax"])?;
    let directory = directory
        .map_or_else(|| ambient.working_directory.clone(), |directory| ambient.working_directory.join(directory));
    // A path that the caller gives is used in production too. The preset decides only the default.
    let Some(path) = path.or_else(|| preset.env_file.map(PathBuf::from)) else {
        return Ok(None);
    };
    let deprecated = preset.env_file_deprecated;
    Ok(Some(EnvFileSettings { path: directory.join(path), syntax, deprecated, private }))
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
    Ok(RuntimeSettings {
        precedence,
        directories: directories.unwrap_or_else(|| vec![Path::new("/run/secrets").to_owned()]),
    })
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
