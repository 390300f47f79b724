//! A directory server that attacks the service. Before TLS, it can be anything on the network path.

use serde_json::json;

use super::{Company, check_password, check_token};
use crate::support::{
    Engine,
    binary::ServerProcess,
    directory::{FakeServer, ber::nested_sequences, password_of},
    http_client,
};

/// A parser that recurses without a limit overflows its stack, which ends the process.
const LEVELS: usize = 100_000;

/// Starts a service whose directory is this server, over StartTLS.
fn serve(company: &Company, server: &FakeServer) -> ServerProcess {
    let setup = crate::sso::setup(&company.directory)
        .key("url", format!("ldap://{}", server.address))
        .key("starttls", true)
        .key("ca_file", server.ca_file().to_str().unwrap());
    company.write(&setup.to_toml());
    company.serve()
}

/// Checks that sign-ins get 503, and that the process continues to check tokens.
async fn assert_survives(company: &Company, server: &FakeServer) {
    let running = serve(company, server);
    let token = running.create_token(&http_client()).await.unwrap()["tokenValue"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        let asked = server.connections();
        assert_eq!(check_password(&running, "grace", &password_of("grace")).await, 503);
        assert!(server.connections() > asked, "the directory was not asked");
        assert_eq!(check_token(&running, &token).await, 200);
    }
    let status = company.status();
    assert_eq!((&status["outcome"], &status["succeededAt"]), (&json!("failed"), &json!(null)), "{status}");
    let error = company.run_failing(&["sso", "test", "company"]);
    assert!(error.starts_with("the directory server sent an invalid message: "), "{error}");
    running.send_signal("TERM");
    let (code, log) = running.wait_for_exit();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nested_message_before_tls_ends_no_process() {
    let company = Company::new(Engine::Sqlite).await;
    assert_survives(&company, &FakeServer::with_start_tls_response(|_| Some(nested_sequences(LEVELS)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nested_message_after_start_tls_ends_no_process() {
    let company = Company::new(Engine::Sqlite).await;
    assert_survives(&company, &FakeServer::granting_start_tls(|_| Some(nested_sequences(LEVELS)))).await;
}
