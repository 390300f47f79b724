//! Running server processes: the outbox survives a crash, an SMTP server that is away delays no request,
//! and the command that tests the server.

use std::{collections::BTreeSet, process::Command};

use reqwest::Client;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use super::sink::{SMTP_PASSWORD, Sink, USERNAME};
use crate::support::{
    Database, Engine,
    binary::{ServerProcess, tokenward_command},
    both_databases_multi_thread,
    directory::ServerCertificate,
    http_client,
};

fn command(url: &str, port: u16) -> Command {
    let mut command = tokenward_command(url);
    command
        .env("TOKENWARD_PUBLIC_URL", "http://127.0.0.1:3005")
        .env("TOKENWARD_MAIL__HOST", "localhost")
        .env("TOKENWARD_MAIL__PORT", port.to_string())
        .env("TOKENWARD_MAIL__TLS", "none")
        .env("TOKENWARD_MAIL__FROM", "tokenward@example.com");
    command
}

/// Creates a token whose description is the round, and reports it as leaked.
async fn leak(node: &ServerProcess, client: &Client) -> String {
    let created = node.create_token(client).await.unwrap();
    let value = created["tokenValue"].as_str().unwrap().to_owned();
    let report = client.post(format!("{}/v4/leaks", node.url)).json(&json!({"values": [value]}));
    report.send().await.unwrap().error_for_status().unwrap();
    value[..8].to_owned()
}

#[apply(both_databases_multi_thread)]
async fn a_message_is_sent_after_the_service_was_killed_before_it_sent_it(engine: Engine) {
    let database = Database::empty(engine).await;
    let mut sink = Sink::start().await;
    let client = http_client();
    let mut running = Some(ServerProcess::start_with(command(&database.url, sink.port)));
    let mut leaked = BTreeSet::new();
    for _ in 0..4 {
        let node = running.take().unwrap();
        leaked.insert(leak(&node, &client).await);
        // The event is committed. Whether its message was sent is not known.
        node.send_signal("KILL");
        drop(node);
        running = Some(ServerProcess::start_with(command(&database.url, sink.port)));
    }
    while !leaked.is_empty() {
        let received = sink.next().await;
        leaked.retain(|prefix| !received.text.contains(prefix.as_str()));
    }
}

#[apply(both_databases_multi_thread)]
async fn a_server_that_is_away_delays_no_request(engine: Engine) {
    let database = Database::empty(engine).await;
    // Accepts connections and never responds.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let node = ServerProcess::start_with(command(&database.url, listener.local_addr().unwrap().port()));
    let client = http_client();
    for _ in 0..20 {
        let request = client.post(format!("{}/forgot-password", node.url)).header("origin", "http://127.0.0.1:3005");
        let request = request.form(&[("email", "admin@example.com")]);
        let response = request.timeout(std::time::Duration::from_secs(20)).send().await.unwrap();
        assert!([200, 429].contains(&response.status().as_u16()), "{}", response.status());
        leak(&node, &client).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_what_failed() {
    let mut sink = Sink::start_with("starttls", ServerCertificate::Good, Some(SMTP_PASSWORD)).await;
    let test = |sink: &Sink, password: &str, ca: bool| {
        let mut command = command("sqlite:unused.db", sink.port);
        command.env("TOKENWARD_MAIL__TLS", "starttls").env("TOKENWARD_MAIL__USERNAME", USERNAME);
        command.env("TOKENWARD_MAIL__PASSWORD_FILE", sink.password_file(password));
        if ca {
            command.env("TOKENWARD_MAIL__CA_FILE", sink.ca_file());
        }
        let output = command.args(["mail", "test", "ada@example.com"]).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, stdout, stderr) = test(&sink, SMTP_PASSWORD, true);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("(starttls)") && stdout.contains("accepted the message to ada@example.com"), "{stdout}");
    let received = sink.next().await;
    assert!(received.is_encrypted && received.is_authenticated && received.text.contains("tokenward mail test"));
    let (code, _, stderr) = test(&sink, "a wrong one", true);
    assert!(code == Some(1) && stderr.contains("rejected mail.username or its password"), "{stderr}");
    let (code, _, stderr) = test(&sink, SMTP_PASSWORD, false);
    assert!(code == Some(1) && stderr.contains("set mail.ca_file"), "{stderr}");
    let (code, _, stderr) = {
        let output = tokenward_command("sqlite:unused.db").args(["mail", "test", "ada@example.com"]).output().unwrap();
        (output.status.code(), (), String::from_utf8(output.stderr).unwrap())
    };
    assert!(code == Some(1) && stderr.contains("e-mail is off"), "{stderr}");
}
