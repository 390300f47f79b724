//! Checks of authentication and identity: which requests reach the service, and as whom.

use serde_json::{Value, json};

use super::setup::{ProxySetup, bearer};
use crate::support::{PASSWORD, http_client};

const IDENTITY_HEADERS: [&str; 9] = [
    "Remote-User",
    "Remote-Name",
    "Remote-Email",
    "Remote-Groups",
    "X-Tokenward-Person-Id",
    "X-Tokenward-Workspace-Id",
    "X-Tokenward-Token-Id",
    "X-Tokenward-Token-Expires",
    "X-Tokenward-Scopes",
];

impl ProxySetup {
    pub(super) async fn check_longest_identity(&self) {
        let (http, url) = (http_client(), &self.tokenward.url);
        let email = format!("{}@{}.{}.{}.example", "a".repeat(64), "b".repeat(63), "c".repeat(63), "d".repeat(51));
        let person = json!({"email": email, "name": "\u{1f511}".repeat(255), "password": PASSWORD, "isAdmin": true});
        let response = http.post(format!("{url}/v4/people")).basic_auth("admin@example.com", Some(PASSWORD));
        let response = response.json(&person).send().await.unwrap();
        assert_eq!(response.status(), 201, "{}", response.text().await.unwrap());
        let created = http.post(format!("{url}/v4/apiAccessTokens")).basic_auth(&email, Some(PASSWORD));
        let created: Value = created.json(&json!({"lifetimeSeconds": 60})).send().await.unwrap().json().await.unwrap();
        let (status, received) = self.get("/", &[bearer(created["tokenValue"].as_str().unwrap())]);
        assert_eq!(status, 200, "{}: {received}", self.name);
        assert!(
            received.contains(&"%F0%9F%94%91".repeat(255)) && received.contains(&email),
            "{}: {received}",
            self.name
        );
    }

    pub(super) fn check_valid_token(&self, value: &str, token_id: &str) {
        let (status, received) = self.get("/x?y=1", &[bearer(value)]);
        assert_eq!(status, 200, "{}: {received}", self.name);
        let received = received.to_ascii_lowercase();
        assert!(received.contains("get /x?y=1 http/1.1"), "{}: {received}", self.name);
        for line in [
            "remote-user: admin@example.com",
            "remote-name: administrator",
            "remote-email: admin@example.com",
            "remote-groups: user,admin",
            "x-tokenward-person-id: 1",
            "x-tokenward-workspace-id: 1",
            &format!("x-tokenward-token-id: {token_id}"),
            "x-tokenward-token-expires: never",
            "x-tokenward-scopes: *",
        ] {
            assert!(received.contains(line), "{}: {line} in {received}", self.name);
        }
        assert!(!received.contains("authorization:"), "{}: the credential was forwarded: {received}", self.name);
    }

    pub(super) async fn check_rejected_credentials(&self, http: &reqwest::Client) {
        let deleted = self.tokenward.create_token(http).await.unwrap();
        let path =
            format!("{}/v4/apiAccessTokens/{}", self.tokenward.url, deleted["tokenInfo"]["tokenId"].as_str().unwrap());
        let response = http.delete(path).basic_auth("admin@example.com", Some(PASSWORD)).send().await.unwrap();
        assert_eq!(response.status(), 204);
        let other_workspace = self.other_workspace_token(http).await;
        let expired = self.expired_token(http).await;
        let before = self.service.requests();
        for (headers, expected) in [
            (vec![], 401),
            (vec![bearer(&expired)], 401),
            (vec![bearer(deleted["tokenValue"].as_str().unwrap())], 401),
            (vec![bearer("nonsense")], 401),
            (vec!["Authorization: Basic bm9ib2R5Ong=".to_owned()], 401),
            (vec![bearer(&other_workspace)], 403),
        ] {
            let (status, text) = self.get("/", &headers);
            assert_eq!(status, expected, "{}: {headers:?}: {text}", self.name);
            let has_challenge = text.to_ascii_lowercase().contains("www-authenticate: bearer realm=\"tokenward\"");
            assert_eq!(has_challenge, expected == 401, "{}: {text}", self.name);
        }
        assert_eq!(self.service.requests(), before, "{}: the service was reached", self.name);
    }

    /// Identity headers of the client are replaced: the service receives each header once, with the
    /// value from Tokenward.
    pub(super) fn check_spoofed_identity_headers(&self, value: &str) {
        for name in IDENTITY_HEADERS {
            let spellings = [name.to_owned(), name.to_uppercase(), alternating_case(name), name.replace('-', "_")];
            for spelling in spellings {
                for count in [1, 2] {
                    let mut headers = vec![format!("{spelling}: root"); count];
                    headers.insert(count / 2, bearer(value));
                    let (status, received) = self.get("/", &headers);
                    if status == 400 {
                        continue;
                    }
                    assert_eq!(status, 200, "{}: {headers:?}: {received}", self.name);
                    assert!(!received.contains("root"), "{}: {headers:?}: {received}", self.name);
                    let received_lower = received.to_ascii_lowercase();
                    assert_eq!(
                        received_lower.matches(&format!("\n{}:", name.to_ascii_lowercase())).count(),
                        1,
                        "{}: {received}",
                        self.name
                    );
                }
                // Without a credential, an identity header does not authenticate.
                assert!([400, 401].contains(&self.get("/", &[format!("{spelling}: root")]).0), "{}", self.name);
            }
        }
    }

    pub(super) fn check_two_credentials(&self, value: &str) {
        for headers in [[bearer(value), bearer("x")], [bearer("x"), bearer(value)]] {
            let (status, response) = self.get("/", &headers);
            assert!([400, 401].contains(&status), "{}: {response}", self.name);
        }
    }
}

fn alternating_case(name: &str) -> String {
    let odd =
        name.chars().enumerate().map(|(n, c)| if n % 2 == 0 { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() });
    odd.collect()
}
