//! `tokenward sso migrate`.

use rstest::rstest;

use super::{Company, Printed, check_password, check_session, check_token, create_token, open_session};
use crate::{
    sso::setup,
    support::{Engine, directory::password_of},
};

const LOGIN: &str = "[sso.login]\nkind = \"openid-connect\"\nissuer = \"http://127.0.0.1:1\"\nclient_id = \"tokenward\"\n\
    [[sso.login.allow]]\ngroup = \"users\"\nworkspace = 1\n";

/// Writes the configuration with a directory and an `OpenID` provider.
fn write_both(company: &Company) {
    let directory = setup(&company.directory).to_toml();
    company.write(&format!("public_url = \"http://127.0.0.1:3005\"\n{directory}\n{LOGIN}"));
}

#[rstest]
#[case::sqlite_running(Engine::Sqlite)]
#[case::postgres_running(Engine::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_move_to_another_provider_and_back(#[case] engine: Engine) {
    let company = Company::new(engine).await;
    write_both(&company);
    let running = company.serve();
    let (ada, session) = (create_token(&running, "ada").await, open_session(&running, "ada").await);
    create_token(&running, "grace").await;
    for (arguments, error) in [
        (&["company", "company", "--by", "subject"][..], "name two providers"),
        (&["company", "unknown", "--by", "subject"], "there is no identity provider unknown"),
        (&["login", "company", "--by", "subject"], "no person is linked to login"),
        (&["company", "login", "--by", "email"], "login has no search by e-mail address: export the subjects"),
        (&["company", "login", "--subjects", "missing.csv"], "missing.csv cannot be read"),
    ] {
        let printed = company.run_failing(&[&["sso", "migrate"], arguments].concat());
        assert!(printed.contains(error), "{printed}");
    }
    let file = company.folder.path().join("subjects.csv");
    let path = file.to_str().unwrap();
    for (text, error) in [
        ("ada@example.org", "line 1: write E-MAIL,SUBJECT"),
        ("# people\n\nada@example.org,", "line 3: write E-MAIL,SUBJECT"),
        ("ada@example.org,1\nAda@example.org,2\n", "line 2: the e-mail address occurs twice"),
    ] {
        std::fs::write(&file, text).unwrap();
        let printed = company.run_failing(&["sso", "migrate", "company", "login", "--subjects", path]);
        assert!(printed.contains(error), "{printed}");
    }

    // The list: nothing changes.
    std::fs::write(&file, "Ada@example.org, 248289761001\n").unwrap();
    let migrate = ["sso", "migrate", "company", "login", "--subjects", path];
    let Printed { code, stdout, stderr } = company.run(&migrate);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stdout.contains("ada@example.org\tada\t248289761001\twould move\n"), "{stdout}");
    assert!(stdout.contains("grace@example.org\tgrace\t\tstays: the file has no line for this e-mail"), "{stdout}");
    assert!(
        stderr.contains("nothing was changed") && stderr.contains("1 of 2 people stay linked to company"),
        "{stderr}"
    );
    assert_eq!(check_password(&running, "ada", &password_of("ada")).await, 200);
    assert_eq!(check_session(&running, &session).await, 200);

    let Printed { code, stdout, stderr } = company.run(&[&migrate[..], &["--confirm"]].concat());
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stdout.contains("ada@example.org\tada\t248289761001\tmoved\n"), "{stdout}");
    assert_eq!((check_token(&running, &ada).await, check_session(&running, &session).await), (200, 303));
    let error = company.run_failing(&["sso", "link", "ada@example.org", "--provider", "login", "--subject", "2"]);
    assert!(error.contains("linked already"), "{error}");

    // The account of another person is not taken.
    std::fs::write(&file, "grace@example.org,248289761001\n").unwrap();
    let Printed { stdout, .. } = company.run(&[&migrate[..], &["--confirm"]].concat());
    assert!(stdout.contains("stays: 248289761001 is linked to ada@example.org"), "{stdout}");

    // Back, by the e-mail address that the directory has.
    let (stdout, stderr) = company.run_ok(&["sso", "migrate", "login", "company", "--by", "email", "--confirm"]);
    assert!(stdout.contains("ada@example.org\t248289761001\tada\tmoved\n"), "{stdout}");
    assert!(stderr.contains("1 people moved from login to company; their sessions ended, tokens stay"), "{stderr}");
    assert_eq!(check_password(&running, "ada", &password_of("ada")).await, 200);
    assert_eq!(check_token(&running, &ada).await, 200);
}
