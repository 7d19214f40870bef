//! HTTP over the operations.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::faults::{Action, Denial, Fault};
use crate::signature::Signed;
use crate::state::{Calls, Shared, lock};
use crate::store::{ApiError, ApiResult, CURRENT, Keeper, RotationFunction, Value, Version, name_of, uuid};
use crate::sts::{Caller, Role, form};
use crate::{control, operations, sts};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The service that signatures for STS name.
const STS: &str = "sts";
/// What STS says to a wrong signature.
const SIGNATURE: &str = "SignatureDoesNotMatch";

/// A running endpoint, which stops when it is dropped.
pub struct AwsEndpoint {
    address: SocketAddr,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Drop for AwsEndpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl AwsEndpoint {
    /// Starts on a free port of the loopback interface.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts on `port`; 0 takes a free one.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start_on(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let shared = Shared::default();
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared, task })
    }

    /// The URL of the endpoint.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Creates a secret or gives it another version.
    ///
    /// # Panics
    /// When AWS would refuse the name or the value.
    pub fn put(&self, name: &str, value: &str) {
        self.upsert(name, Value::Text(value.into()));
    }

    /// Does the same as [`AwsEndpoint::put`] with a binary value.
    ///
    /// # Panics
    /// As [`AwsEndpoint::put`].
    pub fn put_binary(&self, name: &str, bytes: &[u8]) {
        self.upsert(name, Value::Binary(base64::engine::general_purpose::STANDARD.encode(bytes)));
    }

    #[expect(clippy::panic, reason = "a test that gives AWS something impossible is wrong")]
    fn upsert(&self, name: &str, value: Value) {
        if let Err(error) = lock(&self.shared).store.upsert(name, value) {
            panic!("{}", error.1);
        }
    }

    /// Does the same as [`AwsEndpoint::put`] in another account.
    ///
    /// # Panics
    /// As [`AwsEndpoint::put`].
    #[expect(clippy::panic, reason = "a test that gives AWS something impossible is wrong")]
    pub fn put_in(&self, account: &str, name: &str, value: &str) {
        let upsert = |state: &mut crate::state::State| state.store.upsert(name, Value::Text(value.into()));
        if let Err(error) = lock(&self.shared).of_account(account, upsert) {
            panic!("{}", error.1);
        }
    }

    /// Has secrets made from now on be of `region`, and refuses signatures for others. Without it every region is served.
    pub fn in_region(&self, region: &str) {
        lock(&self.shared).be_in(region);
    }

    /// Makes a user of another account, who signs with this access key id.
    pub fn user_of(&self, account: &str, access_key_id: &str) {
        lock(&self.shared).sts.user(access_key_id, account);
    }

    /// Says with which secret key an access key id signs: its signatures are checked from now on.
    pub fn signs_with(&self, access_key_id: &str, secret: &str) {
        lock(&self.shared).sts.signs_with(access_key_id, secret);
    }

    /// Makes a role that may be assumed, or changes it.
    pub fn role(&self, arn: &str, role: Role) {
        lock(&self.shared).sts.put(arn, role);
    }

    /// Takes a role away. Its sessions go on.
    pub fn remove_role(&self, arn: &str) {
        lock(&self.shared).sts.remove(arn);
    }

    /// Removes a secret at once, without marking it for deletion.
    pub fn remove(&self, name: &str) {
        lock(&self.shared).store.remove(name);
    }

    /// Marks a secret for deletion.
    ///
    /// # Panics
    /// When there is no such secret.
    #[expect(clippy::panic, reason = "a test that deletes what is not there is wrong")]
    pub fn mark_deleted(&self, name: &str) {
        if let Err(error) = lock(&self.shared).store.delete(name, false) {
            panic!("{}", error.1);
        }
    }

    /// Sets when the versions of a secret that have labels were created.
    ///
    /// # Panics
    /// When there is no such secret.
    #[expect(clippy::panic, reason = "a test that dates what is not there is wrong")]
    pub fn date(&self, name: &str, unix_seconds: u64) {
        if let Err(error) = lock(&self.shared).store.date(name, unix_seconds) {
            panic!("{}", error.1);
        }
    }

    /// Makes reads of live versions return the version before for this long after the label moved, as AWS's caches do.
    pub fn lag(&self, lag: Duration) {
        lock(&self.shared).store.lag = lag;
    }

    /// For this long after a write, reads by id and by label, and `DescribeSecret`, show what was there before it.
    pub fn late(&self, late: Duration) {
        lock(&self.shared).store.late = late;
    }

    /// Says who takes care of a secret.
    ///
    /// # Panics
    /// When there is no such secret.
    #[expect(clippy::panic, reason = "a test that describes what is not there is wrong")]
    pub fn keeper(&self, name: &str, keeper: Keeper) {
        if let Err(error) = lock(&self.shared).store.set_keeper(name, keeper) {
            panic!("{}", error.1);
        }
    }

    /// Gives a secret a rotation function that takes this long and may fail at its end.
    ///
    /// # Panics
    /// When there is no such secret.
    #[expect(clippy::panic, reason = "a test that rotates what is not there is wrong")]
    pub fn rotation_function(&self, name: &str, takes: Duration, gives_up: bool) {
        let function = RotationFunction::new(takes, gives_up);
        if let Err(error) = lock(&self.shared).store.set_function(name, function) {
            panic!("{}", error.1);
        }
    }

    /// Returns the labels of each version of a secret, by the value of the version.
    pub fn labels(&self, name: &str) -> BTreeMap<String, Vec<String>> {
        let state = lock(&self.shared);
        let versions = state.store.find(name).map(|(_, secret)| secret.versions.values().cloned().collect::<Vec<_>>());
        let text = |value: Value| match value {
            Value::Text(text) | Value::Binary(text) => text,
        };
        let labels = |version: Version| (text(version.value), version.stages.into_iter().collect());
        versions.unwrap_or_default().into_iter().map(labels).collect()
    }

    /// Returns the id of the live version of a secret.
    ///
    /// # Panics
    /// When there is none.
    #[expect(clippy::panic, reason = "a test that asks for what is not there is wrong")]
    pub fn live_version(&self, name: &str) -> String {
        let state = lock(&self.shared);
        let live = state.store.find(name).ok().and_then(|(_, secret)| {
            secret.versions.iter().find(|(_, version)| version.stages.contains(CURRENT)).map(|(id, _)| id.clone())
        });
        live.unwrap_or_else(|| panic!("{name} has no live version"))
    }

    /// Stages a version as another system would.
    ///
    /// # Panics
    /// When AWS would refuse it.
    #[expect(clippy::panic, reason = "a test that gives AWS something impossible is wrong")]
    pub fn put_staged(&self, name: &str, value: &str, token: Option<&str>, label: &str) {
        let (value, labels) = (Value::Text(value.into()), [label.to_owned()]);
        if let Err(error) = lock(&self.shared).store.put(name, value, token, &labels) {
            panic!("{}", error.1);
        }
    }

    /// Denies actions, on some secrets or (with `None`) on all.
    pub fn deny(&self, actions: &[&str], secrets: Option<&[&str]>) {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let denial = Denial { actions: owned(actions), secrets: secrets.map(owned), access_key_id: None };
        lock(&self.shared).faults.deny(denial);
    }

    /// Removes all denials.
    pub fn allow_all(&self) {
        lock(&self.shared).faults.allow_all();
    }

    /// Adds a fault, behind those that were added before.
    pub fn fault(&self, fault: Fault) {
        lock(&self.shared).faults.add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        lock(&self.shared).faults.clear();
    }

    /// Returns how often the endpoint was called.
    pub fn calls(&self) -> Calls {
        lock(&self.shared).calls.clone()
    }

    /// Sets all counts to 0.
    pub fn reset_calls(&self) {
        lock(&self.shared).calls = Calls::default();
    }
}

async fn accept(listener: TcpListener, shared: Shared) {
    // Dropping the set ends the connections with the endpoint.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        lock(&shared).calls.connections_opened += 1;
        drop(stream.set_nodelay(true));
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { handle(shared, request).await }
            });
            // A client that goes away, or a fault that breaks the connection, is the point here.
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn handle(shared: Shared, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let input: Json = serde_json::from_slice(&bytes).unwrap_or(Json::Null);
    if let Some(path) = parts.uri.path().strip_prefix("/_control/") {
        let (status, json) = control::answer(&shared, &parts.method, path, &input);
        return Ok(response(status, json.to_string()));
    }
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = Signed::read(header("authorization"));
    let key = signed.as_ref().map_or("", |signed| signed.access_key_id);
    let form = if bytes.starts_with(b"Action=") { Some(form(&bytes)) } else { None };
    let operation = match form.as_ref().and_then(|form| form.get("Action")) {
        Some(action) if action == "GetCallerIdentity" => {
            let refused = signed.as_ref().and_then(|signed| unsigned(&shared, signed, STS, &parts, &bytes));
            let answer = || lock(&shared).sts.answer(key, &form.unwrap_or_default());
            return Ok(xml(refused.map_or_else(answer, |error| sts::refused(403, SIGNATURE, &error.1))));
        }
        Some(action) => action.clone(),
        None => header("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned(),
    };
    let secret =
        input.get("SecretId").or_else(|| input.get("Name")).and_then(Json::as_str).map(|id| name_of(id).to_owned());
    let action = {
        let mut state = lock(&shared);
        state.calls.total += 1;
        *state.calls.by_operation.entry(operation.clone()).or_default() += 1;
        state.faults.next(&operation, secret.as_deref(), input.get("VersionStage").and_then(Json::as_str))
    };
    let Some(signed) = &signed else {
        return Ok(failure(
            400,
            &ApiError("MissingAuthenticationTokenException", "Request is missing Authentication Token".into()),
        ));
    };
    let service = if form.is_some() { STS } else { "secretsmanager" };
    if let Some(error) = unsigned(&shared, signed, service, &parts, &bytes) {
        return Ok(if form.is_some() { xml(sts::refused(403, SIGNATURE, &error.1)) } else { failure(400, &error) });
    }
    // <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html#signature-v4-troubleshooting-credential-scope>:
    // "Credential should be scoped to a valid Region, not region-code". STS serves the region that it is asked in.
    if !lock(&shared).quotas.take(&operation) {
        return Ok(failure(400, &ApiError("ThrottlingException", "Rate exceeded".into())));
    }
    let region = signed.region;
    if form.is_none() && !lock(&shared).serves(region) {
        let why = "Credential should be scoped to a valid region.";
        return Ok(failure(400, &ApiError("InvalidSignatureException", why.into())));
    }
    let is_lost = matches!(action, Some(Action::Lose));
    let on_its_way = if let Some(Action::Late(by)) = action { by } else { Duration::ZERO };
    match action {
        Some(Action::Delay(by)) => tokio::time::sleep(by).await,
        Some(Action::Error { status, code, message }) if form.is_some() => {
            return Ok(xml(sts::refused(status, &code, &message)));
        }
        Some(Action::Error { status, code, message }) => {
            return Ok(response(status, json!({ "__type": code, "Message": message }).to_string()));
        }
        Some(Action::Body { status, text }) => return Ok(response(status, text)),
        Some(Action::Truncate) => return Ok(truncated()),
        Some(Action::Close) => return Err(io::Error::other("injected")),
        Some(Action::Hang) => {
            tokio::time::sleep(Duration::from_hours(1)).await;
        }
        Some(Action::Lose | Action::Late(_)) | None => {}
    }
    let answer = match &form {
        Some(form) => xml(lock(&shared).sts.answer(key, form)),
        None => match run(&shared, key, region, &operation, &input) {
            Ok(output) => response(200, output.to_string()),
            Err(error) => failure(400, &error),
        },
    };
    tokio::time::sleep(on_its_way).await;
    if is_lost { Err(io::Error::other("injected")) } else { Ok(answer) }
}

/// Carries out an operation in the account of whoever asks.
fn run(shared: &Shared, access_key_id: &str, region: &str, operation: &str, input: &Json) -> ApiResult<Json> {
    let mut state = lock(shared);
    let (account, identity) = match state.sts.caller(access_key_id) {
        Caller::Known(account, identity) => (account.to_owned(), identity.to_owned()),
        Caller::Expired => {
            let why = "The security token included in the request is expired";
            return Err(ApiError("ExpiredTokenException", why.into()));
        }
    };
    let session = state.sts.policy(access_key_id).cloned();
    state.of_account(&account, |state| {
        state.of_region(region, |state| operations::run(state, &identity, session.as_ref(), operation, input))
    })
}

/// Why AWS would not take the signature.
fn unsigned(shared: &Shared, signed: &Signed<'_>, service: &str, parts: &Parts, body: &[u8]) -> Option<ApiError> {
    let state = lock(shared);
    signed.check(service, parts, body, state.sts.secret(signed.access_key_id)).err()
}

/// An answer of STS.
fn xml((status, xml): (u16, String)) -> Response<Body> {
    response(status, xml)
}

fn failure(status: u16, error: &ApiError) -> Response<Body> {
    response(status, json!({ "__type": error.0, "Message": error.1 }).to_string())
}

fn response(status: u16, body: String) -> Response<Body> {
    let body = Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {}).boxed_unsync();
    build(status, None, body)
}

/// Promises more than it sends, then breaks off.
fn truncated() -> Response<Body> {
    let frames: [io::Result<Frame<Bytes>>; 2] =
        [Ok(Frame::data(Bytes::from_static(b"{\"Name\":\"A\",\"Secret"))), Err(io::Error::other("injected"))];
    let stream = StreamBody::new(futures_util::stream::iter(frames));
    build(200, Some(4096), stream.boxed_unsync())
}

fn build(status: u16, length: Option<u64>, body: Body) -> Response<Body> {
    let mut builder = Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amzn-requestid", uuid());
    if let Some(length) = length {
        builder = builder.header("content-length", length);
    }
    builder.body(body).unwrap_or_default()
}
