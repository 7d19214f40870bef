//! The command that a profile names as its `credential_process`. It is run here and not by AWS's SDK, which waits for it however long
//! it takes, reads whatever it prints, and lets it go on when nobody waits any more.

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::dates::moment;
use crate::profiles::Profiles;
use secret::clock::Clock;

/// The longest output: where Node.js ends a command by itself, and with it AWS's SDK for JavaScript (`maxBuffer` of `exec`).
const LONGEST: u64 = 1024 * 1024;
/// The longest time. A person may have to confirm something; a read has a deadline of its own, which is shorter.
const DEADLINE: Duration = Duration::from_mins(1);
const NO_DATE: &str = "printed an Expiration that is no date (ISO 8601, such as 2030-01-01T00:00:00Z)";

/// The command of the profile that the credentials begin with.
pub(crate) struct Process<'a> {
    /// The profile.
    pub(crate) profile: &'a str,
    command: &'a str,
    /// Whether its credentials are those of the profile that counts, and not those of who assumes its role.
    pub(crate) is_direct: bool,
}

impl<'a> Process<'a> {
    /// That of the profile that counts, in the order in which AWS's SDK for JavaScript looks into a profile: a command counts before a
    /// session of SSO or of `aws login`.
    pub(crate) fn of(profiles: &'a Profiles) -> Option<Self> {
        let mut seen = vec![profiles.name()];
        loop {
            let profile = *seen.last()?;
            let has = |key: &str| profiles.of(profile, key).is_some();
            if seen.len() > 1 && has("aws_access_key_id") && has("aws_secret_access_key") {
                return None;
            }
            let is_role = has("role_arn");
            if is_role && (has("web_identity_token_file") || has("credential_source")) {
                return None;
            }
            match profiles.of(profile, "source_profile").filter(|_| is_role) {
                Some(next) if next == profile => {}
                Some(next) if seen.contains(&next) => return None,
                Some(next) => {
                    seen.push(next);
                    continue;
                }
                None if is_role => return None,
                None => {}
            }
            let command = profiles.of(profile, "credential_process")?;
            return Some(Self { profile, command, is_direct: seen.len() == 1 && !is_role });
        }
    }

    /// What it prints. The command, and where nobody sits at a terminal also what it started, is ended when nobody waits any more.
    ///
    /// # Errors
    /// What became of the command, to be read behind its name. Nothing that it prints is repeated.
    pub(crate) async fn run(&self) -> Result<Credentials, String> {
        let mut running = Running::start(self.command).map_err(|_| "could not be run".to_owned())?;
        let ended = timeout(DEADLINE, running.output()).await;
        let output = ended.unwrap_or_else(|_| Err(format!("did not end in time ({} s)", DEADLINE.as_secs())))?;
        let credentials = read(&output)?;
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(Clock::system().unix_ms());
        match credentials.expiry() {
            Some(end) if end <= now => Err("printed credentials that have ended".to_owned()),
            _ => Ok(credentials),
        }
    }
}

/// A command that is ended with this value.
struct Running {
    child: Child,
    /// The process group, where it is one of its own.
    #[cfg(unix)]
    group: Option<rustix::process::Pid>,
}

impl Running {
    fn start(command: &str) -> std::io::Result<Self> {
        #[cfg(windows)]
        let mut shell = {
            let mut shell = Command::new("cmd.exe");
            // As AWS's SDK: `cmd` takes the quotes around the whole away, and no others.
            shell.arg("/C").raw_arg(format!("\"{command}\""));
            shell
        };
        #[cfg(not(windows))]
        let mut shell = {
            let mut shell = Command::new("sh");
            shell.args(["-c", command]);
            shell
        };
        // At a terminal it may ask for a code: it needs the terminal's input, which only the group in front may read.
        let is_attended = std::io::IsTerminal::is_terminal(&std::io::stdin());
        shell.stdin(if is_attended { Stdio::inherit() } else { Stdio::null() });
        shell.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        #[cfg(unix)]
        if !is_attended {
            shell.process_group(0);
        }
        let child = shell.spawn()?;
        #[cfg(unix)]
        let group =
            child.id().filter(|_| !is_attended).and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self {
            child,
            #[cfg(unix)]
            group,
        })
    }

    async fn output(&mut self) -> Result<Zeroizing<Vec<u8>>, String> {
        let mut output = Zeroizing::new(Vec::new());
        if let Some(stdout) = self.child.stdout.take() {
            let read = stdout.take(LONGEST + 1).read_to_end(&mut output).await;
            read.map_err(|_| "could not be read".to_owned())?;
        }
        if output.len() as u64 > LONGEST {
            return Err(format!("printed more than {} KiB, and was ended", LONGEST / 1024));
        }
        let status = self.child.wait().await.map_err(|_| "could not be run".to_owned())?;
        // It is over: what it may have started in the background is its own affair.
        #[cfg(unix)]
        {
            self.group = None;
        }
        match status.code() {
            Some(0) => Ok(output),
            Some(code) => Err(format!("ended with code {code}")),
            None => Err("was ended by a signal".to_owned()),
        }
    }
}

#[cfg(unix)]
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group.take() {
            // It may have ended by itself meanwhile.
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap_or_default();
        }
    }
}

/// Credentials in the form that AWS documents. The case of names does not count, as in AWS's SDK for Rust.
///
/// # Errors
/// What is wrong with the output, to be read behind the name of the command.
fn read(output: &[u8]) -> Result<Credentials, &'static str> {
    const OTHER: &str = "did not print credentials in AWS's form";
    // PowerShell writes it.
    let output = output.strip_prefix(b"\xef\xbb\xbf").unwrap_or(output);
    let fields: Map<String, Value> = serde_json::from_slice(output).map_err(|_| OTHER)?;
    let field = |name: &str| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let is_plain = |text: &&str| !text.is_empty() && !text.contains(char::is_control);
    let text = |name: &str| field(name).and_then(Value::as_str).filter(is_plain);
    if field("Version").and_then(Value::as_u64) != Some(1) {
        return Err(OTHER);
    }
    let ends = match field("Expiration") {
        None | Some(Value::Null) => None,
        Some(Value::String(ends)) if ends.is_empty() => None,
        Some(ends) => Some(ends.as_str().and_then(moment).ok_or(NO_DATE)?),
    };
    let mut credentials = Credentials::builder()
        .access_key_id(text("AccessKeyId").ok_or(OTHER)?)
        .secret_access_key(text("SecretAccessKey").ok_or(OTHER)?)
        .provider_name("CredentialProcess");
    credentials.set_session_token(text("SessionToken").map(str::to_owned));
    credentials.set_account_id(text("AccountId").map(Into::into));
    credentials.set_expiry(ends);
    Ok(credentials.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_in_awss_form_is_read() {
        let whole = br#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T","Expiration":"2030-01-01T00:00:00+02:00"}"#;
        let credentials = read(whole).expect("credentials");
        assert_eq!((credentials.access_key_id(), credentials.session_token()), ("A", Some("T")));
        let ends = credentials.expiry().and_then(|end| end.duration_since(std::time::UNIX_EPOCH).ok());
        assert_eq!(ends.map(|end| end.as_secs()), Some(1_893_448_800));
        for other in [
            r#"{"Version":2,"AccessKeyId":"A","SecretAccessKey":"S"}"#,
            r#"{"AccessKeyId":"A","SecretAccessKey":"S"}"#,
            r#"{"Version":1,"AccessKeyId":"","SecretAccessKey":"S"}"#,
            r#"{"Version":1,"AccessKeyId":"A""#,
            "[1]",
            "",
        ] {
            assert!(read(other.as_bytes()).is_err_and(|why| why.contains("AWS's form")), "{other}");
        }
    }

    #[test]
    fn an_end_is_a_date_or_none_and_a_byte_order_mark_is_passed_over() {
        let ending = |end: &str| {
            let output = format!(r#"{{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","Expiration":{end}}}"#);
            read(format!("\u{feff}{output}").as_bytes()).map(|credentials| credentials.expiry().is_some())
        };
        for none in ["null", "\"\""] {
            assert_eq!(ending(none), Ok(false), "{none}");
        }
        for date in ["2030-01-01 00:00:00+00:00", "2030-01-01T00:00:00+0000", "2030-01-01T00:00:00UTC"] {
            assert_eq!(ending(&format!("{date:?}")), Ok(true), "{date}");
        }
        for other in ["\"soon\"", "1893456000", "{}"] {
            assert_eq!(ending(other), Err(NO_DATE), "{other}");
        }
    }

    #[cfg(unix)]
    mod on_unix {
        use super::*;
        use secret::clock::Stopwatch;

        async fn ran(command: &str) -> Result<String, String> {
            let process = Process { profile: "p", command, is_direct: true };
            process.run().await.map(|credentials| credentials.access_key_id().to_owned())
        }

        #[tokio::test]
        async fn what_becomes_of_a_command_is_told_without_what_it_prints() {
            let good = r#"echo '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S"}'; echo canary >&2"#;
            assert_eq!(ran(good).await, Ok("A".to_owned()));
            for (command, words) in [
                ("yes canary", "printed more than 1024 KiB, and was ended"),
                ("yes canary | cat", "printed more than 1024 KiB, and was ended"),
                ("echo canary; exit 3", "ended with code 3"),
                ("kill -9 $$", "was ended by a signal"),
                ("echo canary", "did not print credentials in AWS's form"),
                (
                    r#"echo '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"2020-01-01T00:00:00Z"}'"#,
                    "printed credentials that have ended",
                ),
            ] {
                assert_eq!(ran(command).await, Err(words.to_owned()), "{command}");
            }
        }

        #[tokio::test]
        async fn a_command_that_nobody_waits_for_any_more_is_ended_with_what_it_started() {
            let dir = tempfile::tempdir().expect("a directory");
            let (pids, fifo) = (dir.path().join("pids"), dir.path().display());
            let command = format!("cd '{fifo}'; sleep 600 & echo $! > pids.new; mv pids.new pids; wait; echo over");
            let process = Process { profile: "p", command: &command, is_direct: true };
            let watch = Stopwatch::start();
            tokio::select! {
                _ = process.run() => panic!("it does not end"),
                () = async { while !pids.exists() { tokio::task::yield_now().await } } => {}
            }
            let pid: i32 = std::fs::read_to_string(&pids).expect("a pid").trim().parse().expect("a pid");
            let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
            while rustix::process::test_kill_process(pid).is_ok() && !is_zombie(pid) {
                assert!(watch.took() < Duration::from_secs(20), "it goes on");
                tokio::task::yield_now().await;
            }
        }

        /// Whether it has ended and nobody has asked how: where the first process of a container asks nobody.
        fn is_zombie(pid: rustix::process::Pid) -> bool {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
        }
    }
}
