//! `tokenward sso link`.

use rstest::rstest;

use super::{Company, check_password, check_session, check_token, create_token, open_session};
use crate::support::{Engine, PASSWORD, directory::password_of};

#[rstest]
#[case::sqlite_running(Engine::Sqlite)]
#[case::postgres_running(Engine::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_person_signs_in_through_the_directory(#[case] engine: Engine) {
    let company = Company::new(engine).await;
    let running = company.serve();
    let add = ["person", "add", "hopper@example.com", "--password-stdin"];
    let mut command = company.command();
    command.args(add).arg("--config").arg(company.file());
    assert!(crate::support::binary::run_with_stdin(command, PASSWORD).status.success());
    assert_eq!(check_password(&running, "hopper@example.com", PASSWORD).await, 200);

    let link = |email: &str, entry: &[&str]| {
        let arguments = [&["sso", "link", email, "--provider", "company"], entry].concat();
        company.run_failing(&arguments)
    };
    let grace = &["--user", "grace"][..];
    assert_eq!(link("unknown@example.com", grace), "no person has the e-mail unknown@example.com");
    let missing = "the directory has no person nemo; check base and user_filter";
    assert_eq!(link("hopper@example.com", &["--user", "nemo"]), missing);
    let subject = "00000000-0000-0000-0000-000000000000";
    let missing = format!("the directory has no entry {subject}");
    assert!(link("hopper@example.com", &["--subject", subject]).starts_with(&missing));
    let error = company.run_failing(&["sso", "link", "hopper@example.com", "--provider", "other", "--user", "grace"]);
    assert_eq!(error, "there is no identity provider other; configured: company");
    let incomplete = company.run(&["sso", "link", "hopper@example.com", "--provider", "company"]);
    assert_eq!(incomplete.code, Some(2), "{}", incomplete.stderr);

    let (stdout, stderr) =
        company.run_ok(&["sso", "link", "hopper@example.com", "--provider", "company", "--user", "grace"]);
    let expected =
        "hopper@example.com signs in as grace of company from now on; the local password and all sessions ended\n";
    assert_eq!((stdout.as_str(), stderr.as_str()), ("", expected));
    assert_eq!(check_password(&running, "hopper@example.com", PASSWORD).await, 401);
    assert_eq!(check_password(&running, "grace", &password_of("grace")).await, 200);
    let taken = "failed to link the person: this entry of the directory or this person is linked already";
    assert_eq!(link("admin@example.com", grace), taken);
    let error = link("grace@example.org", &["--user", "eve"]);
    let expected =
        "the entry eve is in no group that is allowed in workspace 1, so the next sync would disable the account";
    assert_eq!(error, expected);

    // The sign-in has taken over the address of the entry.
    let (_, stderr) = company.run_ok(&["sso", "unlink", "grace@example.org"]);
    assert!(stderr.starts_with("grace@example.org is not linked any more;"), "{stderr}");
    let error = company.run_failing(&["sso", "unlink", "grace@example.org"]);
    assert_eq!(error, "grace@example.org is not linked to an identity provider");
    assert_eq!(check_password(&running, "grace", &password_of("grace")).await, 401);
}

#[rstest]
#[case::sqlite_running(Engine::Sqlite)]
#[case::postgres_running(Engine::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_local_administrator_is_not_linked(#[case] engine: Engine) {
    let company = Company::new(engine).await;
    let running = company.serve();
    create_token(&running, "ada").await;
    let error = company.run_failing(&["sso", "link", "admin@example.com", "--provider", "company", "--user", "grace"]);
    assert!(error.starts_with("failed to link the person: ") && error.contains("last administrator"), "{error}");
    assert!(error.ends_with("make another person with a local password administrator first"), "{error}");
    assert_eq!(check_password(&running, "admin@example.com", PASSWORD).await, 200);
}

/// The tokens of the account stay, its sessions end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_by_subject_ends_sessions_and_keeps_tokens() {
    let company = Company::new(Engine::Sqlite).await;
    let running = company.serve();
    let (token, session) = (create_token(&running, "grace").await, open_session(&running, "grace").await);
    let subject = company.directory.attribute("ada", "entryUUID").unwrap();
    let link = ["sso", "link", "grace@example.org", "--provider", "company", "--subject", &subject];
    // She is linked to her own entry.
    assert!(company.run_failing(&link).contains("linked already"));
    assert_eq!((check_token(&running, &token).await, check_session(&running, &session).await), (200, 200));
    let show = ["person", "add", "lovelace@example.com", "--password-stdin"];
    let mut command = company.command();
    command.args(show).arg("--config").arg(company.file());
    assert!(crate::support::binary::run_with_stdin(command, PASSWORD).status.success());
    let link = ["sso", "link", "lovelace@example.com", "--provider", "company", "--subject", &subject];
    let (_, stderr) = company.run_ok(&link);
    assert!(stderr.starts_with("lovelace@example.com signs in as ada of company from now on;"), "{stderr}");
    assert_eq!(check_password(&running, "ada", &password_of("ada")).await, 200);
    assert_eq!(check_password(&running, "lovelace@example.com", PASSWORD).await, 401);
}
