use std::path::PathBuf;

use crate::domain::{directory::EntryState, person::PersonName};

use super::*;

/// Valid settings. No server listens at the address.
fn settings() -> DirectorySettings {
    DirectorySettings {
        name: ProviderName::parse("company").unwrap(),
        kind: DirectoryKind::ActiveDirectory,
        servers: vec![ServerUrl::parse("ldaps://127.0.0.1:1").unwrap()],
        start_tls: false,
        server_name: None,
        ca_file: Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/directory/tests/ca.pem"))),
        bind_dn: "tokenward@ad.example.org".to_owned(),
        bind_password: BindPassword::new("open sesame".to_owned()),
        base: "DC=ad,DC=example,DC=org".to_owned(),
        user_filter: Some("(&(department=IT)(!(title=*)))".to_owned()),
        groups: vec!["CN=staff,DC=ad,DC=example,DC=org".to_owned()],
        max_password_checks: 1,
    }
}

/// Returns the error for settings with one change.
fn error_with(change: impl FnOnce(&mut DirectorySettings)) -> SettingsError {
    let mut settings = settings();
    change(&mut settings);
    Directory::new(settings).unwrap_err()
}

fn person(dn: &str) -> DirectoryPerson {
    DirectoryPerson {
        dn: dn.to_owned(),
        subject: "02019592-0403-0605-0708-090a0b0c0d2a".to_owned(),
        login: "ada".to_owned(),
        email: None,
        name: PersonName::default(),
        state: EntryState::Active,
    }
}

#[test]
fn unusable_settings_are_rejected_with_a_remedy() {
    let ldap = || ServerUrl::parse("ldap://127.0.0.1").unwrap();
    for (error, text) in [
        (error_with(|s| s.servers.clear()), "add the URL of at least one"),
        (error_with(|s| s.servers.push(ldap())), "ldap://127.0.0.1:389 would send passwords in plain text"),
        (error_with(|s| s.server_name = Some("a b".to_owned())), "write a DNS name or an IP address"),
        (error_with(|s| s.ca_file = Some("/nonexistent.pem".into())), "/nonexistent.pem"),
        (error_with(|s| s.ca_file = Some("/dev/null".into())), "set ca_file"),
        (error_with(|s| s.bind_dn.clear()), "account of its own"),
        (error_with(|s| s.bind_password = BindPassword::new(String::new())), "account of its own"),
        (error_with(|s| s.base = " ".to_owned()), "base is empty"),
        (error_with(|s| s.base = "example.org".to_owned()), "base \"example.org\" is not a distinguished name"),
        (error_with(|s| s.groups.push("staff".to_owned())), "\"staff\" is not a distinguished name"),
        (error_with(|s| s.max_password_checks = 0), "at least 1"),
    ] {
        assert!(error.to_string().contains(text), "{error}");
    }
    for filter in ["", "department=IT", "(department=IT)(a=b)", "(department=IT", "(a=b))", "(|(a=b)"] {
        let error = error_with(|s| s.user_filter = Some(filter.to_owned()));
        assert!(error.to_string().contains("write one filter in parentheses"), "{filter}: {error}");
    }
}

#[test]
fn usable_settings_are_accepted() {
    let directory = Directory::new(settings()).unwrap();
    assert_eq!(directory.name().as_str(), "company");
    assert_eq!(directory.kind(), DirectoryKind::ActiveDirectory);
    for url in ["ldaps://[::1]", "ldap://dc1.ad.example.org"] {
        let servers = vec![ServerUrl::parse(url).unwrap()];
        Directory::new(DirectorySettings { servers, start_tls: true, ..settings() }).unwrap();
    }
    assert!(!format!("{directory:?}").contains("sesame"));
}

#[tokio::test]
async fn impossible_names_and_empty_passwords_are_denied_without_the_directory() {
    let directory = Directory::new(settings()).unwrap();
    assert_eq!(directory.find_by_login("").await.unwrap(), Lookup::None);
    assert_eq!(directory.find_by_login(&"x".repeat(MAX_LOGIN_BYTES + 1)).await.unwrap(), Lookup::None);
    assert_eq!(directory.find_by_subject("*").await.unwrap(), None);
    let denied = Err(DirectoryDenial::WrongPassword);
    assert_eq!(directory.check_password(&person("CN=ada"), "").await.unwrap(), denied);
    assert_eq!(directory.check_password(&person(""), "secret").await.unwrap(), denied);
}

#[tokio::test]
async fn an_unreachable_directory_is_an_error() {
    let directory = Directory::new(settings()).unwrap();
    let is_unreachable = |error: DirectoryError| matches!(error, DirectoryError::Unreachable { .. });
    assert!(is_unreachable(directory.find_by_login(&"x".repeat(MAX_LOGIN_BYTES)).await.unwrap_err()));
    assert!(is_unreachable(directory.check_password(&person("CN=ada"), "secret").await.unwrap_err()));
    assert!(is_unreachable(directory.groups_of(&person("CN=ada")).await.unwrap_err()));
    assert!(is_unreachable(directory.list_people().await.unwrap_err()));
    assert!(is_unreachable(directory.probe().await.unwrap_err()));
}

/// A stopped server still completes TCP handshakes, because the kernel does.
#[tokio::test(start_paused = true)]
async fn a_silent_server_is_an_error_within_five_seconds() {
    let listeners: Vec<_> = (0..3).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let url = |listener: &std::net::TcpListener| format!("ldaps://{}", listener.local_addr().unwrap());
    let servers: Vec<_> = listeners.iter().map(|listener| ServerUrl::parse(&url(listener)).unwrap()).collect();
    for (count, seconds) in [(1, 2.0), (2, 3.5), (3, 3.5)] {
        let servers = servers[..count].to_vec();
        let directory = Directory::new(DirectorySettings { servers, ..settings() }).unwrap();
        let start = tokio::time::Instant::now();
        let error = directory.check_password(&person("CN=ada"), "secret").await.unwrap_err();
        let is_expected = matches!(error, DirectoryError::Unreachable { .. } | DirectoryError::Timeout { .. });
        assert!(is_expected, "{error}");
        let elapsed = start.elapsed().as_secs_f64();
        assert!((seconds..seconds + 0.1).contains(&elapsed), "{elapsed}");
    }
}
