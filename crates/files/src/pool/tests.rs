use std::sync::mpsc;
use std::sync::{LazyLock, OnceLock};

use super::*;

const SHORT: Duration = Duration::from_millis(200);

/// The paths that hang, each until its sender is dropped, and how often each path was looked at.
static HANGING: LazyLock<Mutex<HashMap<PathBuf, Released>>> = LazyLock::new(Mutex::default);
static LOOKS: OnceLock<Mutex<HashMap<PathBuf, u32>>> = OnceLock::new();

type Released = Arc<Mutex<mpsc::Receiver<()>>>;

/// Stands for any look: gives how often the path was looked at.
struct Count(u32);

impl Request for Count {
    fn request(path: &Path) -> io::Result<Self> {
        let count = {
            let mut requests = LOOKS.get_or_init(Mutex::default).lock();
            let count = requests.entry(path.to_owned()).or_default();
            *count += 1;
            *count
        };
        let hanging = HANGING.lock().get(path).cloned();
        if let Some(hanging) = hanging {
            // The sender is never used, only dropped.
            hanging.lock().recv().expect_err("released");
        }
        assert!(!path.ends_with("panics"), "a look that panics");
        Ok(Self(count))
    }
}

fn hang(path: &str) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel();
    HANGING.lock().insert(path.into(), Arc::new(Mutex::new(released)));
    release
}

async fn count(pool: &Arc<Pool>, path: &str) -> Result<u32, String> {
    pool.request::<Count>(Path::new(path)).await.map(|count| count.0).map_err(|error| error.to_string())
}

const SILENT: &str = "the file system did not answer";

#[tokio::test]
async fn a_path_that_hangs_holds_one_thread_and_is_refused_at_once_until_it_returns() {
    let pool = Pool::new(2, SHORT);
    let release = hang("/one/dead");
    assert_eq!(count(&pool, "/one/dead").await, Err(SILENT.into()));
    let began = pool.clock.now();
    for _ in 0..600 {
        assert_eq!(count(&pool, "/one/dead").await, Err(SILENT.into()));
    }
    assert!(pool.clock.now().since(began) < SHORT, "refused without waiting");
    assert_eq!(count(&pool, "/one/healthy").await, Ok(1));
    HANGING.lock().remove(Path::new("/one/dead"));
    drop(release);
    let end = pool.clock.now().plus(Duration::from_secs(5));
    loop {
        // The first look ended with no caller left; this call begins a new one.
        match count(&pool, "/one/dead").await {
            Ok(requests) => break assert_eq!(requests, 2),
            Err(_) => assert!(pool.clock.now() < end),
        }
    }
}

#[tokio::test]
async fn readers_at_the_same_time_share_a_look_that_begins_after_they_asked() {
    let pool = Pool::new(4, Duration::from_secs(20));
    let release = hang("/two/slow");
    let path = Path::new("/two/slow");
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { count(&pool, "/two/slow").await }
    });
    while LOOKS.get_or_init(Mutex::default).lock().get(path).is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let others: Vec<_> = (0..100)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { count(&pool, "/two/slow").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    HANGING.lock().remove(path);
    drop(release);
    assert_eq!(first.await.expect("a look"), Ok(1));
    for other in others {
        assert_eq!(other.await.expect("a look"), Ok(2), "one look for all, which began after they asked");
    }
}

#[tokio::test]
async fn a_dead_directory_holds_two_threads() {
    let pool = Pool::new(4, SHORT);
    let _dead: Vec<_> = (0..6).map(|i| hang(&format!("/three/{i}"))).collect();
    let all: Vec<_> = (0..6)
        .map(|i| {
            let pool = pool.clone();
            tokio::spawn(async move { count(&pool, &format!("/three/{i}")).await })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.expect("a look"), Err(SILENT.into()));
    }
    assert_eq!(pool.state.lock().busy.values().sum::<usize>(), 2);
    assert_eq!(count(&pool, "/elsewhere/healthy").await, Ok(1));
}

#[tokio::test]
async fn when_every_thread_is_held_the_error_says_so() {
    let pool = Pool::new(2, SHORT);
    let _dead = [hang("/four/a/x"), hang("/four/b/x")];
    let both = tokio::join!(count(&pool, "/four/a/x"), count(&pool, "/four/b/x"));
    assert_eq!(both, (Err(SILENT.into()), Err(SILENT.into())));
    let stuck = Err("all 2 threads for files wait for file systems that do not answer".to_owned());
    assert_eq!(count(&pool, "/four/c/healthy").await, stuck);
}

#[tokio::test]
async fn a_look_that_panics_is_an_error_and_its_thread_goes_on() {
    let pool = Pool::new(1, Duration::from_secs(5));
    assert_eq!(count(&pool, "/five/panics").await, Err("the file reader was stopped".into()));
    assert_eq!(count(&pool, "/five/healthy").await, Ok(1));
    assert_eq!(pool.state.lock().threads, 1);
}

#[tokio::test]
async fn many_paths_take_turns_on_few_threads() {
    let pool = Pool::new(3, Duration::from_secs(5));
    let requests: Vec<_> = (0..500)
        .map(|i| {
            let pool = pool.clone();
            tokio::spawn(async move { count(&pool, &format!("/six/{i}")).await })
        })
        .collect();
    for look in requests {
        assert_eq!(look.await.expect("a look"), Ok(1));
    }
    let state = pool.state.lock();
    assert!(state.threads <= 3);
    assert!(state.requests.is_empty() && state.queue.is_empty());
}
