//! `tokenward sso test`.

use rstest::rstest;

use super::{Company, Printed};
use crate::support::{
    Engine,
    directory::{DirectorySetup, Flavor, ServerCertificate, TestDirectory, password_of, write_certificates},
};

/// The command needs no database, because an operator tests before the first start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_prints_the_server_and_the_rights_of_a_person() {
    let company = Company::new(Engine::Sqlite).await;
    let (server, notices) = company.run_ok(&["sso", "test", "company"]);
    let url = &company.directory.url;
    assert_eq!(server, format!("server: {url}\ncertificate names: localhost, 127.0.0.1\nproduct: OpenLDAP\n"));
    assert_eq!(notices, "");
    let (printed, _) = company.run_ok(&["sso", "test", "company", "--user", "grace"]);
    let entry = printed.strip_prefix(&server).expect("the server first");
    let subject = company.directory.attribute("grace", "entryUUID").unwrap();
    assert_eq!(
        entry,
        format!(
            "entry: uid=grace,ou=people,dc=example,dc=org\nsubject: {subject}\ne-mail: grace@example.org\nstate: active\n\
             allowed groups: cn=token-users,ou=groups,dc=example,dc=org\n\
             result: member of workspace 1, tokenAccess enabled\n"
        )
    );
    let (ada, _) = company.run_ok(&["sso", "test", "company", "--user", "ada@example.org"]);
    assert!(ada.contains("\nresult: administrator of workspace 1, tokenAccess enabled\n"), "{ada}");
    // The file of the database was not created.
    assert!(!std::path::Path::new(company.database.url.trim_start_matches("sqlite:")).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_may_not_sign_in_are_reported() {
    let company = Company::new(Engine::Sqlite).await;
    let test = |user: &str| company.run(&["sso", "test", "company", "--user", user]);
    let rejected = |user: &str, reason: &str| {
        let Printed { code, stdout, stderr } = test(user);
        let response = "response: the same as to a wrong password\n";
        assert!(stdout.ends_with(&format!("\nresult: rejected, because {reason}\n{response}")), "{stdout}");
        let expected = format!("tokenward: {user} could not sign in: {reason}\n");
        assert_eq!((code, stderr), (Some(1), expected), "{user}");
    };
    rejected("eve", "the entry is in no allowed group");
    company.directory.disable("grace");
    rejected("grace", "the entry is disabled");
    for (user, expected) in [
        ("nemo", "the directory has no person nemo; check base and user_filter"),
        ("*", "the directory has no person *; check base and user_filter"),
        ("twins@example.org", "several entries have the name twins@example.org, so none of them can sign in with it"),
    ] {
        assert_eq!(company.run_failing(&["sso", "test", "company", "--user", user]), expected);
    }
    let unknown = company.run_failing(&["sso", "test", "compani"]);
    assert_eq!(unknown, "there is no identity provider compani; configured: company");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_provider_the_section_to_add_is_named() {
    let company = Company::new(Engine::Sqlite).await;
    company.write("");
    let expected = "no identity provider is configured; add a section [sso.company]";
    assert_eq!(company.run_failing(&["sso", "test", "company"]), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_of_another_domain_belongs_to_no_directory() {
    let company = Company::new(Engine::Sqlite).await;
    let setup = crate::sso::setup(&company.directory).key("domains", vec!["example.org"]);
    company.write(&setup.to_toml());
    company.run_ok(&["sso", "test", "company", "--user", "grace@example.org"]);
    let error = company.run_failing(&["sso", "test", "company", "--user", "grace@example.net"]);
    assert_eq!(
        error,
        "grace@example.net belongs to no directory: set domains, or default = true for names without a domain"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_the_connection_state_the_remedy() {
    let mut company = Company::new(Engine::Sqlite).await;
    let url = company.directory.url.clone();
    let setup = || crate::sso::setup(&company.directory);
    let failing = |setup: DirectorySetup| {
        company.write(&setup.to_toml());
        company.run_failing(&["sso", "test", "company", "--user", "grace"])
    };
    // Another authority of the same name.
    let other = tempfile::tempdir().unwrap();
    write_certificates(other.path(), ServerCertificate::Good, "IP:127.0.0.1");
    let error = failing(setup().key("ca_file", other.path().join("ca.pem").to_str().unwrap()));
    let expected = format!("the certificate of {url} is not accepted; set ca_file to the certificate authority");
    assert!(error.starts_with(&expected), "{error}");
    let error = failing(setup().key("server_name", "dc1.example.org"));
    let expected = format!(
        "the certificate of {url} names localhost, 127.0.0.1 in subjectAltName; it must name dc1.example.org; reissue \
         it, or set server_name to a name that it has"
    );
    assert_eq!(error, expected);
    let error = failing(setup().key("bind", "cn=unknown,dc=example,dc=org"));
    assert!(error.starts_with("the directory rejected the service's own bind name or password;"), "{error}");
    let error = failing(setup().key("base", "dc=example,dc=net"));
    assert!(error.starts_with("the directory has no entry at base"), "{error}");
    let error = failing(setup().key("user_filter", "(objectClass=inetOrgPerson"));
    assert!(error.contains("user_filter \"(objectClass=inetOrgPerson\" is not an LDAP filter; write one"), "{error}");
    let error = failing(setup().key("ca_file", "/nowhere/ca.pem"));
    assert!(error.starts_with("sso.company: cannot read the certificate authorities in /nowhere/ca.pem"), "{error}");
    company.write(&setup().to_toml());
    company.directory.stop();
    let error = company.run_failing(&["sso", "test", "company", "--user", "grace"]);
    let expected =
        format!("cannot reach the directory server {url}; check its address, the network and whether it runs: ");
    assert!(error.starts_with(&expected), "{error}");
}

/// A certificate with a common name only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_without_names_is_rejected_with_the_remedy() {
    let mut company = Company::new(Engine::Sqlite).await;
    company.directory = TestDirectory::start_with(Flavor::Slapd, ServerCertificate::CommonNameOnly);
    company.write(&crate::sso::setup(&company.directory).to_toml());
    let error = company.run_failing(&["sso", "test", "company"]);
    let expected =
        format!("the certificate of {} names no server in subjectAltName; it must name ", company.directory.url);
    assert!(error.starts_with(&expected), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_kind_is_noticed() {
    let company = Company::new(Engine::Sqlite).await;
    company.write(&crate::sso::setup(&company.directory).key("kind", "active-directory").to_toml());
    let Printed { code, stderr, .. } = company.run(&["sso", "test", "company"]);
    // Its groups are no groups of Active Directory.
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.starts_with("the server looks like openldap, but kind is active-directory\n"), "{stderr}");
}

/// The directory rejects even the right password of these people.
#[rstest]
#[case::slapd(Flavor::Slapd)]
#[case::samba(Flavor::Samba)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locked_accounts_and_old_passwords_are_reported(#[case] flavor: Flavor) {
    let mut company = Company::new(Engine::Sqlite).await;
    company.directory = TestDirectory::start(flavor);
    company.write(&crate::sso::setup(&company.directory).key("lockout_guard", 2).to_toml());
    company.run_ok(&["sso", "test", "company", "--user", "grace"]);
    company.directory.lock_out("grace");
    company.directory.require_password_change("ada");
    for (user, state, reason, response) in [
        (
            "grace",
            "locked",
            "wrong passwords have locked the account in the directory",
            "the same as to a wrong password, and too many failed logins for 5 minutes after it",
        ),
        (
            "ada",
            "password must be changed",
            "the password must be changed first",
            "the sign-in page says that the password has expired; the API responds as to a wrong password",
        ),
    ] {
        let Printed { code, stdout, stderr } = company.run(&["sso", "test", "company", "--user", user]);
        assert!(stdout.contains(&format!("\nstate: {state}\n")), "{stdout}");
        let expected = format!("\nresult: rejected, because {reason}\nresponse: {response}\n");
        assert!(stdout.ends_with(&expected), "{stdout}");
        let expected = format!("tokenward: {user} could not sign in: {reason}\n");
        assert_eq!((code, stderr), (Some(1), expected), "{user}");
    }
}

/// The domain of the tests locks an account after five wrong passwords.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_that_reaches_the_threshold_of_the_domain_is_noticed() {
    let mut company = Company::new(Engine::Sqlite).await;
    company.directory = TestDirectory::start(Flavor::Samba);
    company.write(&crate::sso::setup(&company.directory).to_toml());
    let (_, notices) = company.run_ok(&["sso", "test", "company"]);
    assert_eq!(
        notices,
        "the domain locks an account after 5 wrong passwords; lockout_guard = 3 and 2 attempts from known places reach \
         that: set lockout_guard = 2\n"
    );
    company.write(&crate::sso::setup(&company.directory).key("lockout_guard", 2).to_toml());
    assert_eq!(company.run_ok(&["sso", "test", "company"]).1, "");
}

#[rstest]
#[case::slapd(Flavor::Slapd)]
#[case::samba(Flavor::Samba)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_does_not_exist_is_named(#[case] flavor: Flavor) {
    let mut company = Company::new(Engine::Sqlite).await;
    company.directory = TestDirectory::start(flavor);
    let group = flavor.group_dn("token-user");
    let setup = crate::sso::setup(&company.directory).key("lockout_guard", 2).allow(&group, [("workspace", 1.into())]);
    company.write(&setup.to_toml());
    let Printed { code, stdout, stderr } = company.run(&["sso", "test", "company", "--user", "grace"]);
    assert!(stdout.contains(&format!("\nmissing group: {group}\n")), "{stdout}");
    assert!(stdout.ends_with("result: member of workspace 1, tokenAccess enabled\n"), "{stdout}");
    let expected = format!(
        "tokenward: the directory has no group \"{group}\"; correct the group of the allow rule, or create the group\n"
    );
    assert_eq!((code, stderr), (Some(1), expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_server_is_reported() {
    let company = Company::new(Engine::Sqlite).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (closed, url) = (format!("ldaps://{closed}"), company.directory.url.clone());
    let test = |urls: Vec<String>| {
        company.write(&crate::sso::setup(&company.directory).key("url", urls).to_toml());
        company.run(&["sso", "test", "company", "--user", "grace"])
    };
    let responds = format!("server: {url}\ncertificate names: localhost, 127.0.0.1\nproduct: OpenLDAP\n");
    let fails = format!("server: {closed}\nerror: cannot reach the directory server {closed}; check its address");
    let Printed { code, stdout, stderr } = test(vec![closed.clone(), url.clone()]);
    assert!(stdout.starts_with(&fails) && stdout.contains(&format!("\n{responds}entry: ")), "{stdout}");
    let expected = "tokenward: 1 of the 2 servers of company cannot be used\n";
    assert_eq!((code, stderr.as_str()), (Some(1), expected));
    let Printed { stdout, .. } = test(vec![url.clone(), closed.clone()]);
    assert!(stdout.starts_with(&format!("{responds}{fails}")), "{stdout}");
    let Printed { code, stdout, stderr } = test(vec![closed.clone(), closed.clone()]);
    assert_eq!(stdout.matches("\nerror: ").count(), 2, "{stdout}");
    assert_eq!((code, stderr.as_str()), (Some(1), "tokenward: none of the 2 servers of company can be used\n"));
}

/// Editors of other systems end lines with CR and LF. Neither belongs to the password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_file_may_end_with_cr_and_lf() {
    let company = Company::new(Engine::Sqlite).await;
    let name = "crlf-password";
    super::configuration::write(company.folder.path(), name, &format!("{}\r\n", password_of("search")), 0o600);
    let file = company.folder.path().join(name);
    let setup = crate::sso::setup(&company.directory).key("bind_password_file", file.to_str().unwrap());
    company.write(&setup.to_toml());
    company.run_ok(&["sso", "test", "company", "--user", "grace"]);
}
