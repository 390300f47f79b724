//! `Debug` output of every public type.

use crate::{AddressRule, Client, Endpoint, Expected, IssuerKeys, LogoutClaims, Unavailable};

use super::*;

/// The names of the public types that `lib.rs` exports.
fn exported_types() -> Vec<&'static str> {
    let exports = include_str!("../lib.rs").lines().filter_map(|line| line.strip_prefix("pub use "));
    let names = exports.flat_map(|line| line.split_once("::").unwrap().1.split([',', '{', '}', ';', ' ']));
    names.filter(|name| !name.is_empty()).collect()
}

#[tokio::test]
async fn debug_output_has_no_secret() {
    let provider = FakeProvider::start().await;
    let settings = settings(&provider.issuer);
    let identity = redeem_claims(&provider, &id_claims(&provider.issuer)).await.unwrap();
    let id_token = identity.id_token.expose().to_owned();
    let unavailable = Unavailable {
        issuer: provider.issuer.clone(),
        endpoint: Endpoint::Token,
        cause: UnavailableCause::InvalidDocument,
    };
    let keys = IssuerKeys::discovered(&provider.issuer, None, AddressRule::allow_all()).unwrap();
    let logout = LogoutClaims {
        issuer: provider.issuer.clone(),
        subject: Some(identity.subject.clone()),
        session_id: identity.session_id.clone(),
        jti: "id-1".to_owned(),
        expires_at: now(),
    };
    let outputs = [
        ("AddressRule", format!("{:?}", AddressRule::new(|_| true))),
        ("Client", format!("{:?}", provider.client())),
        ("ClientSettings", format!("{settings:?}")),
        ("Denial", format!("{:?}", Denial::Nonce)),
        ("Endpoint", format!("{:?}", Endpoint::Token)),
        ("Error", format!("{:?}", Error::from(Denial::Code))),
        ("Expected", format!("{:?}", Expected { issuer: "i", audience: "a" })),
        ("Flow", format!("{:?}", flow())),
        ("Groups", format!("{:?}", identity.groups)),
        ("IdentityClaims", format!("{identity:?}")),
        ("InvalidFlow", format!("{:?}", Flow::from_parts(SECRETS[0].into(), "".into(), "".into(), Prompt::None))),
        ("IssuerKeys", format!("{keys:?}")),
        ("LogoutClaims", format!("{logout:?}")),
        ("Prompt", format!("{:?}", Prompt::Login { since: now() })),
        ("Secret", format!("{:?}", Secret::new(SECRETS[0].to_owned()))),
        ("SettingsError", format!("{:?}", Client::new(ClientSettings { scopes: vec![String::new()], ..settings }))),
        ("Unavailable", format!("{unavailable:?}")),
        ("UnavailableCause", format!("{:?}", unavailable.cause)),
    ];
    let mut exported = exported_types();
    exported.sort_unstable();
    assert_eq!(outputs.each_ref().map(|(name, _)| *name).as_slice(), exported.as_slice(), "every type is covered");
    let flow = flow();
    let secrets = [SECRETS[0], SECRETS[1], flow.state(), flow.nonce(), flow.code_verifier(), id_token.as_str()];
    for (name, output) in outputs {
        assert!(secrets.iter().all(|secret| !output.contains(secret)), "{name}: {output}");
    }
}
