//! A process that gets SIGSTOP while it waits for AWS, and SIGCONT later.
#![cfg(unix)]
#![allow(clippy::expect_used, reason = "tests")]

mod support;

use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support::{Reply, Server, source};

/// Names the server to the child, which is this test program once more.
const URL: &str = "TCS_TEST_STOPPED_URL";

/// A server that is silent on its first connection, and says when it was asked there.
fn silent_at_first() -> (Server, Receiver<()>) {
    let (asked, was_asked) = channel();
    let asked = Mutex::new(asked);
    let server = Server::start(move |request| {
        if request.connection > 0 {
            return Reply::Value;
        }
        asked.lock().expect("a lock").send(()).expect("a listener");
        Reply::Silence
    });
    (server, was_asked)
}

fn child(url: &str) -> Child {
    let program = std::env::current_exe().expect("this program");
    Command::new(program).args(["--exact", "reads_once", "--ignored"]).env(URL, url).spawn().expect("a child")
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("a signal");
}

#[test]
fn a_stopped_process_has_its_value_after_it_was_continued() {
    let (server, was_asked) = silent_at_first();
    let mut child = child(&server.url);
    was_asked.recv_timeout(Duration::from_secs(20)).expect("a request");
    sleep(Duration::from_millis(200));
    signal(&child, Signal::STOP);
    sleep(Duration::from_secs(4));
    signal(&child, Signal::CONT);
    assert!(child.wait().expect("an end").success());
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
#[expect(clippy::disallowed_methods, reason = "nothing else in this process reads or writes variables")]
async fn reads_once() {
    let Ok(url) = std::env::var(URL) else { return };
    let aws = source(&url, Duration::from_secs(1), 1);
    assert!(aws.fetch("A_B").await.expect("an answer").is_some());
    let failed: u64 = aws.calls().operations().map(|(_, counts)| counts.failed.load(Ordering::Relaxed)).sum();
    assert_eq!(failed, 0);
}
