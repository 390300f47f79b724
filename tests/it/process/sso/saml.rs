//! The commands and the configuration of SAML providers.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use super::{browser, operator::Operator};
use crate::support::{
    binary::ServerProcess,
    saml::{SamlProvider, SigningKey},
};

const RULE: &str = "[[sso.adfs.allow]]\ngroup = \"users\"\nworkspace = 1\n";

/// Returns the configuration with a metadata file of the operator's folder.
fn to_toml(operator: &Operator, more: &str) -> String {
    let file = operator.folder.path().join("idp.xml");
    format!(
        "public_url = \"https://tokens.example/t\"\n[sso.adfs]\nkind = \"saml\"\nmetadata_file = {file:?}\n{more}\n{RULE}"
    )
}

/// Writes the metadata of the provider.
fn write_metadata(operator: &Operator, metadata: &str) {
    fs::write(operator.folder.path().join("idp.xml"), metadata).unwrap();
}

async fn operator(provider: &SamlProvider) -> Operator {
    let operator = Operator::new().await;
    write_metadata(&operator, &provider.metadata_with(&[&provider.key, &SigningKey::generate()], "350101"));
    operator.write(&to_toml(&operator, ""));
    operator
}

/// Writes a key and its certificate, and returns both texts.
fn create_key(folder: &Path) -> (String, String) {
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=t", "-keyout", "k.pem", "-out", "c.pem"]);
    let output = openssl.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ["k.pem", "c.pem"].map(|name| fs::read_to_string(folder.join(name)).unwrap()).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_test_prints_what_to_register() {
    let provider = SamlProvider::new();
    let operator = operator(&provider).await;
    let (printed, notices) = operator.run_ok(&["sso", "test", "adfs"]);
    let base = "https://tokens.example/t/sign-in/adfs";
    let expected = format!(
        "entity ID of the provider: https://idp.example/metadata\nsign-in page: https://idp.example/sso\n\
         certificate: expires at 2035-01-01T00:00:00.000Z\ncertificate: expires at 2035-01-01T00:00:00.000Z\n\
         requests are signed: no\nregister as entity ID (audience): {base}/metadata\n\
         register as assertion consumer service URL (HTTP-POST): {base}/acs\nmetadata of this service: {base}/metadata\n\
         the metadata can be used; a sign-in also checks the attributes and the groups\n"
    );
    assert_eq!((printed.as_str(), notices.as_str()), (expected.as_str(), ""));
    // Expired certificates, and another entity ID of this service.
    write_metadata(&operator, &provider.metadata_with(&[&provider.key], "250101"));
    operator.write(&to_toml(&operator, "entity_id = \"urn:tokens\""));
    let (printed, notices) = operator.run_ok(&["sso", "test", "adfs"]);
    assert!(printed.contains("certificate: expired at 2025-01-01") && printed.contains("(audience): urn:tokens\n"));
    assert!(notices.contains("1 of 1 certificates have expired; their keys are accepted"), "{notices}");
    let running = tokio::task::block_in_place(|| {
        let mut serve = crate::support::binary::tokenward_command(&operator.database.url);
        serve.arg("--config").arg(operator.file());
        ServerProcess::start_with(serve)
    });
    running.send_signal("TERM");
    let (_, log) = running.wait_for_exit();
    assert!(log.contains("certificates of an identity provider have expired"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_existing_account_is_linked_by_its_subject() {
    let operator = operator(&SamlProvider::new()).await;
    // The first start creates the workspace.
    drop(tokio::task::block_in_place(|| ServerProcess::start(&operator.database.url)));
    operator.run_ok(&["person", "add", "ada@example.com", "--password-stdin"]);
    let error = operator.run_failing(&["sso", "link", "ada@example.com", "--provider", "adfs", "--user", "ada"]);
    assert!(error.contains("name the account by --subject"), "{error}");
    let (_, notice) = operator.run_ok(&["sso", "link", "ada@example.com", "--provider", "adfs", "--subject", "s-1"]);
    assert!(notice.contains("ada@example.com signs in as s-1 of adfs from now on"), "{notice}");
    let (people, _) = operator.run_ok(&["person", "show", "ada@example.com"]);
    assert!(people.contains("s-1"), "{people}");
    // The provider is configured, so no sync is missed. It may provision people by SCIM.
    let (status, _) = operator.run_ok(&["sso", "status"]);
    assert!(!status.contains("not configured"), "{status}");
    operator.run_ok(&["scim", "credential", "--provider", "adfs"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_configurations_are_named_with_the_remedy() {
    let operator = operator(&SamlProvider::new()).await;
    let good = to_toml(&operator, "");
    let with = |line: &str| to_toml(&operator, line);
    for (config, expected) in [
        (good.split_once('\n').unwrap().1.to_owned(), "sso.adfs requires public_url: the provider sends browsers back"),
        (
            good.replace("metadata_file", "metadata"),
            "unknown configuration key sso.adfs.metadata: did you mean sso.adfs.metadata_file?",
        ),
        (good.replace("idp.xml", "no.xml"), "no.xml"),
        (good.replace("\"saml\"", "\"saml2\""), "sso.adfs.kind must be"),
        (good.replace(RULE, ""), "sso.adfs requires allow: without a rule, no person may sign in"),
        (with("groups_attribute = \"\""), "sso.adfs.groups_attribute must be the name of an attribute"),
        (with("name_id_format = \"transient\""), "sso.adfs.name_id_format must be"),
        (with("name_id_format = \"persistent\"\nsubject_attribute = \"uid\""), "and name_id_format are both set"),
        (with("entity_id = \"tokens\""), "sso.adfs.entity_id must be a URI"),
    ] {
        operator.write(&config);
        let error = operator.run_failing(&["config", "check"]);
        assert!(error.contains(expected), "{config}\n{error}");
    }
    operator.write(&good);
    operator.run_ok(&["config", "check"]);
    let (printed, _) = operator.run_ok(&["config", "print"]);
    for line in ["kind = \"saml\"", "groups_attribute = \"groups\"  # default", "# subject_attribute is unset"] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    let provider = SamlProvider::new();
    for (metadata, expected) in [
        ("<html/>".to_owned(), "save its EntityDescriptor as the root element"),
        ("<!DOCTYPE x><x/>".to_owned(), "sso.adfs.metadata_file: cannot use the metadata of the identity provider"),
        (provider.metadata_with(&[], "350101"), "the metadata has no certificate for signing"),
        (provider.metadata().replace("HTTP-Redirect", "HTTP-POST"), "has 0 SingleSignOnService addresses"),
        (
            provider.metadata().replace("https://idp.example/sso", "http://idp.example/sso"),
            "is not an https:// address",
        ),
    ] {
        write_metadata(&operator, &metadata);
        let error = operator.run_failing(&["config", "check"]);
        assert!(error.contains(expected), "{expected}\n{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_signed_with_a_key_and_its_certificate() {
    let provider = SamlProvider::new();
    let operator = operator(&provider).await;
    let folder = operator.folder.path();
    let (key, certificate) = create_key(folder);
    let other = create_key(folder).1;
    let file = folder.join("saml-key.pem");
    let write = |text: &str, mode| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    };
    let wants =
        provider.metadata().replace("<md:IDPSSODescriptor ", "<md:IDPSSODescriptor WantAuthnRequestsSigned=\"true\" ");
    write_metadata(&operator, &wants);
    // Some providers ask for signed requests whatever they accept.
    let (_, notice) = operator.run_ok(&["sso", "test", "adfs"]);
    assert!(notice.contains("if the provider rejects sign-ins, set sign_requests_key"), "{notice}");
    operator.write(&to_toml(&operator, &format!("sign_requests_key = {file:?}")));
    let both = format!("{key}{certificate}");
    for (text, mode, expected) in [
        ("x", 0o600, "the file has no private key in PKCS #8"),
        (key.as_str(), 0o600, "the file has no certificate of the key"),
        (certificate.as_str(), 0o600, "the file has no private key"),
        (&format!("{key}{other}"), 0o600, "the certificate in the file is of another key"),
        (&both, 0o644, "saml-key.pem"),
    ] {
        write(text, mode);
        let error = operator.run_failing(&["config", "check"]);
        assert!(error.contains(expected) && !error.contains("PRIVATE KEY-----"), "{expected}\n{error}");
    }
    write(&both, 0o600);
    let (printed, _) = operator.run_ok(&["sso", "test", "adfs"]);
    assert!(printed.contains("requests are signed: yes\n"), "{printed}");
    let mut serve = crate::support::binary::tokenward_command(&operator.database.url);
    serve.arg("--config").arg(operator.file());
    let running = tokio::task::block_in_place(|| ServerProcess::start_with(serve));
    let http = browser();
    let get = async |path: &str| {
        let request = http.get(format!("{}{path}", running.url)).header("x-forwarded-proto", "https");
        request.send().await.unwrap()
    };
    let begun = get("/sign-in/adfs").await;
    let location = begun.headers()["location"].to_str().unwrap().to_owned();
    let (signed, signature) = location.split_once('?').unwrap().1.split_once("&Signature=").unwrap();
    assert!(signed.contains("SigAlg=http%3A%2F%2Fwww.w3.org%2F2001%2F04%2Fxmldsig-more%23rsa-sha256"), "{signed}");
    let signature = percent_encoding::percent_decode_str(signature).decode_utf8().unwrap().into_owned();
    fs::write(folder.join("signed"), signed).unwrap();
    fs::write(folder.join("signature"), base64::Engine::decode(&base64::prelude::BASE64_STANDARD, signature).unwrap())
        .unwrap();
    fs::write(folder.join("key.pem"), &key).unwrap();
    let verify = "openssl pkey -in key.pem -pubout -out public.pem && \
                  openssl dgst -sha256 -verify public.pem -signature signature signed";
    let output = Command::new("bash").args(["-c", verify]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata = get("/sign-in/adfs/metadata").await.text().await.unwrap();
    let published: String = certificate.lines().filter(|line| !line.starts_with("-----")).collect();
    assert!(metadata.contains("AuthnRequestsSigned=\"true\"") && metadata.contains(&published), "{metadata}");
}
