use super::*;

#[test]
fn what_other_sdks_read_is_handed_on() {
    for (text, expected) in [
        ("[default]\n  a = 1\n\tb=2\n", "[default]\na = 1\nb = 2\n"),
        ("\u{feff}[default]\r\na=1\r\n", "[default]\na = 1\n"),
        ("lost = 1\ngarbage\n[default]\ngarbage\n=x\na=1", "[default]\na = 1\n"),
        ("[default]\na=1\n[other\na=2\nb=3\n[x]\nc=4", "[default]\na = 1\n[x]\nc = 4\n"),
        ("[ default ] # x\na = 1 ; y\nb=1#2;3\n", "[default]\na = 1\nb = 1#2;3\n"),
        ("[profile 'a']\n[profile\t\"b\"]\n[profile c d]", "[profile a]\n[profile b]\n[profile c d]\n"),
        ("[default]\na=\nb=1\n", "[default]\nb = 1\n"),
        ("[default]\ns3 =\n  x = 1\n  junk\n  y=2\na=1\n", "[default]\ns3 =\n  x = 1\n  y = 2\na = 1\n"),
        (
            "[services s]\nsecrets_manager =\n  endpoint_url = u\n",
            "[services s]\nsecrets-manager =\n  endpoint_url = u\n",
        ),
    ] {
        assert_eq!(readable(text), expected, "{text:?}");
    }
}

#[tokio::test]
async fn keys_count_before_what_else_a_profile_names() {
    const KEYS: &str = "aws_access_key_id = k\naws_secret_access_key = s\n";
    const ROLE: &str = "role_arn = r\n";
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("config");
    let variables = [("AWS_CONFIG_FILE".to_owned(), path.display().to_string())];
    let config = AwsSettings { variables: variables.into(), ..AwsSettings::default() };
    let of_base = format!("[default]\n{ROLE}source_profile = base\n[profile base]\n");
    for (begin, others, is_unused) in [
        ("[default]\n", "login_session = l\n", true),
        ("[default]\n", "credential_process = c\n", true),
        ("[default]\n", "sso_session = o\nsso_account_id = 1\n", true),
        ("[default]\n", "role_arn = r\nweb_identity_token_file = f\n", true),
        ("[default]\n", "role_arn = r\n", true),
        (&of_base, "login_session = l\n", true),
        (&of_base, "role_arn = r\ncredential_source = Environment\n", true),
        ("[default]\n", "role_arn = r\nsource_profile = default\n", false),
        ("[default]\n", "role_arn = r\ncredential_source = Environment\n", false),
    ] {
        std::fs::write(&path, format!("{begin}{KEYS}{others}")).expect("a file");
        let profiles = Profiles::load(&config).await.expect("profiles");
        let name = if begin == of_base { "base" } else { "default" };
        assert_eq!(profiles.of(name, "aws_access_key_id"), Some("k"), "{begin}{others}");
        for key in others.lines().filter_map(|line| line.split(' ').next()) {
            assert_eq!(profiles.of(name, key).is_none(), is_unused, "{begin}{others}");
        }
        let is_handed_on = profiles.texts.iter().any(|text| text.contains(others));
        assert_eq!(is_handed_on, !is_unused, "{begin}{others}");
        // Without keys it is as it was.
        std::fs::write(&path, format!("{begin}{others}")).expect("a file");
        let profiles = Profiles::load(&config).await.expect("profiles");
        assert!(profiles.texts.iter().any(|text| text.contains(others)), "{begin}{others}");
    }
}

#[tokio::test]
async fn the_sdk_reads_what_is_handed_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &[u8]| std::fs::write(dir.path().join(name), text).expect("a file");
    write("config", b"\xef\xbb\xbf[default]\n  services = s\n# sch\xf6n\n[broken\n[services s]\nsecrets_manager =\n  endpoint_url = http://h\n");
    let utf16: Vec<u8> = "\u{feff}[p]\r\nregion = x\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    write("credentials", &utf16);
    let variable = |name: &str, file: &str| (name.to_owned(), dir.path().join(file).display().to_string());
    let variables = [variable("AWS_CONFIG_FILE", "config"), variable("AWS_SHARED_CREDENTIALS_FILE", "credentials")];
    let config = AwsSettings { variables: variables.into(), ..AwsSettings::default() };
    let profiles = Profiles::load(&config).await.expect("profiles");
    assert_eq!(profiles.names(), ["default", "p"]);
    assert_eq!(profiles.endpoint(), Some("http://h"));
    assert_eq!(profiles.of("p", "region"), Some("x"));
}
