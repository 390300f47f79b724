//! The commands and the configuration of `OpenID` providers.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::operator::Operator;
use crate::support::{
    binary::ServerProcess,
    openid::{Mode, OpenIdProvider},
};

const RULE: &str = "[[sso.login.allow]]\ngroup = \"users\"\nworkspace = 1\n";

/// A provider, and the operator of the service.
struct Login {
    provider: OpenIdProvider,
    operator: Operator,
}

impl Login {
    async fn new() -> Self {
        let login = Self { provider: OpenIdProvider::start().await, operator: Operator::new().await };
        login.write(&login.provider.to_toml(RULE));
        login
    }
}

impl std::ops::Deref for Login {
    type Target = Operator;

    fn deref(&self) -> &Operator {
        &self.operator
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_test_prints_what_to_register() {
    let login = Login::new().await;
    let issuer = &login.provider.issuer;
    let (printed, notices) = login.run_ok(&["sso", "test", "login"]);
    let expected = format!(
        "issuer: {issuer}\nsign-in page: {issuer}/authorize\nsign-out at the provider: yes\n\
         register as redirect URI: http://127.0.0.1:3005/sign-in/login/callback\n\
         register as post-logout redirect URI: http://127.0.0.1:3005/sign-in?out=yes\n\
         register as back-channel logout URI: http://127.0.0.1:3005/sign-in/login/logout\n\
         the metadata can be used; a sign-in also checks the client secret and the groups\n"
    );
    assert_eq!((printed.as_str(), notices.as_str()), (expected.as_str(), ""));
    login.provider.set_mode(Mode::Broken);
    let error = login.run_failing(&["sso", "test", "login"]);
    assert!(error.contains("login: cannot use the discovery document") && error.contains("status 500"), "{error}");
    login.provider.set_mode(Mode::Normal);
    login.write(&login.provider.to_toml(RULE).replace(issuer, &format!("{issuer}/")));
    let error = login.run_failing(&["sso", "test", "login"]);
    assert!(error.contains(&format!("it names the issuer \"{issuer}\"")), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_existing_account_is_linked_by_its_subject() {
    let login = Login::new().await;
    // The first start creates the workspace.
    drop(tokio::task::block_in_place(|| ServerProcess::start(&login.database.url)));
    login.run_ok(&["person", "add", "ada@example.com", "--password-stdin"]);
    let error = login.run_failing(&["sso", "link", "ada@example.com", "--provider", "login", "--user", "ada"]);
    assert!(error.contains("name the account by --subject"), "{error}");
    let link = ["sso", "link", "ada@example.com", "--provider", "login", "--subject", "s-1"];
    let (_, notice) = login.run_ok(&link);
    assert!(notice.contains("ada@example.com signs in as s-1 of login from now on"), "{notice}");
    assert!(login.run_failing(&link).contains("failed to link the person"));
    let (people, _) = login.run_ok(&["person", "show", "ada@example.com"]);
    assert!(people.contains("s-1"), "{people}");
    login.run_ok(&["sso", "unlink", "ada@example.com"]);
    // The provider is configured, so no sync is missed.
    let (status, _) = login.run_ok(&["sso", "status"]);
    assert!(!status.contains("not configured"), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_configurations_are_named_with_the_remedy() {
    let login = Login::new().await;
    let good = login.provider.to_toml(RULE);
    let issuer = login.provider.issuer.clone();
    let without_url = good.split_once('\n').unwrap().1.to_owned();
    for (config, expected) in [
        (without_url, "sso.login requires public_url: the provider sends browsers back to it"),
        (good.replace("issuer", "isuer"), "unknown configuration key sso.login.isuer: did you mean sso.login.issuer?"),
        (good.replace(&issuer, "http://login.example.org"), "sso.login.issuer must be an https URL, exactly as"),
        (good.replace("client_id = \"tokenward\"\n", ""), "sso.login requires client_id"),
        (good.replace("client_id = \"tokenward\"", "client_id = \"\""), "sso.login.client_id must not be empty"),
        (good.replace("openid-connect", "oidc"), "sso.login.kind must be"),
        (good.replace(RULE, ""), "sso.login requires allow: without a rule, no person may sign in"),
        (good.replace("workspace = 1", "workspace = 0"), "sso.login.allow.workspace is 0; it must be the ID"),
        (good.replace("client_secret = \"secret\"", "client_secret = 7"), "sso.login.client_secret must be a text"),
    ] {
        login.write(&config);
        let error = login.run_failing(&["config", "check"]);
        assert!(error.contains(expected), "{config}\n{error}");
    }
    login.write(&good);
    let (printed, _) = login.run_ok(&["config", "print"]);
    for line in ["kind = \"openid-connect\"", "client_secret = \"[hidden]\"", "subject_claim = \"sub\"  # default"] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    assert!(!printed.contains("\"secret\""), "{printed}");
    fs::set_permissions(login.file(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(login.run_failing(&["config", "check"]).contains("contains a secret and is readable by other users"));
}
