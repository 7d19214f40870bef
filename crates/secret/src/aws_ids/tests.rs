use super::*;

fn name(text: &str) -> SecretName {
    SecretName::new(text).expect(text)
}

fn declared(tool: &str, secret_type: &str, reference: Option<&str>) -> Declared {
    let references = reference.map(|text| References::Everywhere(Reference::parse(text).expect(text)));
    let name = SecretName::of_tool(tool, secret_type).expect("valid");
    Declared { name, tool: tool.into(), secret_type: secret_type.into(), references }
}

fn place(ids: &AwsIds, text: &str) -> (String, Option<String>) {
    let place = ids.place(&name(text)).expect(text);
    (ids.id(&place.secret), place.field.map(|field| field.to_string()))
}

#[test]
fn the_default_template_gives_the_documented_id() {
    let template = AwsIdTemplate::parse(AwsIdTemplate::DEFAULT).expect("valid");
    let name = SecretName::of_tool("github", "api_token").expect("valid");
    let ids = template.of("production");
    assert_eq!(ids.id(&name), "GITHUB_API_TOKEN_production");
    assert_eq!(ids.name_in("GITHUB_API_TOKEN_production"), Some("GITHUB_API_TOKEN"));
    assert_eq!(ids.name_in("GITHUB_API_TOKEN_staging"), None);
    assert!(ids.is_plain());
}

#[test]
fn templates_are_checked() {
    let template = AwsIdTemplate::parse("tcs/{environment}/{name}").expect("valid");
    assert_eq!(template.of("test").id(&name("A")), "tcs/test/A");
    for right in ["{environment}/{tool}#{type}", "{TOOL}/{TYPE}", "{environment}/all#{name}", "{tool}!{type}"] {
        assert!(AwsIdTemplate::parse(right).is_ok(), "{right:?}");
    }
    let wrongs = [
        "",
        "x",
        "{name}{name}",
        "{name} ",
        "{name}_{env}",
        "{tool}",
        "{tool}{type}{name}",
        "#{name}",
        "{name}#",
        "{name",
    ];
    for wrong in wrongs {
        assert!(AwsIdTemplate::parse(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_template_of_tool_and_type_places_declared_names_only() {
    let template = AwsIdTemplate::parse("{environment}/{tool}#{type}").expect("valid");
    let ids = template.with(vec![declared("Git_Hub", "API_token", None)], Vec::new()).of("staging");
    assert_eq!(place(&ids, "GIT_HUB_API_TOKEN"), ("staging/git_hub".into(), Some("api_token".into())));
    let error = ids.place(&name("OTHER_TOKEN")).expect_err("cannot be split");
    assert_eq!(error.code(), ErrorCode::SecretNameInvalid);
    assert_eq!(ids.object_of_tool("jira").map(|place| ids.id(&place.secret)), Some("staging/jira".into()));
}

#[test]
fn names_that_are_fields_of_one_secret_share_its_copy() {
    let template = AwsIdTemplate::parse(AwsIdTemplate::DEFAULT).expect("valid");
    let ids = template
        .with(
            vec![
                declared("db", "user", Some("rds!db-1#username")),
                declared("db", "password", Some("rds!db-1#password")),
                declared("app", "key", None),
                declared("old", "key", Some("APP_KEY_production")),
            ],
            Vec::new(),
        )
        .of("production");
    let user = ids.place(&name("DB_USER")).expect("declared");
    let password = ids.place(&name("DB_PASSWORD")).expect("declared");
    assert_eq!(user.secret, password.secret);
    assert_eq!(ids.id(&user.secret), "rds!db-1");
    assert_eq!(ids.names_of(&user.secret), [name("DB_USER"), name("DB_PASSWORD")]);
    assert_eq!(ids.secrets_with("rds!db-1"), [user.secret]);
    // The template and a reference name the same secret.
    assert_eq!(ids.place(&name("OLD_KEY")).expect("declared").secret, name("APP_KEY"));
    assert_eq!(ids.names_of(&name("APP_KEY")), [name("OLD_KEY"), name("APP_KEY")]);
    assert_eq!(ids.secrets_with("APP_KEY_production"), [name("APP_KEY")]);
    assert_eq!(ids.id(&name("DB_USER")), "rds!db-1", "a name has the id of its secret");
}

#[test]
fn an_arn_is_found_by_its_name_and_by_itself_only() {
    let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shared/db-AbCdEf";
    let template = AwsIdTemplate::parse(AwsIdTemplate::DEFAULT).expect("valid");
    let ids = template.with(vec![declared("db", "url", Some(&format!("{arn}#url")))], Vec::new()).of("production");
    assert_eq!(ids.secrets_with(arn).len(), 1);
    assert_eq!(ids.secrets_with("shared/db").len(), 1);
    assert_eq!(ids.secrets_with(&arn.replace("123456789012", "999999999999")).len(), 0);
}

#[test]
fn a_secret_declared_by_environment_is_missing_elsewhere() {
    let template = AwsIdTemplate::parse(AwsIdTemplate::DEFAULT).expect("valid");
    let each = [("staging".into(), Reference::parse("s/x").expect("valid"))];
    let mut declared = declared("a", "b", None);
    declared.references = Some(References::ByEnvironment(each.into()));
    let template = template.with(vec![declared], Vec::new());
    assert_eq!(place(&template.of("staging"), "A_B"), ("s/x".into(), None));
    let error = template.of("production").place(&name("A_B")).expect_err("not declared there");
    assert_eq!(error.code(), ErrorCode::ConfigInvalid);
    assert_eq!(template.of("production").without_place(), Some(&name("A_B")));
}

#[test]
fn another_stage_of_a_secret_has_a_copy_of_its_own() {
    let template = AwsIdTemplate::parse(AwsIdTemplate::DEFAULT).expect("valid");
    let mut before = declared("a", "before", None);
    before.references = Some(References::Everywhere(Reference::new("a/b", None, Some("AWSPREVIOUS")).expect("valid")));
    let ids = template.with(vec![before, declared("a", "now", Some("a/b"))], Vec::new()).of("production");
    let [before, now] = ["A_BEFORE", "A_NOW"].map(|text| ids.place(&name(text)).expect("declared").secret);
    assert_ne!(before, now);
    assert_eq!(before.aws_id(), Some(("a/b", Some("AWSPREVIOUS"))));
    assert_eq!((ids.id(&before), ids.id(&now)), ("a/b?AWSPREVIOUS".into(), "a/b".into()));
}
