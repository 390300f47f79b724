//! Requests of all kinds, valid and invalid, to every endpoint. Records the secrets that were sent
//! and the responses.

use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest,
    attribute_context::{HttpRequest, Request},
    authorization_client::AuthorizationClient,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{binary::ServerProcess, http_client};

/// Passwords that do not occur anywhere else.
pub const FIRST_PASSWORD: &str = "Zanzibar quietly 7 lemons";
const SECOND_PASSWORD: &str = "Quokka loudly 9 oranges";
const MISTYPED_PASSWORD: &str = "Quokka loudly 9 orangs";
const OTHER_PASSWORD: &str = "Umbrella \u{e4}nd 12 marmots?";
const ADA_PASSWORD: &str = "Violet gently 31 otters";
const INVITED_PASSWORD: &str = "a phrase that an invited person chose";

/// The idempotency key of a repeatable request.
const IDEMPOTENCY_KEY: &str = "5c1d0e0a-quite-secret-key";
const ADMIN_EMAIL: &str = "admin@example.com";

/// The secrets that were sent or received, and the recorded responses.
#[derive(Default)]
pub struct Traffic {
    /// The secrets, each with a name for the failure message.
    pub secrets: Vec<(&'static str, String)>,
    /// The secrets of which the store has the SHA-256.
    pub stored: Vec<String>,
    /// Status, headers except cookies, and body of every response, except those that show a new
    /// value.
    pub responses: String,
    pub errors: usize,
}

/// The URLs of the service, and a client.
pub struct ServiceClient {
    pub url: String,
    pub grpc: String,
    pub metrics: String,
    http: reqwest::Client,
}

impl ServiceClient {
    /// Reads the URLs from the log of the program.
    pub fn new(running: &ServerProcess) -> Self {
        let none = reqwest::redirect::Policy::none();
        drop(http_client());
        Self {
            url: running.url.clone(),
            grpc: format!("http://{}", running.grpc_address()),
            metrics: format!("http://{}/metrics", running.metrics_address()),
            http: reqwest::Client::builder().redirect(none).build().unwrap(),
        }
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }
}

impl Traffic {
    /// Presents a SCIM credential where it is accepted and where it is not, whole and damaged.
    pub async fn use_scim_credential(&mut self, client: &ServiceClient, value: &str) {
        assert!(value.starts_with("twdscim_"), "{value}");
        let user = json!({"userName": "scim@example.com"});
        let create = client.request("POST", "/scim/v2/Users").bearer_auth(value).json(&user);
        assert_eq!(self.send(create).await.0, 201);
        for path in ["/scim/v2/Users", "/scim/v2/Groups", "/v4/people/current", "/v4/auth"] {
            self.send(client.request("GET", path).bearer_auth(value)).await;
        }
        let damaged = &value[..value.len() - 1];
        assert_eq!(self.send(client.request("GET", "/scim/v2/Users").bearer_auth(damaged)).await.0, 401);
        self.secrets.push(("SCIM credential", value.to_owned()));
        self.stored.push(value.to_owned());
    }

    /// Begins a device authorization, and presents its codes where they are accepted and where they are not.
    pub async fn use_device_codes(&mut self, client: &ServiceClient) {
        let begin = client.request("POST", "/oauth2/device_authorization").form(&[("description", "log test")]);
        let begun: Value = begin.send().await.unwrap().json().await.unwrap();
        let [device, user] = ["device_code", "user_code"].map(|name| begun[name].as_str().unwrap().to_owned());
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        for (code, expected) in [(device.as_str(), 400), (&device[1..], 400), (user.as_str(), 400)] {
            let poll = client.request("POST", "/oauth2/token").form(&[("grant_type", grant), ("device_code", code)]);
            assert_eq!(self.send(poll).await.0, expected);
        }
        self.send(client.request("GET", "/v4/auth").bearer_auth(&device)).await;
        let enter = client.request("POST", "/device").header("origin", &client.url).form(&[("user_code", &user)]);
        self.send(enter).await;
        self.secrets.push(("user code", user));
        self.add_stored_secret("device code", &device);
    }

    /// Sends a request and records the response.
    async fn send(&mut self, request: RequestBuilder) -> (StatusCode, String) {
        let response = request.send().await.unwrap();
        let status = response.status();
        self.errors += usize::from(status.as_u16() >= 400);
        self.responses.push_str(&format!("{status}\n"));
        for (name, value) in response.headers().iter().filter(|(name, _)| *name != "set-cookie") {
            self.responses.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        }
        let body = response.text().await.unwrap();
        self.responses.push_str(&body);
        (status, body)
    }

    /// Sends a request whose error response repeats the input, so that only the log and the store
    /// are searched for it.
    async fn send_unrecorded(&mut self, request: RequestBuilder) {
        assert!(request.send().await.unwrap().status().is_client_error());
    }

    /// Sends a request that creates a token. Returns the ID and the value.
    async fn create_token(&mut self, name: &'static str, request: RequestBuilder) -> (String, String) {
        let response = request.json(&json!({"lifetimeSeconds": 600, "description": "log test"})).send().await.unwrap();
        let created: Value = response.json().await.unwrap();
        let text = |value: &Value| value.as_str().expect("a token").to_owned();
        let (id, value) = (text(&created["tokenInfo"]["tokenId"]), text(&created["tokenValue"]));
        self.add_stored_secret(name, &value);
        (id, value)
    }

    /// Records a secret of which the store has the hash.
    fn add_stored_secret(&mut self, name: &'static str, value: &str) {
        self.secrets.push((name, value.to_owned()));
        self.stored.push(value.to_owned());
    }

    pub async fn generate(service: &ServiceClient) -> Self {
        let mut traffic = Self::default();
        for (name, password) in [
            ("first password", FIRST_PASSWORD),
            ("second password", SECOND_PASSWORD),
            ("mistyped", MISTYPED_PASSWORD),
            ("password of another person", OTHER_PASSWORD),
            ("password of Ada", ADA_PASSWORD),
            ("password of an invited person", INVITED_PASSWORD),
        ] {
            traffic.secrets.push((name, password.to_owned()));
        }
        traffic.api(service).await;
        traffic.auth_checks(service).await;
        traffic.pages(service).await;
        traffic.throttling_and_metrics(service).await;
        traffic
    }

    #[expect(clippy::too_many_lines, reason = "a list of requests")]
    async fn api(&mut self, service: &ServiceClient) {
        let tokens = "/v4/apiAccessTokens";
        let (_, value) = self
            .create_token("first token", service.request("POST", tokens).basic_auth(ADMIN_EMAIL, Some(FIRST_PASSWORD)))
            .await;
        let (id, other) = self.create_token("second token", service.request("POST", tokens).bearer_auth(&value)).await;
        let get = |path: &str| service.request("GET", path);
        self.secrets.push(("idempotency key", IDEMPOTENCY_KEY.to_owned()));
        let repeatable =
            || service.request("POST", tokens).bearer_auth(&value).header("idempotency-key", IDEMPOTENCY_KEY);
        let (_, repeatable_value) = self.create_token("repeatable token", repeatable()).await;
        assert_eq!(self.create_token("repeated token", repeatable()).await.1, repeatable_value);
        let (_, leaked) = self.create_token("leaked token", service.request("POST", tokens).bearer_auth(&value)).await;
        let leaks = json!({"values": [leaked, FIRST_PASSWORD, IDEMPOTENCY_KEY]});
        assert_eq!(self.send(service.request("POST", "/v4/leaks").json(&leaks)).await.0, 202);
        self.send(get(tokens).bearer_auth(&leaked)).await;
        self.send(get("/.well-known/api-token-format")).await;
        self.send(get(tokens).bearer_auth(&value)).await;
        self.send(get(&format!("{tokens}?access_token={other}&allUsers=true")).bearer_auth(&value)).await;
        self.send(get(&format!("{tokens}?limit={other}")).bearer_auth(&value)).await;
        self.send_unrecorded(get(&format!("{tokens}?sort={other}")).bearer_auth(&value)).await;
        self.send(get(&format!("{tokens}?cursor={other}&allUsers=true")).bearer_auth(&value)).await;
        self.send(get(&format!("{tokens}/{other}")).bearer_auth(&value)).await;
        self.send(get(&format!("/v4/people/{other}")).bearer_auth(&value)).await;
        self.send(get(&format!("/{other}")).bearer_auth(&value)).await;
        self.send(get(tokens).header("authorization", format!("Bearer {value},{other}"))).await;
        self.send(get(tokens).bearer_auth(&value).header("authorization", format!("Bearer {other}"))).await;
        self.send(get(tokens).header("authorization", format!("Token {value}"))).await;
        self.send(get(tokens).bearer_auth(format!("{value}x"))).await;
        self.send(get(tokens).basic_auth(ADMIN_EMAIL, Some(MISTYPED_PASSWORD))).await;
        self.send(get(tokens).basic_auth(&value, Some(FIRST_PASSWORD))).await;
        self.send(get(tokens).basic_auth(FIRST_PASSWORD, Some(&value))).await;
        let post = |path: &str, body: &Value| service.request("POST", path).bearer_auth(&value).json(body);
        for wrong in [
            json!({"password": [FIRST_PASSWORD], "email": FIRST_PASSWORD}),
            json!({"email": FIRST_PASSWORD, "name": "x", "password": other}),
            json!({"email": "x@example.com", "name": "x", "password": FIRST_PASSWORD, "password2": MISTYPED_PASSWORD}),
            json!({"email": "x@example.com", "name": "x", "password": "short"}),
            json!({FIRST_PASSWORD: other}),
        ] {
            assert_eq!(self.send(post("/v4/people", &wrong)).await.0, 400);
        }
        self.send(
            service
                .request("POST", "/v4/people")
                .bearer_auth(&value)
                .body(format!("{{\"password\":\"{FIRST_PASSWORD}\",}}")),
        )
        .await;
        self.send_unrecorded(post(
            "/v4/workspaces/current/configuration",
            &json!({"configuration": [{"key": other, "value": FIRST_PASSWORD}]}),
        ))
        .await;
        let ada = json!({"email": "ada@example.com", "name": "Ada", "password": ADA_PASSWORD});
        assert_eq!(self.send(post("/v4/people", &ada)).await.0, 201);
        self.invites(service, &value).await;
        let third =
            json!({"name": "Third", "admin": {"email": "t@example.com", "name": "", "password": OTHER_PASSWORD}});
        assert_eq!(self.send(post("/v4/workspaces", &third)).await.0, 201);
        let change = json!({"password": SECOND_PASSWORD, "password2": SECOND_PASSWORD});
        let changed =
            service.request("PATCH", "/v4/people/1").basic_auth(ADMIN_EMAIL, Some(FIRST_PASSWORD)).json(&change);
        assert_eq!(self.send(changed).await.0, 200);
        self.send(get(tokens).basic_auth(ADMIN_EMAIL, Some(FIRST_PASSWORD))).await;
        assert_eq!(self.send(service.request("DELETE", &format!("{tokens}/{id}")).bearer_auth(&value)).await.0, 204);
        self.send(get(tokens).bearer_auth(&other)).await;
        self.send(get("/v4/events?allUsers=true").bearer_auth(&value)).await;
        self.send(get("/v4/open-api-spec").bearer_auth(&value)).await;
    }

    /// Creates two invite links, and uses one of them.
    async fn invites(&mut self, service: &ServiceClient, token: &str) {
        let post = |path: &str, body: &Value| service.request("POST", path).bearer_auth(token).json(body);
        let bob = json!({"email": "bob@example.com", "name": "Bob", "invite": true});
        let created: Value = post("/v4/people", &bob).send().await.unwrap().json().await.unwrap();
        let again = format!("/v4/people/{}/invite", created["id"]);
        let newer: Value = post(&again, &json!({})).send().await.unwrap().json().await.unwrap();
        let mut paths = Vec::new();
        for (name, response) in [("invite link", &created), ("newer invite link", &newer)] {
            let url = response["inviteUrl"].as_str().expect("a link");
            let value = url.rsplit('/').next().unwrap();
            self.add_stored_secret(name, value);
            paths.push(format!("/invite/{value}"));
        }
        let form = |path: &str, password: &str| {
            let request = service.request("POST", path).header("origin", &service.url);
            request.form(&[("new_password", password), ("repeated_password", INVITED_PASSWORD)])
        };
        for (path, status) in [(&paths[0], 404), (&paths[1], 200)] {
            assert_eq!(self.send(service.request("GET", path)).await.0, status);
            assert_eq!(self.send(service.request("GET", &format!("{path}?x={}", &path[8..]))).await.0, status);
        }
        self.send(service.request("PUT", &paths[1])).await;
        self.send(service.request("GET", &format!("{}/x", paths[1]))).await;
        self.send(service.request("POST", &paths[1]).body("x")).await;
        assert_eq!(self.send(form(&paths[1], MISTYPED_PASSWORD)).await.0, 400);
        assert_eq!(self.send(form(&paths[1], INVITED_PASSWORD)).await.0, 303);
        assert_eq!(self.send(form(&paths[1], INVITED_PASSWORD)).await.0, 404);
    }

    async fn auth_checks(&mut self, service: &ServiceClient) {
        let by_password =
            || service.request("POST", "/v4/apiAccessTokens").basic_auth(ADMIN_EMAIL, Some(SECOND_PASSWORD));
        let (_, value) = self.create_token("checked token", by_password()).await;
        let (_, deleted) = self.create_token("revoked token", by_password()).await;
        for path in ["/v4/auth", "/v4/auth/any/x", "/v4/auth/workspace=7", "/v4/auth/nonsense"] {
            self.send(service.request("GET", &format!("{path}?token={value}")).bearer_auth(&value)).await;
        }
        self.send(service.request("GET", &format!("/v4/auth/{deleted}")).bearer_auth(&value)).await;
        self.send(service.request("GET", "/v4/auth").basic_auth(ADMIN_EMAIL, Some(MISTYPED_PASSWORD))).await;
        for token in [&value, &deleted, "nonsense"] {
            self.send(service.request("POST", "/oauth2/introspect").bearer_auth(&value).form(&[("token", token)]))
                .await;
        }
        self.send(service.request("POST", "/oauth2/introspect").form(&[("token", &value)])).await;
        self.send(
            service
                .request("POST", "/oauth2/introspect")
                .bearer_auth(&value)
                .form(&[("token", &value), ("token", &deleted)]),
        )
        .await;
        self.send(service.request("POST", "/oauth2/revoke").json(&json!({"token": deleted}))).await;
        assert_eq!(self.send(service.request("POST", "/oauth2/revoke").form(&[("token", &deleted)])).await.0, 200);
        let mut envoy = AuthorizationClient::connect(service.grpc.clone()).await.unwrap();
        for authorization in [format!("Bearer {value}"), format!("Bearer {deleted}"), format!("Basic {value}")] {
            let headers = [("authorization".to_owned(), authorization)].into();
            let http = HttpRequest { headers, path: format!("/{value}"), ..HttpRequest::default() };
            let request = Request { http: Some(http), ..Request::default() };
            let attributes = AttributeContext { request: Some(request), ..AttributeContext::default() };
            let check = CheckRequest { attributes: Some(attributes) };
            self.responses.push_str(&format!("{:?}\n", envoy.check(check).await.unwrap()));
        }
        self.send(service.request("GET", &format!("/health/ready?token={value}"))).await;
    }

    #[expect(clippy::too_many_lines, reason = "a list of requests")]
    async fn pages(&mut self, service: &ServiceClient) {
        let form = |path: &str, cookie: &str, fields: &[(&str, &str)]| {
            let request = service.request("POST", path).header("origin", &service.url).header("cookie", cookie);
            request.form(fields)
        };
        let sign_in = |password: &str| form("/sign-in", "", &[("email", ADMIN_EMAIL), ("password", password)]);
        assert_eq!(self.send(sign_in(MISTYPED_PASSWORD)).await.0, 403);
        self.send_unrecorded(form(
            "/sign-in",
            "",
            &[("email", SECOND_PASSWORD), ("password", SECOND_PASSWORD), ("next", SECOND_PASSWORD)],
        ))
        .await;
        let cookie = session_cookie(&sign_in(SECOND_PASSWORD).send().await.unwrap());
        let other = session_cookie(&sign_in(SECOND_PASSWORD).send().await.unwrap());
        self.add_stored_secret("session", cookie.split_once('=').unwrap().1);
        self.add_stored_secret("other session", other.split_once('=').unwrap().1);
        let generate = "/preferences/access-tokens/generate";
        let page = self.send(service.request("GET", generate).header("cookie", &cookie)).await.1;
        let id = &page.split(r#"name="form" value=""#).nth(1).unwrap()[..36];
        let created =
            form(generate, &cookie, &[("form", id), ("lifetime", "30")]).send().await.unwrap().text().await.unwrap();
        let value = created.split(r#"id="token-value" translate="no">"#).nth(1).unwrap().split('<').next().unwrap();
        self.add_stored_secret("token of a page", value);
        self.send_unrecorded(form(generate, &cookie, &[("form", id), ("lifetime", value), ("days", FIRST_PASSWORD)]))
            .await;
        for (path, fields) in [
            (
                "/preferences/profile/password",
                [("old_password", SECOND_PASSWORD), ("new_password", "x"), ("repeated_password", OTHER_PASSWORD)],
            ),
            (
                "/preferences/profile/password",
                [
                    ("old_password", MISTYPED_PASSWORD),
                    ("new_password", OTHER_PASSWORD),
                    ("repeated_password", OTHER_PASSWORD),
                ],
            ),
            (
                "/admin/users/new",
                [("email", "ada@example.com"), ("password", OTHER_PASSWORD), ("repeated_password", OTHER_PASSWORD)],
            ),
            (
                "/preferences/access-tokens/delete-all",
                [("own_password", MISTYPED_PASSWORD), ("x", "y"), ("confirm", SECOND_PASSWORD)],
            ),
            (
                "/change-password",
                [
                    ("old_password", SECOND_PASSWORD),
                    ("new_password", OTHER_PASSWORD),
                    ("repeated_password", MISTYPED_PASSWORD),
                ],
            ),
        ] {
            self.send(form(path, &cookie, &fields)).await;
        }
        for path in [
            "/preferences/access-tokens",
            "/preferences/profile",
            "/preferences/activity",
            "/admin/users",
            "/admin/tokens",
        ] {
            assert_eq!(self.send(service.request("GET", path).header("cookie", &cookie)).await.0, 200, "{path}");
        }
        self.send(service.request("GET", &format!("/sign-in?next=/{value}"))).await;
        self.send(form("/preferences/profile/sessions/end-others", &cookie, &[])).await;
        self.send(form("/sign-out", &cookie, &[])).await;
        self.send(service.request("GET", "/preferences/profile").header("cookie", &cookie)).await;
    }

    /// Runs last, because it throttles an account and reads the metrics.
    async fn throttling_and_metrics(&mut self, service: &ServiceClient) {
        for _ in 0..12 {
            self.send(
                service.request("GET", "/v4/people/current").basic_auth("ada@example.com", Some(MISTYPED_PASSWORD)),
            )
            .await;
        }
        assert_eq!(
            self.send(service.request("GET", "/v4/people/current").basic_auth("ada@example.com", Some(ADA_PASSWORD)))
                .await
                .0,
            429
        );
        // A token that exists at the end. The others were deleted by the pages.
        self.create_token(
            "last token",
            service.request("POST", "/v4/apiAccessTokens").basic_auth(ADMIN_EMAIL, Some(SECOND_PASSWORD)),
        )
        .await;
        let metrics = self.send(service.http.get(&service.metrics)).await.1;
        assert!(metrics.contains("tokenward_auth_checks_total"), "{metrics}");
    }
}

fn session_cookie(response: &Response) -> String {
    let mut fields = response.headers().get_all("set-cookie").iter().map(|field| field.to_str().unwrap());
    let ours = fields.find(|field| field.starts_with("tokenward=") && !field.contains("Max-Age")).expect("a session");
    ours.split(';').next().unwrap().to_owned()
}
