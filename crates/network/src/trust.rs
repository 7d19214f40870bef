//! Which certificates are trusted: those of a bundle that was named, else Mozilla's and the system's together. A bundle that
//! cannot be used costs a warning and nothing else.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use files::File;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS as MOZILLAS;

use crate::pem::{self, Certificates};
use secret::notice::{Notice, Notices};

/// Where Linux distributions keep the certificates of the system.
const SYSTEMS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// The longest path that is shown whole.
const SHOWN: usize = 200;

/// Certificates that an option or a variable names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The option or variable, such as `AWS_CA_BUNDLE`.
    pub name: String,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Text(String),
}

/// What the option or variable `name` gives: a PEM text as it is, else a path, which may be relative to `directory`.
pub fn named_bundle(name: &str, given: &str, directory: &Path) -> Bundle {
    let place =
        if given.contains("-----BEGIN ") { Place::Text(given.to_owned()) } else { Place::File(directory.join(given)) };
    Bundle { name: name.to_owned(), place }
}

impl Bundle {
    /// The file, escaped and cut where it is no path that anybody would write.
    fn shown(&self) -> String {
        match &self.place {
            Place::Text(_) => self.name.clone(),
            Place::File(path) => {
                let path: String = path.to_string_lossy().escape_debug().take(SHOWN + 1).collect();
                let cut = if path.chars().count() > SHOWN { "…" } else { "" };
                let path: String = path.chars().take(SHOWN).collect();
                format!("{} ({path}{cut})", self.name)
            }
        }
    }

    async fn certificates(&self) -> Result<Certificates, String> {
        let found = |bytes: &[u8]| {
            let found = pem::certificates(bytes);
            if found.good.is_empty() { Err(pem::why_none(bytes, &found).to_owned()) } else { Ok(found) }
        };
        match &self.place {
            Place::Text(text) => found(text.as_bytes()),
            Place::File(path) => match files::request::<File>(path).await {
                Ok(file) => found(file.0.as_ref().ok_or("there is no such file")?),
                Err(error) => Err(files::reason(&error)),
            },
        }
    }
}

/// The certificates that one connection trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// As PEM text.
    pub pem: Vec<u8>,
    /// Whether those that the platform keeps for itself are trusted as well (macOS and Windows).
    pub of_platform: bool,
    /// Where they come from, for messages.
    pub origin: String,
}

/// What a delivery trusts besides the bundles of AWS and Redis, and what it has warned of: settings of the network that cannot
/// be used, which stop nothing.
#[derive(Default)]
pub struct Trust {
    extra: Option<Bundle>,
    warned: Mutex<HashSet<String>>,
    /// Warnings from before there was anybody to tell.
    early: Mutex<Vec<Notice>>,
    notices: OnceLock<Arc<dyn Notices>>,
}

impl Trust {
    /// `extra` is added to whatever else is trusted.
    pub fn new(extra: Option<Bundle>) -> Self {
        Self { extra, ..Self::default() }
    }

    /// Has warnings go to `notices`.
    pub fn warn_to(&self, notices: &Arc<dyn Notices>) {
        // Once is enough: a delivery has one owner.
        drop(self.notices.set(notices.clone()));
        let early = std::mem::take(&mut *self.early.lock());
        for notice in early {
            notices.notice(notice);
        }
    }

    /// Warns of something, once.
    pub fn warn(&self, code: &'static str, message: String) {
        if !self.warned.lock().insert(message.clone()) {
            return;
        }
        let warning = Notice::warning(code, message);
        match self.notices.get() {
            Some(notices) => notices.notice(warning),
            None => self.early.lock().push(warning),
        }
    }

    /// The certificates of the first usable bundle of `named`, else Mozilla's and the system's; the extra ones are added.
    pub async fn roots(&self, named: &[Bundle]) -> Roots {
        let (mut certificates, mut origin) = (Vec::new(), None);
        for bundle in named {
            match bundle.certificates().await {
                Ok(found) => {
                    self.tell_of_bad_entries(bundle, &found);
                    (certificates, origin) = (found.good, Some(bundle.shown()));
                    break;
                }
                Err(why) => {
                    self.warn(
                        "CERTIFICATES_UNUSABLE",
                        format!("{} is not used, as if it were not set: {why}", bundle.shown()),
                    );
                }
            }
        }
        let is_named = origin.is_some();
        if !is_named {
            certificates = MOZILLAS.iter().chain(&systems().await).cloned().collect();
        }
        let mut origin = origin.unwrap_or_else(|| "Mozilla's and the system's".to_owned());
        if let Some(extra) = &self.extra {
            match extra.certificates().await {
                Ok(found) => {
                    self.tell_of_bad_entries(extra, &found);
                    certificates.extend(found.good);
                    origin = format!("{origin}, and {}", extra.shown());
                }
                Err(why) => self.warn("CERTIFICATES_UNUSABLE", format!("{} is not used: {why}", extra.shown())),
            }
        }
        let mut seen = HashSet::new();
        certificates.retain(|certificate: &CertificateDer<'static>| seen.insert(certificate.clone()));
        Roots { pem: pem::text_of(&certificates), of_platform: !is_named && !cfg!(target_os = "linux"), origin }
    }

    /// The certificates of `bundle` and no others, as PEM text.
    ///
    /// # Errors
    /// Why it has none: nothing else is trusted in its place.
    pub async fn only(&self, bundle: &Bundle) -> Result<Vec<u8>, String> {
        let found = bundle.certificates().await.map_err(|why| {
            let why = format!("{} has no certificates that can be trusted: {why}", bundle.shown());
            self.warn("CERTIFICATES_UNUSABLE", why.clone());
            why
        })?;
        self.tell_of_bad_entries(bundle, &found);
        Ok(pem::text_of(&found.good))
    }

    fn tell_of_bad_entries(&self, bundle: &Bundle, found: &Certificates) {
        let (bad, good) = (found.bad.len(), found.good.len());
        let Some(first) = found.bad.first() else { return };
        let message = format!(
            "{}: {bad} of its entries cannot be read as certificates and are left out (the first is number {first}); \
             {good} are used",
            bundle.shown()
        );
        self.warn("CERTIFICATES_UNUSABLE", message);
    }
}

/// The system's, where it keeps them in a file. Read here, because the library that finds them asks the C environment, which
/// another thread must not do while JavaScript may set a variable.
async fn systems() -> Vec<CertificateDer<'static>> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    for path in SYSTEMS {
        if let Ok(file) = files::request::<File>(Path::new(path)).await
            && let Some(bytes) = &file.0
        {
            let found = pem::certificates(bytes);
            if !found.good.is_empty() {
                return found.good;
            }
        }
    }
    tracing::debug!("the system has no certificates of its own; Mozilla's are trusted");
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Notices for Heard {
        fn notice(&self, notice: Notice) {
            if let Notice::Warning { code, message } = notice {
                self.0.lock().push(format!("{code}: {message}"));
            }
        }
    }

    fn listened(extra: Option<Bundle>) -> (Trust, Arc<Heard>) {
        let (trust, heard) = (Trust::new(extra), Arc::new(Heard::default()));
        let notices: Arc<dyn Notices> = heard.clone();
        trust.warn_to(&notices);
        (trust, heard)
    }

    fn count(roots: &Roots) -> usize {
        pem::certificates(&roots.pem).good.len()
    }

    #[tokio::test]
    async fn the_first_usable_bundle_counts_and_each_unusable_one_costs_one_warning() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).expect("a file");
        write("good.pem", &pem::text_of([&MOZILLAS[0]]));
        write("empty.pem", b"");
        write("big.pem", &vec![b'x'; 1 << 20]);
        let bundle = |name: &str, file: &str| named_bundle(name, file, dir.path());
        for unusable in ["missing.pem", "empty.pem", "big.pem", ".", "good.pem/x"] {
            let (trust, heard) = listened(None);
            let named = [bundle("AWS_CA_BUNDLE", unusable), bundle("SSL_CERT_FILE", "good.pem")];
            for _ in 0..2 {
                assert_eq!(count(&trust.roots(&named).await), 1, "{unusable}");
            }
            let heard = heard.0.lock().clone();
            assert_eq!(heard.len(), 1, "{unusable}: {heard:?}");
            assert!(heard[0].contains("AWS_CA_BUNDLE") && heard[0].contains(unusable), "{heard:?}");
        }
    }

    #[tokio::test]
    async fn without_a_bundle_mozillas_are_trusted_and_the_extra_ones_always() {
        let extra = String::from_utf8(pem::text_of([&MOZILLAS[1]])).expect("text");
        let (trust, heard) = listened(Some(named_bundle("NODE_EXTRA_CA_CERTS", &extra, Path::new("/"))));
        assert!(count(&trust.roots(&[]).await) >= MOZILLAS.len());
        let own = String::from_utf8(pem::text_of([&MOZILLAS[0]])).expect("text");
        assert_eq!(count(&trust.roots(&[named_bundle("aws.ca", &own, Path::new("/"))]).await), 2);
        assert_eq!(*heard.0.lock(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_path_that_is_garbage_is_shown_escaped_and_cut() {
        let (trust, heard) = listened(None);
        let garbage = format!("\u{1b}[31m{}", "x".repeat(1 << 20));
        trust.roots(&[named_bundle("AWS_CA_BUNDLE", &garbage, Path::new("/"))]).await;
        let heard = heard.0.lock().clone();
        assert!(heard.len() == 1 && heard[0].len() < 500 && !heard[0].contains('\u{1b}'), "{heard:?}");
    }
}
