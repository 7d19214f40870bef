//! `options.tools` and `options.secrets`: what is declared, and where AWS has it.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::role::role;
use crate::config::{Field, OptionValue, Section};
use secret::aws_ids::{AwsIdTemplate, Declared, Place};
use secret::environment::{Environment, Environments};
use secret::error::{Result, SecretError};
use secret::manifest::{Manifest, Phase, SecretSpec};
use secret::name::{SecretName, check_part};
use secret::reference::{Reference, References};

const SPEC: &[&str] = &["required", "pattern", "minLength", "json", "rotationType", "rotate", "phase", "aws"];

/// Everything that is declared.
#[derive(Default)]
pub(super) struct Declarations {
    manifest: Manifest,
    names: Vec<Declared>,
    tools: Vec<(Box<str>, References)>,
    /// The option of each name, for messages.
    paths: BTreeMap<SecretName, String>,
}

/// Reads both sections.
///
/// # Errors
/// `CONFIG_INVALID`.
pub(super) fn declared(top: &mut Section, environments: &Environments) -> Result<Declarations> {
    let mut declared = Declarations::default();
    if let Some(field) = top.take("tools") {
        for (tool, field) in field.section()?.entries() {
            check_part("tool name", &tool)
                .map_err(|error| SecretError::config("options.tools", format_args!("has a bad key: {error}")))?;
            declared.tool(&tool, field, environments)?;
        }
    }
    if let Some(field) = top.take("secrets") {
        for (name, field) in field.section()?.entries() {
            let name = SecretName::new(&name)
                .map_err(|error| SecretError::config("options.secrets", format_args!("has a bad key: {error}")))?;
            let path = field.path().to_owned();
            let (spec, references) = secret_spec(field, environments)?;
            if !declared.manifest.declare_name(name.clone(), spec) {
                return Err(SecretError::config(&path, "is declared twice: under options.tools as well"));
            }
            declared.paths.insert(name.clone(), path);
            declared.names.push(Declared { name, tool: "".into(), secret_type: "".into(), references });
        }
    }
    Ok(declared)
}

impl Declarations {
    fn tool(&mut self, tool: &str, field: Field, environments: &Environments) -> Result<()> {
        let path = field.path().to_owned();
        let mut section = field.section()?;
        let whole = section.read("aws", |field| references(field, environments))?;
        let mut secrets = BTreeMap::new();
        if let Some(field) = section.take("secrets") {
            let parent = field.path().to_owned();
            for (secret_type, field) in field.section()?.entries() {
                check_part("secret type", &secret_type)
                    .map_err(|error| SecretError::config(&parent, format_args!("has a bad key: {error}")))?;
                let path = field.path().to_owned();
                let (spec, own) = secret_spec(field, environments)?;
                if secrets.insert(secret_type.to_ascii_uppercase(), spec).is_some() {
                    return Err(SecretError::config(&path, "is declared twice (names differ only in case)"));
                }
                let references = own.or_else(|| Some(whole.as_ref()?.field_of_them(&secret_type)));
                let name = SecretName::of_tool(tool, &secret_type)?;
                self.paths.insert(name.clone(), path);
                let (tool, secret_type) = (tool.into(), secret_type.into());
                self.names.push(Declared { name, tool, secret_type, references });
            }
        }
        section.finish(&["secrets", "aws"])?;
        if !self.manifest.declare(tool, secrets) {
            return Err(SecretError::config(&path, "is declared twice (names differ only in case)"));
        }
        self.tools.extend(whole.map(|references| (tool.to_ascii_uppercase().into(), references)));
        Ok(())
    }

    /// The manifest, and the template that knows what is declared.
    ///
    /// # Errors
    /// `CONFIG_INVALID` for a secret that is declared by environment, and not for this one; and for one without a tool, where
    /// the template asks for it.
    pub(super) fn placed(self, template: AwsIdTemplate, environment: Environment) -> Result<(Manifest, AwsIdTemplate)> {
        let of_tool = template.asks_for_tool();
        if let Some(bare) = self.names.iter().find(|name| of_tool && name.tool.is_empty() && name.references.is_none())
        {
            let path = self.paths.get(&bare.name).map_or("options.secrets", String::as_str);
            let why = "has no tool, which options.aws.secretIdTemplate asks for: add its own 'aws'";
            return Err(SecretError::config(path, why));
        }
        let referring = |name: &Declared| name.references.is_some().then(|| name.name.clone());
        let referring: BTreeSet<SecretName> = self.names.iter().filter_map(referring).collect();
        let template = template.with(self.names, self.tools);
        if let Some(name) = template.of(environment.as_str()).without_place() {
            let path = self.paths.get(name).map_or("options.tools", String::as_str);
            let why = format_args!("has no entry for the environment '{}'", environment.as_str());
            return Err(SecretError::config(&format!("{path}.aws"), why));
        }
        let ids = template.of(environment.as_str());
        let mut places: BTreeMap<Place, &SecretName> = BTreeMap::new();
        for name in self.paths.keys() {
            let Ok(place) = ids.place(name) else { continue };
            let path = self.paths.get(name).map_or("options.tools", String::as_str);
            let is_field = place.field.is_some();
            let Some(other) = places.insert(place, name) else { continue };
            // Two names that both refer to one whole secret are meant to.
            let is_meant = !is_field && referring.contains(name) && referring.contains(other);
            if !is_meant {
                let what = if is_field { "the same field of the same secret" } else { "the same secret in AWS" };
                let why = format_args!(
                    "is {what} as {}: what is written to one of them the other would have",
                    other.as_str()
                );
                return Err(SecretError::config(&format!("{path}.aws"), why));
            }
        }
        Ok((self.manifest, template))
    }
}

fn secret_spec(field: Field, environments: &Environments) -> Result<(SecretSpec, Option<References>)> {
    let mut section = field.section()?;
    let spec = SecretSpec {
        required: section.read("required", Field::bool)?.unwrap_or(false),
        pattern: section.read("pattern", pattern)?,
        min_length: section.read("minLength", |f| f.integer(0..=65_536))?,
        json_fields: section.read("json", json_fields)?.flatten(),
        rotation_type: section.read("rotationType", Field::string)?,
        generate: section.read("rotate", |f| f.one_of(&[("generate", true)]))?.unwrap_or(false),
        phase: section.read("phase", |f| f.one_of(&Phase::ALL.map(|phase| (phase.as_str(), phase))))?,
    };
    let references = section.read("aws", |field| references(field, environments))?;
    section.finish(SPEC)?;
    Ok((spec, references))
}

/// A reference, or one for each environment (decision D14).
fn references(field: Field, environments: &Environments) -> Result<References> {
    if field.is_text() {
        return reference(field).map(References::Everywhere);
    }
    let section = field.section()?;
    if section.has("id") {
        return section_reference(section).map(References::Everywhere);
    }
    let path = section.path().to_owned();
    let mut each = Vec::new();
    for (environment, field) in section.entries() {
        let Some(known) = environments.parse(&environment) else {
            let why = "is none of the environments, and no part of a reference (id, field, versionStage, assumeRole)";
            return Err(SecretError::config(field.path(), why));
        };
        let path = field.path().to_owned();
        let reference = if field.is_text() { reference(field)? } else { section_reference(field.section()?)? };
        if each.iter().any(|(name, _): &(Box<str>, Reference)| **name == *known.as_str()) {
            return Err(SecretError::config(&path, "is given twice"));
        }
        each.push((known.as_str().into(), reference));
    }
    if each.is_empty() {
        return Err(SecretError::config(&path, "names no secret: give a name or an ARN, or one for each environment"));
    }
    Ok(References::ByEnvironment(each.into()))
}

fn reference(field: Field) -> Result<Reference> {
    let path = field.path().to_owned();
    Reference::parse(&field.string()?).map_err(|why| SecretError::config(&path, why))
}

/// Reads a reference that is no option.
///
/// # Errors
/// `CONFIG_INVALID`.
pub fn reference_of(value: OptionValue) -> Result<Reference> {
    section_reference(Field::new("the reference", value).section()?)
}

/// `{ id, field, versionStage, assumeRole }`.
fn section_reference(mut section: Section) -> Result<Reference> {
    let path = section.path().to_owned();
    let id = section.read("id", Field::string)?;
    let id = id.ok_or_else(|| SecretError::config(&path, "has no id: the name or the ARN of the secret in AWS"))?;
    let field = section.read("field", Field::string)?;
    let stage = section.read("versionStage", Field::string)?;
    let role = section.read("assumeRole", role)?;
    section.finish(&["id", "field", "versionStage", "assumeRole"])?;
    if id.contains('#') && field.is_some() {
        return Err(SecretError::config(&path, "has a field twice: in its id, behind '#', and as 'field'"));
    }
    let (id, field) = match id.split_once('#') {
        Some((id, field)) => (id.to_owned(), Some(field.to_owned())),
        None => (id, field),
    };
    let reference = Reference::new(&id, field.as_deref(), stage.as_deref());
    Ok(reference.map_err(|why| SecretError::config(&path, why))?.read_as(role))
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
