//! A little of everything, right and wrong, by every door; and what was said and told on the way.

use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest,
    attribute_context::{HttpRequest, Request},
    authorization_client::AuthorizationClient,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::http_client;

/// Passwords that occur nowhere by accident.
pub const FIRST: &str = "Zanzibar quietly 7 lemons";
const SECOND: &str = "Quokka loudly 9 oranges";
const MISTYPED: &str = "Quokka loudly 9 orangs";
const OTHERS: &str = "Umbrella \u{e4}nd 12 marmots?";
const ADAS: &str = "Violet gently 31 otters";

/// What makes a request for a token safe to send again.
const KEY: &str = "5c1d0e0a-quite-secret-key";
const ADMIN: &str = "admin@example.com";

/// What was sent that nobody else may read, and what came back.
#[derive(Default)]
pub struct Told {
    /// Each with a name, for whoever reads that it was found.
    pub secrets: Vec<(&'static str, String)>,
    /// Those of them that the store knows by their SHA-256.
    pub stored: Vec<String>,
    /// Every answer but those that show a value once: status, fields but for cookies, body.
    pub answers: String,
    pub errors: usize,
}

/// Where the service answers.
pub struct Service {
    pub url: String,
    pub grpc: String,
    pub metrics: String,
    http: reqwest::Client,
}

impl Service {
    /// Reads the addresses that the program has said.
    pub fn of(url: &str, log: &str) -> Self {
        let after = |words: &str| log.split(words).nth(1).and_then(|rest| rest.lines().next()).unwrap().to_owned();
        let none = reqwest::redirect::Policy::none();
        drop(http_client());
        Self {
            url: url.to_owned(),
            grpc: format!("http://{}", after("grpc://")),
            metrics: after("telling figures on "),
            http: reqwest::Client::builder().redirect(none).build().unwrap(),
        }
    }

    fn to(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }
}

impl Told {
    /// Sends, and keeps what comes back.
    async fn tell(&mut self, request: RequestBuilder) -> (StatusCode, String) {
        let response = request.send().await.unwrap();
        let status = response.status();
        self.errors += usize::from(status.as_u16() >= 400);
        self.answers.push_str(&format!("{status}\n"));
        for (name, value) in response.headers().iter().filter(|(name, _)| *name != "set-cookie") {
            self.answers.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        }
        let body = response.text().await.unwrap();
        self.answers.push_str(&body);
        (status, body)
    }

    /// Sends what is told its sender again, as a form is that has to be filled in better; only the log and the store are asked then.
    async fn echo(&mut self, request: RequestBuilder) {
        assert!(request.send().await.unwrap().status().is_client_error());
    }

    /// Sends what is answered by a token; gives its id and value.
    async fn make(&mut self, name: &'static str, request: RequestBuilder) -> (String, String) {
        let response = request.json(&json!({"lifetimeSeconds": 600, "description": "log test"})).send().await.unwrap();
        let made: Value = response.json().await.unwrap();
        let text = |value: &Value| value.as_str().expect("a token").to_owned();
        let (id, value) = (text(&made["tokenInfo"]["tokenId"]), text(&made["tokenValue"]));
        self.keep(name, &value);
        (id, value)
    }

    /// A value that the store knows by its hash.
    fn keep(&mut self, name: &'static str, value: &str) {
        self.secrets.push((name, value.to_owned()));
        self.stored.push(value.to_owned());
    }

    pub async fn everything(service: &Service) -> Self {
        let mut told = Self::default();
        for (name, password) in [
            ("first password", FIRST),
            ("second password", SECOND),
            ("mistyped", MISTYPED),
            ("another's", OTHERS),
            ("Ada's", ADAS),
        ] {
            told.secrets.push((name, password.to_owned()));
        }
        told.api(service).await;
        told.delegated(service).await;
        told.pages(service).await;
        told.the_rest(service).await;
        told
    }

    async fn api(&mut self, service: &Service) {
        let tokens = "/v4/apiAccessTokens";
        let (_, value) = self.make("first token", service.to("POST", tokens).basic_auth(ADMIN, Some(FIRST))).await;
        let (id, other) = self.make("second token", service.to("POST", tokens).bearer_auth(&value)).await;
        let get = |path: &str| service.to("GET", path);
        self.secrets.push(("idempotency key", KEY.to_owned()));
        let repeatable = || service.to("POST", tokens).bearer_auth(&value).header("idempotency-key", KEY);
        let (_, sealed) = self.make("repeatable token", repeatable()).await;
        assert_eq!(self.make("repeated token", repeatable()).await.1, sealed);
        let (_, leaked) = self.make("leaked token", service.to("POST", tokens).bearer_auth(&value)).await;
        let leaks = json!({"values": [leaked, FIRST, KEY]});
        assert_eq!(self.tell(service.to("POST", "/v4/leaks").json(&leaks)).await.0, 202);
        self.tell(get(tokens).bearer_auth(&leaked)).await;
        self.tell(get("/.well-known/api-token-format")).await;
        self.tell(get(tokens).bearer_auth(&value)).await;
        self.tell(get(&format!("{tokens}?access_token={other}&allUsers=true")).bearer_auth(&value)).await;
        self.tell(get(&format!("{tokens}?limit={other}")).bearer_auth(&value)).await;
        self.echo(get(&format!("{tokens}?sort={other}")).bearer_auth(&value)).await;
        self.tell(get(&format!("{tokens}?cursor={other}&allUsers=true")).bearer_auth(&value)).await;
        self.tell(get(&format!("{tokens}/{other}")).bearer_auth(&value)).await;
        self.tell(get(&format!("/v4/people/{other}")).bearer_auth(&value)).await;
        self.tell(get(&format!("/{other}")).bearer_auth(&value)).await;
        self.tell(get(tokens).header("authorization", format!("Bearer {value},{other}"))).await;
        self.tell(get(tokens).bearer_auth(&value).header("authorization", format!("Bearer {other}"))).await;
        self.tell(get(tokens).header("authorization", format!("Token {value}"))).await;
        self.tell(get(tokens).bearer_auth(format!("{value}x"))).await;
        self.tell(get(tokens).basic_auth(ADMIN, Some(MISTYPED))).await;
        self.tell(get(tokens).basic_auth(&value, Some(FIRST))).await;
        self.tell(get(tokens).basic_auth(FIRST, Some(&value))).await;
        let post = |path: &str, body: &Value| service.to("POST", path).bearer_auth(&value).json(body);
        for wrong in [
            json!({"password": [FIRST], "email": FIRST}),
            json!({"email": FIRST, "name": "x", "password": other}),
            json!({"email": "x@example.com", "name": "x", "password": FIRST, "password2": MISTYPED}),
            json!({"email": "x@example.com", "name": "x", "password": "short"}),
            json!({FIRST: other}),
        ] {
            assert_eq!(self.tell(post("/v4/people", &wrong)).await.0, 400);
        }
        self.tell(service.to("POST", "/v4/people").bearer_auth(&value).body(format!("{{\"password\":\"{FIRST}\",}}")))
            .await;
        self.echo(post(
            "/v4/workspaces/current/configuration",
            &json!({"configuration": [{"key": other, "value": FIRST}]}),
        ))
        .await;
        let ada = json!({"email": "ada@example.com", "name": "Ada", "password": ADAS});
        assert_eq!(self.tell(post("/v4/people", &ada)).await.0, 201);
        let third = json!({"name": "Third", "admin": {"email": "t@example.com", "name": "", "password": OTHERS}});
        assert_eq!(self.tell(post("/v4/workspaces", &third)).await.0, 201);
        let change = json!({"password": SECOND, "password2": SECOND});
        let changed = service.to("PATCH", "/v4/people/1").basic_auth(ADMIN, Some(FIRST)).json(&change);
        assert_eq!(self.tell(changed).await.0, 200);
        self.tell(get(tokens).basic_auth(ADMIN, Some(FIRST))).await;
        assert_eq!(self.tell(service.to("DELETE", &format!("{tokens}/{id}")).bearer_auth(&value)).await.0, 204);
        self.tell(get(tokens).bearer_auth(&other)).await;
        self.tell(get("/v4/events?allUsers=true").bearer_auth(&value)).await;
        self.tell(get("/v4/open-api-spec").bearer_auth(&value)).await;
    }

    async fn delegated(&mut self, service: &Service) {
        let by_password = || service.to("POST", "/v4/apiAccessTokens").basic_auth(ADMIN, Some(SECOND));
        let (_, value) = self.make("checked token", by_password()).await;
        let (_, gone) = self.make("revoked token", by_password()).await;
        for path in ["/v4/auth", "/v4/auth/any/x", "/v4/auth/workspace=7", "/v4/auth/nonsense"] {
            self.tell(service.to("GET", &format!("{path}?token={value}")).bearer_auth(&value)).await;
        }
        self.tell(service.to("GET", &format!("/v4/auth/{gone}")).bearer_auth(&value)).await;
        self.tell(service.to("GET", "/v4/auth").basic_auth(ADMIN, Some(MISTYPED))).await;
        for token in [&value, &gone, "nonsense"] {
            self.tell(service.to("POST", "/oauth2/introspect").bearer_auth(&value).form(&[("token", token)])).await;
        }
        self.tell(service.to("POST", "/oauth2/introspect").form(&[("token", &value)])).await;
        self.tell(
            service.to("POST", "/oauth2/introspect").bearer_auth(&value).form(&[("token", &value), ("token", &gone)]),
        )
        .await;
        self.tell(service.to("POST", "/oauth2/revoke").json(&json!({"token": gone}))).await;
        assert_eq!(self.tell(service.to("POST", "/oauth2/revoke").form(&[("token", &gone)])).await.0, 200);
        let mut envoy = AuthorizationClient::connect(service.grpc.clone()).await.unwrap();
        for authorization in [format!("Bearer {value}"), format!("Bearer {gone}"), format!("Basic {value}")] {
            let headers = [("authorization".to_owned(), authorization)].into();
            let http = HttpRequest { headers, path: format!("/{value}"), ..HttpRequest::default() };
            let request = Request { http: Some(http), ..Request::default() };
            let attributes = AttributeContext { request: Some(request), ..AttributeContext::default() };
            let asked = CheckRequest { attributes: Some(attributes) };
            self.answers.push_str(&format!("{:?}\n", envoy.check(asked).await.unwrap()));
        }
        self.tell(service.to("GET", &format!("/health/ready?token={value}"))).await;
    }

    async fn pages(&mut self, service: &Service) {
        let form = |path: &str, cookie: &str, fields: &[(&str, &str)]| {
            let request = service.to("POST", path).header("origin", &service.url).header("cookie", cookie);
            request.form(fields)
        };
        let sign_in = |password: &str| form("/sign-in", "", &[("email", ADMIN), ("password", password)]);
        assert_eq!(self.tell(sign_in(MISTYPED)).await.0, 403);
        self.echo(form("/sign-in", "", &[("email", SECOND), ("password", SECOND), ("next", SECOND)])).await;
        let cookie = cookie_of(&sign_in(SECOND).send().await.unwrap());
        let other = cookie_of(&sign_in(SECOND).send().await.unwrap());
        self.keep("session", cookie.split_once('=').unwrap().1);
        self.keep("other session", other.split_once('=').unwrap().1);
        let generate = "/preferences/access-tokens/generate";
        let page = self.tell(service.to("GET", generate).header("cookie", &cookie)).await.1;
        let id = &page.split(r#"name="form" value=""#).nth(1).unwrap()[..36];
        let made =
            form(generate, &cookie, &[("form", id), ("lifetime", "30")]).send().await.unwrap().text().await.unwrap();
        let value = made.split(r#"id="token-value" translate="no">"#).nth(1).unwrap().split('<').next().unwrap();
        self.keep("page's token", value);
        self.echo(form(generate, &cookie, &[("form", id), ("lifetime", value), ("days", FIRST)])).await;
        for (path, fields) in [
            (
                "/preferences/profile/password",
                [("old_password", SECOND), ("new_password", "x"), ("repeated_password", OTHERS)],
            ),
            (
                "/preferences/profile/password",
                [("old_password", MISTYPED), ("new_password", OTHERS), ("repeated_password", OTHERS)],
            ),
            ("/admin/users/new", [("email", "ada@example.com"), ("password", OTHERS), ("repeated_password", OTHERS)]),
            ("/preferences/access-tokens/delete-all", [("own_password", MISTYPED), ("x", "y"), ("confirm", SECOND)]),
            ("/change-password", [("old_password", SECOND), ("new_password", OTHERS), ("repeated_password", MISTYPED)]),
        ] {
            self.tell(form(path, &cookie, &fields)).await;
        }
        for path in [
            "/preferences/access-tokens",
            "/preferences/profile",
            "/preferences/activity",
            "/admin/users",
            "/admin/tokens",
        ] {
            assert_eq!(self.tell(service.to("GET", path).header("cookie", &cookie)).await.0, 200, "{path}");
        }
        self.tell(service.to("GET", &format!("/sign-in?next=/{value}"))).await;
        self.tell(form("/preferences/profile/sessions/end-others", &cookie, &[])).await;
        self.tell(form("/sign-out", &cookie, &[])).await;
        self.tell(service.to("GET", "/preferences/profile").header("cookie", &cookie)).await;
    }

    /// At the end, because it slows Ada.
    async fn the_rest(&mut self, service: &Service) {
        for _ in 0..12 {
            self.tell(service.to("GET", "/v4/people/current").basic_auth("ada@example.com", Some(MISTYPED))).await;
        }
        assert_eq!(
            self.tell(service.to("GET", "/v4/people/current").basic_auth("ada@example.com", Some(ADAS))).await.0,
            429
        );
        // One that is there at the end: a page has deleted the others.
        self.make("last token", service.to("POST", "/v4/apiAccessTokens").basic_auth(ADMIN, Some(SECOND))).await;
        let figures = self.tell(service.http.get(&service.metrics)).await.1;
        assert!(figures.contains("tokenward_checks_refused_total"), "{figures}");
    }
}

fn cookie_of(signed_in: &Response) -> String {
    let mut fields = signed_in.headers().get_all("set-cookie").iter().map(|field| field.to_str().unwrap());
    let ours = fields.find(|field| field.starts_with("tokenward=") && !field.contains("Max-Age")).expect("a session");
    ours.split(';').next().unwrap().to_owned()
}
