//! The groups of an ID token. A mistake here demotes administrators, or makes people some.

use super::*;

async fn redeem_with(groups_claim: &str, claims: &Value) -> Result<IdentityClaims, Error> {
    let provider = FakeProvider::start().await;
    let mut all = id_claims(&provider.issuer);
    all.as_object_mut().unwrap().remove("groups");
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    provider.issue(&TestKey::Rsa.sign(&json!({ "alg": "RS256" }), &all.to_string()));
    let settings = ClientSettings { groups_claim: groups_claim.to_owned(), ..settings(&provider.issuer) };
    let client = provider.client_with(settings, std::time::Duration::from_secs(5));
    client.redeem("code", None, &flow(), now()).await
}

async fn groups_of(groups_claim: &str, claims: &Value) -> Vec<String> {
    redeem_with(groups_claim, claims).await.unwrap().groups.iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn groups_are_read_by_name_or_by_pointer() {
    assert_eq!(groups_of("groups", &json!({ "groups": ["a", "b"] })).await, ["a", "b"]);
    let nested = json!({ "realm_access": { "roles": ["a"] }, "groups": ["b"] });
    assert_eq!(groups_of("/realm_access/roles", &nested).await, ["a"]);
    assert_eq!(groups_of("/groups", &nested).await, ["b"]);
    let address = json!({ "https://example.org/groups": ["c"], "a/b~c": { "d": ["e"] } });
    assert_eq!(groups_of("https://example.org/groups", &address).await, ["c"]);
    assert_eq!(groups_of("/a~1b~0c/d", &address).await, ["e"]);
}

#[tokio::test]
async fn an_empty_list_is_a_person_without_groups() {
    assert!(redeem_with("groups", &json!({ "groups": [] })).await.unwrap().groups.is_empty());
}

#[tokio::test]
async fn missing_groups_are_an_error_of_the_configuration() {
    for (claim, claims) in [
        ("groups", json!({})),
        ("groups", json!({ "groups": null })),
        ("groups", json!({ "Groups": ["a"] })),
        ("/realm_access/roles", json!({ "realm_access": {} })),
        ("/realm_access/roles", json!({ "realm_access": "roles" })),
        ("groups", json!({ "hasgroups": false })),
    ] {
        let error = redeem_with(claim, &claims).await.unwrap_err();
        assert!(matches!(&error, Error::GroupsMissing { claim: named } if named == claim), "{claims}: {error}");
    }
}

#[tokio::test]
async fn groups_that_are_not_a_list_of_texts_are_denied() {
    for groups in [json!("admins"), json!("[\"admins\"]"), json!({ "admins": true }), json!(1), json!(["a", 1])] {
        let denial = expect_denial(redeem_with("groups", &json!({ "groups": groups })).await);
        assert_eq!(denial, Denial::InvalidClaim { claim: "groups".to_owned() }, "{groups}");
    }
    for group in ["", "a\u{0}b"] {
        let denial = expect_denial(redeem_with("groups", &json!({ "groups": [group] })).await);
        assert_eq!(denial, Denial::InvalidClaim { claim: "groups".to_owned() }, "{group:?}");
    }
}

/// Entra sends a reference instead of more than 200 groups. Taken for no groups, it would demote
/// administrators.
#[tokio::test]
async fn a_reference_instead_of_groups_names_the_remedy() {
    let sources = json!({ "src1": { "endpoint": "https://graph.example/users/1/getMemberObjects" } });
    for claims in [
        json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": sources }),
        json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": sources, "groups": [] }),
        json!({ "_claim_sources": sources }),
        json!({ "hasgroups": true }),
        json!({ "hasgroups": "true" }),
    ] {
        let error = redeem_with("groups", &claims).await.unwrap_err();
        assert!(matches!(error, Error::GroupOverage), "{claims}: {error}");
        assert!(error.to_string().contains("app roles"), "{error}");
    }
}

/// The remedy works: app roles are complete even if the groups are not.
#[tokio::test]
async fn a_reference_instead_of_another_claim_does_not_matter() {
    let claims = json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": {}, "roles": ["Admin"] });
    assert_eq!(groups_of("roles", &claims).await, ["Admin"]);
}
