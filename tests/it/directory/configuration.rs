//! The configuration that tests of the whole service use.

use crate::support::directory::{DirectorySetup, Flavor, TestDirectory};

#[test]
fn the_configuration_of_a_test_directory_is_complete() {
    let directory = TestDirectory::start(Flavor::Slapd);
    let group = Flavor::Slapd.group_dn("token-users");
    let setup = DirectorySetup::new("company", &directory)
        .key("sync_interval", "1s")
        .key("lockout_guard", 3)
        .allow(&group, [("workspace", 1.into())])
        .allow(&group, [("workspace", 2.into()), ("admin", true.into())]);
    let text = setup.to_toml();
    let expected = [
        "[sso.company]",
        "kind = \"openldap\"",
        &format!("url = \"{}\"", directory.url),
        "bind = \"cn=search,dc=example,dc=org\"",
        "base = \"dc=example,dc=org\"",
        "sync_interval = \"1s\"",
        "[[sso.company.allow]]",
        &format!("group = \"{group}\""),
        "admin = true",
    ];
    for line in expected {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    let parsed: toml::Table = text.parse().unwrap();
    let password_file = parsed["sso"]["company"]["bind_password_file"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(password_file).unwrap(), "search-password\n");
}
