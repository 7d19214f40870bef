use super::*;

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

#[test]
fn a_put_without_stages_moves_current_and_keeps_previous() {
    let mut store = Store::default();
    store.create("A", Some(text("1")), Some("v1")).expect("created");
    store.put("A", text("2"), Some("v2"), &[]).expect("put");
    assert_eq!(store.read("A", None, None).expect("current").2, "v2");
    assert_eq!(store.read("A", None, Some(PREVIOUS)).expect("previous").2, "v1");
}

#[test]
fn a_token_is_idempotent_and_refuses_other_data() {
    let mut store = Store::default();
    store.create("A", Some(text("1")), Some("v1")).expect("created");
    assert!(store.put("A", text("1"), Some("v1"), &[]).is_ok());
    assert_eq!(store.put("A", text("2"), Some("v1"), &[]).expect_err("refused").0, "ResourceExistsException");
}

#[test]
fn a_pending_version_is_not_live_until_its_label_moves() {
    let mut store = Store::default();
    store.create("A", Some(text("1")), Some("v1")).expect("created");
    store.put("A", text("2"), Some("v2"), &["AWSPENDING".into()]).expect("pending");
    assert_eq!(store.read("A", None, None).expect("current").2, "v1");
    assert!(store.move_stage("A", CURRENT, None, Some("v2")).is_err(), "must say whom it leaves");
    store.move_stage("A", CURRENT, Some("v1"), Some("v2")).expect("moved");
    assert_eq!(store.read("A", None, None).expect("current").2, "v2");
}

#[test]
fn a_deleted_secret_says_so_and_can_be_restored() {
    let mut store = Store::default();
    store.create("A", Some(text("1")), None).expect("created");
    store.delete("A", false).expect("deleted");
    let refused = store.read("A", None, None).expect_err("deleted");
    assert!(refused.1.contains("marked for deletion"));
    store.restore("A").expect("restored");
    assert!(store.read("A", None, None).is_ok());
}

#[test]
fn limits_are_aws_limits() {
    let mut store = Store::default();
    assert!(store.create("A", Some(text(&"x".repeat(MAX_VALUE))), None).is_ok());
    assert_eq!(
        store.create("B", Some(text(&"x".repeat(MAX_VALUE + 1))), None).expect_err("large").0,
        "InvalidParameterException"
    );
    assert!(store.create("bad name", None, None).is_err());
}

#[test]
fn after_a_write_readers_see_what_was_there_before_for_a_while() {
    let mut store = Store::default();
    store.create("A", Some(text("1")), Some("v1")).expect("created");
    store.late = Duration::from_millis(50);
    store.put("A", text("2"), Some("v2"), &["AWSPENDING".into()]).expect("pending");
    assert!(store.read("A", Some("v2"), None).is_err(), "not yet by its id");
    assert!(store.read("A", None, Some(PENDING)).is_err(), "nor by its label");
    store.move_stage("A", CURRENT, Some("v1"), Some("v2")).expect("writes see what is there");
    assert_eq!(store.read("A", None, None).expect("current").2, "v1");
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(store.read("A", None, None).expect("current").2, "v2");
    assert!(store.read("A", Some("v2"), None).is_ok());
}

#[test]
fn a_secret_of_another_service_is_not_for_others_to_write() {
    let mut store = Store::default();
    store.create("rds!db-1", Some(text("1")), Some("v1")).expect("created");
    assert!(store.check_owner("rds!db-1").is_ok());
    store.set_keeper("rds!db-1", Keeper { owner: Some("rds".into()), ..Keeper::default() }).expect("owned");
    assert_eq!(store.check_owner("rds!db-1").expect_err("refused").0, "InvalidRequestException");
}
