//! A complete service in the process of the fuzzer, for parsers that are only reachable by a
//! request.
//!
//! The placeholders `$VALID`, `$DELETED`, `$USER` and `$SESSION` in the inputs are replaced by the
//! secrets of the run.

use std::future::Future;

use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenward::{
    app::App,
    auth_check::{
        ExtAuthz,
        envoy_messages::{CheckRequest, CheckResponse},
    },
    config::Config,
    domain::{
        random::Random,
        time::{Clock, Timestamp},
    },
    http::{pipeline::HttpService, server},
    service::bootstrap::{FirstAdministrator, bootstrap},
};
use tokio::{runtime::Runtime, sync::watch};

const PASSWORD: &str = "correct horse battery staple";
const EMAIL: &str = "admin@example.com";
const HOST: &str = "127.0.0.1:3005";

/// A running service with tokens in several states and a session.
pub struct TestService {
    runtime: Runtime,
    service: HttpService,
    ext_authz: ExtAuthz,
    /// A token of the administrator.
    pub valid_token: String,
    /// A token that was deleted.
    pub deleted_token: String,
    /// A valid token of a person who may not create tokens.
    pub user_token: String,
    /// The cookie value of a web session.
    pub session: String,
    _stop: watch::Sender<()>,
    /// The folder of the database, which must outlive the service.
    _folder: TempDir,
}

thread_local! {
    static SERVICE: TestService = TestService::build();
}

/// Runs a closure with the service of this thread.
pub fn with_service<T>(work: impl FnOnce(&TestService) -> T) -> T {
    SERVICE.with(work)
}

/// A complete response.
pub struct Reply {
    pub status: StatusCode,
    pub json: Value,
    cookies: Vec<String>,
}

impl TestService {
    fn build() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        config.database.url =
            serde_json::from_value(json!(format!("sqlite:{}/fuzz.db", folder.path().display()))).expect("a URL");
        config.passwords.argon2.memory_kib = 64;
        config.passwords.argon2.iterations = 1;
        // The fuzzer exceeds the default rate limits.
        config.rate_limits.token_creation_per_minute = 0;
        config.rate_limits.rejected_tokens_per_ip_per_minute = 0;
        config.rate_limits.failed_logins_per_ip = 0;
        // A fixed time, so that no token or session expires.
        let clock = Clock::from_fn(|| Timestamp::from_millis(1_767_225_600_000));
        let random = Random::system();
        let (app, stop) = runtime.block_on(async {
            let store = server::open_store(&config, true).await.expect("a store");
            let app = App::new(store.clone(), clock.clone(), random.clone(), &config).expect("an app");
            let (stop, stopped) = watch::channel(());
            tokio::spawn(app.node().clone().run(stopped));
            app.node().wait_until_connected().await;
            let first = FirstAdministrator { email: EMAIL.to_owned(), password: PASSWORD.to_owned().into() };
            bootstrap(&store, app.people(), &clock, &first).await.expect("an administrator");
            (app, stop)
        });
        let [valid_token, deleted_token, user_token, session] = Default::default();
        let service = server::service(&app, &config);
        let ext_authz = ExtAuthz::new(&app, &config);
        let mut service = Self {
            runtime,
            service,
            ext_authz,
            valid_token,
            deleted_token,
            user_token,
            session,
            _stop: stop,
            _folder: folder,
        };
        service.seed();
        service
    }

    /// Creates the tokens and the session.
    fn seed(&mut self) {
        let admin = format!("Basic {}", "YWRtaW5AZXhhbXBsZS5jb206Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==");
        (self.valid_token, _) = self.create_token(&admin);
        let id;
        (self.deleted_token, id) = self.create_token(&admin);
        let bearer = format!("Bearer {}", self.valid_token);
        assert_eq!(self.call("DELETE", &format!("/v4/apiAccessTokens/{id}"), &bearer, None).status, 204);
        let bob = json!({"email": "bob@example.com", "name": "Bob", "password": PASSWORD});
        let made = self.call("POST", "/v4/people", &bearer, Some(&bob));
        let path = format!("/v4/people/{}", made.json["id"]);
        let access = |word: &str| self.call("PATCH", &path, &bearer, Some(&json!({"tokenAccess": word}))).status;
        assert_eq!(access("enabled"), 200);
        let (plain, _) = self.create_token("Basic Ym9iQGV4YW1wbGUuY29tOmNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU=");
        assert_eq!(access("default"), 200);
        self.user_token = plain;
        let form = b"email=admin%40example.com&password=correct+horse+battery+staple";
        let fields = [("origin", "http://127.0.0.1:3005"), ("content-type", "application/x-www-form-urlencoded")];
        let signed_in = self.send("POST", "/sign-in", fields.map(|(n, v)| (n, v.as_bytes())), form).expect("a request");
        let cookie =
            signed_in.cookies.iter().find(|field| field.starts_with("tokenward=") && !field.contains("Max-Age"));
        let cookie = cookie.expect("a cookie").split(';').next().expect("a pair");
        self.session = cookie["tokenward=".len()..].to_owned();
    }

    fn create_token(&self, authorization: &str) -> (String, String) {
        let created = self.call("POST", "/v4/apiAccessTokens", authorization, Some(&json!({"lifetimeSeconds": -1})));
        let text = |value: &Value| value.as_str().expect("a token").to_owned();
        (text(&created.json["tokenValue"]), text(&created.json["tokenInfo"]["tokenId"]))
    }

    fn call(&self, method: &str, path: &str, authorization: &str, body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send(method, path, [("authorization", authorization.as_bytes())], body.as_bytes()).expect("a request")
    }

    /// Sends a request. Returns nothing if it is not valid HTTP.
    pub fn send<'h>(
        &self,
        method: &str,
        path: &str,
        fields: impl IntoIterator<Item = (&'static str, &'h [u8])>,
        body: &[u8],
    ) -> Option<Reply> {
        let mut request = Request::builder().method(method).uri(path).body(Full::from(body.to_vec())).ok()?;
        request.headers_mut().insert("host", HeaderValue::from_static(HOST));
        for (name, value) in fields {
            request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?);
        }
        Some(self.run(async {
            let Ok(reply) = self.service.handle(request, None).await;
            let (parts, body) = reply.into_parts();
            let bytes = body.collect().await.expect("a body").to_bytes();
            let cookies = parts.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
            let cookies = cookies.map(str::to_owned).collect();
            Reply { status: parts.status, json: serde_json::from_slice(&bytes).unwrap_or_default(), cookies }
        }))
    }

    /// Sends a check request to the ext_authz service.
    pub fn check(&self, request: CheckRequest) -> Result<CheckResponse, tonic::Status> {
        self.run(self.ext_authz.check(request))
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Replaces the placeholders by the secrets of this run.
    pub fn substitute(&self, bytes: &[u8]) -> Vec<u8> {
        let mut text = bytes.to_vec();
        let secrets = [
            ("$VALID", &self.valid_token),
            ("$DELETED", &self.deleted_token),
            ("$USER", &self.user_token),
            ("$SESSION", &self.session),
        ];
        for (name, secret) in secrets {
            while let Some(at) = text.windows(name.len()).position(|window| window == name.as_bytes()) {
                text.splice(at..at + name.len(), secret.bytes());
            }
        }
        text
    }
}

/// Returns whether an `Authorization` field has this bearer token. The implementation is
/// independent of that of the service.
#[must_use]
pub fn is_bearer_of(field: &[u8], token: &str) -> bool {
    let Some((scheme, value)) = field.split_at_checked(7) else { return false };
    let value = value.trim_ascii_start_spaces();
    scheme.eq_ignore_ascii_case(b"bearer ") && value.strip_prefix(b"secret-token:").unwrap_or(value) == token.as_bytes()
}

trait Spaces {
    fn trim_ascii_start_spaces(&self) -> &[u8];
}

impl Spaces for [u8] {
    fn trim_ascii_start_spaces(&self) -> &[u8] {
        &self[self.iter().take_while(|b| **b == b' ').count()..]
    }
}
