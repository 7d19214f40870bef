//! Answers without an end, connections that died silently, and a process that is stopped while AWS is asked.
#![allow(clippy::expect_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secret::breaker::BreakerState;
use secret::clock::Stopwatch;
use secret::error::ErrorCode;
use support::{Reply, Server};
use tcs_secret_delivery_aws::{Aws, Operation};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::time::sleep;

const TIMEOUT: Duration = Duration::from_millis(4500);

async fn read(aws: &Aws) -> String {
    let fetched = aws.fetch("A_B").await.expect("an answer").expect("a value");
    #[expect(clippy::disallowed_methods, reason = "EXPOSE: a test value")]
    fetched.value.expose().to_owned()
}

fn failures(aws: &Aws) -> u64 {
    aws.calls().operations().map(|(_, counts)| counts.failed.load(Ordering::Relaxed)).sum()
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_cut_off() {
    let server = Server::start(|_| Reply::Endless);
    let aws = server.source(TIMEOUT, 1);
    let watch = Stopwatch::start();
    let error = aws.fetch("A_B").await.expect_err("no value");
    assert_eq!(error.code(), ErrorCode::SourceResponseInvalid, "{error}");
    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
    let ids = ["A_B".to_owned(), "C_D".to_owned()];
    let error = aws.fetch_batch(&ids).await.expect_err("no values");
    assert_eq!(error.code(), ErrorCode::SourceResponseInvalid, "{error}");
    assert!(error.to_string().contains("longer than 10 MiB"), "{error}");
    assert!(watch.took() < Duration::from_secs(2), "{:?}", watch.took());
}

#[tokio::test]
async fn one_endless_answer_does_not_close_the_way_to_other_secrets() {
    let server = Server::start(|asked| if asked.connection < 20 { Reply::Endless } else { Reply::Value });
    let aws = server.source(TIMEOUT, 3);
    for _ in 0..20 {
        assert_eq!(aws.fetch("A_B").await.expect_err("no value").code(), ErrorCode::SourceResponseInvalid);
    }
    assert_eq!(server.requests(), 20, "asking again would be as long");
    assert_eq!(read(&aws).await.len(), 10);
}

#[tokio::test]
async fn an_answer_whose_length_is_too_great_is_not_read() {
    let server = Server::start(|_| Reply::Long(2 << 20));
    let error = server.source(TIMEOUT, 1).fetch("A_B").await.expect_err("no value");
    assert_eq!(error.code(), ErrorCode::SourceResponseInvalid, "{error}");
    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
}

#[tokio::test]
async fn the_longest_value_of_aws_is_read() {
    let server = Server::start(|_| Reply::Long(65_536));
    assert_eq!(read(&server.source(TIMEOUT, 1)).await.len(), 65_536);
}

/// A server whose connections answer until `dead` is set; those opened later answer always.
fn dying(dead: &Arc<AtomicBool>, among: u32) -> Server {
    let dead = dead.clone();
    Server::start(
        move |asked| {
            if dead.load(Ordering::SeqCst) && asked.connection < among { Reply::Silence } else { Reply::Value }
        },
    )
}

#[tokio::test]
async fn a_read_on_a_connection_that_died_silently_is_sent_again_after_a_second() {
    let dead = Arc::new(AtomicBool::new(false));
    let server = dying(&dead, 1);
    let aws = server.source(TIMEOUT, 1);
    read(&aws).await;
    dead.store(true, Ordering::SeqCst);
    sleep(Duration::from_millis(1100)).await;
    let watch = Stopwatch::start();
    read(&aws).await;
    assert!(watch.took() < Duration::from_millis(1600), "{:?}", watch.took());
    assert_eq!(server.connections(), 2);
    assert_eq!(failures(&aws), 0);
}

#[tokio::test]
async fn a_read_on_a_connection_that_died_right_after_an_answer_is_sent_again_after_a_second() {
    let dead = Arc::new(AtomicBool::new(false));
    let server = dying(&dead, 1);
    let aws = server.source(TIMEOUT, 1);
    read(&aws).await;
    dead.store(true, Ordering::SeqCst);
    let watch = Stopwatch::start();
    read(&aws).await;
    assert!(watch.took() < Duration::from_millis(1600), "{:?}", watch.took());
    assert_eq!((server.connections(), failures(&aws)), (2, 0));
}

/// A server whose first five connections answer late, so that five reads at once need five, and are silent once `dead` is set.
fn five_dying(dead: &Arc<AtomicBool>) -> Server {
    let dead = dead.clone();
    Server::start(move |asked| match asked.connection {
        0..5 if !dead.load(Ordering::SeqCst) => Reply::Late(Duration::from_millis(50)),
        0..5 => Reply::Silence,
        _ => Reply::Value,
    })
}

async fn five_reads_at_once(aws: &Arc<Aws>) {
    let read = |_| {
        tokio::spawn({
            let aws = aws.clone();
            async move { read(&aws).await }
        })
    };
    for one in (0..5).map(read).collect::<Vec<_>>() {
        one.await.expect("a read");
    }
}

#[tokio::test]
async fn reads_at_once_on_dead_connections_are_all_sent_again_after_a_second() {
    let dead = Arc::new(AtomicBool::new(false));
    let server = five_dying(&dead);
    let aws = Arc::new(server.source(TIMEOUT, 1));
    five_reads_at_once(&aws).await;
    dead.store(true, Ordering::SeqCst);
    let watch = Stopwatch::start();
    five_reads_at_once(&aws).await;
    assert!(watch.took() < Duration::from_millis(1600), "{:?}", watch.took());
    assert_eq!((server.requests(), failures(&aws)), (15, 0));
}

#[tokio::test]
async fn of_reads_at_once_one_is_sent_twice_where_aws_is_slow() {
    let server = Server::start(|asked| match asked.nth {
        0 if asked.connection < 5 => Reply::Late(Duration::from_millis(50)),
        _ => Reply::Late(Duration::from_millis(1300)),
    });
    let aws = Arc::new(server.source(TIMEOUT, 1));
    five_reads_at_once(&aws).await;
    five_reads_at_once(&aws).await;
    assert_eq!((server.requests(), failures(&aws)), (11, 0));
}

#[tokio::test]
async fn many_dead_connections_cost_one_second_in_all() {
    let dead = Arc::new(AtomicBool::new(false));
    let server = five_dying(&dead);
    let aws = Arc::new(server.source(TIMEOUT, 1));
    five_reads_at_once(&aws).await;
    assert_eq!(server.connections(), 5);
    dead.store(true, Ordering::SeqCst);
    sleep(Duration::from_millis(1100)).await;
    let watch = Stopwatch::start();
    for _ in 0..50 {
        read(&aws).await;
    }
    assert!(watch.took() < Duration::from_secs(2), "{:?}", watch.took());
    assert_eq!(failures(&aws), 0);
}

#[tokio::test]
async fn a_slow_aws_is_not_asked_twice_for_each_read() {
    let server = Server::start(|asked| match asked.nth {
        0 => Reply::Value,
        _ => Reply::Late(Duration::from_millis(1300)),
    });
    let aws = server.source(TIMEOUT, 1);
    read(&aws).await;
    let idle = Duration::from_millis(1100);
    sleep(idle).await;
    // The server answers new connections at once, so this read ends with the second request.
    read(&aws).await;
    assert_eq!(server.requests(), 3);

    let server = Server::start(|asked| {
        if asked.connection == 0 && asked.nth == 0 { Reply::Value } else { Reply::Late(Duration::from_millis(1300)) }
    });
    let aws = server.source(TIMEOUT, 1);
    read(&aws).await;
    sleep(idle).await;
    read(&aws).await;
    assert_eq!(server.requests(), 3, "the first connection may have been dead");
    sleep(idle).await;
    read(&aws).await;
    assert_eq!(server.requests(), 4, "it was not, so AWS is slow");
}

#[tokio::test]
async fn a_write_is_never_sent_twice_because_of_silence() {
    let server = Server::start(|asked| match asked.nth {
        0 => Reply::Value,
        _ => Reply::Late(Duration::from_millis(1500)),
    });
    let aws = server.source(TIMEOUT, 1);
    read(&aws).await;
    sleep(Duration::from_millis(1100)).await;
    // The answer is a secret and not a version: what matters is how often the server was asked.
    drop(aws.start_rotation("A_B", "token").await);
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn after_a_timeout_the_next_attempt_has_a_new_connection() {
    let dead = Arc::new(AtomicBool::new(false));
    let server = dying(&dead, 1);
    // Its attempts end before the second that makes a connection suspect.
    let aws = server.source(Duration::from_millis(1200), 2);
    read(&aws).await;
    dead.store(true, Ordering::SeqCst);
    read(&aws).await;
    assert_eq!(server.connections(), 2);
}

/// Stops this runtime's only thread, as SIGSTOP stops all threads.
fn stopped_for(how_long: Duration) {
    std::thread::sleep(how_long);
}

#[tokio::test]
async fn a_stopped_process_asks_anew_and_counts_no_failure_of_aws() {
    let server = Server::start(|asked| if asked.connection == 0 { Reply::Silence } else { Reply::Value });
    let aws = server.source(Duration::from_secs(1), 1);
    let (value, ()) = tokio::join!(read(&aws), async {
        sleep(Duration::from_millis(150)).await;
        stopped_for(Duration::from_millis(2500));
    });
    assert_eq!(value.len(), 10);
    assert_eq!(failures(&aws), 0, "AWS did nothing wrong");
    assert_eq!(aws.regions()[0].breaker, BreakerState::Closed);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_answer_that_came_while_the_process_was_stopped_counts() {
    let server = Server::start(|_| Reply::Late(Duration::from_millis(300)));
    let aws = server.source(Duration::from_secs(1), 1);
    let (value, ()) = tokio::join!(read(&aws), async {
        sleep(Duration::from_millis(150)).await;
        stopped_for(Duration::from_millis(2500));
    });
    assert_eq!((value.len(), server.requests()), (10, 1));
}

#[tokio::test]
async fn an_aws_that_is_silent_while_the_process_runs_ends_in_the_deadline() {
    let server = Server::start(|_| Reply::Silence);
    let aws = server.source(Duration::from_millis(1500), 5);
    let watch = Stopwatch::start();
    let error = aws.fetch("A_B").await.expect_err("no value");
    assert_eq!(error.code(), ErrorCode::SourceTimeout);
    let took = watch.took();
    assert!((Duration::from_millis(1350)..Duration::from_millis(1650)).contains(&took), "{took:?}");
    let get = aws.calls().operations().find(|(operation, _)| *operation == Operation::Get).expect("a counter").1;
    assert!(get.failed.load(Ordering::Relaxed) >= 1);
}

#[tokio::test]
async fn time_in_which_the_process_was_stopped_is_not_taken_from_the_deadline() {
    let server = Server::start(|_| Reply::Silence);
    let aws = server.source(Duration::from_millis(1500), 1);
    let watch = Stopwatch::start();
    let (read, ()) = tokio::join!(aws.fetch("A_B"), async {
        sleep(Duration::from_millis(150)).await;
        stopped_for(Duration::from_secs(3));
    });
    assert_eq!(read.expect_err("no value").code(), ErrorCode::SourceTimeout);
    let took = watch.took();
    assert!((Duration::from_millis(3900)..Duration::from_millis(4700)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_server_that_speaks_first_is_named_whenever_it_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let served = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // It may have gone.
            drop(stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await);
        }
    });
    // Heard before the request is sent it is another error of the HTTP client than heard afterwards.
    for _ in 0..200 {
        let error = support::source(&format!("http://{at}"), TIMEOUT, 1).fetch("A_B").await.expect_err("no value");
        assert!(error.to_string().contains(&format!("{at} cannot be reached: ")), "{error}");
        assert_eq!(
            error.cause().and_then(|cause| cause.place.clone()),
            Some(("127.0.0.1".into(), at.port())),
            "{error}"
        );
    }
    served.abort();
}
