//! The declared tools: which secrets a tool has and which tool owns a name.

use std::collections::BTreeMap;

use regex::Regex;

/// When a secret is moved to AWS (the document's migration phases 2 to 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// What nothing runs without.
    Critical,
    /// Of the declared tools.
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
    /// Its absence makes validation fail.
    pub required: bool,
    /// The value must match.
    pub pattern: Option<Regex>,
    /// The value must have at least so many characters.
    pub min_length: Option<u32>,
    /// The value must be JSON with these top-level fields.
    pub json_fields: Option<Vec<String>>,
    /// The rotation policy that applies.
    pub rotation_type: Option<String>,
    /// When it is moved to AWS, where that is not left to its tool.
    pub phase: Option<Phase>,
}

/// All declared tools, by upper-cased tool name; secrets by upper-cased type.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    tools: BTreeMap<String, BTreeMap<String, SecretSpec>>,
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

    /// Whose secret `name` is: the longest declared tool it starts with, else the part before the first `_`.
    /// `None` when there is no type after the tool.
    pub fn owner(&self, name: &str) -> Option<Owner> {
        let upper = name.to_ascii_uppercase();
        let declared =
            self.tools.keys().filter(|tool| has_prefix(&upper, tool)).max_by_key(|tool| tool.len()).map(String::len);
        let at = declared.or_else(|| upper.find('_'))?;
        let (tool, rest) = (upper.get(..at)?, upper.get(at + 1..)?);
        (!tool.is_empty() && !rest.is_empty()).then(|| Owner { tool: tool.to_owned(), secret_type: rest.to_owned() })
    }

    /// When `name` is moved to AWS.
    pub fn phase(&self, name: &str) -> Phase {
        let Some(owner) = self.owner(name) else { return Phase::Other };
        let spec = self.tools.get(&owner.tool).and_then(|secrets| secrets.get(&owner.secret_type));
        match spec.and_then(|spec| spec.phase) {
            Some(phase) => phase,
            None if CRITICAL_TOOLS.contains(&owner.tool.as_str()) => Phase::Critical,
            None if spec.is_some() => Phase::Tool,
            None => Phase::Other,
        }
    }

    /// The tool that `name` belongs to, as it stands in the name; empty when it has no type part. Costs a lookup for each
    /// `_` of the name.
    pub fn tool_of<'name>(&self, name: &'name str) -> &'name str {
        let mut first = "";
        for (at, _) in name.rmatch_indices('_') {
            let tool = &name[..at];
            if at == 0 || at + 1 == name.len() {
                continue;
            }
            if self.tools.contains_key(tool) {
                return tool;
            }
            first = tool;
        }
        first
    }

    /// The secret type of `name` when it belongs to `tool` and no longer declared tool owns it (decision D5).
    pub fn type_of<'name>(&self, tool: &str, name: &'name str) -> Option<&'name str> {
        let tool = tool.to_ascii_uppercase();
        if !has_prefix(name, &tool) {
            return None;
        }
        let taken = self.tools.keys().any(|other| other.len() > tool.len() && has_prefix(name, other));
        (!taken).then(|| &name[tool.len() + 1..])
    }
}

/// `name` is `tool`, an underscore and something more.
fn has_prefix(name: &str, tool: &str) -> bool {
    name.len() > tool.len() + 1 && name.as_bytes()[tool.len()] == b'_' && name.starts_with(tool)
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
