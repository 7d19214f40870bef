//! All secrets of a tool at once (`getToolSecrets`).

use std::collections::{BTreeMap, BTreeSet};

use secret::aws_ids::Place;
use secret::error::{Result, SecretError};
use secret::found::Found;
use secret::manifest::Manifest;
use secret::name::{SecretName, tool_prefix};

use crate::reads::Listed;
use crate::reads::fields::{no_fields, part_of};
use crate::reads::table::Answer;
use crate::resolver::{Freshness, Resolver};
use crate::source::runtime::{REPLACED_AT_MOST, Variables};

/// A tool's secrets by lower-cased type.
pub type ToolSecrets = BTreeMap<String, Found>;

/// Reads every secret of `tool`: the declared ones, or, without a declaration, every name that starts with
/// `${TOOL}_` in any source. Each key obeys the same precedence as a single read (decision D5). What is read of a
/// Kubernetes mount is of one generation.
///
/// # Errors
/// As a single read of any of them.
pub async fn read_tool(
    resolver: &Resolver,
    manifest: &Manifest,
    tool: &str,
    variables: &Variables,
    freshness: Freshness,
) -> Result<ToolSecrets> {
    for _ in 1..REPLACED_AT_MOST {
        let variables = variables.in_one_generation();
        let secrets = read_once(resolver, manifest, tool, &variables, freshness).await;
        if !variables.is_outdated() {
            return secrets;
        }
    }
    read_once(resolver, manifest, tool, &variables.in_one_generation(), freshness).await
}

async fn read_once(
    resolver: &Resolver,
    manifest: &Manifest,
    tool: &str,
    variables: &Variables,
    freshness: Freshness,
) -> Result<ToolSecrets> {
    let object = resolver.reads.ids().object_of_tool(tool);
    // What AWS said of the tool's JSON secret, once it was asked.
    let mut whole: Option<Answer> = None;
    let (names, answers) = match (declared_names(manifest, tool)?, &object) {
        (Some(names), Some(object)) => {
            let variables = each(variables, names.len());
            let answers = resolver.resolve_from(&names, &variables, async |names| {
                let (answers, said) = resolver.ask_aws_and(names, &object.secret, freshness).await;
                whole = Some(said);
                answers
            });
            let answers = answers.await;
            (names, answers)
        }
        (Some(names), None) => {
            let answers = resolver.resolve(&names, &each(variables, names.len()), freshness).await;
            (names, answers)
        }
        (None, Some(object)) => {
            let said = whole.insert(resolver.read_secret(&object.secret, freshness).await);
            read_local(resolver, manifest, tool, variables, (object, said)).await?
        }
        (None, None) => read_discovered(resolver, manifest, tool, variables, freshness).await?,
    };
    let mut secrets = ToolSecrets::new();
    for (name, answer) in names.iter().zip(answers) {
        if let (Some(found), Some(secret_type)) = (answer?, name.as_str().get(tool.len() + 1..)) {
            secrets.insert(secret_type.to_ascii_lowercase(), found);
        }
    }
    if let Some(object) = object {
        let whole = match whole {
            Some(whole) => whole,
            None => resolver.read_secret(&object.secret, freshness).await,
        };
        add_undeclared(resolver, (&object, tool), whole, &mut secrets)?;
    }
    Ok(secrets)
}

/// Adds the fields of the tool's JSON secret that no declared name is: lower-cased, or as they are where that would be a key that
/// is taken.
fn add_undeclared(
    resolver: &Resolver,
    (object, tool): (&Place, &str),
    whole: Answer,
    secrets: &mut ToolSecrets,
) -> Result<()> {
    let ids = resolver.reads.ids();
    let whole = match part_of(ids, tool, object, whole) {
        Ok(Some(whole)) => whole,
        Ok(None) => return Ok(()),
        Err(error) if resolver.rejects(&error) => return Err(error),
        // The declared names were read, or come from another source.
        Err(error) => {
            return if secrets.is_empty() { resolver.unless_optional(error).map_or(Ok(()), Err) } else { Ok(()) };
        }
    };
    let keys = whole.value.keys().map_err(|why| no_fields(tool, &ids.id(&object.secret), "*", why))?;
    let declared: BTreeSet<String> = ids
        .places()
        .filter(|(_, place)| place.secret == object.secret)
        .filter_map(|(_, place)| {
            place.field.as_deref().map(|field| field.rsplit('.').next().unwrap_or(field).to_owned())
        })
        .collect();
    let keys: BTreeSet<String> = keys.into_iter().filter(|key| !declared.contains(key)).collect();
    let mut lower: BTreeMap<String, usize> = BTreeMap::new();
    for key in &keys {
        *lower.entry(key.to_lowercase()).or_default() += 1;
    }
    for key in keys {
        let name = key.to_lowercase();
        let is_clear = lower.get(&name) == Some(&1) && !secrets.contains_key(&name);
        let name = if is_clear { name } else { key.clone() };
        if let Ok(Some(value)) = whole.value.field(&key)
            && !secrets.contains_key(&name)
        {
            secrets.insert(name, Found { value, ..whole.clone() });
        }
    }
    Ok(())
}

/// The names of an undeclared tool that the local sources know, for a tool whose AWS secret is one JSON object.
async fn read_local(
    resolver: &Resolver,
    manifest: &Manifest,
    tool: &str,
    variables: &Variables,
    (object, whole): (&Place, &Answer),
) -> Result<(Vec<SecretName>, Vec<Answer>)> {
    let names: Vec<SecretName> = local_names(resolver, manifest, tool, variables).await?.into_iter().collect();
    let ids = resolver.reads.ids();
    let answers = resolver
        .resolve_from(&names, &each(variables, names.len()), async |names| {
            let field = |name: &SecretName| {
                let secret_type = name.as_str().get(tool.len() + 1..).unwrap_or_default().to_ascii_lowercase();
                let place = Place { field: Some(secret_type.into()), ..object.clone() };
                part_of(ids, name.as_str(), &place, whole.clone())
            };
            names.iter().map(field).collect()
        })
        .await;
    Ok((names, answers))
}

/// The names of an undeclared tool in the env file and the runtime environment.
async fn local_names(
    resolver: &Resolver,
    manifest: &Manifest,
    tool: &str,
    variables: &Variables,
) -> Result<BTreeSet<SecretName>> {
    let prefix = tool_prefix(tool)?;
    let mut local: BTreeSet<String> = resolver.runtime.names(&prefix, variables).await?;
    if let Some(file) = &resolver.env_file {
        local.extend(file.values().await?.keys().filter(|name| name.starts_with(&prefix)).cloned());
    }
    let names = local.into_iter().filter(|name| is_of(manifest, tool, name));
    Ok(names.filter_map(|name| SecretName::new(&name).ok()).collect())
}

/// Whether a name is a secret of `tool` that can be reached by tool and type.
fn is_of(manifest: &Manifest, tool: &str, name: &str) -> bool {
    !name.bytes().any(|b| b.is_ascii_lowercase()) && manifest.type_of(tool, name).is_some()
}

/// The names of a declared tool; `None` when it declares no secrets.
///
/// # Errors
/// `SECRET_NAME_INVALID`.
pub fn declared_names(manifest: &Manifest, tool: &str) -> Result<Option<Vec<SecretName>>> {
    tool_prefix(tool)?;
    let Some(secrets) = manifest.secrets(tool) else { return Ok(None) };
    secrets.keys().map(|secret_type| SecretName::of_tool(tool, secret_type)).collect::<Result<Vec<_>>>().map(Some)
}

/// Finds the names of an undeclared tool in all sources, and reads them.
async fn read_discovered(
    resolver: &Resolver,
    manifest: &Manifest,
    tool: &str,
    variables: &Variables,
    freshness: Freshness,
) -> Result<(Vec<SecretName>, Vec<Answer>)> {
    let prefix = tool_prefix(tool)?;
    let mine = |name: &str| is_of(manifest, tool, name);
    let mut names = local_names(resolver, manifest, tool, variables).await?;
    let from_aws = match resolver.reads.list(&prefix, freshness.max_age()).await {
        Ok(listed) => {
            let all = listed.answers.iter().map(|(name, _)| name).chain(&listed.others);
            names.extend(all.filter(|name| mine(name.as_str())).cloned());
            FromAws::Listed(listed)
        }
        Err(error) if resolver.rejects(&error) => return Err(error),
        // Listing is not granted: the names that the other sources know can still be asked for one by one.
        Err(error) if error.is_denied() => FromAws::Listed(Listed::default()),
        Err(error) if names.is_empty() => {
            return resolver.unless_optional(error).map_or_else(|| Ok(Default::default()), Err);
        }
        Err(error) => FromAws::Failed(error),
    };
    let names: Vec<SecretName> = names.into_iter().collect();
    let answers = resolver
        .resolve_from(&names, &each(variables, names.len()), async |names| match from_aws {
            FromAws::Failed(error) => names.iter().map(|_| Err(error.clone())).collect(),
            FromAws::Listed(listed) => with_others(resolver, names, listed, freshness).await,
        })
        .await;
    Ok((names, answers))
}

/// What is known of AWS's answers before the names are read.
enum FromAws {
    Failed(SecretError),
    Listed(Listed),
}

/// The answers for `names`: what a listing knows of them, and what AWS says of the others. A name that a complete list is without
/// is not in AWS.
async fn with_others(resolver: &Resolver, names: &[SecretName], listed: Listed, freshness: Freshness) -> Vec<Answer> {
    let mut answers: BTreeMap<SecretName, Answer> = listed.answers.into_iter().collect();
    let is_open =
        |name: &&SecretName| !answers.contains_key(*name) && (!listed.is_complete || listed.others.contains(*name));
    let open: Vec<SecretName> = names.iter().filter(is_open).cloned().collect();
    if !open.is_empty() {
        let read = resolver.ask_aws(&open, freshness).await;
        answers.extend(open.into_iter().zip(read));
    }
    names.iter().map(|name| answers.remove(name).unwrap_or(Ok(None))).collect()
}

/// The same variables for each of `count` names.
fn each(variables: &Variables, count: usize) -> Vec<Variables> {
    vec![variables.clone(); count]
}
