//! Cached reads.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use audit_log::CountedSecret;
use tokio::runtime::Handle;

use crate::audit::Audit;
use crate::metrics::Metrics;
use crate::reads::Reads;
use cache::entry::Entry;
use cache::memory::MemoryCache;
use secret::aws_ids::AwsIds;
use secret::clock::{Clock, Moment, Stopwatch};
use secret::manifest::Manifest;
use secret::name::SecretName;
use secret::twins::Twin;

/// What a cached read needs and nothing more: no task, no lock held across anything, no allocation.
pub struct HotPath {
    pub(super) audit: Option<Arc<Audit>>,
    pub(super) memory: Option<Arc<MemoryCache>>,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) reads: Weak<Reads>,
    /// `None` where each name has a secret of its own.
    pub(super) views: Option<Views>,
    pub(super) tools: Tools,
    pub(super) runtime: Handle,
}

impl HotPath {
    /// What is known of `name` once and for all: a read by it looks up nothing but the copy.
    pub fn known(&self, name: &str) -> Known {
        Known::of(name, self.views.as_ref(), self.audit.as_deref())
    }

    /// The value of `name` that memory may return at once, counted; `None` when the read has to take the long way.
    #[inline]
    pub fn read(&self, name: &Known) -> Option<Served> {
        // Two readings of the precise clock cost more than the lookup: of 64 hits one is measured, and counts for all.
        let watch = self.metrics.is_measured().then(Stopwatch::start);
        let now = self.clock.now();
        let (whole, stale) = self.peek(name, now)?;
        let entry = name.part_of(&whole)?;
        let took = self.metrics.hit_took(watch.map(Stopwatch::took));
        if !self.is_recorded(name, entry, stale, (took, now)) {
            return None;
        }
        self.metrics.hit_in_memory(stale, took);
        Some(Served { whole, index: name.index() })
    }

    /// The number of a tool whose secrets are declared one by one.
    pub fn tool_number(&self, tool: &str) -> Option<u32> {
        self.tools.numbers.get(&*tool.to_ascii_uppercase()).copied()
    }

    /// The lower-cased types of a tool's secrets, in the order of [`HotPath::read_tool`].
    pub fn tool_keys(&self, number: u32) -> Vec<String> {
        self.tools.of(number).iter().map(|secret| secret.key.to_string()).collect()
    }

    /// The secrets of a tool when memory may return every one of them at once, counted.
    pub fn read_tool(&self, number: u32) -> Option<Vec<Arc<Entry>>> {
        let watch = self.metrics.is_measured().then(Stopwatch::start);
        let secrets = self.tools.of(number);
        let now = self.clock.now();
        let peek = |secret: &ToolSecret| {
            let (whole, stale) = self.peek(&secret.name, now)?;
            Some((secret.name.part_of(&whole)?.clone(), stale))
        };
        let found = secrets.iter().map(peek).collect::<Option<Vec<_>>>()?;
        // What each of them took, as for a read of one.
        let each =
            |all: Duration| u32::try_from(found.len()).ok().and_then(|count| all.checked_div(count)).unwrap_or(all);
        let took = self.metrics.hit_took(watch.map(|watch| each(watch.took())));
        for (secret, (entry, stale)) in secrets.iter().zip(&found) {
            // One that could not be recorded sends all of them the long way; what was recorded until then is read there.
            if !self.is_recorded(&secret.name, entry, *stale, (took, now)) {
                return None;
            }
        }
        for (_, stale) in &found {
            self.metrics.hit_in_memory(*stale, took);
        }
        (!found.is_empty()).then(|| found.into_iter().map(|(entry, _)| entry).collect())
    }

    /// Whether the read has its audit record, or needs none.
    #[inline]
    fn is_recorded(&self, name: &Known, entry: &Entry, stale: bool, when: (Duration, Moment)) -> bool {
        self.audit.as_ref().is_none_or(|audit| audit.hit(&name.name, entry.version_id.as_ref(), stale, when))
    }

    /// The secret that `name` is, or is a part of, not counted. After `close` the memory is empty, so no flag needs to be read here.
    #[inline]
    fn peek(&self, name: &Known, now: Moment) -> Option<(Arc<Entry>, bool)> {
        match &name.view {
            None => self.serve(name.as_str(), now),
            Some(view) => self.serve_view(view, now),
        }
    }

    fn serve_view(&self, view: &View, now: Moment) -> Option<(Arc<Entry>, bool)> {
        let other = view.twin.as_ref().and_then(|twin| twin.other_word_for()).map(|one| one.text());
        self.serve(other.as_ref().unwrap_or(&view.secret), now)
    }

    #[inline]
    fn serve(&self, secret: &str, now: Moment) -> Option<(Arc<Entry>, bool)> {
        let (entry, stale) = self.memory.as_ref()?.serve(secret, now)?;
        if entry.claim_refresh(now) {
            self.refresh_ahead(secret, &entry);
        }
        Some((entry, stale))
    }

    #[cold]
    fn refresh_ahead(&self, name: &str, entry: &Arc<Entry>) {
        if let Some(reads) = self.reads.upgrade() {
            reads.refresh_ahead(name, entry, &self.runtime);
        }
    }
}

/// The tools whose secrets are declared one by one. A cached read of a tool need not build their names.
pub struct Tools {
    numbers: HashMap<Box<str>, u32>,
    secrets: Vec<Vec<ToolSecret>>,
}

struct ToolSecret {
    name: Known,
    /// The lower-cased type.
    key: Box<str>,
}

impl Tools {
    /// What is not declared of a tool comes along where its secrets are the fields of one, so such a tool is left out.
    pub(super) fn of_declared(manifest: &Manifest, ids: &AwsIds, views: Option<&Views>, audit: Option<&Audit>) -> Self {
        let mut by_tool = BTreeMap::<&str, Option<Vec<ToolSecret>>>::new();
        for (tool, kind, _) in manifest.all().filter(|(tool, ..)| ids.object_of_tool(tool).is_none()) {
            let secrets = by_tool.entry(tool).or_insert_with(|| Some(Vec::new()));
            match (secrets.as_mut(), SecretName::of_tool(tool, kind)) {
                (Some(secrets), Ok(name)) => secrets.push(ToolSecret {
                    name: Known::of(name.as_str(), views, audit),
                    key: kind.to_ascii_lowercase().into(),
                }),
                // Reading such a tool is an error.
                _ => *secrets = None,
            }
        }
        let complete = by_tool.into_iter().filter_map(|(tool, secrets)| Some((tool, secrets?)));
        let (tools, secrets): (Vec<_>, Vec<_>) = complete.map(|(tool, secrets)| (Box::from(tool), secrets)).unzip();
        Self { numbers: tools.into_iter().zip(0..).collect(), secrets }
    }

    fn of(&self, number: u32) -> &[ToolSecret] {
        self.secrets.get(number as usize).map_or(&[], |secrets| secrets)
    }
}

/// What a read found: a secret, or a part of it, which is not counted as held by itself.
pub struct Served {
    whole: Arc<Entry>,
    index: Option<usize>,
}

impl Served {
    /// The copy.
    #[inline]
    pub fn entry(&self) -> Option<&Entry> {
        match self.index {
            None => Some(&self.whole),
            Some(index) => self.whole.known_field(index).map(|field| &**field),
        }
    }
}

/// A name, and whether it is a view.
pub struct Known {
    name: CountedSecret,
    view: Option<Arc<View>>,
}

impl Known {
    fn of(name: &str, views: Option<&Views>, audit: Option<&Audit>) -> Self {
        let counted = audit.map_or_else(|| CountedSecret::new(name), |audit| audit.secret(name));
        Self { name: counted, view: views.and_then(|views| views.0.get(name)).cloned() }
    }

    #[inline]
    fn index(&self) -> Option<usize> {
        self.view.as_ref().and_then(|view| view.index)
    }

    /// The part of its secret that the name is; `None` when the secret has no such field.
    #[inline]
    fn part_of<'a>(&self, whole: &'a Arc<Entry>) -> Option<&'a Arc<Entry>> {
        match self.view.as_deref() {
            Some(View { index: Some(index), fields, .. }) => whole.field(*index, fields),
            _ => Some(whole),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.name.as_str()
    }
}

/// The declared names that are references: each a view on the copy of its secret.
pub struct Views(HashMap<Box<str>, Arc<View>>);

struct View {
    /// What the copy of its secret goes by.
    secret: Arc<str>,
    /// Where AWS may say that it is one with another.
    twin: Option<Arc<Twin>>,
    /// All fields of the secret, and of those that may be one with it, that are declared.
    fields: Arc<[Arc<str>]>,
    /// The place of this one among them; `None`: the whole secret.
    index: Option<usize>,
}

impl Views {
    /// `None` where no name is a reference.
    pub(super) fn of(ids: &AwsIds) -> Option<Self> {
        let mut fields: HashMap<&SecretName, Vec<Arc<str>>> = HashMap::new();
        for (_, place) in ids.places() {
            let known = fields.entry(ids.root_of(&place.secret)).or_default();
            known.extend(place.field.iter().filter(|field| !known.contains(field)).cloned().collect::<Vec<_>>());
        }
        let fields: HashMap<&SecretName, Arc<[Arc<str>]>> =
            fields.into_iter().map(|(secret, fields)| (secret, fields.into())).collect();
        let views = ids.places().filter_map(|(name, place)| {
            let fields = fields.get(ids.root_of(&place.secret))?.clone();
            let index = match &place.field {
                Some(field) => Some(fields.iter().position(|known| known == field)?),
                None => None,
            };
            let twin = ids.twin(&place.secret);
            Some((name.as_str().into(), Arc::new(View { secret: place.secret.text(), twin, fields, index })))
        });
        (!ids.is_plain()).then(|| Self(views.collect()))
    }
}
