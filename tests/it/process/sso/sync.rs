//! `tokenward sso sync` and `tokenward sso status`: with a stopped service, inside a running one on
//! SQLite, and beside a running one on PostgreSQL.

use rstest::rstest;

use super::{Company, check_session, check_token, create_token, open_session};
use crate::support::{
    Engine, PASSWORD,
    binary::{ServerProcess, run_with_stdin},
    directory::crowd_login,
};

/// Returns the service again, unless the commands run without one.
fn stop_unless(is_running: bool, running: ServerProcess) -> Option<ServerProcess> {
    if is_running {
        return Some(running);
    }
    running.send_signal("TERM");
    assert_eq!(running.wait_for_exit().0, Some(0));
    None
}

#[rstest]
#[case::sqlite_stopped(Engine::Sqlite, false)]
#[case::sqlite_running(Engine::Sqlite, true)]
#[case::postgres_running(Engine::Postgres, true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaver_is_shown_and_then_disabled(#[case] engine: Engine, #[case] is_running: bool) {
    let company = Company::new(engine).await;
    let running = company.serve();
    let (grace, ada) = (create_token(&running, "grace").await, create_token(&running, "ada").await);
    let session = open_session(&running, "grace").await;
    assert_eq!((check_token(&running, &grace).await, check_session(&running, &session).await), (200, 200));
    let running = stop_unless(is_running, running);
    company.directory.remove_member("token-users", "grace");

    let planned = "company: grace@example.org would be disabled: not in an allowed group\n";
    let change = "company: grace@example.org is disabled: not in an allowed group\n";
    let before = company.status();
    let (stdout, stderr) = company.run_ok(&["sso", "sync", "--dry-run"]);
    assert_eq!((stdout.as_str(), stderr.as_str()), (planned, ""));
    assert_eq!(company.status(), before);
    let (stdout, stderr) = company.run_ok(&["sso", "sync", "company"]);
    assert_eq!((stdout.as_str(), stderr.as_str()), (change, "company: 207 entries, 1 disabled, 0 enabled\n"));
    let running = running.unwrap_or_else(|| company.serve());
    assert_eq!((check_token(&running, &grace).await, check_session(&running, &session).await), (401, 303));
    assert_eq!(check_token(&running, &ada).await, 200);

    let status = company.status();
    assert_eq!((&status["provider"], &status["outcome"]), (&"company".into(), &"success".into()), "{status}");
    let (stdout, _) = company.run_ok(&["sso", "status"]);
    let lines: Vec<Vec<&str>> = stdout.lines().map(|line| line.split('\t').collect()).collect();
    let columns =
        ["provider", "outcome", "finishedAt", "succeededAt", "entries", "disabled", "enabled", "held", "message"];
    assert_eq!(lines[0], columns);
    assert_eq!((lines.len(), lines[1][..2].to_vec()), (2, vec!["company", "success"]), "{stdout}");

    // The person returns.
    company.directory.add_member("token-users", "grace");
    let (stdout, stderr) = company.run_ok(&["sso", "sync", "--confirm"]);
    assert_eq!(stdout, "company: grace@example.org is enabled again\n");
    assert_eq!(stderr, "company: 207 entries, 0 disabled, 1 enabled\n");
    assert_eq!(check_token(&running, &grace).await, 200);
    let (stdout, _) = company.run_ok(&["sso", "sync"]);
    assert_eq!(stdout, "");
}

#[rstest]
#[case::sqlite_running(Engine::Sqlite, true)]
#[case::postgres_stopped(Engine::Postgres, false)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_leavers_at_once_need_a_confirmation(#[case] engine: Engine, #[case] is_running: bool) {
    let company = Company::new(engine).await;
    let running = company.serve();
    let mut tokens = Vec::new();
    for login in (1..=6).map(crowd_login) {
        company.directory.add_member("token-users", &login);
        tokens.push(create_token(&running, &login).await);
    }
    let running = stop_unless(is_running, running);
    for login in (1..=6).map(crowd_login) {
        company.directory.remove_member("token-users", &login);
    }
    let expected = "nothing was changed: company: 6 of 6 people would be disabled, more than 5 at once; look at \
                    tokenward sso sync --dry-run, then run it with --confirm if that is right";
    assert_eq!(company.run_failing(&["sso", "sync"]), expected);
    let held = company.status();
    assert_eq!((&held["outcome"], &held["held"], &held["disabled"]), (&"held".into(), &6.into(), &0.into()), "{held}");
    let dry_run = company.run(&["sso", "sync", "--dry-run"]);
    assert_eq!((dry_run.stdout.lines().count(), dry_run.code), (6, Some(1)), "{}", dry_run.stdout);
    let (stdout, stderr) = company.run_ok(&["sso", "sync", "company", "--confirm"]);
    assert_eq!((stdout.lines().count(), stderr.as_str()), (6, "company: 207 entries, 6 disabled, 0 enabled\n"));
    let running = running.unwrap_or_else(|| company.serve());
    for token in &tokens {
        assert_eq!(check_token(&running, token).await, 401);
    }
}

#[rstest]
#[case::sqlite_running(Engine::Sqlite, true)]
#[case::sqlite_stopped(Engine::Sqlite, false)]
#[case::postgres_running(Engine::Postgres, true)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_changes_nothing(#[case] engine: Engine, #[case] is_running: bool) {
    let mut company = Company::new(engine).await;
    let running = company.serve();
    let grace = create_token(&running, "grace").await;
    let running = stop_unless(is_running, running);
    company.directory.stop();
    let unreachable = format!("cannot reach the directory server {}; check its address", company.directory.url);
    for arguments in [&["sso", "sync"][..], &["sso", "sync", "--dry-run"], &["sso", "sync", "company", "--confirm"]] {
        let error = company.run_failing(arguments);
        assert!(error.starts_with(&format!("nothing was changed: company: {unreachable}")), "{error}");
    }
    let status = company.status();
    assert_eq!(status["outcome"], "failed", "{status}");
    assert!(status["succeededAt"].is_string() && status["message"].as_str().unwrap().starts_with(&unreachable));
    let unknown = company.run_failing(&["sso", "sync", "compani"]);
    assert_eq!(unknown, "there is no identity provider compani; configured: company");
    company.directory.start_again();
    company.run_ok(&["sso", "sync"]);
    let running = running.unwrap_or_else(|| company.serve());
    assert_eq!(check_token(&running, &grace).await, 200);
}

/// Prints nothing as a change that is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_address_and_a_person_who_stays_disabled_are_named() {
    let company = Company::new(Engine::Sqlite).await;
    let running = company.serve();
    create_token(&running, "ada").await;
    let add = |email: &str| {
        let mut command = company.command();
        command.args(["person", "add", email, "--password-stdin"]).arg("--config").arg(company.file());
        assert!(run_with_stdin(command, PASSWORD).status.success(), "{email}");
    };
    for email in ["hopper@example.com", "grace@example.org"] {
        add(email);
    }
    company.run_ok(&["sso", "link", "hopper@example.com", "--provider", "company", "--user", "grace"]);
    let taken = "company: hopper@example.com keeps this e-mail address: another account has grace@example.org, that of \
                 the entry\n";
    for arguments in [&["sso", "sync", "--dry-run"][..], &["sso", "sync"], &["sso", "sync"]] {
        assert_eq!(company.run_ok(arguments).0, taken);
    }
    company.run_ok(&["person", "disable", "hopper@example.com"]);
    company.directory.remove_member("token-users", "grace");
    company.run_ok(&["sso", "sync"]);
    company.directory.add_member("token-users", "grace");
    let (stdout, stderr) = company.run_ok(&["sso", "sync"]);
    let stays = "company: hopper@example.com is admitted by the directory again; an administrator disabled the account, \
                 so it stays disabled\n";
    assert_eq!((stdout, stderr.as_str()), (format!("{stays}{taken}"), "company: 207 entries, 0 disabled, 0 enabled\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_provider_nothing_is_synced() {
    let company = Company::new(Engine::Sqlite).await;
    company.write("");
    company.run_ok(&["migrate"]);
    let error = company.run_failing(&["sso", "sync"]);
    assert_eq!(error, "no identity provider is configured; add a section [sso.NAME]");
    assert_eq!(company.run_ok(&["sso", "status", "--json"]).0, "[]\n");
    let both = company.run(&["sso", "sync", "--dry-run", "--confirm"]);
    assert_eq!(both.code, Some(2), "{}", both.stderr);
}
