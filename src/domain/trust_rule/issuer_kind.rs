//! Kinds of issuers, with the claims that identify a workload for good.

use super::{Condition, Conditions, Expectation, KUBERNETES_UID};

/// A kind of issuer. It decides which claims are never given to another workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerKind {
    GitHubActions,
    GitLab,
    Kubernetes,
    Other,
}

/// Claims of CI systems that a rule for them may name, which tell the system whatever its host is.
const GITHUB_CLAIMS: [&str; 5] =
    ["repository", "repository_id", "repository_owner", "repository_owner_id", "job_workflow_ref"];
const GITLAB_CLAIMS: [&str; 5] = ["project_id", "project_path", "namespace_id", "namespace_path", "ci_config_ref_uri"];

impl IssuerKind {
    /// Recognizes the kind of an issuer by its URL, or by the claims that the conditions name.
    #[must_use]
    pub fn of(issuer: &str, conditions: &Conditions) -> Self {
        let (host, path) = host_and_path(issuer);
        let is_github = host == "token.actions.githubusercontent.com"
            || (host.starts_with("token.actions.") && host.ends_with(".ghe.com"))
            || path.ends_with("/_services/token");
        let is_gitlab = host == "gitlab.com" || host.split('.').next().is_some_and(|label| label.contains("gitlab"));
        let is_kubernetes = host == "kubernetes.default.svc" || host.starts_with("kubernetes.default.svc.");
        if is_github {
            Self::GitHubActions
        } else if is_gitlab {
            Self::GitLab
        } else if is_kubernetes {
            Self::Kubernetes
        } else {
            conditions.iter().find_map(Self::of_condition).unwrap_or(Self::Other)
        }
    }

    /// Recognizes the kind by a claim that only one kind of issuer has, or by the form of a subject.
    fn of_condition(condition: &Condition) -> Option<Self> {
        let claim = condition.claim.as_str();
        let (Expectation::Value(text) | Expectation::Glob(text)) = &condition.expectation;
        let has_subject = |prefix: &str| claim == "sub" && text.starts_with(prefix);
        if claim.starts_with("/kubernetes.io/") || has_subject("system:serviceaccount:") {
            Some(Self::Kubernetes)
        } else if GITHUB_CLAIMS.contains(&claim) || has_subject("repo:") {
            Some(Self::GitHubActions)
        } else if GITLAB_CLAIMS.contains(&claim) || has_subject("project_path:") {
            Some(Self::GitLab)
        } else {
            None
        }
    }

    /// Returns the claims of which a rule must have an exact value of one: the issuer never gives it to
    /// another workload. Names of repositories, projects and accounts are free again after a deletion.
    #[must_use]
    pub const fn stable_claims(self) -> &'static [&'static str] {
        match self {
            Self::GitHubActions => &["repository_id", "repository_owner_id"],
            Self::GitLab => &["project_id", "namespace_id"],
            Self::Kubernetes => &[KUBERNETES_UID],
            Self::Other => &["sub"],
        }
    }

    /// Returns whether tokens with this audience exist that are not meant for this service: the issuer
    /// writes it into a token that asks for none.
    #[must_use]
    pub fn is_default_audience(self, issuer: &str, audience: &str) -> bool {
        let [issuer, audience] = [issuer, audience].map(|text| text.trim_end_matches('/').to_ascii_lowercase());
        let without_scheme = audience.split_once("://").map_or(audience.as_str(), |(_, rest)| rest);
        // K3s issues its tokens for `k3s` as well.
        let is_of_kubernetes =
            without_scheme.starts_with("kubernetes.default") || (self == Self::Kubernetes && audience == "k3s");
        let is_of_owner = self == Self::GitHubActions && is_of_github_owner(&issuer, &audience);
        audience == issuer || is_of_kubernetes || is_of_owner
    }
}

/// Returns whether an audience is the URL of an owner, on GitHub or on the host of the issuer.
fn is_of_github_owner(issuer: &str, audience: &str) -> bool {
    let (host, path) = host_and_path(audience);
    let (issuer_host, _) = host_and_path(issuer);
    let is_on_enterprise = issuer_host.strip_prefix("token.actions.").is_some_and(|enterprise| enterprise == host);
    let is_host = host == "github.com" || host == issuer_host || is_on_enterprise;
    is_host && path.split('/').filter(|segment| !segment.is_empty()).count() <= 1
}

/// Returns whether a rule may accept a JWT more than once: the JWT of a pod is renewed while it runs.
#[must_use]
pub(super) fn allows_repeated_use(conditions: &Conditions) -> bool {
    conditions.has_exact(&[KUBERNETES_UID])
}

/// Returns the host in lower case and the path of a URL.
fn host_and_path(url: &str) -> (String, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.split(':').next().unwrap_or_default();
    (host.trim_end_matches('.').to_ascii_lowercase(), path.trim_end_matches('/'))
}
