//! Errors in the configuration of identity providers.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Output,
};

use crate::support::binary::{run_with_stdin, tokenward_command};

/// A valid provider. Line 1 is the section, line 7 the rule.
pub const COMPANY: &str = "\
[sso.company]
kind = \"openldap\"
url = \"ldaps://ldap.example.org\"
bind = \"cn=tokenward,dc=example,dc=org\"
bind_password_file = \"ldap-password\"
base = \"dc=example,dc=org\"
[[sso.company.allow]]
group = \"cn=token-users,ou=groups,dc=example,dc=org\"
workspace = 1
";

/// A folder with a password file, in which the commands run.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "ldap-password", "s3cret\n", 0o600);
    folder
}

pub fn write(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
}

/// Runs a command with `c.toml`, which only its owner can read, and variables.
pub fn run(folder: &Path, text: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    write(folder, "c.toml", text, 0o600);
    let mut command = tokenward_command("sqlite:x");
    command.args(arguments).args(["--config", "c.toml"]).current_dir(folder).envs(variables.iter().copied());
    run_with_stdin(command, "")
}

pub fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// Returns the error of `tokenward config check`. It has no value that may be a secret.
#[track_caller]
pub fn check_failing(folder: &Path, config: &str, variables: &[(&str, &str)]) -> String {
    let output = run(folder, config, &["config", "check"], variables);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""), "{config}: {stderr}");
    assert!(!stderr.contains("s3cret"), "{stderr}");
    let error = stderr.strip_prefix("tokenward: ").and_then(|line| line.strip_suffix('\n'));
    error.unwrap_or_else(|| panic!("{stderr:?}")).to_owned()
}

/// Replaces a line of the provider.
pub fn with(key: &str, line: &str) -> String {
    let lines = COMPANY.lines().map(|old| if old.starts_with(&format!("{key} = ")) { line } else { old });
    let changed = lines.collect::<Vec<_>>().join("\n");
    assert_ne!(changed, COMPANY.trim_end(), "{key}");
    changed
}

#[test]
fn a_valid_provider_is_accepted() {
    let folder = folder();
    let output = run(folder.path(), COMPANY, &["config", "check"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("the configuration is valid\n"));
}

/// Lines that replace the line of a key, and the error. The key `base` is line 6.
const WRONG_LINES: [(&str, &str, &str); 27] = [
    ("bind", "bnd = \"x\"", "line 4: unknown configuration key sso.company.bnd: did you mean sso.company.bind?"),
    (
        "bind",
        "bind_dn = \"x\"",
        "line 4: unknown configuration key sso.company.bind_dn: did you mean sso.company.bind?",
    ),
    (
        "workspace",
        "workspce = 1",
        "line 9: unknown configuration key sso.company.allow.workspce: did you mean sso.company.allow.workspace?",
    ),
    (
        "base",
        "group = \"x\"",
        "line 6: unknown configuration key sso.company.group: did you mean sso.company.allow.group?",
    ),
    ("bind", "", "line 1: sso.company requires bind"),
    ("kind", "", "line 1: sso.company requires kind"),
    ("url", "", "line 1: sso.company requires url"),
    ("base", "", "line 1: sso.company requires base"),
    ("group", "", "line 7: sso.company.allow requires group"),
    ("workspace", "", "line 7: sso.company.allow requires workspace"),
    (
        "kind",
        "kind = \"ldap\"",
        "line 2: sso.company.kind must be \"active-directory\", \"openldap\", \"freeipa\", \"openid-connect\" or \"saml\", not \"ldap\"",
    ),
    (
        "url",
        "url = \"ldap.example.org\"",
        "line 3: sso.company.url is invalid: \"ldap.example.org\" is not the URL of a directory server; write \
         ldaps://HOST, ldaps://HOST:PORT, ldap://HOST or ldap://HOST:PORT",
    ),
    ("url", "url = []", "line 3: sso.company.url must name at least one server, such as \"ldaps://dc1.example.org\""),
    (
        "url",
        "url = 636",
        "line 3: sso.company.url must be a URL such as \"ldaps://dc1.example.org\", or a list of them, not 636",
    ),
    (
        "url",
        "url = \"ldap://ldap.example.org\"",
        "line 3: sso.company.url is ldap://ldap.example.org without starttls; set starttls = true, or use ldaps://, because \
         passwords are never sent in plain text",
    ),
    (
        "kind",
        "kind = \"openldap\"\nstarttls = true",
        "line 3: sso.company.starttls is true, but ldaps://ldap.example.org is encrypted from the beginning; remove \
         starttls, or write ldap:// in every url",
    ),
    ("bind_password_file", "", "line 1: sso.company requires bind_password_file or bind_password"),
    (
        "bind_password_file",
        "bind_password = \"s3cret\"\nbind_password_file = \"x\"",
        "line 1: sso.company has bind_password and bind_password_file; keep one of them",
    ),
    (
        "bind_password_file",
        "bind_password = [\"s3cret\"]",
        "line 5: sso.company.bind_password must be a text in quotes",
    ),
    (
        "workspace",
        "workspace = 0",
        "line 9: sso.company.allow.workspace is 0; it must be the ID of a workspace, at least 1",
    ),
    (
        "workspace",
        "workspace = \"main\"",
        "line 9: sso.company.allow.workspace must be a whole number from 1 to 4294967295, not \"main\"",
    ),
    (
        "kind",
        "kind = \"openldap\"\nsync_interval = \"30s\"",
        "line 3: sso.company.sync_interval is 30s; it must be from 1m to 1d",
    ),
    (
        "kind",
        "kind = \"openldap\"\nlockout_guard = 11",
        "line 3: sso.company.lockout_guard is 11; it must be from 1 to 10",
    ),
    ("kind", "lockout_guard = -1", "line 2: sso.company.lockout_guard must be a whole number from 1 to 10, not -1"),
    ("kind", "starttls = \"yes\"", "line 2: sso.company.starttls must be true or false, not \"yes\""),
    (
        "kind",
        "domains = \"example.org\"",
        "line 2: sso.company.domains must be a list, such as [\"ad.example.org\"], not \"example.org\"",
    ),
    (
        "kind",
        "admin = true",
        "line 2: unknown configuration key sso.company.admin: did you mean sso.company.allow.admin?",
    ),
];

#[test]
fn a_wrong_line_is_named_with_key_and_remedy() {
    let folder = folder();
    for (key, line, expected) in WRONG_LINES {
        assert_eq!(check_failing(folder.path(), &with(key, line), &[]), format!("c.toml, {expected}"), "{line}");
    }
}

#[test]
fn wrong_sections_are_named_with_the_remedy() {
    let folder = folder();
    let without_rule = COMPANY.split("[[").next().unwrap();
    for (config, expected) in [
        (COMPANY.replace("sso.", "soo."), "line 1: unknown configuration key soo: did you mean sso?"),
        (format!("{COMPANY}[[sso.company.allow]]\ngroup = \"cn=x\""), "line 10: sso.company.allow requires workspace"),
        (
            without_rule.to_owned(),
            "line 1: sso.company requires allow: without a rule, no person may sign in; add [[sso.company.allow]] with group \
             and workspace",
        ),
        (
            format!("{without_rule}allow = \"all\""),
            "line 7: sso.company.allow must be one or more sections [[sso.company.allow]], not \"all\"",
        ),
        (
            COMPANY.replace("sso.company", "sso.Company"),
            "line 1: sso.Company has an invalid name; use 1 to 32 of a-z, 0-9 and hyphen",
        ),
        ("sso = 3".to_owned(), "line 1: sso must be sections such as [sso.company], not 3"),
        ("[sso]\ncompany = \"s3cret\"".to_owned(), "line 2: sso.company must be a section: [sso.company]"),
    ] {
        assert_eq!(check_failing(folder.path(), &config, &[]), format!("c.toml, {expected}"), "{config}");
    }
}

/// The check finds everything that the start of the service would reject.
#[test]
fn settings_that_the_client_rejects_are_found() {
    let folder = folder();
    for (key, line, expected) in [
        ("base", "base = \"\"", "base is empty; set it to the DN below which people are, such as DC=example,DC=org"),
        (
            "group",
            "group = \"token-users\"",
            "the group \"token-users\" is not a distinguished name; write one such as",
        ),
        ("base", "base = \"example.org\"", "base \"example.org\" is not a distinguished name; write one such as DC="),
        (
            "base",
            "base = \"dc=x\"\nserver_name = \"no name\"",
            "\"no name\" cannot be the name of a certificate; write a DNS name or an IP address",
        ),
        (
            "base",
            "base = \"dc=x\"\nuser_filter = \"(a=b\"",
            "user_filter \"(a=b\" is not an LDAP filter; write one filter",
        ),
        ("base", "base = \"dc=x\"\nca_file = \"ca.pem\"", "cannot read the certificate authorities in ca.pem"),
    ] {
        let error = check_failing(folder.path(), &with(key, line), &[]);
        assert!(error.starts_with(&format!("sso.company: {expected}")), "{error}");
    }
}

#[test]
fn a_typed_name_belongs_to_one_provider() {
    let folder = folder();
    let two = |line: &str| {
        let first = with("base", &format!("base = \"dc=example,dc=org\"\n{line}"));
        format!("{first}\n{}", first.replace("sso.company", "sso.school"))
    };
    assert_eq!(
        check_failing(folder.path(), &two("default = true"), &[]),
        "c.toml, line 17: sso.school.default is true, as is sso.company.default; only one provider may be the default"
    );
    assert_eq!(
        check_failing(folder.path(), &two("domains = [\"Example.org\"]"), &[]),
        "c.toml, line 17: sso.school.domains contains \"Example.org\", as does sso.company.domains; a domain belongs to one \
         provider"
    );
}

#[test]
fn files_with_a_password_are_not_readable_by_all() {
    let folder = folder();
    write(folder.path(), "ldap-password", "s3cret\n", 0o644);
    assert_eq!(
        check_failing(folder.path(), COMPANY, &[]),
        "ldap-password contains a secret and is readable by other users (mode 644): run chmod 600 ldap-password"
    );
    fs::remove_file(folder.path().join("ldap-password")).unwrap();
    let error = check_failing(folder.path(), COMPANY, &[]);
    assert!(error.starts_with("cannot read ldap-password: No such file"), "{error}");
    let config = with("bind_password_file", "bind_password = \"s3cret\"");
    write(folder.path(), "public.toml", &config, 0o644);
    let mut command = tokenward_command("sqlite:x");
    command.args(["config", "check", "--config", "public.toml"]).current_dir(folder.path());
    let output = run_with_stdin(command, "");
    let expected = "tokenward: public.toml contains a secret and is readable by other users (mode 644): run chmod 600 public.toml\n";
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), expected));
}
