//! Sign-in through SimpleSAMLphp in a real Chromium, on two sites with TLS (`tests/saml`). The commands are
//! those of the how-to guide.

use std::{fs, os::unix::fs::symlink, path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::Command,
};

use crate::support::{
    Database, Engine,
    binary::{ServerProcess, tokenward_command},
    directory::certificates::{ServerCertificate, write_certificates},
};

/// The commands of the guide in a folder.
struct Guide<'a> {
    folder: &'a Path,
    blocks: Vec<String>,
}

impl<'a> Guide<'a> {
    /// Reads the guide, with other addresses.
    fn new(folder: &'a Path, replacements: &[(&str, String)]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut text = fs::read_to_string(root.join("docs/how-to/saml.md")).unwrap();
        for (from, to) in replacements {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n"));
        let blocks = blocks.map(str::to_owned).collect();
        symlink(root.join("target/tools/simplesamlphp"), folder.join("simplesamlphp")).unwrap();
        Self { folder, blocks }
    }

    async fn run(&self, blocks: std::ops::Range<usize>) -> String {
        let programs = Path::new(env!("CARGO_BIN_EXE_tokenward")).parent().unwrap().display().to_string();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &self.blocks[blocks].concat()]).current_dir(self.folder);
        // curl trusts the certificate of the test.
        shell.env("PATH", path).env("CURL_CA_BUNDLE", self.folder.join("ca.pem"));
        let output = shell.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Ends the provider, also if the test fails.
impl Drop for Guide<'_> {
    fn drop(&mut self) {
        let stop = self.blocks.last().unwrap();
        let _ = std::process::Command::new("bash").args(["-c", stop]).current_dir(self.folder).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_and_out_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path(), ServerCertificate::Good, "DNS:tokens.example,DNS:localhost,IP:127.0.0.1");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(root.join("target/tools/simplesamlphp").exists(), "SimpleSAMLphp is missing: scripts/test installs it");
    // The port is free again when SimpleSAMLphp starts.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut node = Command::new("node")
        .arg(root.join("tests/saml/run.js"))
        .arg(folder.path())
        .arg(port.to_string())
        .env("NODE_PATH", root.join("target/tools/browser/node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this test needs node, Chromium and target/tools: scripts/test installs them");
    let mut stdin = node.stdin.take().unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let ports = lines.next_line().await.unwrap();
    let Some((provider, proxy)) = ports.as_deref().and_then(|ports| ports.split_once(' ')) else {
        panic!("{:?}", node.wait_with_output().await);
    };
    let origin = format!("https://tokens.example:{proxy}");
    let guide = Guide::new(
        folder.path(),
        &[
            ("http://127.0.0.1:8081", format!("https://localhost:{provider}")),
            ("127.0.0.1:8081", format!("127.0.0.1:{port}")),
            ("http://127.0.0.1:3005", origin.clone()),
        ],
    );
    let printed = guide.run(0..guide.blocks.len() - 1).await;
    assert!(printed.contains(&format!("(HTTP-POST): {origin}/sign-in/company/acs\n")), "{printed}");
    let database = Database::empty(Engine::Sqlite).await;
    let mut serve = tokenward_command(&database.url);
    serve.arg("--config").arg("tokenward.toml").current_dir(folder.path());
    let running = tokio::task::block_in_place(|| ServerProcess::start_with(serve));
    stdin.write_all(format!("{}\n", running.url).as_bytes()).await.unwrap();
    let output = node.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
