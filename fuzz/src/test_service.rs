//! A whole service in the process of the fuzzer, for the parsers that nobody can reach but by a request.
//!
//! Inputs are text that a person can read: where it says `$LIVE`, `$DEAD`, `$PLAIN` or `$SESSION` the secret of this run is put in.

use std::future::Future;

use envoy_types::ext_authz::v3::pb::{Authorization as _, CheckRequest, CheckResponse};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokenward::{
    app::App,
    auth_check::ExtAuthz,
    config::Config,
    domain::{
        random::Random,
        time::{Clock, Timestamp},
    },
    http::{
        root::Service,
        server::{self},
    },
    service::bootstrap::{FirstAdministrator, set_up},
};
use tokio::{runtime::Runtime, sync::watch};

const PASSWORD: &str = "correct horse battery staple";
const EMAIL: &str = "admin@example.com";
const HOST: &str = "127.0.0.1:3005";

/// A running service with one of everything.
pub struct TestService {
    runtime: Runtime,
    service: Service,
    ext_authz: ExtAuthz,
    /// A token of the administrator's.
    pub live: String,
    /// One that was deleted.
    pub dead: String,
    /// One of somebody who may not make tokens.
    pub plain: String,
    /// The value of a web session.
    pub session: String,
    _stop: watch::Sender<()>,
    /// Where the database is; lists open it again.
    _folder: TempDir,
}

thread_local! {
    static HOUSE: TestService = TestService::build();
}

/// Does something with the service.
pub fn with_service<T>(work: impl FnOnce(&TestService) -> T) -> T {
    HOUSE.with(work)
}

/// An answer, read to its end.
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
        config.passwords.memory_kib = 64;
        config.passwords.iterations = 1;
        // Inputs come as fast as they can be made up.
        config.limits.created_tokens_per_minute = 0;
        config.limits.refused_bearers_per_minute = 0;
        config.limits.wrong_passwords_per_address = 0;
        // Time stands still: nothing expires, and no session is seen later than it was.
        let clock = Clock::from_fn(|| Timestamp::from_millis(1_767_225_600_000));
        let random = Random::system();
        let (app, stop) = runtime.block_on(async {
            let store = server::open_store(&config, true).await.expect("a store");
            let app = App::new(store.clone(), clock.clone(), random.clone(), &config).expect("an app");
            let (stop, stopped) = watch::channel(());
            tokio::spawn(app.live().clone().run(stopped));
            app.live().is_hearing().await;
            let first = FirstAdministrator { email: EMAIL.to_owned(), password: Some(PASSWORD.to_owned().into()) };
            set_up(&store, app.people(), &clock, &random, first).await.expect("an administrator");
            (app, stop)
        });
        let [live, dead, plain, session] = Default::default();
        let service = server::service(&app, &config);
        let ext_authz = ExtAuthz::new(&app, &config.delegate);
        let mut service =
            Self { runtime, service, ext_authz, live, dead, plain, session, _stop: stop, _folder: folder };
        service.seed();
        service
    }

    /// Makes the secrets.
    fn seed(&mut self) {
        let admin = format!("Basic {}", "YWRtaW5AZXhhbXBsZS5jb206Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==");
        (self.live, _) = self.token(&admin);
        let id;
        (self.dead, id) = self.token(&admin);
        let bearer = format!("Bearer {}", self.live);
        assert_eq!(self.call("DELETE", &format!("/v4/apiAccessTokens/{id}"), &bearer, None).status, 204);
        let bob = json!({"email": "bob@example.com", "name": "Bob", "password": PASSWORD});
        let made = self.call("POST", "/v4/people", &bearer, Some(&bob));
        let path = format!("/v4/people/{}", made.json["id"]);
        let access = |word: &str| self.call("PATCH", &path, &bearer, Some(&json!({"tokenAccess": word}))).status;
        assert_eq!(access("enabled"), 200);
        let (plain, _) = self.token("Basic Ym9iQGV4YW1wbGUuY29tOmNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU=");
        assert_eq!(access("default"), 200);
        self.plain = plain;
        let form = b"email=admin%40example.com&password=correct+horse+battery+staple";
        let fields = [("origin", "http://127.0.0.1:3005"), ("content-type", "application/x-www-form-urlencoded")];
        let signed_in = self.send("POST", "/sign-in", fields.map(|(n, v)| (n, v.as_bytes())), form).expect("a request");
        let cookie =
            signed_in.cookies.iter().find(|field| field.starts_with("tokenward=") && !field.contains("Max-Age"));
        let cookie = cookie.expect("a cookie").split(';').next().expect("a pair");
        self.session = cookie["tokenward=".len()..].to_owned();
    }

    fn token(&self, authorization: &str) -> (String, String) {
        let made = self.call("POST", "/v4/apiAccessTokens", authorization, Some(&json!({"lifetimeSeconds": -1})));
        let text = |value: &Value| value.as_str().expect("a token").to_owned();
        (text(&made.json["tokenValue"]), text(&made.json["tokenInfo"]["tokenId"]))
    }

    fn call(&self, method: &str, path: &str, authorization: &str, body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send(method, path, [("authorization", authorization.as_bytes())], body.as_bytes()).expect("a request")
    }

    /// Sends a request; none where HTTP cannot say it.
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
            let Ok(reply) = self.service.answer(request, None).await;
            let (parts, body) = reply.into_parts();
            let bytes = body.collect().await.expect("a body").to_bytes();
            let cookies = parts.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
            let cookies = cookies.map(str::to_owned).collect();
            Reply { status: parts.status, json: serde_json::from_slice(&bytes).unwrap_or_default(), cookies }
        }))
    }

    /// Asks as Envoy does.
    pub fn check(&self, request: CheckRequest) -> Result<CheckResponse, tonic::Status> {
        self.run(self.ext_authz.check(tonic::Request::new(request))).map(tonic::Response::into_inner)
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The bytes with this run's secrets in the places that name them.
    pub fn filled_in(&self, bytes: &[u8]) -> Vec<u8> {
        let mut text = bytes.to_vec();
        let secrets =
            [("$LIVE", &self.live), ("$DEAD", &self.dead), ("$PLAIN", &self.plain), ("$SESSION", &self.session)];
        for (name, secret) in secrets {
            while let Some(at) = text.windows(name.len()).position(|window| window == name.as_bytes()) {
                text.splice(at..at + name.len(), secret.bytes());
            }
        }
        text
    }
}

/// Whether this is what follows `Bearer` of the live token, said in other words than the service's.
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
