//! A real SMTP server, which receives messages.

use std::{io::Write as _, path::PathBuf, process::Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokenward::config::{Config, MailTls};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::support::directory::{ServerCertificate, write_certificates};

/// Account of the service at the server.
pub const USERNAME: &str = "tokenward";
pub const SMTP_PASSWORD: &str = "the password of the mail server";

/// A running SMTP server on loopback. It stops when it is dropped.
pub struct Sink {
    pub port: u16,
    folder: TempDir,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

/// A message that the server received, whatever its reply was.
#[derive(Debug)]
pub struct Received {
    pub to: String,
    /// The text, decoded.
    pub text: String,
    pub headers: String,
    pub reply: String,
    pub is_encrypted: bool,
    pub is_authenticated: bool,
}

impl Sink {
    /// Starts a server without encryption, which accepts everything.
    pub async fn start() -> Self {
        Self::start_with("none", ServerCertificate::Good, None).await
    }

    /// Starts a server with this encryption. With a password, clients must authenticate.
    pub async fn start_with(tls: &str, certificate: ServerCertificate, password: Option<&str>) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/tools/bin/python");
        assert!(python.exists(), "this test needs {}: scripts/test installs it", python.display());
        let folder = tempfile::tempdir().unwrap();
        let mut settings = json!({"tls": tls});
        if tls != "none" {
            write_certificates(folder.path(), certificate, "IP:127.0.0.1");
            settings["certificate"] = json!(folder.path().join("server.pem"));
            settings["key"] = json!(folder.path().join("server.key"));
        }
        if let Some(password) = password {
            settings["username"] = json!(USERNAME);
            settings["password"] = json!(password);
        }
        let mut child = Command::new(python)
            .arg(root.join("tests/it/mail/smtp_sink.py"))
            .arg(settings.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = output.next_line().await.unwrap().expect("the SMTP server did not start");
        let port = serde_json::from_str::<Value>(&first).unwrap()["port"].as_u64().unwrap();
        Self { port: port.try_into().unwrap(), folder, input, output, _child: child }
    }

    /// Configures a service to send through this server, with its certificate authority.
    pub fn configure(&self, config: &mut Config, tls: MailTls) {
        config.set_public_url("http://127.0.0.1:3005");
        let mail = &mut config.mail;
        mail.host = Some("localhost".to_owned());
        mail.port = Some(self.port);
        mail.tls = tls;
        mail.from = Some("Tokenward <tokenward@example.com>".to_owned());
        mail.ca_file = (tls != MailTls::None).then(|| self.ca_file());
    }

    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Writes a file with the password of the service. Returns its path.
    pub fn password_file(&self, password: &str) -> PathBuf {
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.folder.path().join("password");
        let mut file =
            std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path).unwrap();
        file.write_all(password.as_bytes()).unwrap();
        path
    }

    /// Sends the reply to a message that is held.
    pub async fn release(&mut self) {
        self.reply("release").await;
    }

    /// Sets the reply to the next message for which none is set. With the prefix `hold `, the reply waits
    /// for [`Sink::release`].
    pub async fn reply(&mut self, reply: &str) {
        use tokio::io::AsyncWriteExt as _;
        self.input.write_all(format!("{reply}\n").as_bytes()).await.unwrap();
        let queued = self.output.next_line().await.unwrap().unwrap();
        assert!(queued.contains("queued"), "{queued}");
    }

    /// Waits for the next message.
    pub async fn next(&mut self) -> Received {
        let line = self.output.next_line().await.unwrap().expect("the SMTP server ended");
        let message: Value = serde_json::from_str(&line).unwrap();
        let data = message["data"].as_str().unwrap().replace("\r\n", "\n");
        let (headers, body) = data.split_once("\n\n").unwrap();
        Received {
            to: message["to"][0].as_str().unwrap().to_owned(),
            text: decode(headers, body),
            headers: headers.to_owned(),
            reply: message["reply"].as_str().unwrap().to_owned(),
            is_encrypted: message["encrypted"].as_bool().unwrap(),
            is_authenticated: message["authenticated"].as_bool().unwrap(),
        }
    }
}

impl Received {
    /// Returns the only link in the text.
    pub fn link(&self) -> &str {
        let links: Vec<&str> = self.text.lines().filter(|line| line.starts_with("http://")).collect();
        let [link] = links[..] else { panic!("one link: {}", self.text) };
        assert_eq!(self.text.matches("http").count(), 1, "{}", self.text);
        link
    }
}

/// Decodes a quoted-printable text (RFC 2045, section 6.7).
fn decode(headers: &str, body: &str) -> String {
    if !headers.to_ascii_lowercase().contains("quoted-printable") {
        return body.to_owned();
    }
    let body = body.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = body.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'=').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
