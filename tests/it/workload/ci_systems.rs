//! JWTs with the claims that CI systems and clusters document.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::{AUDIENCE, Workload, error_of};
use crate::support::{Engine, both_databases};

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const GITLAB: &str = "https://gitlab.com";
const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";

/// Claims of a job of GitHub Actions.
fn github_claims() -> Value {
    json!({
        "iss": GITHUB, "sub": "repo:octo-org/octo-repo:environment:prod", "environment": "prod", "aud": AUDIENCE,
        "ref": "refs/heads/main", "sha": "example-sha", "repository": "octo-org/octo-repo",
        "repository_owner": "octo-org", "actor_id": "12", "repository_visibility": "private", "repository_id": "74",
        "repository_owner_id": "65", "run_id": "example-run-id", "run_number": "10", "run_attempt": "2",
        "runner_environment": "github-hosted", "actor": "octocat", "workflow": "example-workflow", "head_ref": "",
        "base_ref": "", "event_name": "workflow_dispatch", "ref_type": "branch",
        "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
    })
}

/// Claims of a job of GitLab CI.
fn gitlab_claims() -> Value {
    json!({
        "iss": GITLAB, "aud": AUDIENCE, "namespace_id": "72", "namespace_path": "my-group", "project_id": "20",
        "project_path": "my-group/my-project", "user_id": "1", "user_login": "sample-user",
        "user_email": "sample-user@example.com", "user_identities": [{"provider": "github", "extern_uid": "2435223"}],
        "pipeline_id": "574", "pipeline_source": "push", "job_id": "302", "ref": "feature-branch-1",
        "ref_type": "branch", "ref_path": "refs/heads/feature-branch-1", "ref_protected": "false",
        "groups_direct": ["mygroup/mysubgroup"], "environment": "test-environment2",
        "environment_protected": "false", "deployment_tier": "testing", "deployment_action": "start",
        "runner_id": 1, "runner_environment": "self-hosted", "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "project_visibility": "public", "sub": "project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1",
    })
}

/// Claims of a projected token of a pod.
fn pod_claims() -> Value {
    json!({
        "iss": CLUSTER, "aud": [AUDIENCE], "sub": "system:serviceaccount:prod:deploy",
        "kubernetes.io": {
            "namespace": "prod",
            "node": {"name": "127.0.0.1", "uid": "58456cb0-dd00-45ed-b797-5578fdceaced"},
            "pod": {"name": "deploy-7fd8c", "uid": "ee37905b-f410-4dfe-b8ee-4d4dc7d2c5a3"},
            "serviceaccount": {"name": "deploy", "uid": "1c5a2a0b-6a9f-4a3e-9b1f-0c7f3e4d5a6b"}
        },
    })
}

/// Creates a rule with the keys of the issuer under test.
async fn trust(workload: &Workload, issuer: &str, more: &Value) -> String {
    let mut rule = json!({"issuer": issuer, "jwks": {"keys": [workload.issuer.key.jwk("1")]}});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    workload.trust(&rule).await
}

/// Exchanges a JWT with these claims, some of them changed.
async fn status(workload: &Workload, claims: &Value, changes: &Value) -> u16 {
    let mut all = claims.clone();
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    workload.exchange(&workload.issuer.token(&all)).await.status
}

#[apply(both_databases)]
async fn a_job_of_github_actions_gets_a_token(engine: Engine) {
    let workload = Workload::start(engine).await;
    let conditions = json!([
        {"claim": "repository_id", "value": "74"}, {"claim": "environment", "value": "prod"},
        {"claim": "job_workflow_ref", "glob": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/*"}
    ]);
    trust(&workload, GITHUB, &json!({"conditions": conditions})).await;
    let claims = github_claims();
    assert_eq!(status(&workload, &claims, &json!({})).await, 200);
    for changes in [
        // A new repository of the same name has another ID.
        json!({"repository_id": "75"}),
        json!({"environment": "staging"}),
        json!({"environment": null}),
        json!({"job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/pull/1/merge"}),
        json!({"aud": "https://github.com/octo-org"}),
    ] {
        assert_eq!(status(&workload, &claims, &changes).await, 400, "{changes}");
    }
}

#[apply(both_databases)]
async fn a_job_of_gitlab_gets_a_token(engine: Engine) {
    let workload = Workload::start(engine).await;
    let conditions =
        json!([{"claim": "project_id", "value": "20"}, {"claim": "ref_path", "glob": "refs/heads/feature-*"}]);
    trust(&workload, GITLAB, &json!({"conditions": conditions})).await;
    let claims = gitlab_claims();
    assert_eq!(status(&workload, &claims, &json!({})).await, 200);
    let token = workload.token(&claims).await;
    let listed = workload.app.admin().get(&token.token_path()).await.expect(200);
    assert_eq!(listed.json["description"], claims["sub"]);
    for changes in [
        json!({"project_id": "21"}),
        json!({"project_id": 20}),
        json!({"ref_path": "refs/tags/feature-1"}),
        json!({"aud": "https://gitlab.com"}),
    ] {
        assert_eq!(status(&workload, &claims, &changes).await, 400, "{changes}");
    }
}

#[apply(both_databases)]
async fn a_pod_exchanges_its_jwt_again_while_it_is_valid(engine: Engine) {
    let workload = Workload::start(engine).await;
    let claims = pod_claims();
    let uid = &claims["kubernetes.io"]["serviceaccount"]["uid"];
    let conditions = json!([
        {"claim": "/kubernetes.io/serviceaccount/uid", "value": uid},
        {"claim": "sub", "value": "system:serviceaccount:prod:deploy"}
    ]);
    let rule = trust(&workload, CLUSTER, &json!({"conditions": conditions, "singleUse": false})).await;
    let jwt = workload.issuer.token(&claims);
    for _ in 0..3 {
        workload.exchange(&jwt).await.expect(200);
    }
    // An account of the same name that was created again has another UID.
    let other = json!({"kubernetes.io": {"serviceaccount": {"name": "deploy", "uid": "another"}}});
    let mut all = claims.clone();
    all.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    let text = error_of(&workload.exchange(&workload.issuer.token(&all)).await, "invalid_request");
    assert_eq!(text, "No trust rule permits the token: the claim /kubernetes.io/serviceaccount/uid is 'another'.");
    assert_eq!(status(&workload, &claims, &json!({"kubernetes.io": [uid]})).await, 400);
    workload.app.admin().delete(&format!("{}/{rule}", workload.rules_path())).await.expect(204);
    assert_eq!(workload.exchange(&jwt).await.status, 400);
}
