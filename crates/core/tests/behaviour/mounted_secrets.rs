//! Docker secrets and Kubernetes mounts.
#![allow(clippy::expect_used, reason = "a test that cannot set up has failed")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::World;
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
        let read = tokio::time::timeout(std::time::Duration::from_secs(5), service.read(name)).await;
        let answer = read.expect("in time").map_err(|error| error.code());
        assert!(matches!(answer, Ok(None) | Err(ErrorCode::SourceUnavailable)), "{name}: {answer:?}");
    }
}
