//! The declared tools: which secrets a tool has, and which tool owns a name.

use std::collections::BTreeMap;

use regex::Regex;

use crate::name::SecretName;

/// When a secret is moved to AWS (the document's migration phases 2 to 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Secrets that the service cannot run without.
    Critical,
    /// Secrets of the declared tools.
    Tool,
    /// Everything else.
    Other,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Tool, Self::Other];

    /// Its name in options and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Tool => "tool",
            Self::Other => "other",
        }
    }
}

/// Tools whose secrets are critical unless declared otherwise ("Phase 2").
const CRITICAL_TOOLS: [&str; 4] = ["DATABASE", "DB", "REDIS", "SESSION"];

/// A declared secret's rules.
#[derive(Clone, Debug, Default)]
pub struct SecretSpec {
    /// If it is missing, validation reports an error instead of a warning.
    pub required: bool,
    /// The value must match.
    pub pattern: Option<Regex>,
    /// The least number of characters of the value.
    pub min_length: Option<u32>,
    /// The value must be JSON with these top-level fields.
    pub json_fields: Option<Vec<String>>,
    /// The rotation policy that applies.
    pub rotation_type: Option<String>,
    /// Whether a generated text may take its place (`rotate: 'generate'`).
    pub generate: bool,
    /// When it is moved to AWS; by default its tool decides.
    pub phase: Option<Phase>,
}

/// All declared tools, by upper-cased tool name, with their secrets by upper-cased type; and the declared secrets without a
/// tool.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    tools: BTreeMap<String, BTreeMap<String, SecretSpec>>,
    names: BTreeMap<SecretName, SecretSpec>,
}

/// A declared secret.
#[derive(Clone, Debug)]
pub struct Declared<'a> {
    /// Its name.
    pub name: SecretName,
    /// Its rules.
    pub spec: &'a SecretSpec,
}

/// Whose secret a name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Upper-cased tool.
    pub tool: String,
    /// Upper-cased type.
    pub secret_type: String,
}

impl Manifest {
    /// Adds a tool; both names are upper-cased. Returns whether it is new.
    pub fn declare(&mut self, tool: &str, secrets: BTreeMap<String, SecretSpec>) -> bool {
        self.tools.insert(tool.to_ascii_uppercase(), secrets).is_none()
    }

    /// Adds a secret without a tool. Returns whether it is new.
    pub fn declare_name(&mut self, name: SecretName, spec: SecretSpec) -> bool {
        !self.declares(name.as_str()) && self.names.insert(name, spec).is_none()
    }

    /// The rules of a declared secret.
    pub fn spec(&self, name: &str) -> Option<&SecretSpec> {
        let of_tool = self.owner(name).and_then(|owner| self.tools.get(&owner.tool)?.get(&owner.secret_type));
        of_tool.or_else(|| self.names.get(name))
    }

    /// Every declared secret: those of the tools, then those without one.
    pub fn declared(&self) -> impl Iterator<Item = Declared<'_>> {
        let of_tools = self.all().filter_map(|(tool, secret_type, spec)| {
            Some(Declared { name: SecretName::of_tool(tool, secret_type).ok()?, spec })
        });
        of_tools.chain(self.names.iter().map(|(name, spec)| Declared { name: name.clone(), spec }))
    }

    /// The declared secrets of a tool by upper-cased type; `None` when the tool or its secrets are not declared.
    pub fn secrets(&self, tool: &str) -> Option<&BTreeMap<String, SecretSpec>> {
        self.tools.get(&tool.to_ascii_uppercase()).filter(|secrets| !secrets.is_empty())
    }

    /// Every declared tool and secret type.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &SecretSpec)> {
        self.tools.iter().flat_map(|(tool, secrets)| {
            secrets.iter().map(move |(secret_type, spec)| (tool.as_str(), secret_type.as_str(), spec))
        })
    }

    /// The tool and the type of `name`, upper-cased; `None` when there is no type after the tool.
    pub fn owner(&self, name: &str) -> Option<Owner> {
        let upper = name.to_ascii_uppercase();
        let (tool, secret_type) = self.split(&upper)?;
        Some(Owner { tool: tool.to_owned(), secret_type: secret_type.to_owned() })
    }

    /// Whether `name` is a declared secret.
    pub fn declares(&self, name: &str) -> bool {
        self.spec(name).is_some()
    }

    /// When `name` is moved to AWS.
    pub fn phase(&self, name: &str) -> Phase {
        let spec = self.spec(name);
        let owner = self.owner(name);
        match spec.and_then(|spec| spec.phase) {
            Some(phase) => phase,
            None if owner.is_some_and(|owner| CRITICAL_TOOLS.contains(&owner.tool.as_str())) => Phase::Critical,
            None if spec.is_some() => Phase::Tool,
            None => Phase::Other,
        }
    }

    /// The tool that `name` belongs to, as it is written in the name; empty when the name has no type part. Allocates
    /// nothing: audit records ask for it.
    pub fn tool_of<'name>(&self, name: &'name str) -> &'name str {
        self.split(name).map_or("", |(tool, _)| tool)
    }

    /// The type of `name` when it is a secret of `tool`, which need not be declared. A name that a longer declared tool
    /// owns is not (decision D5).
    pub fn type_of<'name>(&self, tool: &str, name: &'name str) -> Option<&'name str> {
        let at = tool.len();
        let is_its = self.declared_tool(name).is_none_or(|longest| longest <= at);
        let (start, rest) = name.split_at_checked(at)?;
        let secret_type = rest.strip_prefix('_').filter(|rest| !rest.is_empty())?;
        (is_its && start == tool.to_ascii_uppercase()).then_some(secret_type)
    }

    /// The rule that says whose secret a name is: the tool is the longest declared one, else the part before the first
    /// `_`. The type is what follows, and neither is empty.
    fn split<'name>(&self, name: &'name str) -> Option<(&'name str, &'name str)> {
        let at = self.declared_tool(name).or_else(|| name.find('_'))?;
        let (tool, secret_type) = (&name[..at], &name[at + 1..]);
        (!tool.is_empty() && !secret_type.is_empty()).then_some((tool, secret_type))
    }

    /// The length of the longest declared tool that `name` starts with, before a `_` and a type. Costs one lookup for
    /// each `_` of the name, however many tools are declared.
    fn declared_tool(&self, name: &str) -> Option<usize> {
        let ends = name.rmatch_indices('_').map(|(at, _)| at);
        ends.filter(|at| at + 1 < name.len()).find(|at| self.tools.contains_key(&name[..*at]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(tools: &[&str]) -> Manifest {
        let mut manifest = Manifest::default();
        for tool in tools {
            manifest.declare(tool, BTreeMap::new());
        }
        manifest
    }

    #[test]
    fn a_longer_declared_tool_owns_its_names() {
        let manifest = manifest(&["git", "git_hub"]);
        assert_eq!(manifest.type_of("git", "GIT_HUB_TOKEN"), None);
        assert_eq!(manifest.type_of("git_hub", "GIT_HUB_TOKEN"), Some("TOKEN"));
        assert_eq!(manifest.type_of("git", "GIT_TOKEN"), Some("TOKEN"));
        assert_eq!(manifest.type_of("git", "GIT_"), None);
        assert_eq!(
            manifest.owner("GIT_HUB_TOKEN").map(|o| (o.tool, o.secret_type)),
            Some(("GIT_HUB".into(), "TOKEN".into()))
        );
    }

    #[test]
    fn the_tool_of_a_name_is_the_longest_declared_one() {
        let manifest = manifest(&["git", "git_hub"]);
        for (name, tool) in [
            ("GIT_HUB_TOKEN", "GIT_HUB"),
            ("GIT_HUBS_TOKEN", "GIT"),
            ("GIT_HUB", "GIT"),
            ("JIRA_API_TOKEN", "JIRA"),
            ("SESSION", ""),
            ("SESSION_", ""),
            ("", ""),
        ] {
            assert_eq!(manifest.tool_of(name), tool, "{name}");
        }
    }

    #[test]
    fn all_views_agree_on_whose_a_name_is() {
        let manifest = manifest(&["git", "git_hub", "a_b_c"]);
        for name in ["GIT_HUB_TOKEN", "GIT_HUB", "GIT_HUB_", "GIT__X", "A_B_C_D", "A_B_C", "X_Y_Z", "X", "X_", "_X", ""]
        {
            let owner = manifest.owner(name);
            assert_eq!(manifest.tool_of(name), owner.as_ref().map_or("", |owner| &owner.tool), "{name}");
            if let Some(Owner { tool, secret_type }) = owner {
                assert_eq!(manifest.type_of(&tool, name), Some(secret_type.as_str()), "{name}");
            }
        }
    }

    #[test]
    fn a_tool_that_is_not_declared_has_the_names_that_start_with_it() {
        let manifest = manifest(&["git_hub"]);
        assert_eq!(manifest.type_of("jira_api", "JIRA_API_TOKEN"), Some("TOKEN"));
        assert_eq!(manifest.type_of("git", "GIT_TOKEN"), Some("TOKEN"));
        assert_eq!(manifest.type_of("git", "GIT_HUB_TOKEN"), None);
        assert_eq!(manifest.type_of("git", "GITTER_TOKEN"), None);
        assert_eq!(manifest.type_of("git", "git_token"), None, "the case of a name counts");
    }

    #[test]
    fn a_phase_is_declared_or_follows_from_the_tool() {
        let mut manifest = Manifest::default();
        let spec = |phase| SecretSpec { phase, ..SecretSpec::default() };
        let secrets = [("URL", spec(None)), ("NOTE", spec(Some(Phase::Other)))];
        manifest.declare("db", secrets.map(|(name, spec)| (name.to_owned(), spec)).into());
        manifest.declare("git", [("TOKEN".to_owned(), spec(None))].into());
        for (name, phase) in [
            ("DB_URL", Phase::Critical),
            ("DB_NOTE", Phase::Other),
            ("DB_UNDECLARED", Phase::Critical),
            ("session_secret", Phase::Critical),
            ("GIT_TOKEN", Phase::Tool),
            ("GIT_UNDECLARED", Phase::Other),
            ("PORT", Phase::Other),
        ] {
            assert_eq!(manifest.phase(name), phase, "{name}");
        }
    }

    #[test]
    fn an_undeclared_tool_ends_at_the_first_underscore() {
        let owner = Manifest::default().owner("GITHUB_API_TOKEN").expect("owned");
        assert_eq!((owner.tool.as_str(), owner.secret_type.as_str()), ("GITHUB", "API_TOKEN"));
        assert_eq!(Manifest::default().owner("SESSION"), None);
        assert_eq!(Manifest::default().owner("SESSION_"), None);
    }
}
