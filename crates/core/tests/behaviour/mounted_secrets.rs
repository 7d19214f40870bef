//! Docker secrets and Kubernetes mounts.
#![allow(clippy::expect_used, reason = "a test that cannot set up has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Service, World};
use secret::error::ErrorCode;
use serde_json::json;

async fn world() -> World {
    let world = World::new().await;
    fs::create_dir(world.directory.path().join("mounted")).expect("made");
    world
}

#[tokio::test]
async fn a_kubernetes_volume_is_read_through_its_atomic_swap() {
    let world = world().await;
    let volume = world.directory.path().join("mounted");
    let publish = |version: &str, value: &str| {
        let data = volume.join(version);
        fs::create_dir(&data).expect("made");
        fs::write(data.join("database-url"), value).expect("written");
        // As the kubelet does it: a new link is renamed over the old one.
        symlink(version, volume.join("..data_tmp")).expect("linked");
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("renamed");
    };
    publish("..2026_01_01", "postgres://one");
    symlink("..data/database-url", volume.join("database-url")).expect("linked");
    let service = world.deliver("development", json!({ "aws": { "enabled": false } }));
    assert_eq!(service.value("DATABASE_URL").await, "postgres://one");
    publish("..2026_01_02", "postgres://two");
    assert_eq!(service.value("DATABASE_URL").await, "postgres://two");
    let tool = service.tool("database").await.expect("no failure");
    assert_eq!(tool, [("url".to_owned(), "postgres://two".to_owned())]);
}

#[tokio::test]
async fn docker_secrets_are_found_by_name_and_lose_one_line_end() {
    let world = world().await;
    world.file("mounted/A_B", "value\n");
    world.file("mounted/c_d", "lower case\r\n");
    world.file("mounted/E_F", "two\n\n");
    let service = world.deliver("development", json!({ "aws": { "enabled": false } }));
    assert_eq!(service.value("A_B").await, "value");
    assert_eq!(service.value("C_D").await, "lower case");
    assert_eq!(service.value("E_F").await, "two\n");
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_a_secret_and_line_ends_alone_are_none() {
    let world = world().await;
    world.file("mounted/A_B", "\u{feff}value\r\n");
    for (name, text) in [("E_F", "\n\n"), ("G_H", "\r\n\r\n"), ("I_J", "\u{feff}\n"), ("K_L", "\u{feff}")] {
        world.file(&format!("mounted/{name}"), text);
    }
    let service = world.deliver("development", json!({ "aws": { "enabled": false } }));
    assert_eq!(service.value("A_B").await, "value");
    for name in ["E_F", "G_H", "I_J", "K_L"] {
        assert_eq!(service.read(name).await.expect("no failure"), None, "{name}");
    }
}

#[tokio::test]
async fn the_variable_comes_before_its_file_form_and_that_before_the_mount() {
    let mut world = world().await;
    world.file("mounted/A_B", "mount");
    let pointed = world.file("elsewhere", "pointed");
    let off = json!({ "aws": { "enabled": false } });
    let place = async |world: &World| {
        let explanation = world.deliver("development", json!({ "aws": { "enabled": false } })).explain("A_B").await;
        explanation.layers.last().and_then(|layer| layer.place.clone()).expect("a place")
    };
    assert_eq!(world.deliver("development", off.clone()).value("A_B").await, "mount");
    assert!(place(&world).await.ends_with("mounted/A_B"));
    world.variable("A_B_FILE", &pointed.display().to_string());
    assert_eq!(world.deliver("development", off.clone()).value("A_B").await, "pointed");
    assert_eq!(place(&world).await, "the file named by A_B_FILE");
    world.variable("A_B", "variable");
    assert_eq!(world.deliver("development", off).value("A_B").await, "variable");
    assert_eq!(place(&world).await, "process variable A_B");
}

#[tokio::test]
async fn directories_are_asked_in_their_order() {
    let world = world().await;
    world.file("first/A_B", "first");
    world.file("first/C_D", "\n");
    world.file("second/A_B", "second");
    world.file("second/C_D", "second");
    let directories = json!(["first", "no-such-directory", "second"]);
    let more = json!({ "aws": { "enabled": false }, "runtime": { "secretDirectories": directories } });
    let service = world.deliver("development", more);
    assert_eq!((service.value("A_B").await, service.value("C_D").await), ("first".into(), "second".into()));
}

#[tokio::test]
async fn a_dash_answers_for_an_underscore_but_an_exact_name_comes_first() {
    let mut world = world().await;
    world.variable("MY_TOOL_API_KEY", "underscored");
    let off = json!({ "aws": { "enabled": false } });
    assert_eq!(world.deliver("development", off.clone()).value("MY-TOOL_API-KEY").await, "underscored");
    world.variable("MY-TOOL_API-KEY", "exact");
    assert_eq!(world.deliver("development", off).value("MY-TOOL_API-KEY").await, "exact");
}

#[tokio::test]
async fn what_cannot_be_read_is_a_failure_and_not_absence() {
    let mut world = world().await;
    fs::write(world.directory.path().join("mounted/C_D"), [0xff, 0xfe]).expect("written");
    world.variable("E_F_FILE", "/no/such/file");
    let service = world.deliver("development", json!({ "aws": { "enabled": false } }));
    assert_eq!(service.refusal("C_D").await, ErrorCode::SourceResponseInvalid);
    assert_eq!(service.refusal("E_F").await, ErrorCode::SourceUnavailable);
}

#[tokio::test]
async fn a_file_without_read_permission_is_a_failure_unless_this_is_root() {
    let world = world().await;
    let file = world.file("mounted/A_B", "v");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("set");
    let service = world.deliver("development", json!({ "aws": { "enabled": false } }));
    if fs::read(&file).is_ok() {
        assert_eq!(service.value("A_B").await, "v", "root reads everything");
    } else {
        assert_eq!(service.refusal("A_B").await, ErrorCode::SourceUnavailable);
    }
}

#[tokio::test]
async fn a_pipe_or_a_directory_in_a_mount_is_no_secret_and_does_not_hang_a_read() {
    let world = world().await;
    fs::create_dir(world.directory.path().join("mounted/A_B")).expect("made");
    let pipe = world.directory.path().join("mounted/C_D");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().expect("mkfifo").success());
    let service = world.deliver("development", json!({ "aws": { "enabled": false } }));
    for name in ["A_B", "C_D"] {
        let read = tokio::time::timeout(Duration::from_secs(5), service.read(name)).await;
        let answer = read.expect("in time").map_err(|error| error.code());
        assert!(matches!(answer, Ok(None) | Err(ErrorCode::SourceUnavailable)), "{name}: {answer:?}");
    }
}

const DATABASE: [&str; 6] = ["USER", "PASSWORD", "HOST", "PORT", "NAME", "CA"];

/// A Kubernetes volume as the kubelet keeps it: all files of a generation in one directory, which a link names.
struct Volume {
    path: PathBuf,
    generation: u32,
}

impl Volume {
    fn new(path: PathBuf) -> Self {
        let mut volume = Self { path, generation: 0 };
        volume.publish();
        for name in DATABASE {
            symlink(format!("..data/DB_{name}"), volume.path.join(format!("DB_{name}"))).expect("linked");
        }
        volume
    }

    /// Swaps the link to a new generation and removes the old one at once, as the kubelet does.
    fn publish(&mut self) {
        let old = format!("..{}", self.generation);
        self.generation += 1;
        let new = format!("..{}", self.generation);
        fs::create_dir(self.path.join(&new)).expect("made");
        for name in DATABASE {
            fs::write(self.path.join(&new).join(format!("DB_{name}")), &new).expect("written");
        }
        symlink(&new, self.path.join("..data_tmp")).expect("linked");
        fs::rename(self.path.join("..data_tmp"), self.path.join("..data")).expect("renamed");
        if self.generation > 1 {
            fs::remove_dir_all(self.path.join(old)).expect("removed");
        }
    }
}

/// Publishes generation after generation, 30 ms apart, until it is ended.
struct Churn(Arc<AtomicBool>, std::thread::JoinHandle<()>);

impl Churn {
    fn of(mut volume: Volume) -> Self {
        let run = Arc::new(AtomicBool::new(true));
        let theirs = run.clone();
        let thread = std::thread::spawn(move || {
            while theirs.load(Ordering::Relaxed) {
                volume.publish();
                std::thread::sleep(Duration::from_millis(30));
            }
        });
        Self(run, thread)
    }

    fn end(self) {
        self.0.store(false, Ordering::Relaxed);
        self.1.join().expect("no failure");
    }
}

/// Reads the tool again and again while its volume is replaced: each answer is whole and of one generation.
async fn read_whole_generations(service: &Service<'_>, volume: Volume) {
    let churn = Churn::of(volume);
    let mut seen = BTreeSet::new();
    // Reads go on without a pause, so that many of them meet a replacement.
    while seen.len() < 12 {
        let tool = service.tool("db").await.expect("no failure");
        let generations: BTreeSet<&str> = tool.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!((tool.len(), generations.len()), (DATABASE.len(), 1), "{tool:?}");
        seen.extend(generations.into_iter().map(str::to_owned));
    }
    churn.end();
}

#[tokio::test]
async fn the_secrets_of_a_tool_are_of_one_generation_of_the_volume() {
    let world = world().await;
    let volume = Volume::new(world.directory.path().join("mounted"));
    let service = world.deliver("development", json!({ "aws": { "enabled": false } }));
    read_whole_generations(&service, volume).await;
}

#[tokio::test]
async fn the_secrets_of_a_declared_tool_are_of_one_generation_as_well() {
    let world = world().await;
    let volume = Volume::new(world.directory.path().join("mounted"));
    let all = json!({ "user": {}, "password": {}, "host": {}, "port": {}, "name": {}, "ca": {} });
    let options = json!({ "aws": { "enabled": false }, "tools": { "db": { "secrets": all } } });
    read_whole_generations(&world.deliver("development", options), volume).await;
}

#[tokio::test]
async fn files_that_variables_name_in_a_volume_are_of_one_generation_as_well() {
    let mut world = world().await;
    let path = world.directory.path().join("volume");
    fs::create_dir(&path).expect("made");
    let volume = Volume::new(path.clone());
    for (i, name) in DATABASE.iter().enumerate() {
        // Through the link that has the file's name, or through the one that is swapped.
        let through = if i % 2 == 0 { path.clone() } else { path.join("..data") };
        world.variable(&format!("DB_{name}_FILE"), &through.join(format!("DB_{name}")).display().to_string());
    }
    read_whole_generations(&world.deliver("development", json!({ "aws": { "enabled": false } })), volume).await;
}

#[tokio::test]
async fn one_secret_is_never_missing_while_its_volume_is_replaced() {
    let world = world().await;
    let volume = Volume::new(world.directory.path().join("mounted"));
    let service = world.deliver("development", json!({ "aws": { "enabled": false } }));
    let churn = Churn::of(volume);
    let mut seen = BTreeSet::new();
    while seen.len() < 20 {
        seen.insert(service.value("DB_PASSWORD").await);
    }
    churn.end();
}

#[tokio::test]
async fn a_file_beside_the_link_of_a_volume_is_read_and_a_removed_one_is_not() {
    let world = world().await;
    let mut volume = Volume::new(world.directory.path().join("mounted"));
    world.file("mounted/DB_EXTRA", "beside");
    symlink("..data/DB_GONE", volume.path.join("DB_GONE")).expect("linked");
    volume.publish();
    let service = world.deliver("development", json!({ "aws": { "enabled": false } }));
    assert_eq!(service.value("DB_EXTRA").await, "beside");
    assert_eq!(service.read("DB_GONE").await.expect("no failure"), None);
    let tool = service.tool("db").await.expect("no failure");
    assert_eq!(tool.len(), DATABASE.len() + 1);
    assert!(tool.contains(&("extra".into(), "beside".into())));
}
