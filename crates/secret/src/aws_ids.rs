//! How names become AWS secrets: the template, the references of declared names, and the way back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::{ErrorCode, Result, SecretError};
use crate::name::SecretName;
use crate::reference::{Arn, Reference, References, is_aws_name_char};
use crate::role::Role;
use crate::twins::{Twin, Twins};

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Environment,
    Name,
    /// Upper-cased or not.
    Tool(bool),
    Type(bool),
}

/// How a secret name becomes an AWS secret, such as `{name}_{environment}`, with the references of declared names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsIdTemplate {
    id: Vec<Piece>,
    field: Option<Vec<Piece>>,
    declared: Arc<[Declared]>,
    tools: Arc<[(Box<str>, References)]>,
    /// The key of the role that everything is read as which names no other one.
    scope: Option<Arc<str>>,
}

/// A declared name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The name.
    pub name: SecretName,
    /// Its tool, as it was declared.
    pub tool: Box<str>,
    /// Its type, as it was declared.
    pub secret_type: Box<str>,
    /// Where AWS has it; `None`: the template says.
    pub references: Option<References>,
}

impl AwsIdTemplate {
    /// The documented form, `SecretId: ${secretName}_${environment}`.
    pub const DEFAULT: &'static str = "{name}_{environment}";

    /// Reads a template: `{name}` once, or tool and type once each (`{tool}`, `{TOOL}`, `{type}`, `{TYPE}`), `{environment}`
    /// any number of times, otherwise AWS's name characters. What follows a `#` is the field of a JSON secret.
    ///
    /// # Errors
    /// What is wrong with it, for a message after the option's path.
    pub fn parse(template: &str) -> std::result::Result<Self, String> {
        if template.len() > 200 {
            return Err("is longer than 200 characters".into());
        }
        let (id, field) = match template.split_once('#') {
            Some((_, "")) => return Err("has a '#' and no field after it".into()),
            Some((id, field)) => (pieces(id, true)?, Some(pieces(field, false)?)),
            None => (pieces(template, true)?, None),
        };
        if id.is_empty() {
            return Err("names no secret".into());
        }
        let all = || id.iter().chain(field.iter().flatten());
        let count = |fits: fn(&Piece) -> bool| all().filter(|piece| fits(piece)).count();
        let names = count(|piece| *piece == Piece::Name);
        let tools = count(|piece| matches!(piece, Piece::Tool(_)));
        let types = count(|piece| matches!(piece, Piece::Type(_)));
        match (names, tools, types) {
            (1, 0, 0) | (0, 1, 1) => {
                Ok(Self { id, field, declared: Arc::default(), tools: Arc::default(), scope: None })
            }
            (0, 0, 0) => Err("must contain {name}, as in '{name}_{environment}', or {tool} and {type}".into()),
            (2.., ..) => Err("must contain {name} only once".into()),
            _ => Err("must contain either {name} once, or {tool} and {type} once each".into()),
        }
    }

    /// The same template, with declared names and where AWS has them, and the JSON secrets of whole tools, which are in upper
    /// case.
    #[must_use]
    pub fn with(self, declared: Vec<Declared>, tools: Vec<(Box<str>, References)>) -> Self {
        Self { declared: declared.into(), tools: tools.into(), ..self }
    }

    /// The same template for secrets that are read as `role`: their copies are nobody else's.
    #[must_use]
    pub fn read_as(self, role: Option<&Role>) -> Self {
        Self { scope: role.map(|role| role.key().into()), ..self }
    }

    /// Whether a name has to be divided into a tool and a type.
    pub fn asks_for_tool(&self) -> bool {
        self.id.iter().chain(self.field.iter().flatten()).any(|piece| matches!(piece, Piece::Tool(_)))
    }

    /// The AWS secrets of `environment`.
    pub fn of(&self, environment: &str) -> AwsIds {
        let literal = |piece: &Piece| match piece {
            Piece::Text(text) => Some(text.to_string()),
            Piece::Environment => Some(environment.to_owned()),
            Piece::Name | Piece::Tool(_) | Piece::Type(_) => None,
        };
        let before: String = self.id.iter().map_while(literal).collect();
        let behind: Vec<String> = self.id.iter().rev().map_while(literal).collect();
        let after = if behind.len() == self.id.len() { String::new() } else { behind.into_iter().rev().collect() };
        let mut ids = Inner {
            before: before.into(),
            after: after.into(),
            is_plain: self.field.is_none() && self.id.contains(&Piece::Name),
            environment: environment.into(),
            template: (self.id.clone(), self.field.clone()),
            places: HashMap::new(),
            secrets: BTreeMap::new(),
            tools: HashMap::new(),
            twins: Twins::default(),
            scope: self.scope.clone(),
        };
        for (tool, references) in &*self.tools {
            if let Some(reference) = references.of(environment) {
                let place = ids.place_of(&reference);
                ids.secrets.entry(place.secret.clone()).or_default();
                ids.tools.insert(tool.clone(), place);
            }
        }
        for declared in &*self.declared {
            ids.declare(declared);
        }
        ids.twins = Twins::of(ids.all_secrets(&self.declared).into_iter());
        AwsIds(Arc::new(ids))
    }
}

fn pieces(text: &str, is_id: bool) -> std::result::Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((word, after)) = behind.split_once('}') else { return Err("has a '{' without its '}'".into()) };
        push(&mut pieces, before, is_id)?;
        pieces.push(match word {
            "name" => Piece::Name,
            "environment" => Piece::Environment,
            "tool" => Piece::Tool(false),
            "TOOL" => Piece::Tool(true),
            "type" => Piece::Type(false),
            "TYPE" => Piece::Type(true),
            _ => {
                return Err(
                    "has a placeholder that is none of {name}, {environment}, {tool}, {type}, {TOOL}, {TYPE}".into()
                );
            }
        });
        rest = after;
    }
    push(&mut pieces, rest, is_id)?;
    Ok(pieces)
}

fn push(pieces: &mut Vec<Piece>, text: &str, is_id: bool) -> std::result::Result<(), String> {
    let wrong = text.chars().find(|c| if is_id { !is_aws_name_char(*c) } else { c.is_control() || *c == '#' });
    if let Some(wrong) = wrong {
        return Err(format!("holds {wrong:?}; AWS secret names use letters, digits and /_+=.@-!"));
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    Ok(())
}

/// Where AWS has a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What the copies of the AWS secret go by: all names that are fields of one secret share it (decision D15).
    pub secret: SecretName,
    /// The field of it; `None`: the whole.
    pub field: Option<Arc<str>>,
}

/// The AWS secrets of one environment. A clone is another reference to the same.
#[derive(Clone, Debug)]
pub struct AwsIds(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    before: Box<str>,
    after: Box<str>,
    /// `{name}` and no field: the copies go by the name itself.
    is_plain: bool,
    environment: Box<str>,
    template: (Vec<Piece>, Option<Vec<Piece>>),
    /// The declared names whose copies do not go by the name itself; `None`: not declared for this environment.
    places: HashMap<SecretName, Option<Place>>,
    /// The declared AWS secrets, with their names.
    secrets: BTreeMap<SecretName, Vec<SecretName>>,
    /// The JSON secrets of whole tools.
    tools: HashMap<Box<str>, Place>,
    /// Those of them that may be one.
    twins: Twins,
    scope: Option<Arc<str>>,
}

impl Inner {
    fn declare(&mut self, declared: &Declared) {
        let place = match &declared.references {
            Some(references) => references.of(&self.environment).map(|reference| self.place_of(&reference)),
            None if self.is_plain => return,
            None => Some(self.expand(declared.name.as_str(), (&declared.tool, &declared.secret_type))),
        };
        if let Some(place) = &place {
            self.secrets.entry(place.secret.clone()).or_default().push(declared.name.clone());
        }
        self.places.insert(declared.name.clone(), place);
    }

    fn place_of(&self, reference: &Reference) -> Place {
        let field = reference.field.as_deref().map(Arc::from);
        let is_plain = self.is_plain && reference.stage.is_none() && reference.role.is_none();
        let plain = self.name_in(&reference.id).filter(|_| is_plain);
        // A name that the template gives the same id to: one copy.
        let secret = plain.and_then(|name| SecretName::new(name).ok());
        let secret = secret.unwrap_or_else(|| {
            SecretName::of_aws(&reference.id, reference.stage.as_deref(), reference.role.as_deref())
        });
        Place { secret, field }
    }

    /// What the template says of a name, its tool and its type.
    fn expand(&self, name: &str, (tool, secret_type): (&str, &str)) -> Place {
        let cased = |text: &str, upper: bool| if upper { text.to_ascii_uppercase() } else { text.to_ascii_lowercase() };
        let fill = |pieces: &[Piece]| -> String {
            let filled = pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.to_string(),
                Piece::Environment => self.environment.to_string(),
                Piece::Name => name.to_owned(),
                Piece::Tool(upper) => cased(tool, *upper),
                Piece::Type(upper) => cased(secret_type, *upper),
            });
            filled.collect()
        };
        let (id, field) = &self.template;
        Place {
            secret: SecretName::of_aws(&fill(id), None, None),
            field: field.as_deref().map(|field| fill(field).into()),
        }
    }

    /// All live AWS secrets that are declared, with their ids.
    fn all_secrets(&self, declared: &[Declared]) -> Vec<(SecretName, String)> {
        let by_template = declared.iter().filter(|declared| !self.places.contains_key(&declared.name));
        let by_template = by_template.map(|declared| declared.name.clone());
        let id = |secret: SecretName| match secret.aws_id() {
            Some((_, Some(_))) => None,
            Some((id, None)) => Some((secret.clone(), id.to_owned())),
            None => Some((secret.clone(), [&self.before, secret.as_str(), &self.after].concat())),
        };
        // What a role reads is that role's.
        let all = self.secrets.keys().cloned().chain(by_template).filter(|secret| secret.role().is_none());
        all.filter_map(id).collect()
    }

    fn one(&self, place: Place) -> Place {
        Place { secret: self.twins.one_of(place.secret), ..place }
    }

    fn name_in<'id>(&self, id: &'id str) -> Option<&'id str> {
        id.strip_prefix(&*self.before)?.strip_suffix(&*self.after)
    }
}

impl AwsIds {
    /// Where AWS has `name`.
    ///
    /// # Errors
    /// `SECRET_NAME_INVALID` where the template asks for a tool and a type, and `name` is not declared. `CONFIG_INVALID` where
    /// `name` is declared by environment and not for this one.
    pub fn place(&self, name: &SecretName) -> Result<Place> {
        let ids = &*self.0;
        if let Some(place) = ids.places.get(name) {
            let (name, environment) = (name.as_str(), &ids.environment);
            return place.clone().map(|place| ids.one(place)).ok_or_else(|| {
                let why = format!("{name}: its option 'aws' has no entry for the environment '{environment}'");
                SecretError::new(ErrorCode::ConfigInvalid, why)
            });
        }
        if ids.is_plain || name.is_of_aws() {
            return Ok(Place { secret: name.clone(), field: None });
        }
        if ids.template.0.iter().chain(ids.template.1.iter().flatten()).any(|piece| *piece == Piece::Name) {
            return Ok(ids.expand(name.as_str(), ("", "")));
        }
        let why = format!(
            "{}: options.aws.secretIdTemplate asks for its tool and its type, which cannot be told from the name: declare the \
             secret under options.tools",
            name.as_str()
        );
        Err(SecretError::new(ErrorCode::SecretNameInvalid, why))
    }

    /// Those of the declared secrets that may be one; AWS's answers tell.
    pub fn twins(&self) -> &Twins {
        &self.0.twins
    }

    /// What copies that were asked for as `secret` go by.
    pub fn one_of(&self, secret: SecretName) -> SecretName {
        self.0.twins.one_of(secret)
    }

    /// Says whether `secret` is another word for a secret, where it may be.
    pub fn twin(&self, secret: &SecretName) -> Option<Arc<Twin>> {
        self.0.twins.get(secret).cloned()
    }

    /// The first declared secret of those that may be one with `secret`, or `secret` itself: the same for all of them.
    pub fn root_of<'s>(&'s self, secret: &'s SecretName) -> &'s SecretName {
        let Some(group) = self.0.twins.group(secret) else { return secret };
        self.0.secrets.keys().find(|other| self.0.twins.group(other) == Some(group)).unwrap_or(secret)
    }

    /// Where AWS has what a reference names.
    pub fn place_of(&self, reference: &Reference) -> Place {
        self.0.one(self.0.place_of(&reference.of(&self.0.environment)))
    }

    /// Whether each name's copy goes by the name itself.
    pub fn is_plain(&self) -> bool {
        self.0.is_plain && self.0.places.is_empty()
    }

    /// The JSON object whose fields are the types of `tool`, where its declaration or the template says so.
    pub fn object_of_tool(&self, tool: &str) -> Option<Place> {
        if let Some(place) = self.0.tools.get(&*tool.to_ascii_uppercase()) {
            return Some(self.0.one(place.clone()));
        }
        let (id, field) = &self.0.template;
        let by_type = matches!(field.as_deref(), Some([Piece::Type(_)]));
        let has_tool = id.iter().any(|piece| matches!(piece, Piece::Tool(_)));
        (by_type && has_tool).then(|| Place { field: None, ..self.0.expand("", (tool, "")) })
    }

    /// The AWS secret id of a name, or of what copies go by, with the role that reads it and the label of another version.
    pub fn id(&self, name: &SecretName) -> String {
        match name.asked() {
            Some(asked) => asked.to_owned(),
            None => match self.place(name) {
                Ok(place) if place.secret != *name => self.id(&place.secret),
                _ => [&self.0.before, name.as_str(), &self.0.after].concat(),
            },
        }
    }

    /// What a copy goes by where others have copies too: the id, and the role that everything is read as.
    pub fn copy_id(&self, name: &SecretName) -> String {
        let id = self.id(name);
        match &self.0.scope {
            Some(scope) => format!("{id}|{scope}"),
            None => id,
        }
    }

    /// Whether each copy goes by an id of the template.
    pub fn fits_all(&self) -> bool {
        self.is_plain() && self.0.scope.is_none()
    }

    /// What stands before a name in an id of the template.
    pub fn before(&self) -> &str {
        &self.0.before
    }

    /// What stands after it.
    pub fn after(&self) -> &str {
        &self.0.after
    }

    /// The secret name inside an AWS id of the template; `None` when the id is not of this environment, or the copies do not go
    /// by names.
    pub fn name_in<'id>(&self, id: &'id str) -> Option<&'id str> {
        self.0.name_in(id).filter(|_| self.0.is_plain)
    }

    /// What the copies of the AWS secret with this name or ARN go by. More than one, where it is declared in several ways.
    pub fn secrets_with(&self, id: &str) -> Vec<SecretName> {
        let given = Arn::parse(id);
        let aws_name = given.map_or(id, |arn| arn.name());
        let mut found: Vec<SecretName> = Vec::new();
        if let Some(name) = self.name_in(aws_name).and_then(|name| SecretName::new(name).ok())
            && !self.0.places.contains_key(&name)
        {
            found.push(name);
        }
        for secret in self.0.secrets.keys() {
            let Some((own, _)) = secret.aws_id() else { continue };
            let fits = match (Arn::parse(own), given) {
                (Some(own), Some(given)) => own.names(&given),
                (Some(own), None) => own.name() == id,
                (None, _) => own == aws_name,
            };
            if fits {
                found.push(secret.clone());
            }
        }
        let mut ones: Vec<SecretName> = Vec::with_capacity(found.len());
        for one in found.into_iter().map(|secret| self.one_of(secret)) {
            if !ones.contains(&one) {
                ones.push(one);
            }
        }
        ones
    }

    /// The names whose copies go by `secret`.
    pub fn names_of(&self, secret: &SecretName) -> Vec<SecretName> {
        if self.twin(secret).is_some_and(|twin| twin.other_word_for().is_some()) {
            return Vec::new();
        }
        let mut names = self.0.secrets.get(secret).cloned().unwrap_or_default();
        for word in self.0.twins.words_for(secret) {
            names.extend(self.0.secrets.get(&word).cloned().unwrap_or_default());
        }
        if secret.aws_id().is_none() && !self.0.places.contains_key(secret) && !names.contains(secret) {
            names.push(secret.clone());
        }
        names
    }

    /// The AWS secrets that are declared by a reference, or by a template with fields.
    pub fn declared(&self) -> impl Iterator<Item = &SecretName> {
        self.0.secrets.keys()
    }

    /// Every declared name whose copy goes by another name, and where it is.
    pub fn places(&self) -> impl Iterator<Item = (&SecretName, &Place)> {
        self.0.places.iter().filter_map(|(name, place)| Some((name, place.as_ref()?)))
    }

    /// The first declared name that is declared by environment, and not for this one.
    pub fn without_place(&self) -> Option<&SecretName> {
        self.0.places.iter().filter(|(_, place)| place.is_none()).map(|(name, _)| name).min()
    }
}

#[cfg(test)]
mod tests;
