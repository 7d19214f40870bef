//! Judges every answer against what was true in AWS, and against what the instance knew when the read began.

use std::collections::VecDeque;

use secret::found::Found;

use super::plan::Setting;
use super::world::{History, secret_name, version_id};

/// One deadline for a read.
pub const TIMEOUT_MS: u64 = 2000;
/// What a read may take beyond its deadline.
const GRACE_MS: u64 = 150;
/// Calls of AWS that an instance may make in a second, and at once.
pub const CALLS_PER_SECOND: u32 = 50;
/// A copy that AWS contradicted once answers for this much longer.
const DOUBT_MS: u64 = 1000;
/// Clocks of a few milliseconds, and the time in which an answer is handed over.
const SLACK_MS: u64 = 100;
/// Who sends forged messages.
pub const FORGER: &str = "f0f0f0f0f0f0f0f0";

/// What an instance knows of one secret.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The place in the history of the newest value that was returned.
    place: usize,
    /// From the first on, values must have been live at the second or later.
    floors: Vec<(u64, u64)>,
    /// The same for going back to an older version, which the third number is: a copy of a newer one answers until AWS says so
    /// again (decision D19), flagged while it fails.
    back: Vec<(u64, u64, usize)>,
    /// When AWS was asked, and when it said, that this identity is denied; no answer to a later question says otherwise.
    denied: Vec<(u64, u64)>,
    /// The newest question that AWS answered otherwise.
    allowed: Option<u64>,
    /// When the instance began to use the secret, and used it last: after a pause of a whole period its first check comes within
    /// the next one, as at the beginning (decision 031).
    used: Option<(u64, u64)>,
    /// Since when AWS truly denies it.
    truly_denied: Option<u64>,
    /// Until then two calls at once are no fault.
    excused_until: u64,
}

/// What is judged, and what went wrong.
#[derive(Debug)]
pub struct Oracle {
    setting: Setting,
    known: Vec<Vec<Known>>,
    /// When AWS last failed an instance, or the instance stood still.
    disturbed: Vec<u64>,
    /// When each instance stood still last. An answer that came meanwhile counts once: the second read sees what is new (D29).
    thawed: Vec<u64>,
    calls: Vec<VecDeque<u64>>,
    pub violations: Vec<String>,
    /// Answers that were judged.
    pub judged: u64,
}

/// What an instance knew of a secret when a read began.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    at: u64,
    stood: u64,
    place: usize,
    floor: u64,
}

impl Oracle {
    pub fn new(setting: &Setting) -> Self {
        Self {
            setting: setting.clone(),
            known: vec![vec![Known::default(); setting.names]; setting.instances],
            disturbed: vec![0; setting.instances],
            thawed: vec![0; setting.instances],
            calls: vec![VecDeque::new(); setting.instances],
            violations: Vec::new(),
            judged: 0,
        }
    }

    fn wrong(&mut self, now: u64, instance: usize, name: usize, what: &str) {
        self.violations.push(format!("at {now} ms, instance {instance}, {}: {what}", secret_name(name)));
    }

    /// Redis let an older copy replace a newer one, or a drop.
    pub fn went_back(&mut self, now: u64, key: &str) {
        self.violations
            .push(format!("at {now} ms, Redis, {key}: something older took the place of a newer copy, or of a drop"));
    }

    /// A read begins; `stood`: how long the instance stood still so far.
    pub fn begin(&self, instance: usize, name: usize, now: u64, stood: u64) -> Begun {
        let known = &self.known[instance][name];
        let floors = known.floors.iter().filter(|(from, _)| *from < now).map(|(_, floor)| *floor);
        Begun { at: now, stood, place: known.place, floor: floors.max().unwrap_or(0) }
    }

    /// A read, or a refresh, has ended.
    pub fn end(&mut self, instance: usize, name: usize, begun: Begun, now: u64, stood: u64) {
        let took = (now - begun.at).saturating_sub(stood - begun.stood);
        if took > TIMEOUT_MS + GRACE_MS {
            self.wrong(now, instance, name, &format!("a read took {took} ms"));
        }
    }

    /// A read gave a value.
    pub fn value(
        &mut self,
        (instance, name): (usize, usize),
        begun: Begun,
        now: u64,
        found: &Found,
        history: &History,
    ) {
        self.judged += 1;
        let lag = self.setting.lag_ms;
        let version = found.version_id.as_deref().unwrap_or_default().to_owned();
        let number = version.rsplit('-').next().and_then(|number| number.parse::<usize>().ok());
        let Some(number) = number.filter(|number| version == version_id(name, *number)) else {
            return self.wrong(now, instance, name, &format!("{version} is no version"));
        };
        let places = history.live.iter().enumerate().filter(|(_, live)| live.version == number && live.from <= now);
        let Some((place, _)) = places.clone().find(|(place, _)| *place >= begun.place) else {
            let newer = history.live[begun.place].version;
            return self.wrong(now, instance, name, &format!("{version} after version {newer} was returned before"));
        };
        let ended = places.map(|(_, live)| live.until).max().unwrap_or(0);
        let known = &mut self.known[instance][name];
        known.place = known.place.max(place);
        if let Some((asked, told)) = known.denied.iter().find(|(_, told)| *told < begun.at).copied() {
            self.wrong(now, instance, name, &format!("{version} although AWS, asked at {asked}, denied it at {told}"));
        }
        if ended.saturating_add(lag + SLACK_MS) < begun.floor {
            let floor = begun.floor;
            self.wrong(now, instance, name, &format!("{version}, live until {ended}, after a drop at {floor}"));
        }
        let stale = if found.stale { self.setting.max_stale_ms } else { 0 };
        let back = self.known[instance][name].back.iter().filter(|(from, before, version)| {
            let until = if *version < number { from + DOUBT_MS } else { *from };
            until < begun.at && !(found.stale && *version < number) && ended.saturating_add(lag + SLACK_MS) < *before
        });
        if let Some((_, before, to)) = back.max().copied() {
            let what = format!("{version}, live until {ended}, after version {to} was heard to be live at {before}");
            self.wrong(now, instance, name, &what);
        }
        let oldest = begun.at.saturating_sub(self.setting.ttl_ms + stale + lag + SLACK_MS);
        if ended < oldest {
            let flagged = found.stale;
            self.wrong(now, instance, name, &format!("{version}, live until {ended}, is too old (stale: {flagged})"));
        }
        self.check_right((instance, name), begun, now, &version);
    }

    /// Each process checks its own right within `accessCheckSeconds`, where AWS answers it.
    fn check_right(&mut self, (instance, name): (usize, usize), begun: Begun, now: u64, version: &str) {
        let Some(every) = self.setting.access_check_ms else { return };
        let known = &mut self.known[instance][name];
        let begin = known.used.filter(|(_, last)| last + every > begun.at).map_or(begun.at, |(begin, _)| begin);
        known.used = Some((begin, begun.at));
        if let Some(since) = known.truly_denied
            && begun.at > since.max(self.disturbed[instance]).max(begin) + every + 2 * TIMEOUT_MS
        {
            self.wrong(now, instance, name, &format!("{version} although AWS denies it since {since}"));
        }
    }

    /// A read said that there is no such secret.
    pub fn absent(&mut self, (instance, name): (usize, usize), begun: Begun, now: u64, history: &History) {
        self.judged += 1;
        let since = begun.at.saturating_sub(self.setting.negative_ttl_ms + 2 * TIMEOUT_MS + self.setting.lag_ms);
        // A time without a version begins where one ended.
        let ends = history.live.iter().map(|live| live.until).filter(|until| (since..=now).contains(until));
        let was_absent = std::iter::once(since).chain(ends).any(|at| history.at(at).is_none());
        if !was_absent {
            self.wrong(now, instance, name, "nothing, although there was a version all the time");
        }
    }

    /// The instance dropped its copies itself.
    pub fn dropped(&mut self, instance: usize, name: Option<usize>, now: u64) {
        for (number, known) in self.known[instance].iter_mut().enumerate() {
            if name.is_none_or(|name| name == number) {
                known.floors.push((now, now));
            }
        }
    }

    /// An event was followed: later reads have what was live at `at`.
    pub fn followed(&mut self, instance: usize, name: usize, at: u64, now: u64) {
        self.known[instance][name].floors.push((now, at));
    }

    /// A message arrived that says that copies from before `before` are outdated; `effective`: the instance has seen it.
    pub fn heard(&mut self, instance: usize, message: &str, before: u64, effective: u64) {
        let words: Vec<&str> = message.split(' ').collect();
        match words[..] {
            ["2", FORGER, ..] => {}
            ["2", _, "drop", name, _] | ["2", _, "drop", name, _, _] => {
                let number = (0..self.setting.names).find(|number| secret_name(*number) == name);
                let version = words.get(5).and_then(|version| version.rsplit('-').next()?.parse().ok());
                match (number, version) {
                    (Some(number), Some(version)) => {
                        self.known[instance][number].back.push((effective, before, version));
                    }
                    (Some(number), None) => self.known[instance][number].floors.push((effective, before)),
                    (None, _) => {}
                }
            }
            ["2", _, "clear", _] => {
                for known in &mut self.known[instance] {
                    known.floors.push((effective, before));
                }
            }
            _ => {}
        }
    }

    /// The instance stands still from now on: what it has not seen yet it sees afterwards.
    pub fn frozen(&mut self, instance: usize, now: u64, until: u64) {
        self.disturbed[instance] = self.disturbed[instance].max(until);
        self.thawed[instance] = self.thawed[instance].max(until);
        self.excuse(instance, None, until + 5000);
        for known in &mut self.known[instance] {
            let back = known.back.iter_mut().map(|(effective, ..)| effective);
            for effective in known.floors.iter_mut().map(|(effective, _)| effective).chain(back) {
                if *effective >= now {
                    *effective = (*effective).max(until + 2);
                }
            }
        }
    }

    /// AWS did not answer the instance, or will not until then.
    pub fn failed(&mut self, instance: usize, until: u64) {
        self.disturbed[instance] = self.disturbed[instance].max(until);
    }

    /// AWS, asked then, answered with a value or that there is none.
    pub fn allowed(&mut self, instance: usize, name: usize, asked: u64, _now: u64) {
        let known = &mut self.known[instance][name];
        known.allowed = known.allowed.max(Some(asked));
        known.denied.retain(|(denied, _)| *denied > asked);
    }

    /// AWS, asked then, denied the secret.
    pub fn denied(&mut self, instance: usize, name: usize, asked: u64, now: u64) {
        // A failure that came while the instance stood still is asked for again.
        if self.thawed[instance] >= asked && self.thawed[instance] > 0 {
            return;
        }
        let known = &mut self.known[instance][name];
        if known.allowed.is_none_or(|allowed| allowed < asked) {
            known.denied.push((asked, now));
        }
    }

    /// The identity's rights changed in AWS.
    pub fn rights(&mut self, instance: usize, name: usize, is_denied: bool, now: u64) {
        let known = &mut self.known[instance][name];
        known.truly_denied = is_denied.then(|| known.truly_denied.unwrap_or(now));
    }

    /// Two calls at once are no fault until then.
    pub fn excuse(&mut self, instance: usize, name: Option<usize>, until: u64) {
        for (number, known) in self.known[instance].iter_mut().enumerate() {
            if name.is_none_or(|name| name == number) {
                known.excused_until = known.excused_until.max(until);
            }
        }
    }

    /// So many calls about a secret are under way.
    pub fn under_way(&mut self, instance: usize, name: usize, count: u32, now: u64) {
        let most = if self.setting.access_check_ms.is_some() { 2 } else { 1 };
        if count > most && now > self.known[instance][name].excused_until {
            self.wrong(now, instance, name, &format!("{count} calls under way"));
        }
    }

    /// The instance calls AWS.
    pub fn called(&mut self, instance: usize, now: u64) {
        let calls = &mut self.calls[instance];
        calls.push_back(now);
        while calls.front().is_some_and(|first| first + 1000 <= now) {
            calls.pop_front();
        }
        if calls.len() > 2 * CALLS_PER_SECOND as usize {
            self.wrong(now, instance, 0, "more calls than the limit allows");
        }
    }

    /// Another process begins in the instance's place: it knows nothing.
    pub fn restarted(&mut self, instance: usize, now: u64) {
        for known in &mut self.known[instance] {
            *known = Known { truly_denied: known.truly_denied, excused_until: now + 5000, ..Known::default() };
        }
        self.calls[instance].clear();
        self.disturbed[instance] = self.disturbed[instance].max(now);
    }

    /// After everything was well for long: what a read gives must be what is there.
    pub fn settled(&mut self, instance: usize, name: usize, now: u64, got: &str, expected: &str) {
        if got != expected {
            self.wrong(now, instance, name, &format!("in the end {got} instead of {expected}"));
        }
    }
}
