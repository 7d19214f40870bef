//! Several processes on one file.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::io::Read as _;

use common::{child, counted, intact, journals, lines};

fn together(processes: u32) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    let text = path.to_string_lossy().into_owned();
    let mut children: Vec<_> = (0..processes)
        .map(|n| {
            let settings = ["journal_bytes=65536", "max_bytes=1000000", "checkpoint_records=500", "wait=1"];
            let name = format!("p{n}");
            child(&[[text.as_str(), name.as_str(), "2", "3000"].as_slice(), settings.as_slice()].concat())
        })
        .collect();
    // All logs are open. The end of their input lets the children begin.
    common::until("all have a journal", || journals(directory.path()) == processes as usize);
    for child in &mut children {
        drop(child.stdin.take());
    }
    for mut child in children {
        let mut stdout = child.stdout.take().expect("piped");
        stdout.read_to_end(&mut Vec::new()).expect("read");
        assert!(child.wait().expect("ended").success());
    }
    let lines = lines(&path);
    let found = counted(&lines);
    assert_eq!(found.len(), 2 * processes as usize);
    assert!(found.values().all(|count| *count == 3000), "{found:?}");
    let verified = intact(&path);
    assert_eq!(verified.counts.ok, 6000 * u64::from(processes));
    assert!(verified.files > 1);
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
    assert_eq!((of("open"), of("close")), (processes as usize, processes as usize));
    assert_eq!((of("tamper"), of("recover"), journals(directory.path())), (0, 0, 0));
}

#[test]
fn two_processes_never_interleave_inside_a_record() {
    together(2);
}

#[test]
fn four_processes_keep_one_chain_over_rotated_files() {
    together(4);
}
