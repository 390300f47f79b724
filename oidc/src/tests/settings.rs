//! Settings that no client can work with.

use crate::{AddressRule, Client, IssuerKeys, SettingsError};

use super::*;

fn error_of(change: impl FnOnce(&mut ClientSettings)) -> SettingsError {
    let mut settings = settings("http://127.0.0.1:1");
    change(&mut settings);
    let error = Client::new(settings).unwrap_err();
    assert_no_secret(&error);
    error
}

#[test]
fn an_issuer_is_an_https_url_or_a_loopback_host() {
    for issuer in [
        "http://login.example.org",
        "http://10.0.0.1",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "http://0.0.0.0",
        "ftp://127.0.0.1",
        "login.example.org",
        "",
        "https://",
        "https://user@login.example.org",
        "https://login.example.org?tenant=1",
        "https://login.example.org#x",
    ] {
        let error = error_of(|settings| issuer.clone_into(&mut settings.issuer));
        assert!(matches!(error, SettingsError::Issuer { .. }), "{issuer}: {error}");
        assert!(
            matches!(IssuerKeys::discovered(issuer, None, AddressRule::allow_all()), Err(SettingsError::Issuer { .. })),
            "{issuer}"
        );
    }
    for issuer in ["http://127.0.0.1:8080/tenant/", "http://[::1]:8080", "http://localhost:8080"] {
        Client::new(settings(issuer)).unwrap();
    }
}

#[test]
fn each_mistake_names_its_setting() {
    type Change = fn(&mut ClientSettings);
    let changes: [(Change, &str); 10] = [
        (|settings| settings.client_id.clear(), "client_id is empty"),
        (|settings| settings.client_secret = Some(Secret::new(String::new())), "client_secret is empty"),
        (|settings| settings.subject_claim.clear(), "subject_claim is empty"),
        (|settings| settings.groups_claim.clear(), "groups_claim is empty"),
        (|settings| settings.scopes.push("a b".to_owned()), "scopes has \"a b\""),
        (|settings| settings.scopes.push(String::new()), "scopes has \"\""),
        (|settings| settings.redirect_uri = "/callback".to_owned(), "redirect_uri is \"/callback\""),
        (|settings| settings.redirect_uri.push('#'), "redirect_uri is"),
        (|settings| settings.post_logout_redirect_uri = "ftp://a".to_owned(), "post_logout_redirect_uri is"),
        (|settings| settings.ca_file = Some("/no/such/file".into()), "cannot read ca_file /no/such/file"),
    ];
    for (change, expected) in changes {
        let text = error_of(change).to_string();
        assert!(text.starts_with(expected), "{text}");
    }
}
