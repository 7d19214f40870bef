//! A tree of plain option values. Each value knows its path, which error messages name.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use secret::error::{Result, SecretError};
use secret::shown::at_most;

/// How much is shown of a name that is no option.
const LONGEST_NAME: usize = 60;

/// An option as the caller gave it. `null` and `undefined` mean unset.
pub enum OptionValue {
    /// Unset.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; may be fractional, NaN or infinite.
    Number(f64),
    /// A text. It is wiped when dropped, since credentials and keys are options.
    Text(Zeroizing<String>),
    /// Bytes (a `Uint8Array`). They are wiped when dropped.
    Bytes(Zeroizing<Vec<u8>>),
    /// A list.
    List(Vec<OptionValue>),
    /// An object.
    Record(BTreeMap<String, OptionValue>),
    /// A value that no option accepts, by the name of its kind, such as "a function".
    Other(&'static str),
}

impl OptionValue {
    /// A text option with this content.
    pub fn text(text: &str) -> Self {
        Self::Text(Zeroizing::new(text.to_owned()))
    }

    /// The kind of the value, for messages. Never its content, which may be a key.
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "unset",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "an array",
            Self::Record(_) => "an object",
            Self::Other(kind) => kind,
        }
    }
}

impl fmt::Debug for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// An option together with its path.
#[derive(Debug)]
pub struct Field {
    path: String,
    value: OptionValue,
}

impl Field {
    /// Makes a field of a value and its path.
    pub fn new(path: impl Into<String>, value: OptionValue) -> Self {
        Self { path: path.into(), value }
    }

    /// The path, such as `options.cache.ttlSeconds`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Makes the error `CONFIG_INVALID` for this path.
    pub fn refuse(&self, why: impl fmt::Display) -> SecretError {
        SecretError::config(&self.path, why)
    }

    fn expected(&self, what: &str) -> SecretError {
        self.refuse(format_args!("must be {what}, got {}", self.value.kind()))
    }

    /// Reads a boolean.
    ///
    /// # Errors
    /// `CONFIG_INVALID`; the same holds for all other readers.
    pub fn bool(self) -> Result<bool> {
        match self.value {
            OptionValue::Bool(value) => Ok(value),
            _ => Err(self.expected("true or false")),
        }
    }

    /// Whether the value is exactly `false`, which switches a section off.
    pub fn is_false(&self) -> bool {
        matches!(self.value, OptionValue::Bool(false))
    }

    /// Whether the value is exactly `true`.
    pub fn is_true(&self) -> bool {
        matches!(self.value, OptionValue::Bool(true))
    }

    /// Whether the value is a text.
    pub fn is_text(&self) -> bool {
        matches!(self.value, OptionValue::Text(_))
    }

    /// Reads a whole number in `range`.
    pub fn integer(self, range: std::ops::RangeInclusive<u32>) -> Result<u32> {
        let OptionValue::Number(number) = self.value else {
            return Err(self.expected("a number"));
        };
        let fits = number.fract() == 0.0 && (f64::from(*range.start())..=f64::from(*range.end())).contains(&number);
        if !fits {
            return Err(self.refuse(format_args!("must be a whole number from {} to {}", range.start(), range.end())));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against the range above")]
        Ok(number as u32)
    }

    /// Reads a number in `range`.
    pub fn number(self, range: std::ops::RangeInclusive<f64>) -> Result<f64> {
        let OptionValue::Number(number) = self.value else {
            return Err(self.expected("a number"));
        };
        if !range.contains(&number) {
            return Err(self.refuse(format_args!("must be a number from {} to {}", range.start(), range.end())));
        }
        Ok(number)
    }

    /// Reads a text that is not empty and contains no NUL.
    pub fn text(self) -> Result<Zeroizing<String>> {
        match self.value {
            OptionValue::Text(text) if text.is_empty() => Err(SecretError::config(&self.path, "must not be empty")),
            OptionValue::Text(text) if text.contains('\0') => {
                Err(SecretError::config(&self.path, "must not contain NUL"))
            }
            OptionValue::Text(text) => Ok(text),
            _ => Err(self.expected("a string")),
        }
    }

    /// Accepts any text, even an empty one, such as the value of a process variable.
    pub fn text_or_empty(self) -> Result<()> {
        match self.value {
            OptionValue::Text(_) => Ok(()),
            _ => Err(self.expected("a string")),
        }
    }

    /// Reads a text that is not secret, as a plain string.
    pub fn string(self) -> Result<String> {
        self.text().map(|text| text.to_string())
    }

    /// Reads a text that is one of `choices`.
    pub fn one_of<T: Copy>(self, choices: &[(&str, T)]) -> Result<T> {
        let names = || choices.iter().map(|(name, _)| format!("'{name}'")).collect::<Vec<_>>().join(" or ");
        let OptionValue::Text(text) = &self.value else {
            return Err(self.expected(&names()));
        };
        choices
            .iter()
            .find(|(name, _)| *name == text.as_str())
            .map(|(_, value)| *value)
            .ok_or_else(|| self.refuse(format_args!("must be {}", names())))
    }

    /// Reads a text or bytes. Returns bytes, and whether the value was a text.
    pub fn text_or_bytes(self) -> Result<(Zeroizing<Vec<u8>>, bool)> {
        match self.value {
            OptionValue::Bytes(bytes) => Ok((bytes, false)),
            OptionValue::Text(text) => Ok((Zeroizing::new(text.as_bytes().to_vec()), true)),
            _ => Err(self.expected("a string or a Uint8Array")),
        }
    }

    /// Reads an array: its elements, each with its own path.
    pub fn list(self) -> Result<Vec<Field>> {
        let OptionValue::List(items) = self.value else {
            return Err(self.expected("an array"));
        };
        Ok(items
            .into_iter()
            .enumerate()
            .map(|(index, value)| Field::new(format!("{}[{index}]", self.path), value))
            .collect())
    }

    /// Reads an object, whose fields are then read one by one.
    pub fn section(self) -> Result<Section> {
        match self.value {
            OptionValue::Record(fields) => Ok(Section { path: self.path, fields }),
            _ => Err(self.expected("an object")),
        }
    }
}

/// An object whose known fields are read one by one. [`Section::finish`] refuses the others.
#[derive(Debug)]
pub struct Section {
    path: String,
    fields: BTreeMap<String, OptionValue>,
}

impl Section {
    /// The path of the object.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Takes a field out of the object; `None` if it is unset.
    pub fn take(&mut self, name: &str) -> Option<Field> {
        match self.fields.remove(name) {
            None | Some(OptionValue::Null) => None,
            Some(value) => Some(Field::new(format!("{}.{name}", self.path), value)),
        }
    }

    /// Takes a field and reads it with `read`.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read<T>(&mut self, name: &str, read: impl FnOnce(Field) -> Result<T>) -> Result<Option<T>> {
        self.take(name).map(read).transpose()
    }

    /// Whether the object has this field.
    pub fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !matches!(value, OptionValue::Null))
    }

    /// Takes all fields of an object whose keys are names of tools, secrets or variables.
    pub fn entries(self) -> impl Iterator<Item = (String, Field)> {
        let path = self.path;
        self.fields.into_iter().filter(|(_, value)| !matches!(value, OptionValue::Null)).map(move |(name, value)| {
            let field = Field::new(format!("{path}.{name}"), value);
            (name, field)
        })
    }

    /// Refuses fields that were not read. `known` has the names of all options, for suggestions.
    ///
    /// # Errors
    /// `CONFIG_INVALID`, which names one of these fields and, if a known option is similar, that option.
    pub fn finish(self, known: &[&str]) -> Result<()> {
        let Some(name) = self.fields.into_keys().next() else {
            return Ok(());
        };
        let shown = at_most(LONGEST_NAME, &name);
        let hint = did_you_mean(&name, known);
        Err(SecretError::config(&format!("{}.{shown}", self.path), format_args!("is not an option{hint}")))
    }
}

/// The end of a message about a name that is not one of `known`: the one that looks like it, if there is one.
pub fn did_you_mean(name: &str, known: &[&str]) -> String {
    known
        .iter()
        .find(|known| looks_like(known, name))
        .map_or(String::new(), |known| format!("; did you mean '{known}'?"))
}

/// Whether both have the same letters apart from case and separators, or one is the beginning of the other.
fn looks_like(known: &str, given: &str) -> bool {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let (known, given) = (plain(known), plain(given));
    given.len() > 1 && (known.starts_with(&given) || given.starts_with(&known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(value: OptionValue) -> Field {
        Field::new("options.x", value)
    }

    #[test]
    fn numbers_must_be_whole_and_in_range() {
        assert_eq!(field(OptionValue::Number(5.0)).integer(1..=9).expect("in range"), 5);
        for wrong in [0.0, 10.0, 1.5, f64::NAN, f64::INFINITY, -1.0] {
            let error = field(OptionValue::Number(wrong)).integer(1..=9).expect_err("out");
            assert_eq!(error.to_string(), "options.x must be a whole number from 1 to 9");
        }
    }

    #[test]
    fn a_wrong_type_is_named_but_never_its_content() {
        let error = field(OptionValue::text("canary")).integer(1..=9).expect_err("text");
        assert_eq!(error.to_string(), "options.x must be a number, got a string");
        assert!(!format!("{:?}", field(OptionValue::text("canary"))).contains("canary"));
    }

    #[test]
    fn unknown_fields_are_refused_with_a_suggestion() {
        let fields = BTreeMap::from([("ttl".to_owned(), OptionValue::Number(1.0))]);
        let section = field(OptionValue::Record(fields)).section().expect("object");
        let error = section.finish(&["ttlSeconds"]).expect_err("unknown");
        assert_eq!(error.to_string(), "options.x.ttl is not an option; did you mean 'ttlSeconds'?");
    }

    #[test]
    fn null_means_unset() {
        let fields = BTreeMap::from([("a".to_owned(), OptionValue::Null)]);
        let mut section = field(OptionValue::Record(fields)).section().expect("object");
        assert!(section.take("a").is_none());
        section.finish(&[]).expect("nothing left");
    }
}
