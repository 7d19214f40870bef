//! All secrets of a tool at once (`getToolSecrets`).

use std::collections::{BTreeMap, BTreeSet};

use secret::error::Result;
use secret::found::Found;
use secret::manifest::Manifest;
use secret::name::{SecretName, tool_prefix};

use crate::reads::ListedNow;
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
) -> Result<ToolSecrets> {
    for _ in 1..REPLACED_AT_MOST {
        let variables = variables.in_one_generation();
        let secrets = read_once(resolver, manifest, tool, &variables).await;
        if !variables.is_outdated() {
            return secrets;
        }
    }
    read_once(resolver, manifest, tool, &variables.in_one_generation()).await
}

async fn read_once(resolver: &Resolver, manifest: &Manifest, tool: &str, variables: &Variables) -> Result<ToolSecrets> {
    let (names, answers) = match declared_names(manifest, tool)? {
        Some(names) => {
            let answers = resolver.resolve(&names, &each(variables, names.len()), Freshness::Cached).await;
            (names, answers)
        }
        None => read_discovered(resolver, manifest, tool, variables).await?,
    };
    let mut secrets = ToolSecrets::new();
    for (name, answer) in names.iter().zip(answers) {
        if let (Some(found), Some(secret_type)) = (answer?, name.as_str().get(tool.len() + 1..)) {
            secrets.insert(secret_type.to_ascii_lowercase(), found);
        }
    }
    Ok(secrets)
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
) -> Result<(Vec<SecretName>, Vec<Answer>)> {
    let prefix = tool_prefix(tool)?;
    let mut local: BTreeSet<String> = resolver.runtime.names(&prefix, variables).await?;
    if let Some(file) = &resolver.env_file {
        local.extend(file.values().await?.keys().filter(|name| name.starts_with(&prefix)).cloned());
    }
    let mine = |name: &str| {
        let reachable = !name.bytes().any(|b| b.is_ascii_lowercase());
        reachable && manifest.type_of(tool, name).is_some()
    };
    let mut names: BTreeSet<SecretName> =
        local.into_iter().filter(|name| mine(name)).filter_map(|name| SecretName::new(&name).ok()).collect();
    let mut from_aws = match resolver.reads.list(&prefix).await {
        Ok(ListedNow::Complete(listed)) => {
            names.extend(listed.iter().map(|(name, _)| name.clone()).filter(|name| mine(name.as_str())));
            FromAws::Listed(listed.into_iter().collect())
        }
        Ok(ListedNow::Remembered(listed)) => {
            names.extend(listed.into_iter().filter(|name| mine(name.as_str())));
            FromAws::Unknown
        }
        Err(error) if resolver.rejects(&error) => return Err(error),
        // Listing is not granted: the names that the other sources know can still be asked for one by one.
        Err(error) if error.is_denied() => FromAws::Unknown,
        Err(error) if names.is_empty() => {
            return resolver.unless_optional(error).map_or_else(|| Ok(Default::default()), Err);
        }
        Err(error) => FromAws::Failed(error),
    };
    let names: Vec<SecretName> = names.into_iter().collect();
    let answers = resolver
        .resolve_from(&names, &each(variables, names.len()), async |names| match &mut from_aws {
            FromAws::Unknown => resolver.reads.read(names).await,
            FromAws::Failed(error) => names.iter().map(|_| Err(error.clone())).collect(),
            // The listing is complete: a name that it lacks is not in AWS.
            FromAws::Listed(listed) => names.iter().map(|name| listed.remove(name).unwrap_or(Ok(None))).collect(),
        })
        .await;
    Ok((names, answers))
}

/// What is known of AWS's answers before the names are read.
enum FromAws {
    Unknown,
    Failed(secret::error::SecretError),
    Listed(BTreeMap<SecretName, Answer>),
}

/// The same variables for each of `count` names.
fn each(variables: &Variables, count: usize) -> Vec<Variables> {
    vec![variables.clone(); count]
}
