//! A full disk, a limit on the size of files, and a file system that becomes read-only, in a real mount that the test
//! makes.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::process::{Command, Stdio};

use common::{counted, intact, lines};
use tcs_secret_delivery_audit_log::recover;

const CHILD: &str = env!("CARGO_BIN_EXE_audit-log-child");

/// Runs a shell script with the child as `$CHILD` and a directory as `$DIR`; returns its output.
fn shell(script: &str, directory: &std::path::Path, own_mounts: bool) -> String {
    let mut command = if own_mounts { Command::new("unshare") } else { Command::new("sh") };
    if own_mounts {
        command.args(["-rm", "sh"]);
    }
    let output = command
        .args(["-euc", script])
        .env("CHILD", CHILD)
        .env("DIR", directory)
        .stdin(Stdio::null())
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn the_largest_allowed_file_keeps_records_in_the_journal_until_there_is_room() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.jsonl");
    // 400 blocks of 512 bytes: the journal fits, the log does not. The child cannot close the log, and its exit code
    // says so.
    let script = "trap '' XFSZ; ulimit -f 400; \
                  if $CHILD $DIR/audit.jsonl c 1 700 journal_bytes=131072 >/dev/null 2>$DIR/said; then exit 1; fi";
    shell(script, directory.path(), false);
    let said = std::fs::read_to_string(directory.path().join("said")).expect("said");
    assert!(said.contains("Full"), "{said}");
    let before = counted(&lines(&path)).get("c-0").copied().expect("some are written");
    assert!(before < 700);
    recover(&path, None, None).expect("recovered");
    assert_eq!(counted(&lines(&path)).get("c-0"), Some(&700));
    intact(&path);
}

#[test]
fn a_full_and_a_read_only_file_system_lose_nothing() {
    if !Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success()) {
        // This user may not mount a file system. The test above covers a full disk.
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("small")).expect("made");
    let script = "
        mount -t tmpfs -o size=700k tmpfs $DIR/small
        if $CHILD $DIR/small/audit.jsonl c 1 2500 journal_bytes=400000 >/dev/null 2>$DIR/full; then exit 1; fi
        # No room for a journal either.
        if $CHILD $DIR/small/audit.jsonl d 1 1 journal_bytes=400000 >/dev/null 2>$DIR/none; then exit 1; fi
        mount -o remount,ro $DIR/small
        if $CHILD $DIR/small/audit.jsonl e 1 1 >/dev/null 2>$DIR/read-only; then exit 1; fi
        mount -o remount,rw,size=8m $DIR/small
        $CHILD $DIR/small/audit.jsonl f 1 1 >/dev/null
        cp $DIR/small/audit.jsonl $DIR/small/audit.jsonl.state $DIR/
        ls $DIR/small";
    let left = shell(script, directory.path(), true);
    assert!(!left.contains("journal"), "{left}");
    let said = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("said");
    assert!(said("full").contains("Full") && said("none").contains("Full"), "{}{}", said("full"), said("none"));
    assert!(said("read-only").contains("ReadOnly"), "{}", said("read-only"));
    let path = directory.path().join("audit.jsonl");
    let found = counted(&lines(&path));
    assert_eq!((found.get("c-0"), found.get("f-0")), (Some(&2500), Some(&1)));
    intact(&path);
}
