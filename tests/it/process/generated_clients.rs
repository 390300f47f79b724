//! Clients that third-party programs generate from the OpenAPI document of the running service. They
//! are type-checked, and used from sign-in to a rejected token.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use super::third_party::tool;
use crate::support::{Database, Engine, PASSWORD, binary::ServerProcess, http_client};

const EMAIL: &str = "admin@example.com";

/// Returns a file of `tests/openapi`.
fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi").join(name)
}

/// Returns the path of an npm program that `scripts/test` installs.
fn npm_program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/openapi/node_modules/.bin").join(name);
    assert!(path.exists(), "this test needs {}: scripts/test installs it", path.display());
    path
}

/// Creates a folder below `target` for generated code. It is removed with the returned value.
fn generated_folder() -> tempfile::TempDir {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/generated-clients");
    std::fs::create_dir_all(&folder).unwrap();
    tempfile::tempdir_in(folder).unwrap()
}

/// Writes the document that the service serves into a folder.
async fn download_document(running: &ServerProcess, folder: &Path) -> PathBuf {
    let request = http_client().get(format!("{}/v4/open-api-spec", running.url)).basic_auth(EMAIL, Some(PASSWORD));
    let document = folder.join("openapi.json");
    std::fs::write(&document, request.send().await.unwrap().text().await.unwrap()).unwrap();
    document
}

/// Runs a program in a folder, and returns its standard output.
fn run(program: impl AsRef<OsStr>, arguments: &[&OsStr], folder: &Path) -> String {
    let mut command = Command::new(&program);
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}:\n{stdout}{stderr}", program.as_ref().display());
    stdout
}

fn arguments<'a>(words: &[&'a str]) -> Vec<&'a OsStr> {
    words.iter().map(|word| OsStr::new(*word)).collect()
}

/// Starts a service on each database, and returns it with its database.
async fn start_services() -> Vec<(Database, ServerProcess)> {
    let mut services = Vec::new();
    for engine in [Engine::Postgres, Engine::Sqlite] {
        let database = Database::empty(engine).await;
        let running = ServerProcess::start(&database.url);
        services.push((database, running));
    }
    services
}

#[tokio::test]
async fn a_generated_python_client_is_typed_and_works() {
    let services = start_services().await;
    let folder = generated_folder();
    let (document, config) = (download_document(&services[0].1, folder.path()).await, source("python-client.yaml"));
    let mut generate =
        arguments(&["generate", "--meta", "none", "--output-path", "tokenward_client", "--fail-on-warning"]);
    generate.extend([OsStr::new("--path"), document.as_os_str(), OsStr::new("--config"), config.as_os_str()]);
    run(tool("openapi-python-client"), &generate, folder.path());
    std::fs::copy(source("client.py"), folder.path().join("client.py")).unwrap();
    run(tool("mypy"), &arguments(&["--strict", "--no-incremental", "client.py"]), folder.path());
    for (_, running) in &services {
        let output = run(tool("python"), &arguments(&["client.py", &running.url, EMAIL, PASSWORD]), folder.path());
        assert_eq!(output, "completed\n");
    }
}

#[tokio::test]
async fn a_generated_typescript_client_is_typed_and_works() {
    let services = start_services().await;
    let folder = generated_folder();
    let document = download_document(&services[0].1, folder.path()).await;
    let generate = [document.as_os_str(), OsStr::new("--output"), OsStr::new("schema.d.ts")];
    run(npm_program("openapi-typescript"), &generate, folder.path());
    for name in ["client.mts", "tsconfig.json"] {
        std::fs::copy(source(name), folder.path().join(name)).unwrap();
    }
    let packages = npm_program("tsc").ancestors().nth(2).unwrap().to_owned();
    std::os::unix::fs::symlink(packages, folder.path().join("node_modules")).unwrap();
    run(npm_program("tsc"), &[], folder.path());
    for (_, running) in &services {
        let output = run("node", &arguments(&["out/client.mjs", &running.url, EMAIL, PASSWORD]), folder.path());
        assert_eq!(output, "completed\n");
    }
}
