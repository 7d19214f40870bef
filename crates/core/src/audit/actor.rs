//! Who writes the log.

use std::io::Read as _;

/// Who runs a process, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The name of the machine or container.
    pub host: Option<String>,
    /// The number of the user.
    pub uid: Option<u32>,
    /// The user who called `sudo`.
    pub sudo_user: Option<String>,
    /// The name of the program, and its command in further words.
    pub program: Option<String>,
}

/// More of the file with the names of users is not read.
const LONGEST_PASSWD: u64 = 1 << 20;

impl Actor {
    /// The detail of a first record: `host=… user=… program=…`. Looks up the name of the user in a file, so not on
    /// JavaScript's thread.
    pub(super) fn text(&self) -> String {
        let mut words = self.program.as_deref().unwrap_or_default().split_whitespace();
        let program = words.next().unwrap_or_default();
        let command = words.collect::<Vec<_>>().join("_");
        let user = self.uid.and_then(name_of).unwrap_or_default();
        let uid = self.uid.map(|uid| uid.to_string()).unwrap_or_default();
        let parts = [
            ("host", self.host.as_deref().unwrap_or_default()),
            ("user", &user),
            ("uid", &uid),
            ("sudo_user", self.sudo_user.as_deref().unwrap_or_default()),
            ("program", program),
            ("command", &command),
        ];
        let said = parts.into_iter().filter(|(_, text)| !text.is_empty());
        said.map(|(name, text)| format!("{name}={}", plain(text))).collect::<Vec<_>>().join(" ")
    }
}

/// The name of a local user.
fn name_of(uid: u32) -> Option<String> {
    let mut text = String::new();
    std::fs::File::open("/etc/passwd").ok()?.take(LONGEST_PASSWD).read_to_string(&mut text).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// `text` in a form that cannot be taken for another part: at most 128 characters, without spaces, `=` and quotes.
fn plain(text: &str) -> String {
    let is_safe = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '=' | '"' | '\\');
    text.chars().take(128).map(|c| if is_safe(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_known_are_said_and_none_can_be_forged() {
        let actor = Actor {
            host: Some("pod-1 user=root".into()),
            uid: Some(0),
            sudo_user: Some("alice\n".into()),
            program: Some("tcs-secrets migrate plan".into()),
        };
        let said = "host=pod-1_user_root user=root uid=0 sudo_user=alice_ program=tcs-secrets command=migrate_plan";
        assert_eq!(actor.text(), said);
        assert_eq!(Actor::default().text(), "");
    }
}
