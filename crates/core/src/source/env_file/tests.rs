use super::*;

struct Silent;

impl Notices for Silent {
    fn notice(&self, _: Notice) {}
}

fn env_file(path: PathBuf) -> EnvFile {
    let config = EnvFileSettings {
        paths: vec![path],
        expected: None,
        syntax: EnvFileSyntax::Dotenv,
        deprecated: false,
        private: false,
    };
    let mut file = EnvFile::new(config, Arc::new(Silent));
    file.files.iter_mut().for_each(|file| file.clock = Clock::test());
    file
}

async fn value(file: &EnvFile) -> String {
    let value = file.get(&SecretName::new("A").expect("a name")).await.expect("no failure").expect("a value");
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: a test value")]
    value.expose().to_owned()
}

/// What is in memory differs from the file from now on, as after a rewrite that kept the stamp.
fn rewritten_within_a_tick(file: &EnvFile) {
    let remembered = HashMap::from([("A".to_owned(), SecretValue::new("old".to_owned()))]);
    file.files[0].state.lock().loaded.as_mut().expect("a copy").contents.values = Arc::new(remembered);
}

#[tokio::test]
async fn a_rewrite_within_a_tick_of_the_file_systems_clock_is_seen() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(".env");
    std::fs::write(&path, "A=new").expect("written");
    let file = env_file(path);
    assert_eq!(value(&file).await, "new");
    for _ in 0..3 {
        rewritten_within_a_tick(&file);
        assert_eq!(value(&file).await, "new");
        file.files[0].clock.advance(Duration::from_millis(600));
    }
    // The last rewrite that could have kept the stamp is over 2 s old, but was not read yet.
    rewritten_within_a_tick(&file);
    file.files[0].clock.advance(Duration::from_mins(1));
    assert_eq!(value(&file).await, "new");
}

#[tokio::test]
async fn a_file_that_stays_as_it_is_is_not_read_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(".env");
    std::fs::write(&path, "A=new").expect("written");
    let file = env_file(path.clone());
    value(&file).await;
    file.files[0].clock.advance(COARSEST_TICK);
    value(&file).await;
    rewritten_within_a_tick(&file);
    assert_eq!(value(&file).await, "old", "the copy answers");
    // With another length, so that the stamp differs even within a tick.
    std::fs::write(&path, "A=newer").expect("written");
    assert_eq!(value(&file).await, "newer");
}

#[tokio::test]
async fn no_rewrite_of_the_same_length_is_missed_on_this_machine() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(".env");
    std::fs::write(&path, "A=10000").expect("written");
    let file = env_file(path.clone());
    for i in 10_001..10_400 {
        std::fs::write(&path, format!("A={i}")).expect("written");
        assert_eq!(value(&file).await, i.to_string());
    }
}

#[tokio::test]
async fn the_first_file_that_has_a_name_gives_its_value() {
    let directory = tempfile::tempdir().expect("a directory");
    let [local, shared] = [".env.local", ".env"].map(|name| directory.path().join(name));
    std::fs::write(&shared, "A=shared\nB=b\nC=c").expect("written");
    let config = EnvFileSettings {
        paths: vec![local.clone(), shared.clone()],
        expected: None,
        syntax: EnvFileSyntax::Dotenv,
        deprecated: false,
        private: false,
    };
    let file = EnvFile::new(config, Arc::new(Silent));
    assert_eq!(value(&file).await, "shared", "a file that is not there is empty");
    assert_eq!(file.main().await, shared);
    std::fs::write(&local, "A=local\nB=").expect("written");
    assert_eq!(value(&file).await, "local");
    assert_eq!(file.main().await, local);
    let values = file.values().await.expect("read");
    assert_eq!(values.len(), 3);
    for (name, length) in [("A", 5), ("B", 1), ("C", 1)] {
        assert_eq!(values.get(name).map(SecretValue::len), Some(length), "{name}: an empty value counts as absent");
    }
}

#[tokio::test]
async fn utf_16_with_a_mark_is_read_and_without_it_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(".env");
    let units: Vec<u16> = "\u{feff}A=schl\u{fc}ssel \u{1f511}\r\n".encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    for bytes in [little, big] {
        std::fs::write(&path, &bytes).expect("written");
        assert_eq!(value(&env_file(path.clone())).await, "schl\u{fc}ssel \u{1f511}");
        for broken in [&bytes[..bytes.len() - 1], &bytes[2..]] {
            std::fs::write(&path, broken).expect("written");
            let error = env_file(path.clone()).values().await.expect_err("broken");
            assert!(error.to_string().contains("UTF-16"), "{error}");
        }
    }
}

#[tokio::test]
async fn bytes_that_are_no_utf_8_take_nothing_away_but_the_value_that_they_are_in() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(".env");
    std::fs::write(&path, b"# f\xfcr GitHub\nB=pa\xdfwort\nA=a\n").expect("written");
    let file = env_file(path);
    assert_eq!(value(&file).await, "a");
    assert!(!file.values().await.expect("read").contains_key("B"));
    let error = file.get(&SecretName::new("B").expect("a name")).await.expect_err("not UTF-8");
    assert_eq!(error.code(), ErrorCode::EnvFileInvalid);
    assert_eq!(file.files[0].state.lock().warned_lines, [2]);
}
