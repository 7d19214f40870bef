use super::*;

struct Silent;

impl Notices for Silent {
    fn notice(&self, _: Notice) {}
}

fn env_file(path: PathBuf) -> EnvFile {
    let config = EnvFileSettings { path, syntax: EnvFileSyntax::Dotenv, deprecated: false, private: false };
    EnvFile { clock: Clock::test(), ..EnvFile::new(config, Arc::new(Silent)) }
}

async fn value(file: &EnvFile) -> String {
    let value = file.get(&SecretName::new("A").expect("a name")).await.expect("no failure").expect("a value");
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: a test value")]
    value.expose().to_owned()
}

/// What is in memory differs from the file from now on, as after a rewrite that kept the stamp.
fn rewritten_within_a_tick(file: &EnvFile) {
    let remembered = HashMap::from([("A".to_owned(), SecretValue::new("old".to_owned()))]);
    file.state.lock().loaded.as_mut().expect("a copy").values = Arc::new(remembered);
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
        file.clock.advance(Duration::from_millis(600));
    }
    // The last rewrite that could have kept the stamp is over 2 s old, but was not read yet.
    rewritten_within_a_tick(&file);
    file.clock.advance(Duration::from_mins(1));
    assert_eq!(value(&file).await, "new");
}

#[tokio::test]
async fn a_file_that_stays_as_it_is_is_not_read_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(".env");
    std::fs::write(&path, "A=new").expect("written");
    let file = env_file(path.clone());
    value(&file).await;
    file.clock.advance(COARSEST_TICK);
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
