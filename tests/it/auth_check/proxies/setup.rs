//! A proxy with its neighbors, and requests through it.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::echo::EchoService;
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, tokenward_command},
    http_client,
    postgres::free_port,
};

/// A proxy, the service behind it, and the Tokenward that authenticates its requests.
pub(super) struct ProxySetup {
    pub(super) name: &'static str,
    pub(super) tokenward: ServerProcess,
    pub(super) service: EchoService,
    proxy: Child,
    pub(super) port: u16,
    /// The number of connections from the proxy to Tokenward's HTTP port.
    pub(super) connections: Arc<AtomicUsize>,
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
    pub(super) async fn start(
        name: &'static str,
        files: &[&str],
        proxy_command: impl FnOnce(&Path) -> Command,
    ) -> Self {
        Self::start_edited(name, files, str::to_owned, proxy_command).await
    }

    /// Starts a proxy with edited configurations.
    pub(super) async fn start_edited(
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

    /// Sends a request. Returns the status and the text of the response.
    pub(super) fn send(&self, head: &str, body: &str) -> (u16, String) {
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

    pub(super) fn get(&self, path: &str, headers: &[String]) -> (u16, String) {
        let headers: String = headers.iter().map(|header| format!("\r\n{header}")).collect();
        self.send(&format!("GET {path} HTTP/1.1{headers}"), "")
    }

    /// Creates a token with these limits. Returns the value.
    pub(super) async fn token_with(&self, limits: &Value) -> String {
        let mut body = limits.clone();
        body["lifetimeSeconds"] = json!(60);
        let create = http_client().post(format!("{}/v4/apiAccessTokens", self.tokenward.url));
        let create = create.basic_auth("admin@example.com", Some(PASSWORD)).json(&body);
        let created: Value = create.send().await.unwrap().json().await.unwrap();
        created["tokenValue"].as_str().unwrap().to_owned()
    }

    /// Creates a token with a lifetime of one second and waits until it has expired.
    pub(super) async fn expired_token(&self, http: &reqwest::Client) -> String {
        let url = &self.tokenward.url;
        let created = http.post(format!("{url}/v4/apiAccessTokens")).basic_auth("admin@example.com", Some(PASSWORD));
        let created: Value = created.json(&json!({"lifetimeSeconds": 1})).send().await.unwrap().json().await.unwrap();
        let value = created["tokenValue"].as_str().unwrap().to_owned();
        while http.get(format!("{url}/v4/auth")).bearer_auth(&value).send().await.unwrap().status() != 401 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        value
    }

    pub(super) async fn other_workspace_token(&self, http: &reqwest::Client) -> String {
        let url = &self.tokenward.url;
        let admin = json!({"email": "eve@example.com", "name": "Eve", "password": PASSWORD});
        let created = http.post(format!("{url}/v4/workspaces")).basic_auth("admin@example.com", Some(PASSWORD));
        assert_eq!(created.json(&json!({"name": "Other", "admin": admin})).send().await.unwrap().status(), 201);
        let created = http.post(format!("{url}/v4/apiAccessTokens")).basic_auth("eve@example.com", Some(PASSWORD));
        let created: Value = created.json(&json!({"lifetimeSeconds": 60})).send().await.unwrap().json().await.unwrap();
        created["tokenValue"].as_str().unwrap().to_owned()
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

/// Makes a folder readable for the user of a proxy that was started by root.
fn make_world_accessible(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
}

pub(super) fn bearer(value: &str) -> String {
    format!("Authorization: Bearer {value}")
}
