//! Takes a field out of a JSON secret, byte for byte, and says which fields two of them differ in.
//!
//! What a field's name means is said in [`json_field`](crate::json_field).

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::json_field::{Field, Kind, Members, Unreadable, decode, find, object};

/// The fields in which two JSON objects differ, by their names. Holds no value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Only the second one has them.
    pub added: Vec<String>,
    /// Both have them, with other values.
    pub changed: Vec<String>,
    /// Only the first one has them.
    pub removed: Vec<String>,
}

/// `text` without its field `name`; `None` when it has none. Every other byte stays, except the comma and the layout that belong
/// to the field.
///
/// # Errors
/// [`Unreadable`], when `text` is not a JSON object.
pub fn without_field(text: &str, name: &str) -> Result<Option<Zeroizing<String>>, Unreadable> {
    let mut left: Option<Zeroizing<String>> = None;
    // Of equal keys the last one counts: without it the one before would.
    loop {
        let now = left.as_ref().map_or(text, |left| left.as_str());
        let Some(field) = find(now, name)? else { return Ok(left) };
        let Some(span) = member(now, &field)? else { return Ok(left) };
        let mut shorter = Zeroizing::new(String::with_capacity(now.len()));
        shorter.push_str(&now[..span.start]);
        shorter.push_str(&now[span.end..]);
        left = Some(shorter);
    }
}

/// What the member with the value `field` takes up, with the comma that goes with it.
fn member(text: &str, field: &Field) -> Result<Option<std::ops::Range<usize>>, Unreadable> {
    let wanted = field.span();
    let mut within = object(text)?;
    // Into the object that has the field itself.
    loop {
        let mut members = Members::of(text, within.start);
        let (mut before, mut inner) = (None, None);
        while let Some((key, value)) = members.next()? {
            let span = value.span();
            if span == wanted {
                let next = members.next()?.map(|(key, _)| key.start);
                return Ok(Some(match (next, before) {
                    (Some(next), _) => key.start..next,
                    (None, Some(before)) => before..span.end,
                    (None, None) => key.start..span.end,
                }));
            }
            if span.start < wanted.start && wanted.end < span.end && value.kind() == Kind::Object {
                inner = Some(span.clone());
            }
            before = Some(span.end);
        }
        match inner {
            Some(span) => within = span,
            None => return Ok(None),
        }
    }
}

/// The fields in which the JSON objects `before` and `after` differ.
///
/// # Errors
/// [`Unreadable`], when one of them is not a JSON object.
pub fn changes(before: &str, after: &str) -> Result<Changes, Unreadable> {
    let (old, new) = (members(before)?, members(after)?);
    let only = |one: &BTreeMap<String, Zeroizing<String>>, other: &BTreeMap<String, Zeroizing<String>>| {
        one.keys().filter(|key| !other.contains_key(*key)).cloned().collect()
    };
    let changed = old.iter().filter(|(key, value)| new.get(*key).is_some_and(|now| now != *value));
    Ok(Changes {
        added: only(&new, &old),
        removed: only(&old, &new),
        changed: changed.map(|(key, _)| key.clone()).collect(),
    })
}

/// Each key with its value: a text as it reads, anything else as it is written. A text and a number are never equal.
fn members(text: &str) -> Result<BTreeMap<String, Zeroizing<String>>, Unreadable> {
    let (mut found, mut members) = (BTreeMap::new(), Members::of(text, object(text)?.start));
    while let Some((key, value)) = members.next()? {
        let Some(key) = decode(&text[key]) else { continue };
        let raw = value.raw(text);
        let value = match value.kind() {
            Kind::Text => decode(raw).unwrap_or_else(|| Zeroizing::new(raw.to_owned())),
            _ => Zeroizing::new(format!("\u{0}{raw}")),
        };
        found.insert(key.as_str().to_owned(), value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str, name: &str) -> Option<String> {
        without_field(text, name).expect("an object").map(|left| left.as_str().to_owned())
    }

    #[test]
    fn a_field_is_taken_out_with_its_comma_and_nothing_else() {
        let text = "{ \"a\": 1.50,\n  \"b\" : \"x\\u0041\",\n  \"c\": {\"d\":1,\"e\":2} }";
        assert_eq!(without(text, "b").expect("it was there"), "{ \"a\": 1.50,\n  \"c\": {\"d\":1,\"e\":2} }");
        assert_eq!(without(text, "c").expect("it was there"), "{ \"a\": 1.50,\n  \"b\" : \"x\\u0041\" }");
        assert_eq!(
            without(text, "c.d").expect("it was there"),
            "{ \"a\": 1.50,\n  \"b\" : \"x\\u0041\",\n  \"c\": {\"e\":2} }"
        );
        assert_eq!(without(r#"{"a":1}"#, "a").expect("it was there"), "{}");
        assert_eq!(without(r#"{ "a" : 1 }"#, "a").expect("it was there"), "{  }");
        assert_eq!(without(text, "z"), None);
        assert!(without_field("[1]", "a").is_err());
    }

    #[test]
    fn of_equal_keys_none_is_left() {
        assert_eq!(without(r#"{"a":1,"b":2,"a":3}"#, "a").expect("it was there"), r#"{"b":2}"#);
        assert_eq!(without(r#"{"a.b":1,"a":{"b":2,"c":3}}"#, "a.b").expect("both"), r#"{"a":{"c":3}}"#);
    }

    #[test]
    fn fields_are_compared_by_what_they_mean() {
        let found = changes(
            r#"{"same":"\u0041","other":"1","gone":null,"kind":"1"}"#,
            r#"{ "kind": 1, "other": "2", "same": "A", "new": [] }"#,
        );
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            found.expect("objects"),
            Changes { added: names(&["new"]), changed: names(&["kind", "other"]), removed: names(&["gone"]) }
        );
        assert!(changes("{}", "text").is_err());
    }
}
