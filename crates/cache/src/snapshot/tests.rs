use super::*;
use crate::settings::EncryptionKey;
use secret::notice::Silent;
use secret::value::SecretValue;

const HOUR: Duration = Duration::from_hours(1);

fn snapshot(path: &Path, clock: &Clock) -> Snapshot {
    snapshot_in("production", path, clock)
}

fn snapshot_in(environment: &'static str, path: &Path, clock: &Clock) -> Snapshot {
    let key = EncryptionKey { id: "k".into(), key: zeroize::Zeroizing::new([7; 32]) };
    let envelopes = Arc::new(Envelopes::new(environment, &[key]).expect("keys"));
    Snapshot::new(path.to_owned(), None, envelopes, HOUR, clock.clone(), Arc::new(Silent))
}

/// A process whose credentials are of `account`, as far as that is known.
fn of(path: &Path, clock: &Clock, known: Option<&str>, now: Option<&str>) -> Snapshot {
    let (known, now) = (known.map(|known| Some(known.to_owned())), now.map(str::to_owned));
    let whose = Whose {
        known: Arc::new(move || known.clone()),
        now: Arc::new(move || {
            let unknown = || SecretError::new(ErrorCode::CacheUnavailable, "nobody knows whose");
            let now = now.clone().map(Some).ok_or_else(unknown);
            Box::pin(async move { now })
        }),
    };
    Snapshot { whose: Some(whose), ..snapshot(path, clock) }
}

fn contents(clock: &Clock, value: &str) -> Contents {
    Contents {
        value: SecretValue::copied(value),
        version_id: Some("v".into()),
        fetched_unix_ms: clock.unix_ms(),
        fresh_for_ms: 1000,
    }
}

#[tokio::test]
async fn what_one_process_wrote_the_next_one_reads_and_nobody_else_can() {
    let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
    let path = directory.path().join("snapshot");
    let first = snapshot(&path, &clock);
    first.put("A_production", &contents(&clock, "canary-a"));
    first.put("B_production", &contents(&clock, "canary-b"));
    first.write().await.expect("written");
    let bytes = std::fs::read(&path).expect("a file");
    assert!(!bytes.windows(6).any(|window| window == b"canary"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 1, "no file is left beside it");
    let second = snapshot(&path, &clock);
    assert_eq!(second.get("A_production").await, Some(contents(&clock, "canary-a")));
    assert_eq!(second.get("C_production").await, None);
}

#[tokio::test]
async fn a_later_process_keeps_what_it_did_not_read_and_drops_what_was_removed() {
    let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
    let path = directory.path().join("snapshot");
    let first = snapshot(&path, &clock);
    for id in ["A", "B", "C"] {
        first.put(id, &contents(&clock, id));
    }
    first.write().await.expect("written");
    let second = snapshot(&path, &clock);
    second.put("A", &contents(&clock, "new"));
    second.remove("B");
    second.write().await.expect("written");
    let third = snapshot(&path, &clock);
    assert_eq!(third.get("A").await.map(|found| found.value), Some(SecretValue::copied("new")));
    assert_eq!(third.get("B").await, None);
    assert!(third.get("C").await.is_some());
    third.clear(u64::MAX);
    third.write().await.expect("written");
    assert_eq!(snapshot(&path, &clock).get("C").await, None);
}

#[tokio::test]
async fn of_two_processes_with_one_file_what_is_later_stands_in_it() {
    let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
    let path = directory.path().join("snapshot");
    let (first, second) = (snapshot(&path, &clock), snapshot(&path, &clock));
    let put = async |process: &Snapshot, id: &str, value: &str| {
        process.put(id, &contents(&clock, value));
        process.write().await.expect("written");
    };
    let read = async |id: &str| snapshot(&path, &clock).get(id).await.map(|found| found.value);
    let (old, new) = (SecretValue::copied("old"), SecretValue::copied("new"));
    put(&first, "A", "old").await;
    clock.advance(Duration::from_secs(1));
    put(&second, "A", "new").await;
    put(&first, "B", "b").await;
    assert_eq!(read("A").await, Some(new.clone()), "an older answer is not put back");
    assert_eq!(first.get("A").await.map(|found| found.value), Some(new.clone()));
    // Dropped by one of them, it is not put back by the other, which knows nothing of that.
    clock.advance(Duration::from_secs(1));
    first.remove("A");
    first.write().await.expect("written");
    put(&second, "C", "c").await;
    put(&first, "D", "d").await;
    assert_eq!(read("A").await, None);
    // What was fetched after the drop counts, whoever fetched it.
    clock.advance(Duration::from_secs(1));
    put(&second, "A", "old").await;
    put(&first, "B", "b").await;
    assert_eq!((read("A").await, read("C").await.is_some()), (Some(old), true));
    clock.advance(Duration::from_secs(1));
    first.clear(u64::MAX);
    first.write().await.expect("written");
    clock.advance(Duration::from_secs(1));
    put(&second, "A", "new").await;
    put(&first, "B", "b").await;
    assert_eq!((read("A").await, read("C").await), (Some(new), None));
}

#[tokio::test]
async fn a_clear_before_the_file_was_ever_read_empties_it() {
    let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
    let path = directory.path().join("snapshot");
    let first = snapshot(&path, &clock);
    first.put("A", &contents(&clock, "a"));
    first.write().await.expect("written");
    let second = snapshot(&path, &clock);
    second.clear(u64::MAX);
    second.write().await.expect("written");
    assert_eq!(snapshot(&path, &clock).get("A").await, None);
}

#[tokio::test]
async fn a_clear_leaves_the_copies_of_other_environments() {
    for is_read_before in [false, true] {
        let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
        let path = directory.path().join("snapshot");
        let production = snapshot(&path, &clock);
        production.put("shared/a", &contents(&clock, "a"));
        production.write().await.expect("written");
        let staging = snapshot_in("staging", &path, &clock);
        staging.put("shared/b", &contents(&clock, "b"));
        staging.write().await.expect("written");
        let clearing = snapshot_in("staging", &path, &clock);
        if is_read_before {
            assert!(clearing.get("shared/b").await.is_some());
        }
        clearing.clear(u64::MAX);
        assert_eq!(clearing.get("shared/b").await, None);
        clearing.write().await.expect("written");
        assert!(snapshot(&path, &clock).get("shared/a").await.is_some(), "read before: {is_read_before}");
        assert_eq!(snapshot_in("staging", &path, &clock).get("shared/b").await, None);
    }
}

#[tokio::test]
async fn old_copies_leave_the_file() {
    let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
    let path = directory.path().join("snapshot");
    let first = snapshot(&path, &clock);
    first.put("A", &contents(&clock, "a"));
    clock.advance(HOUR + Duration::from_secs(1));
    first.put("B", &contents(&clock, "b"));
    first.write().await.expect("written");
    let second = snapshot(&path, &clock);
    assert_eq!(second.get("A").await, None);
    assert!(second.get("B").await.is_some());
}

#[tokio::test]
async fn a_damaged_file_is_no_file() {
    let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
    let path = directory.path().join("snapshot");
    let first = snapshot(&path, &clock);
    first.put("A", &contents(&clock, "a"));
    first.write().await.expect("written");
    let whole = std::fs::read(&path).expect("a file");
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).expect("written");
        assert_eq!(snapshot(&path, &clock).get("A").await, None, "{length} bytes");
    }
    for at in 0..whole.len() {
        let mut spoilt = whole.clone();
        spoilt[at] ^= 1;
        std::fs::write(&path, &spoilt).expect("written");
        let found = snapshot(&path, &clock).get("A").await;
        // The outer time only decides when a copy leaves the file; the envelope has its own.
        assert!(found.is_none_or(|found| found == contents(&clock, "a")), "byte {at}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_fifo_in_its_place_is_not_waited_for() {
    let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
    let path = directory.path().join("snapshot");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    let snapshot = snapshot(&path, &clock);
    let answer = tokio::time::timeout(Duration::from_secs(10), snapshot.get("A_production")).await;
    assert_eq!(answer.expect("an answer"), None);
    snapshot.put("A_production", &contents(&clock, "canary-a"));
    snapshot.write().await.expect("written");
    assert!(path.is_file(), "the file takes its place");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named() {
    let clock = Clock::test();
    let path = Path::new("/nonexistent-directory/snapshot");
    let snapshot = snapshot(path, &clock);
    snapshot.put("A", &contents(&clock, "canary"));
    let error = snapshot.write().await.expect_err("not writable");
    assert_eq!(error.code(), ErrorCode::CacheUnavailable);
    assert!(error.to_string().contains("/nonexistent-directory/snapshot") && snapshot.is_dirty());
}

#[tokio::test]
async fn a_copy_answers_only_the_account_and_region_that_it_is_of() {
    let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
    let path = directory.path().join("snapshot");
    let (ours, theirs, elsewhere) = (Some("1:r"), Some("2:r"), Some("1:s"));
    let first = of(&path, &clock, ours, ours);
    first.put("A", &contents(&clock, "a"));
    first.put("B", &contents(&clock, "b"));
    first.write().await.expect("written");
    assert_eq!(of(&path, &clock, ours, ours).get("A").await, Some(contents(&clock, "a")));
    assert_eq!(of(&path, &clock, None, ours).get("A").await, Some(contents(&clock, "a")), "as the configuration says");
    for other in [of(&path, &clock, theirs, theirs), of(&path, &clock, elsewhere, elsewhere), snapshot(&path, &clock)] {
        assert_eq!(other.get("A").await, None);
    }
    assert_eq!(of(&path, &clock, None, None).get("A").await, None, "not known");
    // What another account writes leaves what it has no copy of.
    let second = of(&path, &clock, theirs, theirs);
    second.put("A", &contents(&clock, "theirs"));
    second.write().await.expect("written");
    let third = of(&path, &clock, ours, ours);
    assert_eq!((third.get("A").await, third.get("B").await), (None, Some(contents(&clock, "b"))));
    assert_eq!(of(&path, &clock, theirs, theirs).get("A").await, Some(contents(&clock, "theirs")));
    // Dropped is dropped, whosever it is.
    third.remove("A");
    third.write().await.expect("written");
    assert_eq!(of(&path, &clock, theirs, theirs).get("A").await, None);
}

#[tokio::test]
async fn files_without_accounts_are_those_of_processes_without_one() {
    let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
    let path = directory.path().join("snapshot");
    let old = snapshot(&path, &clock);
    old.put("A", &contents(&clock, "a"));
    old.write().await.expect("written");
    // As version 0.1.0 writes it: the id alone.
    let bytes = std::fs::read(&path).expect("a file");
    assert_eq!(&bytes[..11], b"TCSSNAP1\0\x01A");
    assert_eq!(of(&path, &clock, Some("1:r"), Some("1:r")).get("A").await, None, "nobody knows of which account it is");
    assert_eq!(snapshot(&path, &clock).get("A").await, Some(contents(&clock, "a")));
    let unnamed = Whose { known: Arc::new(|| Some(None)), now: Arc::new(|| Box::pin(async { Ok(None) })) };
    let unnamed = Snapshot { whose: Some(unnamed), ..snapshot(&path, &clock) };
    assert_eq!(unnamed.get("A").await, Some(contents(&clock, "a")));
}

#[tokio::test]
async fn a_copy_that_is_moved_to_another_account_does_not_open() {
    let (directory, clock) = (tempfile::tempdir().expect("a directory"), Clock::test());
    let path = directory.path().join("snapshot");
    let first = of(&path, &clock, Some("1:r"), Some("1:r"));
    first.put("A", &contents(&clock, "a"));
    first.write().await.expect("written");
    let mut bytes = std::fs::read(&path).expect("a file");
    assert_eq!(bytes[10], b'1');
    bytes[10] = b'2';
    std::fs::write(&path, bytes).expect("a file");
    assert_eq!(of(&path, &clock, Some("2:r"), Some("2:r")).get("A").await, None);
}
