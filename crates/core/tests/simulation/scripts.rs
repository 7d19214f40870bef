//! The simulated Redis and a real one do the same.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cache::redis::scripts;
use fastrand::Rng;
use redis::{Cmd, Value};
use secret::clock::Stopwatch;

use super::store::{Published, Store, words};

struct Server(Child, redis::Connection, u16);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start() -> Server {
    let watch = Stopwatch::start();
    while watch.took() < Duration::from_secs(10) {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let mut child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server, which `npm test` installs");
        while child.try_wait().expect("a child").is_none() && watch.took() < Duration::from_secs(10) {
            let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("a client");
            if let Ok(connection) = client.get_connection_with_timeout(Duration::from_secs(1)) {
                return Server(child, connection, port);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(child.kill());
    }
    panic!("redis-server does not answer");
}

const CHANNEL: &str = "events";
/// All commands get times from around here; nothing expires meanwhile.
const NOW: u64 = 1_767_225_600_000;

fn command(rng: &mut Rng) -> Cmd {
    let key = format!("copy{}", rng.u8(0..2));
    let drop_key = format!("drop:{key}");
    let (now, age, keep) = (NOW + rng.u64(0..300), rng.u64(0..300), 10_000_000);
    let mut eval = |script: &str, keys: &[&str]| {
        let mut command = redis::cmd("EVAL");
        // While a cluster moves a slot, a script takes one key.
        let keys = if keys.len() > 1 && rng.u8(0..8) == 0 { &keys[..1] } else { keys };
        command.arg(script).arg(keys.len());
        command.arg(keys);
        command
    };
    let mut eval = |script: &str, keys: &[&str]| eval(script, keys);
    match fastrand::u8(0..12) {
        0..=3 => {
            let mut command = eval(scripts::SHARE, &[&key, &drop_key]);
            let tail = format!("{:015}{:016x}{:016x}", 7, fastrand::u64(0..3), fastrand::u64(0..2));
            let by = (now - age + 100 - fastrand::u64(0..200)).cast_signed();
            let by = if fastrand::u8(0..4) == 0 { scripts::BY_HAND } else { by };
            command.arg(now).arg(age).arg(by).arg(tail).arg("envelope").arg(keep).arg(CHANNEL);
            command.arg("2 me drop it ").arg(" v").arg("1 me drop it v");
            command
        }
        4..=6 => {
            let mut command = eval(scripts::DROP, &[&key, &drop_key]);
            command.arg(now).arg(age).arg(keep).arg(CHANNEL).arg("2 me drop it ").arg("").arg("1 me drop it");
            command
        }
        7 => {
            let mut command = eval(scripts::CLEAR, &["cleared"]);
            command.arg(now).arg(keep).arg(CHANNEL).arg("2 me clear ").arg("1 me clear");
            command
        }
        8 => {
            let mut command = eval(scripts::REMOVE, &[&key]);
            command.arg(format!("{:016x}", fastrand::u64(0..2)));
            command
        }
        9 => {
            let mut command = redis::cmd("SET");
            // What version 0.1.0, or a stranger, wrote.
            let wrote: &[u8] = [&[0u8, 1, 2][..], b"2c", b"garbage", b"2c00000000000000x"][fastrand::usize(0..4)];
            command.arg(key).arg(wrote).arg("NX").arg("PX").arg(keep);
            command
        }
        10 => {
            let mut command = redis::cmd("UNLINK");
            command.arg([key, drop_key][fastrand::usize(0..2)].as_str());
            command
        }
        _ => {
            let mut command = redis::cmd("MGET");
            command.arg("copy0").arg("copy1").arg("drop:copy0").arg("drop:copy1").arg("cleared");
            command
        }
    }
}

fn scan(mut found: Value) -> Value {
    if let Value::Array(parts) = &mut found
        && let Some(Value::Array(keys)) = parts.get_mut(1)
    {
        keys.sort_by_key(|key| format!("{key:?}"));
    }
    found
}

#[test]
fn the_simulated_redis_does_what_a_real_one_does() {
    fastrand::seed(1);
    let mut server = start();
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.2)).expect("a client");
    let mut listener = client.get_connection().expect("a connection");
    let mut listener = listener.as_pubsub();
    listener.subscribe(CHANNEL).expect("a subscription");
    listener.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let (mut store, mut rng) = (Store::default(), Rng::with_seed(2));
    for round in 0..6000 {
        let mut command = if round % 100 == 99 { redis::cmd("SCAN") } else { command(&mut rng) };
        if round % 100 == 99 {
            command.arg(0).arg("MATCH").arg("*copy0").arg("COUNT").arg(500);
        }
        let mut published = Published::new();
        let simulated = store.run(NOW, &words(&command), &mut published).expect("an answer");
        let real: Value = command.query(&mut server.1).expect("an answer");
        assert_eq!(scan(simulated), scan(real), "round {round}: {:?}", words(&command));
        for (channel, message) in published {
            let heard = listener.get_message().expect("a message");
            assert_eq!(heard.get_channel_name().as_bytes(), channel, "round {round}");
            assert_eq!(heard.get_payload_bytes(), message, "round {round}");
        }
    }
    let mut ping = redis::cmd("PUBLISH");
    let _: i64 = ping.arg(CHANNEL).arg("the end").query(&mut server.1).expect("an answer");
    assert_eq!(listener.get_message().expect("a message").get_payload_bytes(), b"the end", "nothing was left over");
}
