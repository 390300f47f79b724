//! The metrics port: both text formats, the documented names, the values, and the files in `deploy` that use them.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use rstest::rstest;
use rstest_reuse::apply;

use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, tokenward_command},
    both_databases_multi_thread, http_client,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

/// Starts the service with a metrics port. Returns the URL of that port.
async fn start(engine: Engine) -> (ServerProcess, String, Database) {
    let database = Database::empty(engine).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_LISTEN__METRICS", "127.0.0.1:0").env("TOKENWARD_RATE_LIMITS__FAILED_LOGINS_PER_IP", "3");
    let running = ServerProcess::start_with(serve);
    let log = running.log();
    let url = log.split("http://").find_map(|text| text.split_once("/metrics").map(|(host, _)| host.to_owned()));
    (running, format!("http://{}", url.expect("the address of the metrics")), database)
}

async fn scrape(metrics: &str, accept: &str) -> (String, String) {
    let response = http_client().get(format!("{metrics}/metrics")).header("accept", accept).send().await.unwrap();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    (content_type, response.text().await.unwrap())
}

/// Returns the value of one series.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in {text}")).parse().unwrap()
}

/// Sends requests of every kind that has metrics.
async fn send_requests(running: &ServerProcess) {
    let client = http_client();
    let token = running.create_token(&client).await.unwrap();
    let get = |path: &str| client.get(format!("{}{path}", running.url));
    let value = token["tokenValue"].as_str().unwrap();
    for (bearer, status) in [(value, 200), (value, 200), ("x", 401)] {
        assert_eq!(get("/v4/auth").bearer_auth(bearer).send().await.unwrap().status(), status);
    }
    for (password, status) in [("wrong password 1", 401), ("wrong password 2", 401), (PASSWORD, 200)] {
        let request = get("/v4/people/current").basic_auth("admin@example.com", Some(password));
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    let unknown = get("/v4/people/current").basic_auth("unknown@example.com", Some(PASSWORD));
    assert_eq!(unknown.send().await.unwrap().status(), 401);
    let throttled = get("/v4/people/current").basic_auth("admin@example.com", Some(PASSWORD));
    assert_eq!(throttled.send().await.unwrap().status(), 429);
}

/// Reads the metrics until the background job has counted the tokens.
async fn scrape_with_tokens(metrics: &str, accept: &str) -> String {
    loop {
        let (_, text) = scrape(metrics, accept).await;
        if text.contains("tokenward_tokens_expiring") {
            return text;
        }
    }
}

#[apply(both_databases_multi_thread)]
async fn requests_are_counted(engine: Engine) {
    let (running, metrics, _database) = start(engine).await;
    send_requests(&running).await;
    let text = scrape_with_tokens(&metrics, "").await;
    for (series, expected) in [
        ("tokenward_auth_checks_total{entry_point=\"forward_auth\",result=\"allowed\"}", 2.0),
        ("tokenward_auth_checks_total{entry_point=\"forward_auth\",result=\"denied\"}", 1.0),
        ("tokenward_auth_checks_total{entry_point=\"introspection\",result=\"error\"}", 0.0),
        ("tokenward_auth_check_duration_seconds_count{entry_point=\"forward_auth\"}", 3.0),
        ("tokenward_auth_check_duration_seconds_bucket{le=\"+Inf\",entry_point=\"forward_auth\"}", 3.0),
        ("tokenward_sign_ins_total{entry_point=\"api\",result=\"success\"}", 2.0),
        ("tokenward_sign_ins_total{entry_point=\"api\",result=\"wrong_password\"}", 2.0),
        ("tokenward_sign_ins_total{entry_point=\"api\",result=\"unknown_email\"}", 1.0),
        ("tokenward_sign_ins_total{entry_point=\"api\",result=\"throttled\"}", 1.0),
        ("tokenward_sign_ins_total{entry_point=\"page\",result=\"success\"}", 0.0),
        ("tokenward_device_authorizations_total{result=\"begun\"}", 0.0),
        ("tokenward_rate_limit_rejections_total{limit=\"failed_logins_per_ip\"}", 1.0),
        ("tokenward_rate_limit_rejections_total{limit=\"connections\"}", 0.0),
        ("tokenward_http_requests_total{method=\"POST\",route=\"/v4/apiAccessTokens\",status=\"201\"}", 1.0),
        ("tokenward_http_requests_total{method=\"GET\",route=\"/v4/people/current\",status=\"429\"}", 1.0),
        ("tokenward_http_request_duration_seconds_count{route=\"/v4/people/current\"}", 5.0),
        ("tokenward_db_operations_waiting", 0.0),
        ("tokenward_tokens{status=\"expired\"}", 0.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}\n{text}");
    }
    assert!(value(&text, "tokenward_db_connections_max") >= 3.0);
    let build = text.lines().find(|line| line.starts_with("tokenward_build_info{")).unwrap();
    assert!(build.contains(&format!("version=\"{}\"", env!("CARGO_PKG_VERSION"))) && build.ends_with("} 1"), "{build}");
}

#[apply(both_databases_multi_thread)]
async fn promtool_accepts_the_metrics(engine: Engine) {
    let (running, metrics, _database) = start(engine).await;
    send_requests(&running).await;
    scrape_with_tokens(&metrics, "").await;
    let (content_type, text) = scrape(&metrics, "text/plain;version=0.0.4").await;
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool, from the package prometheus");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let found = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && found.is_empty(), "{found}\n{text}");

    let (content_type, text) = scrape(&metrics, OPENMETRICS).await;
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(text.ends_with("# EOF\n") && text.contains("# UNIT tokenward_cache_size_bytes bytes\n"), "{text}");
}

/// Returns the names of the metrics in a text.
fn described_names(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    lines
        .map(|(name, help)| {
            assert!(help.len() > 5, "{name} has no description");
            name.to_owned()
        })
        .collect()
}

/// Returns the words that are names of metrics, without the suffixes of a histogram.
fn used_names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let names = words.filter(|word| word.starts_with("tokenward_") || word.starts_with("process_"));
    let suffixes = ["_bucket", "_count", "_sum"];
    names.map(|name| suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_the_alerts_and_the_dashboard_use_the_names_of_the_program() {
    let mut names = BTreeSet::new();
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let (running, metrics, _database) = start(engine).await;
        send_requests(&running).await;
        running.send_signal("USR1");
        scrape_with_tokens(&metrics, "").await;
        while engine == Engine::Sqlite && !running.log().contains("backed up") {
            tokio::task::yield_now().await;
        }
        names.append(&mut described_names(&scrape(&metrics, "").await.1));
    }
    let file = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let page = file("docs/reference/metrics.md");
    let cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: BTreeSet<String> = cells
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("tokenward_") || name.starts_with("process_"))
        .collect();
    assert_eq!(documented, names);
    for path in ["deploy/prometheus/alerts.yaml", "deploy/grafana/tokenward.json", "docs/how-to/monitoring.md"] {
        let used = used_names(&file(path));
        let unknown: Vec<_> = used.difference(&names).collect();
        assert!(unknown.is_empty() && !used.is_empty(), "{path}: {unknown:?}");
    }
}

#[test]
fn the_alerts_pass_their_tests() {
    let folder = root().join("deploy/prometheus");
    for arguments in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]] {
        let output = Command::new("promtool").args(arguments).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    // Each alert is documented and has a test that makes it fire.
    let alerts = std::fs::read_to_string(folder.join("alerts.yaml")).unwrap();
    let tests = std::fs::read_to_string(folder.join("alerts_test.yaml")).unwrap();
    let page = std::fs::read_to_string(root().join("docs/how-to/monitoring.md")).unwrap();
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 10);
    for name in names {
        assert!(tests.contains(&format!("- name: {name}\n")), "{name} has no test");
        assert!(page.contains(&format!("| `{name}` |")), "{name} is not documented");
    }
}

#[apply(both_databases_multi_thread)]
async fn the_metrics_port_serves_health_checks(engine: Engine) {
    let (_running, metrics, _database) = start(engine).await;
    let get = async |path: &str| http_client().get(format!("{metrics}{path}")).send().await.unwrap();
    for path in ["/health/live", "/health/ready"] {
        let response = get(path).await;
        assert_eq!((response.status().as_u16(), response.text().await.unwrap().as_str()), (200, "ok\n"));
    }
    assert_eq!(get("/v4/people/current").await.status(), 404);
    let post = http_client().post(format!("{metrics}/metrics")).send().await.unwrap();
    assert_eq!(post.status(), 404);
}
