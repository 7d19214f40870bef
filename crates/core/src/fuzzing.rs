//! What is done with untrusted bytes, for `tools/fuzz/`: each function takes any bytes and panics when something does
//! not hold. The tests here run them over the corpus and what is near it.
#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a finding is reported by a panic")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use audit_log::{Key, VerifyOptions, verify};
use serde_json::Value as Json;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use crate::config::{Ambient, Config, OptionValue};
use crate::source::env_file;
use aws::Canned;
use aws::settings::AwsSettings;
use cache::envelope::{Contents, Envelopes};
use cache::settings::EncryptionKey;
use secret::error::ErrorCode;
use secret::value::SecretValue;

/// Stands in inputs for what no message may repeat.
const CANARY: &str = "canary-";
const ID: &str = "A_B_production";

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("audit_verify", audit_verify),
    ("aws_answer", aws_answer),
    ("config", config),
    ("env_file", env_file),
    ("envelope", envelope),
    ("event", event),
];

/// An env file, in both grammars.
pub fn env_file(data: &[u8]) {
    // Its text stays out of error messages; what it gives is not compared with anything here.
    if let Err(error) = env_file::dotenvy_values(data) {
        assert!(!error.to_string().contains(CANARY), "{error}");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed = env_file::grammar::parse(text);
    assert_eq!(parsed.assignments.len(), parsed.lines.len());
    for (name, value) in &parsed.assignments {
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)), "{name:?}");
        assert!(!name.is_empty() && value.len() <= text.len());
    }
    for lines in &parsed.lines {
        let whole = text.get(lines.clone()).expect("lines of the text");
        assert!(lines.end == text.len() || whole.ends_with(['\n', '\r']), "{lines:?}");
    }
    let last = 1 + text.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    assert!(parsed.skipped_lines.is_sorted_by(|a, b| a < b));
    assert!(parsed.skipped_lines.last().is_none_or(|line| *line <= last));
}

fn envelopes(keyed: bool) -> Envelopes {
    let key = || EncryptionKey { id: "k1".into(), key: Zeroizing::new([1; 32]) };
    Envelopes::new("production", &if keyed { vec![key()] } else { Vec::new() }).expect("keys")
}

/// What the one sealed envelope of the corpus holds.
fn sealed_contents() -> Contents {
    Contents {
        value: SecretValue::copied("a value"),
        version_id: Some("v-1".into()),
        fetched_unix_ms: 1_767_225_600_000,
        fresh_for_ms: 300_000,
    }
}

/// An entry of the shared cache: who has no key makes none that opens.
pub fn envelope(data: &[u8]) {
    let (sealed, plain) = (envelopes(true), envelopes(false));
    match sealed.open(ID, data) {
        Ok(contents) => assert_eq!(contents, sealed_contents(), "forged"),
        Err(error) => assert_eq!(error.code(), ErrorCode::CacheEntryCorrupt),
    }
    match plain.open(ID, data) {
        Ok(contents) => {
            let again = plain.seal(ID, &contents).expect("sealed");
            assert_eq!(plain.open(ID, &again).expect("opened"), contents);
            let mut own = sealed.seal(ID, &contents).expect("sealed");
            assert_eq!(sealed.open(ID, &own).expect("opened"), contents);
            let at = contents.value.len() % own.len();
            own[at] ^= 1;
            assert!(sealed.open(ID, &own).is_err(), "changed at {at}");
        }
        Err(error) => assert_eq!(error.code(), ErrorCode::CacheEntryCorrupt),
    }
}

/// An event of EventBridge, SNS or SQS.
pub fn event(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match crate::events::parse::parse(text) {
        Ok(Some(event)) => assert!(!event.aws_id.is_empty()),
        Ok(None) => {}
        Err(error) => assert!(error.to_string().len() < 80 && !error.to_string().contains(CANARY), "{error}"),
    }
}

/// Options, or options and variables as a list of two.
pub fn config(data: &[u8]) {
    let Ok(given) = serde_json::from_slice::<Json>(data) else { return };
    let (options, variables) = match given {
        Json::Array(mut both) if both.len() == 2 => {
            let variables = both.pop().unwrap_or_default();
            (both.pop().unwrap_or_default(), variables)
        }
        options => (options, Json::Null),
    };
    // An unknown environment is named (decision D23).
    let environments = ["TCS_ENVIRONMENT", "NODE_ENV"].map(|name| variables.get(name));
    let shown = environments.into_iter().chain([options.get("environment")]).flatten();
    let is_shown = shown.filter_map(Json::as_str).any(|name| name.contains(CANARY));
    let named = is_shown || names_hold(&options, CANARY);
    let variables = variables.as_object().into_iter().flatten();
    let variables = variables.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let ambient = Ambient { variables: variables.collect(), working_directory: "/work".into(), ..Ambient::default() };
    if let Err(error) = Config::from_options(option(options), &ambient) {
        assert!(named || !error.to_string().contains(CANARY), "{error}");
    }
}

/// Whether a name in `json` holds `text`: messages name options, and never what they are set to.
fn names_hold(json: &Json, text: &str) -> bool {
    match json {
        Json::Object(fields) => fields.iter().any(|(name, field)| name.contains(text) || names_hold(field, text)),
        Json::Array(items) => items.iter().any(|item| names_hold(item, text)),
        _ => false,
    }
}

fn option(json: Json) -> OptionValue {
    match json {
        Json::Null => OptionValue::Null,
        Json::Bool(value) => OptionValue::Bool(value),
        Json::Number(number) => OptionValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        // As a `Uint8Array` would arrive.
        Json::String(text) => match text.strip_prefix("bytes:") {
            Some(bytes) => OptionValue::Bytes(Zeroizing::new(bytes.as_bytes().to_vec())),
            None => OptionValue::Text(Zeroizing::new(text)),
        },
        Json::Array(items) => OptionValue::List(items.into_iter().map(option).collect()),
        Json::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.into_iter().map(|(name, field)| (name, option(field))).collect();
            OptionValue::Record(fields)
        }
    }
}

/// The log, and after a line of its own the state file.
const STATE_FOLLOWS: &[u8] = b"--- state ---\n";

/// An audit log of somebody else's making.
pub fn audit_verify(data: &[u8]) {
    // A finding leaves it behind.
    let directory = std::env::temp_dir().join(format!("tcs-secret-delivery-fuzz-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    let log = directory.join("audit.jsonl");
    let at = data.windows(STATE_FOLLOWS.len()).position(|window| window == STATE_FOLLOWS);
    fs::write(&log, &data[..at.unwrap_or(data.len())]).expect("written");
    if let Some(at) = at {
        fs::write(directory.join("audit.jsonl.state"), &data[at + STATE_FOLLOWS.len()..]).expect("written");
    }
    let lines = data.split(|byte| *byte == b'\n').count() as u64;
    for key in [None, Key::new(&[1; 32])] {
        let options = VerifyOptions { key, ..VerifyOptions::default() };
        if let Ok(found) = verify(&log, &options, &mut |_| ControlFlow::Continue(())) {
            assert!(found.bytes <= data.len() as u64);
            assert!(found.fault.is_none_or(|fault| fault.line <= lines + 1 && fault.offset <= found.bytes));
        }
    }
    fs::remove_dir_all(&directory).expect("removed");
}

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));

static AWS: LazyLock<Arc<AwsSettings>> = LazyLock::new(|| {
    let aws = r#"{ "aws": { "region": "eu-central-1", "maxAttempts": 1 } }"#;
    let options = option(serde_json::from_str(aws).expect("JSON"));
    Arc::new(Config::from_options(options, &Ambient::default()).expect("valid").aws.expect("on"))
});

/// An answer in AWS's place: the status and the kind of error in the first line, then the body.
pub fn aws_answer(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (first, body) = data.split_at(at);
    let (status, kind) = std::str::from_utf8(first).ok().and_then(|first| first.split_once(' ')).unwrap_or_default();
    let status = status.parse().ok().filter(|status| (200..600).contains(status)).unwrap_or(200);
    let answer = Canned::default();
    answer.set(status, kind, body);
    RUNTIME.block_on(async {
        let aws = answer.source(&AWS);
        let check = |error: &dyn std::fmt::Display| assert!(!error.to_string().contains(CANARY), "{error}");
        match aws.fetch(ID).await {
            Ok(Some(fetched)) => assert!(fetched.value.len() <= body.len() * 4 + 4),
            Ok(None) => {}
            Err(error) => check(&error),
        }
        match aws.fetch_batch(&[ID.to_owned()]).await {
            Ok(answers) => {
                for (id, answer) in answers {
                    // A message names the secret, whatever it is called.
                    answer.err().filter(|_| !id.contains(CANARY)).iter().for_each(|error| check(error));
                }
            }
            Err(error) => check(&error),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    use crate::timer::Deadline;

    /// For what is near a target's corpus.
    const A_MOMENT: Duration = Duration::from_millis(1500);

    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/fuzz/corpus").join(target);
        let entries = fs::read_dir(&directory).expect("a corpus").map(|entry| entry.expect("an entry").path());
        let mut paths: Vec<_> = entries.collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).expect("readable")).collect()
    }

    #[test]
    fn a_name_with_a_value_and_an_error_in_one_batch_has_no_answer() {
        let canned = Canned::default();
        let body = br#"{"SecretValues":[{"Name":"A","SecretString":"a"},{"Name":"B","SecretString":"b"}],
            "Errors":[{"SecretId":"A","ErrorCode":"ResourceNotFoundException"}]}"#;
        canned.set(200, "", body);
        let asked = ["A".to_owned(), "B".to_owned()];
        let answers = RUNTIME.block_on(async { canned.source(&AWS).fetch_batch(&asked).await }).expect("a batch");
        assert_eq!(answers.keys().collect::<Vec<_>>(), ["B"]);
    }

    #[test]
    fn every_file_of_the_corpus_and_what_is_near_it_holds() {
        let mut random = fastrand::Rng::with_seed(1);
        for (name, target) in TARGETS {
            let files = corpus(name);
            assert!(files.len() >= 3, "{name}");
            for file in &files {
                target(file);
            }
            let end = Deadline::after(A_MOMENT);
            while !end.has_passed() {
                let mut near = files[random.usize(..files.len())].clone();
                for _ in 0..random.usize(1..4) {
                    let at = random.usize(..=near.len());
                    match random.u8(..4) {
                        0 => near.truncate(at),
                        1 => near.insert(at, random.u8(..)),
                        2 => drop(near.drain(at..(at + random.usize(..8)).min(near.len()))),
                        _ => near.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.u8(..8)),
                    }
                }
                target(&near);
            }
        }
    }

    #[test]
    fn the_sealed_envelope_of_the_corpus_opens_and_its_audit_log_is_whole() {
        let envelopes = envelopes(true);
        assert!(corpus("envelope").iter().any(|file| envelopes.open(ID, file).is_ok()));
        let keyless = corpus("audit_verify").into_iter().filter(|file| {
            let at = file.windows(STATE_FOLLOWS.len()).position(|window| window == STATE_FOLLOWS);
            let directory = tempfile::tempdir().expect("a directory");
            let log = directory.path().join("audit.jsonl");
            fs::write(&log, &file[..at.unwrap_or(file.len())]).expect("written");
            let found = verify(&log, &VerifyOptions::default(), &mut |_| ControlFlow::Continue(()));
            found.is_ok_and(|found| found.fault.is_none() && found.last.0 > 1)
        });
        assert!(keyless.count() >= 1);
    }

    #[test]
    #[ignore = "makes the sealed envelope and the audit log of the corpus again"]
    fn make_corpus() {
        use audit_log::{AuditLog, Destination, Event, Options, Record};
        let to = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/fuzz/corpus");
        let sealed = envelopes(true).seal(ID, &sealed_contents()).expect("sealed");
        fs::write(to.join("envelope/sealed"), sealed).expect("written");
        let plain = envelopes(false).seal(ID, &sealed_contents()).expect("sealed");
        fs::write(to.join("envelope/plain"), plain).expect("written");
        for (name, key) in [("keyless", None), ("keyed", Key::new(&[1; 32]))] {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("audit.jsonl");
            let options = Options { key, ..Options::new(Destination::File(path.clone()), "test") };
            let log = AuditLog::open(options).expect("opened");
            for secret in ["A_B", "A_C", "A_D"] {
                let record = Record { secret, tool: "A", source: "aws", version: "v1", ..Record::new(Event::Access) };
                log.append(&record, Duration::from_secs(10)).expect("appended");
            }
            log.close(Duration::from_secs(5)).expect("closed");
            let mut file = fs::read(&path).expect("a log");
            fs::write(to.join("audit_verify").join(name), &file).expect("written");
            file.extend_from_slice(STATE_FOLLOWS);
            file.extend(fs::read(directory.path().join("audit.jsonl.state")).expect("a state"));
            fs::write(to.join("audit_verify").join(format!("{name}-with-state")), file).expect("written");
        }
    }
}
