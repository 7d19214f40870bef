//! All secrets of a tool at once (`getToolSecrets`).

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use crate::layer::Answer;
use crate::resolver::Resolver;
use crate::source::runtime::Precedence;
use crate::source::runtime::Variables;
use secret::error::Result;
use secret::found::Found;
use secret::manifest::Manifest;
use secret::name::{SecretName, tool_prefix};

/// A tool's secrets by lower-cased type.
pub type ToolSecrets = BTreeMap<String, Found>;

/// Reads every secret of `tool`: the declared ones, or, without a declaration, every name that starts with
/// `${TOOL}_` in any source. Each key obeys the same precedence as a single read (decision D5).
///
/// # Errors
/// As a single read of any of them.
pub async fn read_tool(
    resolver: &Resolver,
    manifest: &Manifest,
    tool: &str,
    variables: &Variables,
) -> Result<ToolSecrets> {
    let answers = match declared_names(manifest, tool)? {
        Some(names) => read_declared(resolver, names, variables).await?,
        None => read_discovered(resolver, manifest, tool, variables).await?,
    };
    let resolved = answers.into_iter().map(|(name, answer)| async move {
        let found = match answer {
            Part::Runtime(found) => Some(found),
            Part::Aws(answer) => resolver.after_aws(&name, variables, answer).await?,
        };
        Ok::<_, secret::error::SecretError>((name, found))
    });
    Ok(try_join_all(resolved)
        .await?
        .into_iter()
        .filter_map(|(name, found)| {
            let secret_type = name.as_str().get(tool.len() + 1..)?.to_ascii_lowercase();
            Some((secret_type, found?))
        })
        .collect())
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

/// A name's answer so far.
enum Part {
    /// The runtime environment overrides.
    Runtime(Found),
    /// AWS answered; the later sources are still to be asked.
    Aws(Answer),
}

async fn read_declared(
    resolver: &Resolver,
    names: Vec<SecretName>,
    variables: &Variables,
) -> Result<Vec<(SecretName, Part)>> {
    let (mut parts, rest) = overridden(resolver, names, variables).await?;
    let answers = resolver.layer.read_many(&rest).await;
    parts.extend(rest.into_iter().zip(answers.into_iter().map(Part::Aws)));
    Ok(parts)
}

async fn read_discovered(
    resolver: &Resolver,
    manifest: &Manifest,
    tool: &str,
    variables: &Variables,
) -> Result<Vec<(SecretName, Part)>> {
    let prefix = tool_prefix(tool)?;
    let mut local: BTreeSet<String> = resolver.runtime.names(&prefix, variables).await?;
    if let Some(file) = &resolver.env_file {
        local.extend(file.values().await?.keys().filter(|name| name.starts_with(&prefix)).cloned());
    }
    let mine = |name: &str| {
        let reachable = !name.bytes().any(|b| b.is_ascii_lowercase());
        reachable && manifest.type_of(tool, name).is_some()
    };
    let local: Vec<SecretName> =
        local.into_iter().filter(|name| mine(name)).filter_map(|name| SecretName::new(&name).ok()).collect();
    let mut from_aws: BTreeMap<SecretName, Answer> = BTreeMap::new();
    match resolver.layer.read_prefix(&prefix).await {
        Ok(listed) => {
            from_aws.extend(listed.into_iter().filter(|(name, _)| mine(name.as_str())));
            for name in &local {
                // The listing is complete: a name it lacks is not in AWS.
                from_aws.entry(name.clone()).or_insert(Ok(None));
            }
        }
        Err(error) if resolver.rejects(&error) => return Err(error),
        // Listing is not granted: the names the other sources know can still be asked for one by one.
        Err(error) if error.is_denied() => {
            let answers = resolver.layer.read_many(&local).await;
            from_aws.extend(local.iter().cloned().zip(answers));
        }
        Err(error) if local.is_empty() => return resolver.unless_optional(error).map(|()| Vec::new()),
        Err(error) => from_aws.extend(local.iter().map(|name| (name.clone(), Err(error.clone())))),
    }
    let names = from_aws.keys().cloned().collect();
    let (mut parts, rest) = overridden(resolver, names, variables).await?;
    for name in rest {
        let answer = from_aws.remove(&name).unwrap_or(Ok(None));
        parts.push((name, Part::Aws(answer)));
    }
    Ok(parts)
}

/// Splits off the names that the runtime environment overrides.
async fn overridden(
    resolver: &Resolver,
    names: Vec<SecretName>,
    variables: &Variables,
) -> Result<(Vec<(SecretName, Part)>, Vec<SecretName>)> {
    if resolver.precedence == Precedence::Last {
        return Ok((Vec::new(), names));
    }
    let (mut parts, mut rest) = (Vec::new(), Vec::new());
    let asked = names.into_iter().map(|name| async move {
        let found = resolver.from_runtime(&name, variables).await?;
        Ok::<_, secret::error::SecretError>((name, found))
    });
    for (name, found) in try_join_all(asked).await? {
        match found {
            Some(found) => parts.push((name, Part::Runtime(found))),
            None => rest.push(name),
        }
    }
    Ok((parts, rest))
}
