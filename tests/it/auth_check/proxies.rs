//! The shipped configurations of `deploy/proxies`, run by the real proxies between a client and a service that shows what it
//! received.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::http_client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Database, Engine, PASSWORD,
    binary::{Running, command},
    postgres::free_port,
};

const IDENTITY: [&str; 8] = [
    "Remote-User",
    "Remote-Name",
    "Remote-Email",
    "Remote-Groups",
    "X-Tokenward-Person-Id",
    "X-Tokenward-Workspace-Id",
    "X-Tokenward-Token-Id",
    "X-Tokenward-Token-Expires",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_lets_through_only_whom_tokenward_knows() {
    let make = |folder: &Path| {
        let mut nginx = Command::new("nginx");
        nginx.arg("-p").arg(folder).args(["-c", "nginx.conf"]);
        nginx
    };
    Scene::of("nginx", &["nginx.conf"], make).await.play().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_lets_through_only_whom_tokenward_knows() {
    let make = |folder: &Path| {
        let mut caddy = Command::new("caddy");
        caddy.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]).env("HOME", folder);
        caddy
    };
    Scene::of("caddy", &["Caddyfile"], make).await.play().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_by_http_lets_through_only_whom_tokenward_knows() {
    Scene::of("envoy", &["envoy-http.yaml"], |_| envoy("envoy-http.yaml")).await.play().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_by_grpc_lets_through_only_whom_tokenward_knows() {
    Scene::of("envoy", &["envoy-grpc.yaml"], |_| envoy("envoy-grpc.yaml")).await.play().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_lets_through_only_whom_tokenward_knows() {
    let make = |_: &Path| {
        let mut haproxy = Command::new("haproxy");
        haproxy.args(["-db", "-f", "haproxy.cfg"]);
        haproxy
    };
    Scene::of("haproxy", &["haproxy.cfg", "haproxy-tokenward.lua"], make).await.play().await;
}

/// The longest name and e-mail that a person may have make 5 KB of headers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_with_the_longest_name_passes_every_proxy() {
    let nginx = |folder: &Path| {
        let mut nginx = Command::new("nginx");
        nginx.arg("-p").arg(folder).args(["-c", "nginx.conf"]);
        nginx
    };
    Scene::of("nginx", &["nginx.conf"], nginx).await.longest_name().await;
    let caddy = |folder: &Path| {
        let mut caddy = Command::new("caddy");
        caddy.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]).env("HOME", folder);
        caddy
    };
    Scene::of("caddy", &["Caddyfile"], caddy).await.longest_name().await;
    for file in ["envoy-http.yaml", "envoy-grpc.yaml"] {
        Scene::of(file, &[file], |_| envoy(file)).await.longest_name().await;
    }
    let haproxy = |_: &Path| {
        let mut haproxy = Command::new("haproxy");
        haproxy.args(["-db", "-f", "haproxy.cfg"]);
        haproxy
    };
    Scene::of("haproxy", &["haproxy.cfg", "haproxy-tokenward.lua"], haproxy).await.longest_name().await;
}

fn envoy(file: &str) -> Command {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/envoy");
    assert!(program.exists(), "this test needs {}: scripts/test installs it", program.display());
    let mut envoy = Command::new(program);
    envoy.args(["-c", file, "--use-dynamic-base-id", "-l", "error", "--concurrency", "1"]);
    envoy
}

/// A client, a proxy, a service, and Tokenward beside them.
struct Scene {
    name: &'static str,
    tokenward: Running,
    service: Service,
    proxy: Child,
    port: u16,
    _database: Database,
    _folder: TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Asked, not killed: nginx would leave its workers behind.
        Command::new("kill").args(["-TERM", &self.proxy.id().to_string()]).status().ok();
        self.proxy.wait().ok();
    }
}

impl Scene {
    async fn of(name: &'static str, files: &[&str], make: impl FnOnce(&Path) -> Command) -> Self {
        let database = Database::empty(Engine::Sqlite).await;
        let mut serve = command(&database.url);
        serve.env("TOKENWARD_LISTEN__EXT_AUTHZ", "127.0.0.1:0");
        let tokenward = Running::start_with(serve);
        let service = Service::start();
        let port = free_port();
        let log = tokenward.log();
        let grpc = log.lines().find_map(|line| line.split("grpc://").nth(1)).expect("the port of the gRPC checks");
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/proxies").join(file);
            let text = std::fs::read_to_string(shipped).unwrap();
            let text = text
                .replace("127.0.0.1:3005", tokenward.url.trim_start_matches("http://"))
                .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"))
                .replace("127.0.0.1:9000", &format!("127.0.0.1:{}", service.port))
                .replace("port_value: 3005", &format!("port_value: {}", tokenward.url.rsplit(':').next().unwrap()))
                .replace("port_value: 3006", &format!("port_value: {}", grpc.rsplit(':').next().unwrap()))
                .replace("port_value: 8080", &format!("port_value: {port}"))
                .replace("port_value: 9000", &format!("port_value: {}", service.port));
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        open_to_all(folder.path());
        let mut proxy = make(folder.path());
        let log = std::fs::File::create(folder.path().join("proxy.log")).unwrap();
        proxy.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut proxy =
            proxy.spawn().unwrap_or_else(|error| panic!("this test needs {name}: scripts/test installs it ({error})"));
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = || std::fs::read_to_string(folder.path().join("proxy.log")).unwrap_or_default();
            assert!(proxy.try_wait().unwrap().is_none(), "{name} did not start: {}", said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { name, tokenward, service, proxy, port, _database: database, _folder: folder }
    }

    async fn play(&self) {
        let http = http_client();
        let token = self.tokenward.make_token(&http).await.unwrap();
        let good = token["tokenValue"].as_str().unwrap().to_owned();
        self.good_tokens_pass(&good, token["tokenInfo"]["tokenId"].as_str().unwrap());
        self.others_do_not(&http).await;
        self.identity_cannot_be_spoofed(&good);
        self.bodies_and_upgrades_pass(&good);
        self.queries_of_clients_pass(&good);
        self.odd_paths_change_nothing(&good);
        self.two_credentials_are_refused(&good);
        self.an_outage_is_no_verdict(&good);
    }

    async fn longest_name(&self) {
        let (http, url) = (http_client(), &self.tokenward.url);
        let email = format!("{}@{}.{}.{}.example", "a".repeat(64), "b".repeat(63), "c".repeat(63), "d".repeat(51));
        let add = json!({"email": email, "name": "\u{1f511}".repeat(255), "password": PASSWORD, "isAdmin": true});
        let added = http.post(format!("{url}/v4/people")).basic_auth("admin@example.com", Some(PASSWORD));
        let added = added.json(&add).send().await.unwrap();
        assert_eq!(added.status(), 201, "{}", added.text().await.unwrap());
        let made = http.post(format!("{url}/v4/apiAccessTokens")).basic_auth(&email, Some(PASSWORD));
        let made: Value = made.json(&json!({"lifetimeSeconds": 60})).send().await.unwrap().json().await.unwrap();
        let (status, seen) = self.get("/", &[bearer(made["tokenValue"].as_str().unwrap())]);
        assert_eq!(status, 200, "{}: {seen}", self.name);
        assert!(seen.contains(&"%F0%9F%94%91".repeat(255)) && seen.contains(&email), "{}: {seen}", self.name);
    }

    /// Sends a request and gives the answer's status and text.
    fn send(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let request = format!("{head}\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n{body}", self.port);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("{}: {head}: {answer:?}", self.name)), answer)
    }

    fn get(&self, path: &str, headers: &[String]) -> (u16, String) {
        let headers: String = headers.iter().map(|header| format!("\r\n{header}")).collect();
        self.send(&format!("GET {path} HTTP/1.1{headers}"), "")
    }

    fn good_tokens_pass(&self, good: &str, token_id: &str) {
        let (status, seen) = self.get("/x?y=1", &[bearer(good)]);
        assert_eq!(status, 200, "{}: {seen}", self.name);
        let seen = seen.to_ascii_lowercase();
        assert!(seen.contains("get /x?y=1 http/1.1"), "{}: {seen}", self.name);
        for line in [
            "remote-user: admin@example.com",
            "remote-name: administrator",
            "remote-email: admin@example.com",
            "remote-groups: user,admin",
            "x-tokenward-person-id: 1",
            "x-tokenward-workspace-id: 1",
            &format!("x-tokenward-token-id: {token_id}"),
            "x-tokenward-token-expires: never",
        ] {
            assert!(seen.contains(line), "{}: {line} in {seen}", self.name);
        }
        assert!(!seen.contains("authorization:"), "{}: the service needs no credential: {seen}", self.name);
    }

    async fn others_do_not(&self, http: &reqwest::Client) {
        let deleted = self.tokenward.make_token(http).await.unwrap();
        let path =
            format!("{}/v4/apiAccessTokens/{}", self.tokenward.url, deleted["tokenInfo"]["tokenId"].as_str().unwrap());
        let gone = http.delete(path).basic_auth("admin@example.com", Some(PASSWORD)).send().await.unwrap();
        assert_eq!(gone.status(), 204);
        let other = self.another_workspaces_token(http).await;
        let expired = self.expired_token(http).await;
        let before = self.service.requests();
        for (headers, expected) in [
            (vec![], 401),
            (vec![bearer(&expired)], 401),
            (vec![bearer(deleted["tokenValue"].as_str().unwrap())], 401),
            (vec![bearer("nonsense")], 401),
            (vec!["Authorization: Basic bm9ib2R5Ong=".to_owned()], 401),
            (vec![bearer(&other)], 403),
        ] {
            let (status, answer) = self.get("/", &headers);
            assert_eq!(status, expected, "{}: {headers:?}: {answer}", self.name);
            let challenged = answer.to_ascii_lowercase().contains("www-authenticate: bearer realm=\"tokenward\"");
            assert_eq!(challenged, expected == 401, "{}: {answer}", self.name);
        }
        assert_eq!(self.service.requests(), before, "{}: the service was reached", self.name);
    }

    /// A token whose one second is over.
    async fn expired_token(&self, http: &reqwest::Client) -> String {
        let url = &self.tokenward.url;
        let made = http.post(format!("{url}/v4/apiAccessTokens")).basic_auth("admin@example.com", Some(PASSWORD));
        let made: Value = made.json(&json!({"lifetimeSeconds": 1})).send().await.unwrap().json().await.unwrap();
        let value = made["tokenValue"].as_str().unwrap().to_owned();
        while http.get(format!("{url}/v4/auth")).bearer_auth(&value).send().await.unwrap().status() != 401 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        value
    }

    async fn another_workspaces_token(&self, http: &reqwest::Client) -> String {
        let url = &self.tokenward.url;
        let admin = json!({"email": "eve@example.com", "name": "Eve", "password": PASSWORD});
        let made = http.post(format!("{url}/v4/workspaces")).basic_auth("admin@example.com", Some(PASSWORD));
        assert_eq!(made.json(&json!({"name": "Other", "admin": admin})).send().await.unwrap().status(), 201);
        let made = http.post(format!("{url}/v4/apiAccessTokens")).basic_auth("eve@example.com", Some(PASSWORD));
        let made: Value = made.json(&json!({"lifetimeSeconds": 60})).send().await.unwrap().json().await.unwrap();
        made["tokenValue"].as_str().unwrap().to_owned()
    }

    /// Whatever the client sends under our names, the service sees our value, once.
    fn identity_cannot_be_spoofed(&self, good: &str) {
        for name in IDENTITY {
            let spellings = [name.to_owned(), name.to_uppercase(), odd_case(name), name.replace('-', "_")];
            for spelling in spellings {
                for times in [1, 2] {
                    let mut headers = vec![format!("{spelling}: root"); times];
                    headers.insert(times / 2, bearer(good));
                    let (status, seen) = self.get("/", &headers);
                    if status == 400 {
                        continue;
                    }
                    assert_eq!(status, 200, "{}: {headers:?}: {seen}", self.name);
                    assert!(!seen.contains("root"), "{}: {headers:?}: {seen}", self.name);
                    let theirs = seen.to_ascii_lowercase();
                    assert_eq!(
                        theirs.matches(&format!("\n{}:", name.to_ascii_lowercase())).count(),
                        1,
                        "{}: {seen}",
                        self.name
                    );
                }
                // Named by nobody who is known, it opens nothing.
                assert!([400, 401].contains(&self.get("/", &[format!("{spelling}: root")]).0), "{}", self.name);
            }
        }
    }

    fn bodies_and_upgrades_pass(&self, good: &str) {
        let body = "x".repeat(100_000);
        let head = format!("POST /upload HTTP/1.1\r\n{}\r\nContent-Length: {}", bearer(good), body.len());
        let (status, seen) = self.send(&head, &body);
        assert!(status == 200 && seen.contains(&body), "{}: {status}", self.name);
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let upgrade = format!(
            "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.port,
            bearer(good)
        );
        stream.write_all(upgrade.as_bytes()).unwrap();
        let head = read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 101"), "{}: {head}", self.name);
        stream.write_all(b"ping").unwrap();
        let mut echoed = [0; 4];
        stream.read_exact(&mut echoed).unwrap();
        assert_eq!(&echoed, b"ping", "{}", self.name);
        stream.shutdown(Shutdown::Both).ok();
    }

    /// Proxies append the client's query to the check, where it is not read: also what the API itself would refuse passes.
    fn queries_of_clients_pass(&self, good: &str) {
        for path in ["/x?person_id=2&status=expired&unknown", "/?limit=x&limit=y", "/any?dryRun=true"] {
            let (status, seen) = self.get(path, &[bearer(good)]);
            assert_eq!(status, 200, "{}: {path}: {seen}", self.name);
            assert!(seen.contains(&format!("GET {path} HTTP/1.1")), "{}: {path}: {seen}", self.name);
            assert_eq!(self.get(path, &[]).0, 401, "{}: {path}", self.name);
        }
    }

    fn odd_paths_change_nothing(&self, good: &str) {
        for path in [
            "/a/../b",
            "//x",
            "/a%2fb",
            "/v4/auth/any",
            "/..%2f..%2fany",
            "/?x=/v4/auth/any",
            "/%2e%2e/any",
            "/workspace=2",
        ] {
            let (status, answer) = self.get(path, &[bearer(good)]);
            assert!([200, 400, 307].contains(&status), "{}: {path}: {answer}", self.name);
            let (status, answer) = self.get(path, &[]);
            assert!([400, 401, 307].contains(&status), "{}: {path}: {answer}", self.name);
        }
    }

    fn two_credentials_are_refused(&self, good: &str) {
        for headers in [[bearer(good), bearer("x")], [bearer("x"), bearer(good)]] {
            let (status, answer) = self.get("/", &headers);
            assert!([400, 401].contains(&status), "{}: {answer}", self.name);
        }
    }

    /// Tokenward that hangs, and Tokenward that is gone: 5xx, never 401, and nobody gets through.
    fn an_outage_is_no_verdict(&self, good: &str) {
        let before = self.service.requests();
        for signal in ["STOP", "KILL"] {
            self.tokenward.signal(signal);
            for headers in [vec![bearer(good)], vec![], vec![bearer("x")]] {
                let (status, answer) = self.get("/", &headers);
                assert!((500..600).contains(&status), "{}: {signal}: {answer}", self.name);
            }
        }
        assert_eq!(self.service.requests(), before, "{}: the service was reached", self.name);
    }
}

fn bearer(value: &str) -> String {
    format!("Authorization: Bearer {value}")
}

fn odd_case(name: &str) -> String {
    let odd =
        name.chars().enumerate().map(|(n, c)| if n % 2 == 0 { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() });
    odd.collect()
}

/// Proxies that were started by root read their files as somebody else.
fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// A service that answers with what it received.
struct Service {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || show(stream, &counted));
            }
        });
        Self { port, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn show(mut stream: TcpStream, counted: &AtomicUsize) {
    let head = read_head(&mut stream);
    if head.is_empty() {
        return;
    }
    counted.fetch_add(1, Ordering::SeqCst);
    let lower = head.to_ascii_lowercase();
    if lower.contains("upgrade: websocket") {
        let accept = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        stream.write_all(accept.as_bytes()).ok();
        let mut bytes = [0; 64];
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            stream.write_all(&bytes[..read]).ok();
        }
        return;
    }
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok();
    let seen = format!("{head}{}", String::from_utf8_lossy(&body));
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{seen}", seen.len());
    stream.write_all(answer.as_bytes()).ok();
}
