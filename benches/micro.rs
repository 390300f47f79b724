//! Benchmarks of the parts of an auth check: `cargo bench --bench micro`. `scripts/bench micro`
//! also counts instructions with callgrind, which do not depend on the load of the machine.

#![expect(clippy::expect_used, reason = "a benchmark fails if its setup does")]

use std::sync::LazyLock;

use axum::{body::Body, http::Request};
use divan::{Bencher, black_box};
use tokenward::{
    app::App,
    config::Config,
    domain::{event::RequestContext, random::Random, time::Clock, token::Lifetime},
    http::{pipeline::HttpService, server},
    service::{
        Actor,
        bootstrap::{FirstAdministrator, bootstrap, generate_password},
        sign_in::LoginChannel,
        tokens::{CachedVerdict, Idempotency, TokenRequest, ValidToken},
    },
};
use tokenward_guard::{
    Credential, Principal,
    token_format::{BearerToken, TokenFormat},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A service with one cached token.
struct Fixture {
    app: App,
    service: HttpService,
    value: String,
    _folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let url =
        format!("database.url = \"sqlite:{}/micro.db\"\n[passwords.argon2]\nmemory_kib = 64", folder.path().display());
    let config: Config = toml::from_str(&url).expect("a configuration");
    let (app, value) = runtime.block_on(async {
        let store = server::open_store(&config, true).await.expect("a store");
        let (clock, random) = (Clock::system(), Random::system());
        let app = App::new(store.clone(), clock.clone(), random.clone(), &config).expect("an app");
        let first = FirstAdministrator { email: "admin@example.com".to_owned(), password: generate_password(&random) };
        bootstrap(&store, app.people(), &clock, &first).await.expect("a first start").expect("an administrator");
        let (email, password) = (&first.email, &first.password);
        let context = RequestContext::default();
        let login = app.sign_in().authenticate(email, password, LoginChannel::Request, &context).await;
        let login = login.expect("a sign-in");
        let admin = Actor::from_principal(login.principal.clone(), Some(&login), context.clone()).expect("an actor");
        let request = TokenRequest { lifetime: Some(Lifetime::Forever), ..TokenRequest::default() };
        let (value, _) = app.tokens().issue(&admin, request, Idempotency::Disabled).await.expect("a token");
        let presented = BearerToken::parse(value.expose()).expect("a bearer");
        app.tokens().validate(presented, &context).await.expect("a good token");
        (app, value.expose().to_owned())
    });
    Fixture { service: server::service(&app, &config), app, value, _folder: folder, runtime }
});

fn request() -> Request<Body> {
    let request = Request::builder().uri("/v4/auth").header("host", "127.0.0.1:3005");
    request.header("authorization", format!("Bearer {}", FIXTURE.value)).body(Body::empty()).expect("a request")
}

fn main() {
    LazyLock::force(&FIXTURE);
    let _runtime = FIXTURE.runtime.enter();
    divan::main();
}

#[divan::bench]
fn read_credential(bencher: Bencher) {
    let request = request();
    bencher.bench_local(|| Credential::from_headers(black_box(request.headers())).is_ok());
}

#[divan::bench]
fn parse_and_digest(bencher: Bencher) {
    let (format, presented) = (TokenFormat::default(), BearerToken::parse(&FIXTURE.value).expect("a bearer"));
    bencher.bench_local(|| format.parse_digest(black_box(presented)));
}

#[divan::bench]
fn find_cached(bencher: Bencher) {
    let digest =
        TokenFormat::default().parse_digest(BearerToken::parse(&FIXTURE.value).expect("a bearer")).expect("a token");
    bencher.bench_local(|| FIXTURE.app.node().find_cached(black_box(&digest)).is_some());
}

#[divan::bench]
fn authenticate_cached(bencher: Bencher) {
    let presented = BearerToken::parse(&FIXTURE.value).expect("a bearer");
    let authenticate = || -> Option<Principal> {
        match FIXTURE.app.tokens().validate_cached(black_box(presented), || None) {
            CachedVerdict::Decided(verdict) => verdict.ok().map(ValidToken::into_principal),
            CachedVerdict::Unknown(_) => None,
        }
    };
    bencher.bench_local(authenticate);
}

#[divan::bench]
fn respond(bencher: Bencher) {
    bencher.with_inputs(request).bench_local_values(|request| FIXTURE.service.handle(request, None));
}
