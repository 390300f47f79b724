//! The configurations in `deploy/proxies`, tested with the real proxies between a client and a
//! service that echoes its requests.

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

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, tokenward_command},
    http_client,
    postgres::free_port,
};

const IDENTITY_HEADERS: [&str; 8] = [
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

/// A proxy, the service behind it, and the Tokenward that authenticates its requests.
struct ProxySetup {
    name: &'static str,
    tokenward: ServerProcess,
    service: EchoService,
    proxy: Child,
    port: u16,
    /// The number of connections from the proxy to Tokenward's HTTP port.
    connections: Arc<AtomicUsize>,
    _database: Database,
    _folder: TempDir,
}

impl Drop for ProxySetup {
    fn drop(&mut self) {
        // SIGTERM, because nginx would leave its workers running after SIGKILL.
        Command::new("kill").args(["-TERM", &self.proxy.id().to_string()]).status().ok();
        self.proxy.wait().ok();
    }
}

impl ProxySetup {
    async fn start(name: &'static str, files: &[&str], proxy_command: impl FnOnce(&Path) -> Command) -> Self {
        Self::start_edited(name, files, str::to_owned, proxy_command).await
    }

    /// Starts a proxy with edited configurations.
    async fn start_edited(
        name: &'static str,
        files: &[&str],
        edit: impl Fn(&str) -> String,
        proxy_command: impl FnOnce(&Path) -> Command,
    ) -> Self {
        let database = Database::empty(Engine::Sqlite).await;
        let mut serve = tokenward_command(&database.url);
        serve.env("TOKENWARD_LISTEN__EXT_AUTHZ", "127.0.0.1:0");
        let tokenward = ServerProcess::start_with(serve);
        let service = EchoService::start();
        let port = free_port();
        let grpc = tokenward.grpc_address();
        let (counted_port, connections) = count_connections(tokenward.url.trim_start_matches("http://"));
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/proxies").join(file);
            let text = std::fs::read_to_string(shipped).unwrap();
            let text = edit(&text)
                .replace("127.0.0.1:3005", &format!("127.0.0.1:{counted_port}"))
                .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"))
                .replace("127.0.0.1:9000", &format!("127.0.0.1:{}", service.port))
                .replace("port_value: 3005", &format!("port_value: {counted_port}"))
                .replace("port_value: 3006", &format!("port_value: {}", grpc.rsplit(':').next().unwrap()))
                .replace("port_value: 8080", &format!("port_value: {port}"))
                .replace("port_value: 9000", &format!("port_value: {}", service.port));
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        make_world_accessible(folder.path());
        let mut proxy = proxy_command(folder.path());
        let log = std::fs::File::create(folder.path().join("proxy.log")).unwrap();
        proxy.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut proxy =
            proxy.spawn().unwrap_or_else(|error| panic!("this test needs {name}: scripts/test installs it ({error})"));
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let proxy_log = || std::fs::read_to_string(folder.path().join("proxy.log")).unwrap_or_default();
            assert!(proxy.try_wait().unwrap().is_none(), "{name} did not start: {}", proxy_log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { name, tokenward, service, proxy, port, connections, _database: database, _folder: folder }
    }

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

    /// Checks use one connection after another, whatever their results are.
    async fn check_connections_are_kept(&self) {
        let token = self.tokenward.create_token(&http_client()).await.unwrap();
        let value = token["tokenValue"].as_str().unwrap();
        let before = self.connections.load(Ordering::SeqCst);
        for _ in 0..10 {
            assert_eq!(self.get("/", &[bearer(value)]).0, 200, "{}", self.name);
            assert_eq!(self.get("/", &[bearer("x")]).0, 401, "{}", self.name);
        }
        let opened = self.connections.load(Ordering::SeqCst) - before;
        assert!(opened <= 2, "{}: 20 checks opened {opened} connections", self.name);
    }

    /// With the lines for CORS, preflights reach the service without a credential and without
    /// identity headers. Other requests without a credential do not.
    async fn check_preflights(&self) {
        const PREFLIGHT: &str = "Origin: https://app.example\r\nAccess-Control-Request-Method: PUT";
        let token = self.tokenward.create_token(&http_client()).await.unwrap();
        let value = token["tokenValue"].as_str().unwrap();
        for path in ["/", "/x/y?z=1"] {
            let spoofed = format!("Remote-User: root\r\nX-Tokenward-Person-Id: 1\r\n{}", bearer(value));
            let head = format!("OPTIONS {path} HTTP/1.1\r\n{PREFLIGHT}\r\n{spoofed}");
            let (status, received) = self.send(&head, "");
            assert_eq!(status, 200, "{}: {received}", self.name);
            let received = received.to_ascii_lowercase();
            assert!(received.contains(&format!("options {path} http/1.1")), "{}: {received}", self.name);
            for absent in ["remote-user", "x-tokenward-", "authorization:", "root"] {
                assert!(!received.contains(absent), "{}: {absent} in {received}", self.name);
            }
        }
        let before = self.service.requests();
        for head in [
            format!("GET / HTTP/1.1\r\n{PREFLIGHT}"),
            format!("POST / HTTP/1.1\r\n{PREFLIGHT}\r\nContent-Length: 0"),
            "OPTIONS / HTTP/1.1".to_owned(),
            "OPTIONS / HTTP/1.1\r\nOrigin: https://app.example".to_owned(),
            "OPTIONS / HTTP/1.1\r\nAccess-Control-Request-Method: PUT".to_owned(),
            format!("OPTIONSX / HTTP/1.1\r\n{PREFLIGHT}"),
        ] {
            let (status, response) = self.send(&head, "");
            assert!([400, 401, 405].contains(&status), "{}: {head}: {response}", self.name);
        }
        assert_eq!(self.service.requests(), before, "{}: the service was reached", self.name);
        self.check_valid_token(value, token["tokenInfo"]["tokenId"].as_str().unwrap());
    }

    async fn check_longest_identity(&self) {
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

    /// Sends a request. Returns the status and the text of the response.
    fn send(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let request = format!("{head}\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n{body}", self.port);
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).ok();
        let response = String::from_utf8_lossy(&response).into_owned();
        let status = response.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("{}: {head}: {response:?}", self.name)), response)
    }

    fn get(&self, path: &str, headers: &[String]) -> (u16, String) {
        let headers: String = headers.iter().map(|header| format!("\r\n{header}")).collect();
        self.send(&format!("GET {path} HTTP/1.1{headers}"), "")
    }

    fn check_valid_token(&self, value: &str, token_id: &str) {
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
        ] {
            assert!(received.contains(line), "{}: {line} in {received}", self.name);
        }
        assert!(!received.contains("authorization:"), "{}: the credential was forwarded: {received}", self.name);
    }

    async fn check_rejected_credentials(&self, http: &reqwest::Client) {
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

    /// Creates a token with a lifetime of one second and waits until it has expired.
    async fn expired_token(&self, http: &reqwest::Client) -> String {
        let url = &self.tokenward.url;
        let created = http.post(format!("{url}/v4/apiAccessTokens")).basic_auth("admin@example.com", Some(PASSWORD));
        let created: Value = created.json(&json!({"lifetimeSeconds": 1})).send().await.unwrap().json().await.unwrap();
        let value = created["tokenValue"].as_str().unwrap().to_owned();
        while http.get(format!("{url}/v4/auth")).bearer_auth(&value).send().await.unwrap().status() != 401 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        value
    }

    async fn other_workspace_token(&self, http: &reqwest::Client) -> String {
        let url = &self.tokenward.url;
        let admin = json!({"email": "eve@example.com", "name": "Eve", "password": PASSWORD});
        let created = http.post(format!("{url}/v4/workspaces")).basic_auth("admin@example.com", Some(PASSWORD));
        assert_eq!(created.json(&json!({"name": "Other", "admin": admin})).send().await.unwrap().status(), 201);
        let created = http.post(format!("{url}/v4/apiAccessTokens")).basic_auth("eve@example.com", Some(PASSWORD));
        let created: Value = created.json(&json!({"lifetimeSeconds": 60})).send().await.unwrap().json().await.unwrap();
        created["tokenValue"].as_str().unwrap().to_owned()
    }

    /// Identity headers of the client are replaced: the service receives each header once, with the
    /// value from Tokenward.
    fn check_spoofed_identity_headers(&self, value: &str) {
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

    fn check_bodies_and_upgrades(&self, value: &str) {
        let body = "x".repeat(100_000);
        let head = format!("POST /upload HTTP/1.1\r\n{}\r\nContent-Length: {}", bearer(value), body.len());
        let (status, received) = self.send(&head, &body);
        assert!(status == 200 && received.contains(&body), "{}: {status}", self.name);
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let upgrade = format!(
            "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.port,
            bearer(value)
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

    /// Proxies append the query of the client to the check, which ignores it. Queries that the API
    /// would reject pass too.
    fn check_client_queries(&self, value: &str) {
        for path in ["/x?person_id=2&status=expired&unknown", "/?limit=x&limit=y", "/any?dryRun=true"] {
            let (status, received) = self.get(path, &[bearer(value)]);
            assert_eq!(status, 200, "{}: {path}: {received}", self.name);
            assert!(received.contains(&format!("GET {path} HTTP/1.1")), "{}: {path}: {received}", self.name);
            assert_eq!(self.get(path, &[]).0, 401, "{}: {path}", self.name);
        }
    }

    fn check_unusual_paths(&self, value: &str) {
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
            let (status, response) = self.get(path, &[bearer(value)]);
            assert!([200, 400, 307].contains(&status), "{}: {path}: {response}", self.name);
            let (status, response) = self.get(path, &[]);
            assert!([400, 401, 307].contains(&status), "{}: {path}: {response}", self.name);
        }
    }

    fn check_two_credentials(&self, value: &str) {
        for headers in [[bearer(value), bearer("x")], [bearer("x"), bearer(value)]] {
            let (status, response) = self.get("/", &headers);
            assert!([400, 401].contains(&status), "{}: {response}", self.name);
        }
    }

    /// While Tokenward hangs or is stopped, the proxy responds with 5xx, never with 401, and
    /// forwards no request.
    fn check_outage(&self, value: &str) {
        let before = self.service.requests();
        for signal in ["STOP", "KILL"] {
            self.tokenward.send_signal(signal);
            for headers in [vec![bearer(value)], vec![], vec![bearer("x")]] {
                let (status, response) = self.get("/", &headers);
                assert!((500..600).contains(&status), "{}: {signal}: {response}", self.name);
            }
        }
        assert_eq!(self.service.requests(), before, "{}: the service was reached", self.name);
    }
}

/// Forwards connections to an address and counts them. Returns the port.
fn count_connections(target: &str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let (target, counted) = (target.to_owned(), Arc::clone(&count));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            // While Tokenward is stopped, the connection is closed at once.
            let Ok(server) = TcpStream::connect(&target) else { continue };
            for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
                std::thread::spawn(move || {
                    std::io::copy(&mut from, &mut to).ok();
                    to.shutdown(Shutdown::Both).ok();
                });
            }
        }
    });
    (port, count)
}

fn bearer(value: &str) -> String {
    format!("Authorization: Bearer {value}")
}

fn alternating_case(name: &str) -> String {
    let odd =
        name.chars().enumerate().map(|(n, c)| if n % 2 == 0 { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() });
    odd.collect()
}

/// Makes a folder readable for the user of a proxy that was started by root.
fn make_world_accessible(folder: &Path) {
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

/// A service that responds with the request it received.
struct EchoService {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl EchoService {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || echo_request(stream, &counted));
            }
        });
        Self { port, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn echo_request(mut stream: TcpStream, requests: &AtomicUsize) {
    let head = read_head(&mut stream);
    if head.is_empty() {
        return;
    }
    requests.fetch_add(1, Ordering::SeqCst);
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
    let request = format!("{head}{}", String::from_utf8_lossy(&body));
    let response =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{request}", request.len());
    stream.write_all(response.as_bytes()).ok();
}
