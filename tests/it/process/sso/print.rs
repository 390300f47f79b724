//! The configuration of identity providers with the source of each value.

use super::configuration::{COMPANY, check_failing, folder, run, text, with, write};

#[test]
fn variables_of_a_provider_override_the_file() {
    let folder = folder();
    write(folder.path(), "other-password", "s3cret\n", 0o600);
    let variables = [
        ("TOKENWARD_SSO__COMPANY__BASE", "dc=example,dc=net"),
        ("TOKENWARD_SSO__COMPANY__BIND_PASSWORD_FILE", "other-password"),
        ("TOKENWARD_SSO__COMPANY__ALLOW", "[{group=\"cn=x\", workspace=2}]"),
    ];
    let output = run(folder.path(), COMPANY, &["config", "print"], &variables);
    let printed = text(&output.stdout);
    for line in [
        "base = \"dc=example,dc=net\"  # environment variable TOKENWARD_SSO__COMPANY__BASE",
        "bind_password_file = \"other-password\"  # environment variable TOKENWARD_SSO__COMPANY__BIND_PASSWORD_FILE",
        "group = \"cn=x\"  # environment variable TOKENWARD_SSO__COMPANY__ALLOW",
        "workspace = 2  # environment variable TOKENWARD_SSO__COMPANY__ALLOW",
    ] {
        assert!(printed.contains(&format!("\n{line}\n")), "{line} in {printed}{}", text(&output.stderr));
    }
    let unknown = [("TOKENWARD_SSO__COMPANY__BSE", "x")];
    assert_eq!(
        check_failing(folder.path(), COMPANY, &unknown),
        "environment variable TOKENWARD_SSO__COMPANY__BSE is unknown: did you mean TOKENWARD_SSO__COMPANY__BASE?"
    );
    // A path to certificates is a path, and no file with the value of a key.
    let output = run(folder.path(), COMPANY, &["config", "print"], &[("TOKENWARD_SSO__COMPANY__CA_FILE", "ca.pem")]);
    let line = "\nca_file = \"ca.pem\"  # environment variable TOKENWARD_SSO__COMPANY__CA_FILE\n";
    assert!(text(&output.stdout).contains(line), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn every_value_is_printed_with_its_source() {
    let folder = folder();
    let config = with("bind_password_file", "bind_password = \"s3cret\"\ndomains = [\"example.org\", \"EXAMPLE\"]")
        + "\n[[sso.company.allow]]\ngroup = \"cn=admins\"\nworkspace = 1\nadmin = true\n";
    let output = run(folder.path(), &config, &["config", "print"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (_, providers) = text(&output.stdout).split_once("\n[sso.company]\n").expect("the section");
    let expected = "\
kind = \"openldap\"  # c.toml, line 2
url = [\"ldaps://ldap.example.org\"]  # c.toml, line 3
starttls = false  # default
# ca_file is unset
# server_name is unset
bind = \"cn=tokenward,dc=example,dc=org\"  # c.toml, line 4
# bind_password_file is unset
bind_password = \"[hidden]\"  # c.toml, line 5
base = \"dc=example,dc=org\"  # c.toml, line 7
# user_filter is unset
domains = [\"example.org\", \"EXAMPLE\"]  # c.toml, line 6
default = false  # default
sync_interval = \"15m\"  # default
lockout_guard = 3  # default

[[sso.company.allow]]
group = \"cn=token-users,ou=groups,dc=example,dc=org\"  # c.toml, line 9
workspace = 1  # c.toml, line 10
admin = false  # default
token_access = \"default\"  # default
create = true  # default

[[sso.company.allow]]
group = \"cn=admins\"  # c.toml, line 12
workspace = 1  # c.toml, line 13
admin = true  # c.toml, line 14
token_access = \"default\"  # default
create = true  # default
";
    assert_eq!(providers, expected);
    assert!(!text(&output.stdout).contains("s3cret"));
    // What is printed is a configuration.
    toml::from_str::<tokenward::config::Config>(text(&output.stdout)).unwrap();
}
