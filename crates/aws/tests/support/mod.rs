//! A Secrets Manager on loopback that knows its connections, on threads of its own.
#![allow(dead_code, clippy::expect_used, clippy::unwrap_used, reason = "shared by several test programs")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use secret::clock::Clock;
use secret::value::SecretValue;
use serde_json::json;
use tcs_secret_delivery_aws::Aws;
use tcs_secret_delivery_aws::settings::{AwsCredentials, AwsSettings, CredentialsSource};

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// With a value.
    Value,
    /// With a value, later.
    Late(Duration),
    /// Not at all; the connection stays open.
    Silence,
    /// With a body in chunks that does not end.
    Endless,
    /// With a value of so many bytes, in one piece with its length.
    Long(usize),
}

/// A request as the server saw it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Which connection it came on, from 0.
    pub connection: u32,
    /// Which request of that connection it is, from 0.
    pub nth: u32,
    /// What it asks for.
    pub operation: &'a str,
}

/// The endpoint. Its threads end with the process.
pub struct Server {
    pub url: String,
    connections: Arc<AtomicU32>,
    requests: Arc<AtomicU32>,
}

impl Server {
    pub fn start(reply: impl Fn(Asked<'_>) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (connections, requests, reply) =
            (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)), Arc::new(reply));
        let (counted, asked) = (connections.clone(), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (connection, reply, asked) = (counted.fetch_add(1, Ordering::SeqCst), reply.clone(), asked.clone());
                thread::spawn(move || serve(&stream.unwrap(), connection, &asked, &*reply));
            }
        });
        Self { url, connections, requests }
    }

    /// Connections so far.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests so far.
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }

    /// A source that asks this server.
    pub fn source(&self, timeout: Duration, max_attempts: u32) -> Aws {
        source(&self.url, timeout, max_attempts)
    }
}

/// A source that asks the server at `url`.
pub fn source(url: &str, timeout: Duration, max_attempts: u32) -> Aws {
    source_with(url, timeout, max_attempts, HashMap::new())
}

/// [`source`], in a process that has these variables.
pub fn source_with(url: &str, timeout: Duration, max_attempts: u32, variables: HashMap<String, String>) -> Aws {
    let settings = AwsSettings {
        region: Some("eu-central-1".into()),
        endpoint: Some(url.to_owned()),
        credentials: Some(CredentialsSource::Fixed(AwsCredentials {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: SecretValue::new("example".to_owned()),
            session_token: None,
            ends_unix_ms: None,
        })),
        timeout,
        max_attempts,
        requests_per_second: 1000,
        instance_metadata: false,
        variables,
        ..AwsSettings::default()
    };
    Aws::new(&Arc::new(settings), &Clock::system())
}

fn serve(
    stream: &TcpStream,
    connection: u32,
    requests: &AtomicU32,
    reply: &(dyn Fn(Asked<'_>) -> Reply + Send + Sync),
) {
    let mut reader = BufReader::new(stream);
    for nth in 0.. {
        let Some(operation) = request(&mut reader) else { return };
        requests.fetch_add(1, Ordering::SeqCst);
        let answered = match reply(Asked { connection, nth, operation: &operation }) {
            Reply::Value => value(stream, 10),
            Reply::Long(bytes) => value(stream, bytes),
            Reply::Late(by) => {
                thread::sleep(by);
                value(stream, 10)
            }
            Reply::Silence => Ok(()),
            Reply::Endless => endless(stream),
        };
        if answered.is_err() {
            return;
        }
    }
}

/// Reads a request; its operation.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let (mut length, mut operation, mut line) = (0, String::new(), String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, text)) = line.trim().split_once(':') else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = text.trim().parse().ok()?,
            "x-amz-target" => text.trim().rsplit('.').next()?.clone_into(&mut operation),
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    Some(operation)
}

fn value(mut stream: &TcpStream, bytes: usize) -> std::io::Result<()> {
    let secret = json!({
        "ARN": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:A_B-AbCdEf", "Name": "A_B",
        "SecretString": "v".repeat(bytes), "VersionId": "7f3a1c52-9d0e-4b8a-a6c4-0d9f5e2b1c77", "CreatedDate": 1.7e9,
    });
    let body = secret.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\n";
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())
}

fn endless(mut stream: &TcpStream) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
    let chunk = vec![b'a'; 1 << 16];
    loop {
        write!(stream, "{:x}\r\n", chunk.len())?;
        stream.write_all(&chunk)?;
        stream.write_all(b"\r\n")?;
    }
}
