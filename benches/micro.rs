//! The parts of a check, each alone: `cargo bench --bench micro`. `scripts/bench micro` prints, beside the time, the instructions
//! that callgrind counts, which do not depend on what else the machine does.

#![expect(clippy::expect_used, reason = "a benchmark that cannot begin says why")]

use std::sync::LazyLock;

use axum::{body::Body, http::Request};
use divan::{Bencher, black_box};
use tokenward::{
    app::App,
    config::Config,
    domain::{
        random::Random,
        time::Clock,
        token::{Description, Lifetime},
    },
    http::{
        root::Service,
        server::{self},
    },
    service::{
        Actor,
        bootstrap::{FirstAdministrator, set_up},
        sign_in::Via,
        tokens::Once,
    },
};
use tokenward_guard::{
    Credential, Principal,
    token_format::{BearerToken, TokenFormat},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A service that knows one token.
struct Scene {
    app: App,
    service: Service,
    value: String,
    _folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("database.url = \"sqlite:{}/micro.db\"\n[passwords]\nmemory_kib = 64", folder.path().display());
    let config: Config = toml::from_str(&url).expect("a configuration");
    let (app, value) = runtime.block_on(async {
        let store = server::open_store(&config, true).await.expect("a store");
        let (clock, random) = (Clock::system(), Random::system());
        let app = App::new(store.clone(), clock.clone(), random.clone(), &config).expect("an app");
        let first = FirstAdministrator { email: "admin@example.com".to_owned(), password: None };
        let made =
            set_up(&store, app.people(), &clock, &random, first).await.expect("a first start").expect("a password");
        let password = made.password.expect("a password");
        let proof = app.sign_in().by_password(&made.email, &password, Via::Request).await.expect("a sign-in");
        let admin = Actor::of(proof.principal.clone(), Some(&proof)).expect("a proof");
        let (value, _) =
            app.tokens().issue(&admin, Lifetime::Forever, Description::default(), Once::Never).await.expect("a token");
        let presented = BearerToken::parse(value.expose()).expect("a bearer");
        app.tokens().inspect(presented).await.expect("a good token");
        (app, value.expose().to_owned())
    });
    Scene { service: server::service(&app, &config), app, value, _folder: folder, runtime }
});

fn request() -> Request<Body> {
    let request = Request::builder().uri("/v4/auth").header("host", "127.0.0.1:3005");
    request.header("authorization", format!("Bearer {}", SCENE.value)).body(Body::empty()).expect("a request")
}

fn main() {
    LazyLock::force(&SCENE);
    let _runtime = SCENE.runtime.enter();
    divan::main();
}

#[divan::bench]
fn read_header(bencher: Bencher) {
    let request = request();
    bencher.bench_local(|| Credential::from_headers(black_box(request.headers())).is_ok());
}

#[divan::bench]
fn recognise_and_digest(bencher: Bencher) {
    let (format, presented) = (TokenFormat::default(), BearerToken::parse(&SCENE.value).expect("a bearer"));
    bencher.bench_local(|| format.parse_digest(black_box(presented)));
}

#[divan::bench]
fn look_up(bencher: Bencher) {
    let digest =
        TokenFormat::default().parse_digest(BearerToken::parse(&SCENE.value).expect("a bearer")).expect("a token");
    bencher.bench_local(|| SCENE.app.live().find(black_box(&digest)).is_some());
}

#[divan::bench]
fn whose_it_is(bencher: Bencher) {
    let presented = BearerToken::parse(&SCENE.value).expect("a bearer");
    let whose = || -> Option<Principal> {
        Some(SCENE.app.tokens().inspect_at_once(black_box(presented))?.ok()?.into_principal())
    };
    bencher.bench_local(whose);
}

#[divan::bench]
fn whole_answer(bencher: Bencher) {
    bencher.with_inputs(request).bench_local_values(|request| SCENE.service.answer(request, None));
}
