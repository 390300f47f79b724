use serde_json::{Value, json};

use super::*;
use crate::domain::ValidationError;

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const GITLAB: &str = "https://gitlab.com";
const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
const UID: &str = "/kubernetes.io/serviceaccount/uid";
const AUDIENCE: &str = "https://tokens.example.com";

fn condition(claim: &str, text: &str) -> ConditionText {
    let text = Some(text.to_owned());
    let is_glob = text.as_ref().is_some_and(|text| text.contains('*'));
    let (value, glob) = if is_glob { (None, text) } else { (text, None) };
    ConditionText { claim: claim.to_owned(), value, glob }
}

fn draft_with(
    issuer: &str,
    audience: &str,
    conditions: &[(&str, &str)],
    change: impl FnOnce(&mut TrustRuleText<'_>),
) -> Result<TrustRuleDraft, InvalidTrustRule> {
    let conditions: Vec<_> = conditions.iter().map(|(claim, text)| condition(claim, text)).collect();
    let mut text = TrustRuleText { issuer, audience, conditions: &conditions, ..TrustRuleText::default() };
    change(&mut text);
    TrustRuleDraft::parse(&text).map_err(|error| match error {
        ValidationError::TrustRule(error) => error,
        other => panic!("{other}"),
    })
}

fn draft(issuer: &str, audience: &str, conditions: &[(&str, &str)]) -> Result<TrustRuleDraft, InvalidTrustRule> {
    draft_with(issuer, audience, conditions, |_| ())
}

fn rule(conditions: &[(&str, &str)]) -> TrustRule {
    TrustRule {
        id: Uuid::nil(),
        workspace_id: WorkspaceId::FIRST,
        account_id: PersonId::new(7),
        terms: draft("https://issuer.example", AUDIENCE, conditions).unwrap(),
        created_at: Timestamp::from_millis(0),
        last_used_at: None,
        issued_tokens: 0,
    }
}

fn check(conditions: &[(&str, &str)], claims: &Value) -> Result<(), String> {
    let conditions = draft("https://issuer.example", AUDIENCE, conditions).unwrap().conditions;
    conditions.check(claims.as_object().unwrap()).map_err(|mismatch| mismatch.to_string())
}

#[test]
fn a_rule_needs_the_exact_value_of_a_claim_that_is_never_given_to_another_workload() {
    for (issuer, conditions, expected) in [
        (GITHUB, vec![("repository_id", "74")], None),
        (GITHUB, vec![("repository_owner_id", "65"), ("ref", "refs/heads/*")], None),
        (GITHUB, vec![("sub", "repo:octo/app:ref:refs/heads/main")], Some(IssuerKind::GitHubActions)),
        (GITHUB, vec![("repository", "octo/app"), ("ref", "refs/heads/main")], Some(IssuerKind::GitHubActions)),
        (GITHUB, vec![("repository_id", "7*")], Some(IssuerKind::GitHubActions)),
        ("https://ghe.example/_services/token", vec![("sub", "repo:a/b:x")], Some(IssuerKind::GitHubActions)),
        ("https://token.actions.octo.ghe.com", vec![("sub", "x")], Some(IssuerKind::GitHubActions)),
        ("https://ci.example", vec![("sub", "repo:octo/app:ref:refs/heads/main")], Some(IssuerKind::GitHubActions)),
        (GITLAB, vec![("project_id", "22")], None),
        (GITLAB, vec![("namespace_id", "72"), ("ref_protected", "true")], None),
        (GITLAB, vec![("sub", "project_path:my/app:ref_type:branch:ref:main")], Some(IssuerKind::GitLab)),
        ("https://gitlab.example.com", vec![("sub", "x")], Some(IssuerKind::GitLab)),
        ("https://git.example.com", vec![("project_id", "22")], None),
        ("https://git.example.com", vec![("project_path", "my/app")], Some(IssuerKind::GitLab)),
        (CLUSTER, vec![(UID, "0e2f")], None),
        (CLUSTER, vec![("sub", "system:serviceaccount:prod:deploy")], Some(IssuerKind::Kubernetes)),
        ("https://oidc.eks.example", vec![("sub", "system:serviceaccount:prod:deploy")], Some(IssuerKind::Kubernetes)),
        ("https://oidc.eks.example", vec![("/kubernetes.io/namespace", "prod")], Some(IssuerKind::Kubernetes)),
        ("https://issuer.example", vec![("sub", "job-1")], None),
        ("https://issuer.example", vec![("sub", "job-*")], Some(IssuerKind::Other)),
        ("https://issuer.example", vec![("team", "a")], Some(IssuerKind::Other)),
    ] {
        let expected = expected.map(|kind| InvalidTrustRule::NoStableClaim { claims: kind.stable_claims() });
        assert_eq!(draft(issuer, AUDIENCE, &conditions).err(), expected, "{issuer} {conditions:?}");
    }
    let text = draft(GITHUB, AUDIENCE, &[("sub", "repo:octo/app:ref:refs/heads/main")]).unwrap_err().to_string();
    assert!(text.ends_with("exact value of repository_id or repository_owner_id"), "{text}");
}

#[test]
fn an_audience_that_other_services_get_as_well_is_rejected() {
    let github = [("repository_id", "74")];
    let gitlab = [("project_id", "22")];
    let pod = [(UID, "0e2f")];
    for (issuer, audience, conditions) in [
        (GITHUB, "https://github.com/octo", &github),
        (GITHUB, "https://GitHub.com/octo/", &github),
        (GITHUB, "https://github.com", &github),
        (GITHUB, GITHUB, &github),
        ("https://ghe.example/_services/token", "https://ghe.example/octo", &github),
        ("https://token.actions.octo.ghe.com", "https://octo.ghe.com/octo", &github),
        (GITLAB, "https://gitlab.com", &gitlab),
        (GITLAB, "https://gitlab.com/", &gitlab),
        ("https://gitlab.example", "https://gitlab.example", &gitlab),
        (CLUSTER, "https://kubernetes.default.svc", &pod),
        (CLUSTER, "kubernetes.default.svc.cluster.local", &pod),
        (CLUSTER, CLUSTER, &pod),
        ("https://oidc.eks.example", "https://kubernetes.default.svc", &pod),
        ("https://oidc.eks.example", "https://oidc.eks.example", &pod),
    ] {
        let error = InvalidTrustRule::DefaultAudience { audience: audience.to_owned() };
        assert_eq!(draft(issuer, audience, conditions), Err(error), "{issuer} {audience}");
    }
    assert!(draft(GITHUB, "https://github.com/octo/app/tokens", &github).is_ok());
    for audience in ["", "with space", "é", "a\nb", &"x".repeat(256)] {
        assert_eq!(draft(GITHUB, audience, &github), Err(InvalidTrustRule::Audience), "{audience:?}");
    }
}

#[test]
fn issuers_and_claims_have_a_form() {
    let sub = [("sub", "job-1")];
    for issuer in [
        "",
        "issuer.example",
        "ftp://issuer.example",
        "https://",
        "https:///x",
        "https://a@issuer.example",
        "https://issuer.example/?a=b",
        "https://issuer.example/#a",
        "https://issuer example",
        &format!("https://{}", "x".repeat(1_024)),
    ] {
        assert_eq!(draft(issuer, AUDIENCE, &sub), Err(InvalidTrustRule::Issuer), "{issuer}");
    }
    for claim in ["", "a\u{0}b", "/", "//a", "/a//b", "/a~2b", "/a~", &"x".repeat(256)] {
        let error = draft("https://issuer.example", AUDIENCE, &[("sub", "job-1"), (claim, "x")]).unwrap_err();
        assert!(matches!(error, InvalidTrustRule::Claim { .. }), "{claim:?}: {error}");
    }
    for claim in ["iss", "aud", "/aud", "exp", "nbf", "iat", "jti"] {
        let error = draft("https://issuer.example", AUDIENCE, &[("sub", "job-1"), (claim, "x")]).unwrap_err();
        assert!(matches!(error, InvalidTrustRule::CheckedClaim { .. }), "{claim:?}: {error}");
    }
}

#[test]
fn the_number_and_the_length_of_conditions_are_limited() {
    let names: Vec<String> = (0..17).map(|n| format!("claim{n}")).collect();
    let mut many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let issuer = "https://issuer.example";
    assert_eq!(draft(issuer, AUDIENCE, &many), Err(InvalidTrustRule::ConditionCount { count: 17 }));
    assert_eq!(draft(issuer, AUDIENCE, &[]), Err(InvalidTrustRule::ConditionCount { count: 0 }));
    many.truncate(15);
    many.push(("sub", "job-1"));
    assert!(draft(issuer, AUDIENCE, &many).is_ok());
    let twice = draft(issuer, AUDIENCE, &[("sub", "job-1"), ("sub", "job-*")]);
    assert_eq!(twice, Err(InvalidTrustRule::DuplicateClaim { claim: "sub".to_owned() }));
    for text in ["", "a\nb", "a\u{202E}b", &"x".repeat(256)] {
        let error = draft(issuer, AUDIENCE, &[("sub", text)]);
        assert_eq!(error, Err(InvalidTrustRule::Value { claim: "sub".to_owned() }), "{text:?}");
    }
    for glob in ["*", "**", "***"] {
        let error = draft(issuer, AUDIENCE, &[("sub", "a"), ("ref", glob)]);
        assert_eq!(error, Err(InvalidTrustRule::Glob { claim: "ref".to_owned() }), "{glob}");
    }
    for (value, glob) in [(None, None), (Some("a".to_owned()), Some("a*".to_owned()))] {
        let both = ConditionText { claim: "sub".to_owned(), value, glob };
        let text = TrustRuleText { issuer, audience: AUDIENCE, conditions: &[both], ..TrustRuleText::default() };
        let error = InvalidTrustRule::ValueOrGlob { claim: "sub".to_owned() };
        assert_eq!(TrustRuleDraft::parse(&text), Err(error.into()));
    }
    let value = ConditionText { claim: "sub".to_owned(), value: Some("job-*".to_owned()), glob: None };
    let text = TrustRuleText { issuer, audience: AUDIENCE, conditions: &[value], ..TrustRuleText::default() };
    let error = InvalidTrustRule::AsteriskInValue { claim: "sub".to_owned() };
    assert_eq!(TrustRuleDraft::parse(&text), Err(error.into()));
}

#[test]
fn only_rules_for_pods_accept_a_jwt_more_than_once() {
    let repeated = |issuer, conditions: &[(&str, &str)]| {
        draft_with(issuer, AUDIENCE, conditions, |text| text.single_use = Some(false)).map(|draft| draft.single_use)
    };
    assert_eq!(repeated(CLUSTER, &[(UID, "0e2f")]), Ok(false));
    assert_eq!(repeated(GITHUB, &[("repository_id", "74")]), Err(InvalidTrustRule::RepeatedUse));
    assert_eq!(
        repeated("https://issuer.example", &[("sub", "a"), (UID, "0e*")]),
        Err(InvalidTrustRule::NoStableClaim { claims: IssuerKind::Kubernetes.stable_claims() })
    );
    assert!(draft(CLUSTER, AUDIENCE, &[(UID, "0e2f")]).unwrap().single_use);
}

#[test]
fn lifetimes_are_within_an_hour_and_the_maximum_of_the_workspace() {
    let lifetime = |seconds| {
        let draft = draft_with("https://issuer.example", AUDIENCE, &[("sub", "a")], |text| {
            text.max_lifetime_seconds = Some(seconds);
        });
        draft.map(|draft| draft.max_lifetime_seconds)
    };
    assert_eq!((lifetime(1), lifetime(3_600)), (Ok(1), Ok(3_600)));
    for seconds in [0, -1, 3_601, i64::MAX, i64::MIN] {
        assert_eq!(lifetime(seconds), Err(InvalidTrustRule::Lifetime { seconds }));
    }
    let rule = rule(&[("sub", "a")]);
    assert_eq!(rule.lifetime(None), Lifetime::Seconds(3_600));
    assert_eq!(rule.lifetime(Some(1)), Lifetime::Seconds(3_600));
}

#[test]
fn key_sets_are_public_and_small() {
    let parse = |document: Value| StaticKeySet::parse(&document).map(|_| ());
    let key = json!({"kty": "EC", "crv": "P-256", "x": "a", "y": "b"});
    assert_eq!(parse(json!({"keys": [key]})), Ok(()));
    for document in [
        json!({}),
        json!([]),
        json!({"keys": {}}),
        json!({"keys": []}),
        json!({"keys": [1]}),
        json!({"keys": [{"kid": "1"}]}),
        json!({"keys": vec![key.clone(); 21]}),
        json!({"keys": [key], "x": "y".repeat(MAX_KEY_SET_BYTES)}),
    ] {
        assert_eq!(parse(document.clone()), Err(InvalidTrustRule::KeySet), "{document}");
    }
    for secret in [json!({"kty": "EC", "d": "x"}), json!({"kty": "oct", "k": "x"})] {
        assert_eq!(parse(json!({"keys": [key, secret]})), Err(InvalidTrustRule::PrivateKey));
    }
}

#[test]
fn only_texts_fulfill_conditions() {
    for (claims, expected) in [
        (json!({"sub": "a", "ref": "refs/heads/main"}), Ok(())),
        (json!({"sub": "a", "ref": "refs/heads/x/y"}), Err("the claim ref is 'refs/heads/x/y'")),
        (json!({"sub": "a"}), Err("the token has no claim ref")),
        (json!({"sub": "A", "ref": "refs/heads/main"}), Err("the claim sub is 'A'")),
        (json!({"sub": "a ", "ref": "refs/heads/main"}), Err("the claim sub is 'a '")),
        (json!({"sub": ["a"], "ref": "refs/heads/main"}), Err("the claim sub is not a text")),
        (json!({"sub": {"a": "a"}, "ref": "refs/heads/main"}), Err("the claim sub is not a text")),
        (json!({"sub": null, "ref": "refs/heads/main"}), Err("the claim sub is not a text")),
        (json!({"sub": true, "ref": "refs/heads/main"}), Err("the claim sub is not a text")),
        (json!({"sub": "<b>\"\\é\n", "ref": "x"}), Err("the claim sub is '<b>????'")),
    ] {
        let result = check(&[("sub", "a"), ("ref", "refs/heads/*")], &claims);
        assert_eq!(
            result.as_ref().map_err(String::as_str),
            expected.as_ref().map(|()| &()).map_err(|text| *text),
            "{claims}"
        );
    }
    let number = [("sub", "a"), ("run", "12")];
    assert_eq!(check(&number, &json!({"sub": "a", "run": 12})), Err("the claim run is not a text".to_owned()));
    let long = check(&[("sub", "a")], &json!({"sub": "x".repeat(9_000)})).unwrap_err();
    assert!(long.len() < 300 && long.ends_with("...'"), "{long}");
}

#[test]
fn a_pointer_leads_through_objects_only() {
    let conditions = [("sub", "a"), ("/kubernetes.io/pod/name", "web-0")];
    // The claim `sub` would identify the workload of another issuer, so the UID is needed as well.
    let conditions = [conditions[0], conditions[1], (UID, "0e2f")];
    let claims = |pod: Value| json!({"sub": "a", "kubernetes.io": {"serviceaccount": {"uid": "0e2f"}, "pod": pod}});
    assert_eq!(check(&conditions, &claims(json!({"name": "web-0"}))), Ok(()));
    for pod in [json!("web-0"), json!(["web-0"]), json!({}), json!({"name": {"name": "web-0"}}), json!(null)] {
        assert!(check(&conditions, &claims(pod.clone())).is_err(), "{pod}");
    }
    assert!(check(&[("sub", "a"), ("/list/0", "x")], &json!({"sub": "a", "list": ["x"]})).is_err());
    assert!(check(&[("sub", "a"), ("/a~1b/c~0d", "x")], &json!({"sub": "a", "a/b": {"c~d": "x"}})).is_ok());
    // Without a slash the name is one claim, whatever its characters.
    assert!(
        check(&[("sub", "a"), ("https://x.example/role", "x")], &json!({"sub": "a", "https://x.example/role": "x"}))
            .is_ok()
    );
}

#[test]
fn stored_conditions_are_read_as_they_were_written() {
    let conditions = draft(GITHUB, AUDIENCE, &[("repository_id", "74"), ("ref", "refs/heads/*")]).unwrap().conditions;
    let stored = conditions.to_stored();
    assert_eq!(stored, r#"[{"claim":"repository_id","value":"74"},{"claim":"ref","glob":"refs/heads/*"}]"#);
    assert_eq!(Conditions::parse_stored(&stored), Some(conditions));
    for text in ["", "[]", "{}", r#"[{"claim":"a"}]"#, r#"[{"value":"a"}]"#, r#"[{"claim":"a","value":1}]"#] {
        assert_eq!(Conditions::parse_stored(text), None, "{text}");
    }
}

#[test]
fn requested_scopes_lie_within_those_of_the_rule() {
    let mut rule = rule(&[("sub", "a")]);
    let requested = Scopes::from_words(["deploy"]);
    assert_eq!(rule.scopes(None), Ok(Scopes::unrestricted()));
    assert_eq!(rule.scopes(Some(&requested)), Ok(requested.clone()));
    rule.terms.scopes = Scopes::from_words(["deploy", "read"]);
    assert_eq!(rule.scopes(None), Ok(Scopes::from_words(["deploy", "read"])));
    assert_eq!(rule.scopes(Some(&requested)), Ok(requested));
    let denied = rule.scopes(Some(&Scopes::from_words(["admin", "read"])));
    assert_eq!(denied, Err(ScopeDenied::NotPermitted { word: "admin".to_owned() }));
}

#[test]
fn a_jwt_is_identified_by_its_jti_or_its_signed_text() {
    let read = |token: &str, claims: Value, key_owner: Option<WorkspaceId>| {
        Assertion::read(token, claims.as_object().unwrap(), key_owner)
    };
    let times = |more: Value| {
        let mut claims = json!({"iat": 1_000, "exp": 1_300});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    let by_jti = read("a.b.c", times(json!({"jti": "1", "sub": "job"})), None).unwrap();
    assert_eq!(by_jti.id, read("x.y.z", times(json!({"jti": "1"})), None).unwrap().id);
    assert_ne!(by_jti.id, read("a.b.c", times(json!({"jti": "2"})), None).unwrap().id);
    assert_eq!((by_jti.subject.as_deref(), by_jti.remembered_until), (Some("job"), Timestamp::from_millis(4_900_000)));
    let by_text = read("a.b.c", times(json!({})), None).unwrap();
    assert_eq!(by_text.id, read("a.b.another-signature", times(json!({"jti": null})), None).unwrap().id);
    assert_ne!(by_text.id, read("a.B.c", times(json!({})), None).unwrap().id);
    let owned = |workspace| read("a.b.c", times(json!({"jti": "1"})), Some(WorkspaceId::new(workspace))).unwrap().id;
    assert!(by_jti.id != owned(1) && owned(1) != owned(2) && owned(1) == owned(1));
    for jti in [json!(1), json!(""), json!(["1"]), json!({})] {
        assert_eq!(read("a.b.c", times(json!({"jti": jti})), None), Err(InvalidAssertion::Identifier), "{jti}");
    }
}

#[test]
fn a_jwt_is_valid_for_at_most_24_hours() {
    let read =
        |iat: Value, exp: Value| Assertion::read("a.b.c", json!({"iat": iat, "exp": exp}).as_object().unwrap(), None);
    assert!(read(json!(1_000), json!(87_400)).is_ok());
    for (iat, exp) in [(json!(1_000), json!(87_401)), (json!(1_000.9), json!(87_400.1)), (json!(0), json!(1e300))] {
        assert_eq!(read(iat, exp), Err(InvalidAssertion::ValidForTooLong));
    }
}

#[test]
fn the_issuer_is_read_from_the_payload() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let token = |payload: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
    assert_eq!(unverified_issuer(&token(r#"{"iss":"https://a"}"#)).as_deref(), Some("https://a"));
    for payload in [
        r#"{"iss":"https://a\u0000"}"#,
        r#"{"iss":"https://ä"}"#,
        "",
        "{}",
        "[]",
        r#"{"iss":1}"#,
        r#"{"iss":"a","iss":"b"}"#,
        "{",
    ] {
        assert_eq!(unverified_issuer(&token(payload)), None, "{payload}");
    }
    for text in ["", "a", "a.b", "a.!.c", ".."] {
        assert_eq!(unverified_issuer(text), None, "{text}");
    }
}
