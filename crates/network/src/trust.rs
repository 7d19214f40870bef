//! Which certificates are trusted: those of a bundle that was named, else Mozilla's and the system's together. A bundle that
//! cannot be used costs a warning and nothing else.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};

use files::{Directory, File};
use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS as MOZILLAS;

use crate::pem::{self, Certificates};
use secret::notice::{Notice, Notices};
use secret::shown::at_most;

/// Where Linux distributions keep the certificates of the system.
const SYSTEMS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// So many files of a directory are read: systems have some three hundred, most of them twice.
const MOST_FILES: usize = 4096;
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
    /// All files in them.
    Directories(Vec<PathBuf>),
}

/// What the option or variable `name` gives: a PEM text as it is, else a path, which may be relative to `directory`.
pub fn named_bundle(name: &str, given: &str, directory: &Path) -> Bundle {
    let place =
        if given.contains("-----BEGIN ") { Place::Text(given.to_owned()) } else { Place::File(directory.join(given)) };
    Bundle { name: name.to_owned(), place }
}

/// The certificates in the directories that the variable `name` lists as OpenSSL does.
pub fn named_directories(name: &str, given: &str, directory: &Path) -> Bundle {
    let listed = std::env::split_paths(given).filter(|path| !path.as_os_str().is_empty());
    Bundle { name: name.to_owned(), place: Place::Directories(listed.map(|path| directory.join(path)).collect()) }
}

impl Bundle {
    /// The file, escaped and cut where it is no path that anybody would write.
    fn shown(&self) -> String {
        let path = match &self.place {
            Place::Text(_) => return self.name.clone(),
            Place::File(path) => path.to_string_lossy().into_owned(),
            Place::Directories(paths) => paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(", "),
        };
        format!("{} ({})", self.name, at_most(SHOWN, &path))
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
            Place::Directories(paths) => in_directories(paths).await,
        }
    }
}

/// What is no certificate in a directory of certificates (a list of revoked ones, a note) is none of the caller's business.
async fn in_directories(paths: &[PathBuf]) -> Result<Certificates, String> {
    let (mut all, mut why) = (Certificates::default(), "there is no such directory".to_owned());
    for path in paths {
        let names = match files::request::<Directory>(path).await {
            Ok(directory) => directory,
            Err(error) => {
                why = files::reason(&error);
                continue;
            }
        };
        for name in names.0.iter().flatten().take(MOST_FILES) {
            if let Ok(file) = files::request::<File>(&path.join(name)).await
                && let Some(bytes) = &file.0
            {
                all.good.extend(pem::certificates(bytes).good);
            }
        }
    }
    if all.good.is_empty() { Err(why) } else { Ok(all) }
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

impl Roots {
    /// For TLS. What the platform keeps and cannot be read is left out.
    pub fn store(&self) -> RootCertStore {
        // Asking macOS or Windows takes tenths of a second.
        static OF_PLATFORM: LazyLock<Vec<CertificateDer<'static>>> =
            LazyLock::new(|| rustls_native_certs::load_native_certs().certs);
        let mut store = RootCertStore::empty();
        if self.of_platform {
            store.add_parsable_certificates(OF_PLATFORM.iter().cloned());
        }
        store.add_parsable_certificates(pem::certificates(&self.pem).good);
        store
    }
}

/// What a delivery trusts besides the bundles of AWS and Redis, and what it has warned of: settings of the network that cannot
/// be used, which stop nothing.
#[derive(Default)]
pub struct Trust {
    extra: Option<Bundle>,
    /// Beside Mozilla's and the system's.
    directories: Option<Bundle>,
    /// What is shown behind the certificates that are trusted.
    remark: &'static str,
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

    /// The certificates of `directories` are trusted beside Mozilla's and the system's.
    #[must_use]
    pub fn with_directories(self, directories: Option<Bundle>) -> Self {
        Self { directories, ..self }
    }

    /// Messages about certificates end in `remark`.
    #[must_use]
    pub fn with_remark(self, remark: &'static str) -> Self {
        Self { remark, ..self }
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
        if let Some(directories) = self.directories.as_ref().filter(|_| !is_named) {
            match directories.certificates().await {
                Ok(found) => {
                    certificates.extend(found.good);
                    origin = format!("{origin}, and {}", directories.shown());
                }
                Err(why) => self.warn("CERTIFICATES_UNUSABLE", format!("{} is not used: {why}", directories.shown())),
            }
        }
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
        Roots {
            pem: pem::text_of(&certificates),
            of_platform: !is_named && !cfg!(target_os = "linux"),
            origin: format!("{origin} certificates{}", self.remark),
        }
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
    async fn directories_are_trusted_beside_mozillas_and_not_beside_a_bundle() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut other = MOZILLAS[0].to_vec();
        // Another certificate than Mozilla's: the signature is not looked at.
        *other.last_mut().expect("bytes") ^= 1;
        let other = CertificateDer::from(other);
        fs::write(dir.path().join("a.pem"), pem::text_of([&other])).expect("a file");
        fs::write(dir.path().join("a.0"), pem::text_of([&other])).expect("a file");
        fs::write(dir.path().join("README"), "none").expect("a file");
        fs::create_dir(dir.path().join("sub")).expect("a directory");
        let listed = format!("/no/such/one:{}", dir.path().display());
        let (trust, heard) = listened(None);
        let trust = trust.with_directories(Some(named_directories("SSL_CERT_DIR", &listed, Path::new("/"))));
        let roots = trust.roots(&[]).await;
        assert!(pem::certificates(&roots.pem).good.contains(&other), "{}", roots.origin);
        assert!(roots.origin.contains("SSL_CERT_DIR (/no/such/one, "), "{}", roots.origin);
        let own = String::from_utf8(pem::text_of([&MOZILLAS[1]])).expect("text");
        assert_eq!(count(&trust.roots(&[named_bundle("aws.ca", &own, Path::new("/"))]).await), 1);
        assert_eq!(*heard.0.lock(), Vec::<String>::new());
        let (none, heard) = listened(None);
        let none = none.with_directories(Some(named_directories("SSL_CERT_DIR", "/no/such", Path::new("/"))));
        assert!(count(&none.roots(&[]).await) >= MOZILLAS.len());
        assert!(heard.0.lock()[0].contains("SSL_CERT_DIR (/no/such) is not used: there is no such directory"));
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
