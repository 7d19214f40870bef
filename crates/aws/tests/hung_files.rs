//! AWS's configuration files and certificates on a file system that does not answer.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "tests")]

mod support;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use secret::clock::Stopwatch;
use secret::error::ErrorCode;
use support::{Reply, Server, source_with};
use tempfile::TempDir;

/// A file that no other process can open while this is held: its holder has a lease on it, and ignores the signal that
/// asks to give the lease up. After 45 seconds the kernel takes it away.
struct Hung {
    path: PathBuf,
    holder: Child,
    _directory: TempDir,
}

impl Hung {
    fn new() -> Self {
        const HOLD: &str = r#"$SIG{IO} = "IGNORE"; open(my $f, "+<", $ARGV[0]) or die; fcntl($f, 1024, 1) or die;
            $| = 1; print "held\n"; sleep 100"#;
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        std::fs::write(&path, "[default]\n").expect("written");
        let mut perl = Command::new("perl");
        let mut holder = perl.arg("-e").arg(HOLD).arg(&path).stdout(Stdio::piped()).spawn().expect("perl");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("output")).read_line(&mut line).expect("a line");
        assert_eq!(line, "held\n");
        Self { path, holder, _directory: directory }
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.holder.kill().expect("killed");
        self.holder.wait().expect("ended");
    }
}

fn variables(name: &str, path: &Path) -> HashMap<String, String> {
    HashMap::from([(name.to_owned(), path.display().to_string())])
}

#[tokio::test]
async fn a_configuration_file_that_hangs_ends_the_read_and_holds_no_thread_that_others_need() {
    let hung = Hung::new();
    let server = Server::start(|_| Reply::Value);
    let aws = source_with(&server.url, Duration::from_millis(4500), 1, variables("AWS_CONFIG_FILE", &hung.path));
    let watch = Stopwatch::start();
    for _ in 0..20 {
        let error = aws.fetch("A_B").await.expect_err("no value");
        assert_eq!(error.code(), ErrorCode::SourceUnavailable, "{error}");
    }
    assert!(watch.took() < Duration::from_secs(4), "{:?}", watch.took());
    drop(hung);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _found = aws.fetch("A_B").await.expect("an answer").expect("a value");
}

#[tokio::test]
async fn certificates_that_hang_are_passed_over() {
    let hung = Hung::new();
    let server = Server::start(|_| Reply::Value);
    let aws = source_with(&server.url, Duration::from_millis(4500), 1, variables("SSL_CERT_FILE", &hung.path));
    let watch = Stopwatch::start();
    let _found = aws.fetch("A_B").await.expect("an answer").expect("a value");
    assert!(watch.took() < Duration::from_secs(3), "{:?}", watch.took());
}
