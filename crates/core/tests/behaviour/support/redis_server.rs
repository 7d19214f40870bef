//! A Redis server of a test's own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::ENCRYPTION_KEY;
use tcs_secret_delivery_core::timer::Deadline;

/// A server that ends with the test.
pub struct RedisServer {
    process: Child,
    port: u16,
}

impl RedisServer {
    pub fn start() -> Self {
        let end = Deadline::after(Duration::from_secs(10));
        loop {
            let mut server = Self::begin();
            // One that ended at once had its port taken by somebody else.
            while server.process.try_wait().expect("a child").is_none() {
                if server.connection().is_ok() {
                    return server;
                }
                assert!(!end.has_passed(), "redis-server does not answer");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn begin() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server, which `npm test` installs");
        Self { process, port }
    }

    fn connection(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(self.url())?.get_connection_with_timeout(Duration::from_secs(1))
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What the server answers to `command`, whose words have blanks between them.
    pub fn ask<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut asked = redis::cmd(words.next().expect("a command"));
        for word in words {
            asked.arg(word);
        }
        asked.query(&mut self.connection().expect("a connection")).expect("an answer")
    }

    /// Whether there is a copy under `key`. A drop is remembered there as well, and is none.
    pub fn has(&self, key: &str) -> bool {
        self.ask::<String>(&format!("GETRANGE {key} 0 1")) == "2c"
    }

    /// Options of a service over this server, with `more` about its cache.
    pub fn options(&self, more: &Json) -> Json {
        let mut options = json!({ "cache": {
            "redis": { "url": self.url() },
            "encryptionKeys": [{ "id": "k", "key": ENCRYPTION_KEY }],
        } });
        super::merge(&mut options, json!({ "cache": more }));
        options
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
