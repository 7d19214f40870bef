use super::*;

fn found(text: &str, name: &str) -> Option<String> {
    let field = find(text, name).expect("a JSON object")?;
    Some(field.raw(text).to_owned())
}

#[test]
fn the_span_of_a_field_is_what_its_value_takes_up() {
    let text = "\n{\t\"a\" : \"x\" , \"b\":-1.50e+10,\"c\":[1,{\"a\":2}],\"d\":{ } ,\"e\":null,\"f\":false }\r\n ";
    let rows = [
        ("a", r#""x""#, Kind::Text),
        ("b", "-1.50e+10", Kind::Number),
        ("c", r#"[1,{"a":2}]"#, Kind::Array),
        ("d", "{ }", Kind::Object),
        ("e", "null", Kind::Null),
        ("f", "false", Kind::Boolean),
    ];
    for (name, raw, kind) in rows {
        let field = find(text, name).expect("an object").expect(name);
        assert_eq!((field.raw(text), field.kind(), &text[field.span()]), (raw, kind, raw), "{name}");
    }
    for missing in ["", "A", "a.b", "c.0", "c.a", "d.a", "g", "aa"] {
        assert_eq!(found(text, missing), None, "{missing:?}");
    }
}

#[test]
fn an_exact_key_comes_before_a_path_in_each_object() {
    let text = r#"{"a":{"b":{"c":"path"},"b.c":"inner"},"d":{"e":"path"},"d.e":"exact","f":"text","":{"":"empty"}}"#;
    for (name, raw) in [
        ("a.b.c", Some(r#""inner""#)),
        ("a.b", Some(r#"{"c":"path"}"#)),
        ("d.e", Some(r#""exact""#)),
        (".", Some(r#""empty""#)),
        ("f.g", None),
        ("a.b.c.d", None),
        ("a.", None),
    ] {
        assert_eq!(found(text, name).as_deref(), raw, "{name}");
    }
}

#[test]
fn of_equal_keys_the_last_one_counts_however_it_is_written() {
    assert_eq!(found(r#"{"k":1,"\u006b":2,"k.x":3}"#, "k").as_deref(), Some("2"));
    assert_eq!(found(r#"{"k":{"a":1},"k":{"b":2}}"#, "k.a"), None, "the last object is the one that counts");
    assert_eq!(found(r#"{"k":{"a":1},"k":"text"}"#, "k.a"), None);
    assert_eq!(found(r#"{"\ud83d\ude00":1}"#, "😀").as_deref(), Some("1"));
    assert_eq!(found(r#"{"a\/b\"\\":1}"#, "a/b\"\\").as_deref(), Some("1"));
    assert_eq!(found(r#"{"\ud800":1,"a":2}"#, "a").as_deref(), Some("2"), "a key that is no Unicode text");
    assert_eq!(keys(r#"{"b":1,"\u0061":{"z":0},"b":2,"\udc00":3}"#).expect("an object"), ["b", "a", "b"]);
}

#[test]
fn only_what_was_asked_for_changes() {
    let text = "{\"n\":1e400,\"big\":123456789012345678901,\n  \"password\" : \"old\",\"é\":\"\\u00e9\\/\",\"n\":-0.0,\"n\":{}}";
    let field = find(text, "password").expect("an object").expect("a field");
    let changed = field.with_text(text, "q\"\\\n\u{1}é😀");
    assert_eq!(*changed, text.replace("\"old\"", "\"q\\\"\\\\\\n\\u0001é😀\""));
    let again = find(&changed, "password").expect("an object").expect("a field");
    assert_eq!(*again.value(&changed).expect("text").expect("a value"), "q\"\\\n\u{1}é😀");
    assert_eq!(*again.with_raw(&changed, "\"old\""), text);
}

#[test]
fn a_value_is_text_or_digit_for_digit_as_written() {
    let text = r#"{"t":"a\u0062\n","n":1.0e2,"o":{"x": 1},"z":null,"e":"","s":"\ud800","b":true}"#;
    let rows = [
        ("t", Some("ab\n")),
        ("n", Some("1.0e2")),
        ("o", Some(r#"{"x": 1}"#)),
        ("z", None),
        ("e", None),
        ("b", Some("true")),
    ];
    for (name, value) in rows {
        let field = find(text, name).expect("an object").expect(name);
        let found = field.value(text).expect(name);
        assert_eq!(found.as_ref().map(|value| value.as_str()), value, "{name}");
    }
    let half = find(text, "s").expect("an object").expect("it is there");
    assert_eq!(half.value(text), Err(Unreadable::NoText));
}

#[test]
fn strings_are_read_as_json_reads_them_and_written_so_that_they_read_the_same() {
    assert_eq!(decode(r#""\"\\\/\b\f\n\r\t\u0041\uD83D\uDE00€""#).expect("text").as_str(), "\"\\/\u{8}\u{c}\n\r\tA😀€");
    for wrong in [
        "",
        "\"",
        "a",
        "\"a",
        "\"a\"b",
        "\"\n\"",
        r#""\x""#,
        r#""\u12""#,
        r#""\ud800""#,
        r#""\ud800\n""#,
        r#""\udc00""#,
        r#""\ud800\ud800""#,
        r#""\ud800\u0041""#,
    ] {
        assert!(decode(wrong).is_none(), "{wrong}");
    }
    let every: String = (0..0x3000).filter_map(char::from_u32).chain("\u{2028}\u{10ffff}".chars()).collect();
    assert_eq!(*decode(&encode(&every)).expect("text"), every);
    assert_eq!(serde_json::from_str::<String>(&encode(&every)).expect("JSON"), every);
}

#[test]
fn what_is_no_json_object_is_refused() {
    for wrong in [
        "",
        " ",
        "plain",
        "null",
        "[]",
        "\"a\"",
        "1",
        "{",
        "{}}",
        "{} {}",
        "{a:1}",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":+1}",
        "{\"a\":tru}",
        "{\"a\":NaN}",
        "{'a':1}",
        "{\"a\":\"\t\"}",
        "{\"a\":1 /* c */}",
        "{\"a\":1\u{a0}}",
    ] {
        assert_eq!(find(wrong, "a"), Err(Unreadable::NotAnObject), "{wrong:?}");
        assert_eq!(keys(wrong), Err(Unreadable::NotAnObject), "{wrong:?}");
    }
    let marked = "\u{feff}{\"a\":1}";
    assert_eq!((find(marked, "a"), keys(marked)), (Err(Unreadable::ByteOrderMark), Err(Unreadable::ByteOrderMark)));
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BYTES));
    assert_eq!(find(&long, "a"), Err(Unreadable::TooLong));
    assert!(!Unreadable::TooLong.to_string().contains('x'));
}

#[test]
fn depth_is_limited_by_the_size_alone() {
    let deep = 8_000;
    let text = format!("{}1{}", "{\"a\":[".repeat(deep), "]}".repeat(deep));
    assert_eq!(find(&text, "a").expect("an object").map(|field| field.kind()), Some(Kind::Array));
    let open = "[{\"a\":".repeat(deep);
    assert_eq!(find(&open, "a"), Err(Unreadable::NotAnObject));
    let text = format!("{}\"end\"{}", "{\"a\":".repeat(9_000), "}".repeat(9_000));
    let path = vec!["a"; 512].join(".");
    assert_eq!(find(&text, &path).expect("an object").map(|field| field.kind()), Some(Kind::Object));
    assert_eq!(find(&text, &vec!["a"; 9_000].join(".")), Ok(None), "a name that is too long");
}

/// Random objects, often damaged: what is JSON, and what a field is, another parser says the same.
#[test]
fn a_parser_agrees_about_random_texts() {
    use serde_json::{Map, Value, from_str};
    let mut random = fastrand::Rng::with_seed(0x19);
    for _ in 0..20_000 {
        let mut text = String::new();
        write_object(&mut random, &mut text, 3);
        for _ in 0..random.usize(0..3) {
            let bytes = b"{}[]\",:\\u0 19.-eEtfn\n";
            let at = random.usize(0..=text.len());
            if text.is_char_boundary(at) {
                text.insert(at, char::from(bytes[random.usize(0..bytes.len())]));
            }
        }
        let is_json = from_str::<serde::de::IgnoredAny>(&text).is_ok() && text.trim_start().starts_with('{');
        let found = find(&text, "a");
        assert_eq!(found.is_ok(), is_json, "{text}");
        let (Ok(found), Ok(parsed)) = (found, from_str::<Map<String, Value>>(&text)) else { continue };
        let raw = found.as_ref().map(|field| from_str::<Value>(field.raw(&text)).expect("a value"));
        assert_eq!(raw.as_ref(), parsed.get("a"), "{text}");
        if let Some(field) = found {
            let changed: Map<String, Value> = from_str(&field.with_text(&text, "n\"ew")).expect("JSON");
            assert_eq!(changed.len(), parsed.len(), "{text}");
            for (key, value) in &changed {
                let expected = if key == "a" { &Value::from("n\"ew") } else { &parsed[key] };
                assert_eq!(value, expected, "{text}");
            }
        }
    }
}

fn write_object(random: &mut fastrand::Rng, text: &mut String, depth: usize) {
    text.push('{');
    for number in 0..random.usize(0..4) {
        let comma = if number == 0 { "" } else { "," };
        let key = ["a", "\\u0061", "b", "a.b", "é", ""][random.usize(0..6)];
        text.extend([comma, space(random), "\"", key, "\"", space(random), ":"]);
        text.push_str(space(random));
        match random.usize(0..5) {
            0 if depth > 0 => write_object(random, text, depth - 1),
            1 if depth > 0 => {
                text.push_str("[1,");
                write_object(random, text, depth - 1);
                text.push(']');
            }
            choice => text.push_str(
                [
                    "\"x\"",
                    "-0.5e3",
                    "null",
                    r#""\ud83d\ude00\n""#,
                    "12345678901234567890123",
                    "[]",
                    "true",
                    "\"é\"",
                    "0",
                    "\"\"",
                ][choice + random.usize(0..6)],
            ),
        }
        text.push_str(space(random));
    }
    text.push('}');
}

fn space(random: &mut fastrand::Rng) -> &'static str {
    ["", "", " ", "\n\t", "\r\n"][random.usize(0..5)]
}

#[test]
fn a_field_is_replaced_where_it_is_and_added_where_it_is_not() {
    for (text, name, value, changed) in [
        (r#"{"a":"1"}"#, "a", "2", r#"{"a":"2"}"#),
        (r#"{"a":"1"}"#, "b", "x\"y", r#"{"a":"1","b":"x\"y"}"#),
        ("{}", "a", "1", r#"{"a":"1"}"#),
        ("{ }", "a", "1", r#"{ "a":"1"}"#),
        ("{\n  \"a\": 1\n}\n", "b", "2", "{\n  \"a\": 1,\"b\":\"2\"\n}\n"),
        (r#"{"a":{"b":1,"c":2}}"#, "a.b", "12345678901234567890", r#"{"a":{"b":12345678901234567890,"c":2}}"#),
        (r#"{"a":{"b":1}}"#, "a.d", "x", r#"{"a":{"b":1,"d":"x"}}"#),
        (r#"{"a":"text"}"#, "a.d", "x", r#"{"a":"text","a.d":"x"}"#),
        (r#"{"a":1}"#, "a", "one", r#"{"a":"one"}"#),
        (r#"{"a":true}"#, "a", "false", r#"{"a":false}"#),
        (r#"{"a":null}"#, "a", "x", r#"{"a":"x"}"#),
    ] {
        let found = with_field(text, name, value).expect(text);
        assert_eq!(*found, changed, "{text} {name}");
        assert!(find(&found, name).expect("an object").is_some());
    }
    assert_eq!(with_field("[1]", "a", "x"), Err(Unreadable::NotAnObject));
}
