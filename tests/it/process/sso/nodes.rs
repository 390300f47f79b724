//! Two nodes of one database, and a third process that syncs.

use super::{Company, check_password, check_session, check_token, create_token, open_session};
use crate::support::{Engine, directory::password_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_is_rejected_by_all_nodes_when_the_command_returns() {
    let company = Company::new(Engine::Postgres).await;
    // A scheduled sync would find the leaver too.
    company.write(&crate::sso::setup(&company.directory).key("sync_interval", "1d").to_toml());
    let nodes = [company.serve(), company.serve()];
    let [first, second] = &nodes;
    let tokens = [create_token(first, "grace").await, create_token(second, "grace").await];
    let sessions = [open_session(first, "grace").await, open_session(second, "grace").await];
    let ada = create_token(second, "ada").await;
    for node in &nodes {
        for (token, session) in tokens.iter().zip(&sessions) {
            // The second check is answered from the cache.
            assert_eq!((check_token(node, token).await, check_token(node, token).await), (200, 200));
            assert_eq!(check_session(node, session).await, 200);
        }
        assert_eq!(check_token(node, &ada).await, 200);
    }
    company.directory.delete("grace");
    let (stdout, _) = company.run_ok(&["sso", "sync"]);
    assert_eq!(stdout, "company: grace@example.org is disabled: not in the directory\n");
    for node in &nodes {
        for (token, session) in tokens.iter().zip(&sessions) {
            assert_eq!(check_token(node, token).await, 401);
            assert_eq!(check_session(node, session).await, 303);
        }
        assert_eq!(check_token(node, &ada).await, 200);
        assert_eq!(check_password(node, "grace", &password_of("grace")).await, 401);
    }
}

/// The logs of the nodes and of the audit never contain a password of the directory, at any level.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_contains_a_password_of_the_directory() {
    let company = Company::new(Engine::Sqlite).await;
    let mut command = company.command();
    command.arg("--config").arg(company.file()).env("RUST_LOG", "trace");
    let running = crate::support::binary::ServerProcess::start_with(command);
    company.wait_for_sync();
    create_token(&running, "grace").await;
    open_session(&running, "ada").await;
    assert_eq!(check_password(&running, "eve", &password_of("eve")).await, 401);
    company.run_ok(&["sso", "sync"]);
    let events = company.run_ok(&["audit", "export"]).0;
    running.send_signal("TERM");
    let (code, log) = running.wait_for_exit();
    assert_eq!(code, Some(0));
    assert!(log.contains("\"level\":\"DEBUG\"") || log.contains("\"level\":\"TRACE\""), "the filter has no effect");
    for secret in ["search", "grace", "ada", "eve"].map(password_of) {
        // As text, as bytes in decimal, and in base64.
        let bytes = secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        for form in [&secret, &bytes, &hex] {
            for (name, text) in [("log", &log), ("events", &events)] {
                let line = text.lines().find(|line| line.contains(form));
                assert_eq!(line, None, "{secret} in the {name}");
            }
        }
    }
}
