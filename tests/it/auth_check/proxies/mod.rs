//! The configurations in `deploy/proxies`, tested with the real proxies between a client and a
//! service that echoes its requests.

mod echo;
mod identity;
mod setup;
mod transport;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::support::http_client;
use setup::{ProxySetup, bearer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_forwards_only_authenticated_requests() {
    ProxySetup::start("nginx", &["nginx.conf"], nginx).await.run_all_checks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_forwards_only_authenticated_requests() {
    ProxySetup::start("caddy", &["Caddyfile"], caddy).await.run_all_checks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_http_forwards_only_authenticated_requests() {
    ProxySetup::start("envoy", &["envoy-http.yaml"], |_| envoy("envoy-http.yaml")).await.run_all_checks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_grpc_forwards_only_authenticated_requests() {
    ProxySetup::start("envoy", &["envoy-grpc.yaml"], |_| envoy("envoy-grpc.yaml")).await.run_all_checks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_forwards_only_authenticated_requests() {
    ProxySetup::start("haproxy", &HAPROXY_FILES, haproxy).await.run_all_checks().await;
}

/// The longest name and e-mail address of a person result in 5 KB of headers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_identity_headers_pass_every_proxy() {
    ProxySetup::start("nginx", &["nginx.conf"], nginx).await.check_longest_identity().await;
    ProxySetup::start("caddy", &["Caddyfile"], caddy).await.check_longest_identity().await;
    for file in ["envoy-http.yaml", "envoy-grpc.yaml"] {
        ProxySetup::start(file, &[file], |_| envoy(file)).await.check_longest_identity().await;
    }
    ProxySetup::start("haproxy", &HAPROXY_FILES, haproxy).await.check_longest_identity().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preflights_pass_every_proxy_with_the_lines_for_cors() {
    let edit = |text: &str| text.replace("#cors ", "");
    ProxySetup::start_edited("nginx", &["nginx.conf"], edit, nginx).await.check_preflights().await;
    ProxySetup::start_edited("caddy", &["Caddyfile"], edit, caddy).await.check_preflights().await;
    for file in ["envoy-http.yaml", "envoy-grpc.yaml"] {
        ProxySetup::start_edited(file, &[file], edit, |_| envoy(file)).await.check_preflights().await;
    }
    ProxySetup::start_edited("haproxy", &HAPROXY_FILES, edit, haproxy).await.check_preflights().await;
}

/// The line of the guide for a token with a scope replaces the one of the shipped configuration.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_asks_for_the_scope_of_the_guide() {
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/how-to/read-only-token.md"));
    let guide = guide.unwrap();
    let line = guide.split("```nginx\n").nth(1).unwrap().lines().next().unwrap();
    let edit = |text: &str| text.replace("proxy_pass http://tokenward/v4/auth/workspace=1;", line);
    let setup = ProxySetup::start_edited("nginx", &["nginx.conf"], edit, nginx).await;
    for (limits, expected) in [
        (json!({"scopes": ["reports:read"]}), 200),
        (json!({"scopes": ["reports:read", "other"]}), 200),
        (json!({}), 200),
        (json!({"scopes": ["reports:write"]}), 403),
        (json!({"scopes": []}), 403),
    ] {
        let value = setup.token_with(&limits).await;
        assert_eq!(setup.get("/", &[bearer(&value)]).0, expected, "{limits}");
    }
}

const HAPROXY_FILES: [&str; 2] = ["haproxy.cfg", "haproxy-tokenward.lua"];

fn nginx(folder: &Path) -> Command {
    let mut nginx = Command::new("nginx");
    nginx.arg("-p").arg(folder).args(["-c", "nginx.conf"]);
    nginx
}

fn caddy(folder: &Path) -> Command {
    let mut caddy = Command::new("caddy");
    caddy.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]).env("HOME", folder);
    caddy
}

fn haproxy(_: &Path) -> Command {
    let mut haproxy = Command::new("haproxy");
    haproxy.args(["-db", "-f", "haproxy.cfg"]);
    haproxy
}

fn envoy(file: &str) -> Command {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/envoy");
    assert!(program.exists(), "this test needs {}: scripts/test installs it", program.display());
    let mut envoy = Command::new(program);
    envoy.args(["-c", file, "--use-dynamic-base-id", "-l", "error", "--concurrency", "1"]);
    envoy
}

impl ProxySetup {
    async fn run_all_checks(&self) {
        let http = http_client();
        let token = self.tokenward.create_token(&http).await.unwrap();
        let value = token["tokenValue"].as_str().unwrap().to_owned();
        self.check_valid_token(&value, token["tokenInfo"]["tokenId"].as_str().unwrap());
        self.check_rejected_credentials(&http).await;
        self.check_spoofed_identity_headers(&value);
        self.check_bodies_and_upgrades(&value);
        self.check_client_queries(&value);
        self.check_unusual_paths(&value);
        self.check_two_credentials(&value);
        self.check_connections_are_kept().await;
        self.check_outage(&value);
    }
}
