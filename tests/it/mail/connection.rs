//! The connection to the SMTP server: encryption, certificates, authentication and failures.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::{
    config::{Config, MailTls},
    mail::{MailError, OutgoingMessage},
};

use super::{
    send_all,
    sink::{SMTP_PASSWORD, Sink, USERNAME},
    start,
};
use crate::support::{Engine, both_databases, directory::ServerCertificate, test_config};

fn config(sink: &Sink, tls: MailTls) -> Config {
    let mut config = test_config("sqlite:unused.db");
    sink.configure(&mut config, tls);
    config
}

fn with_password(mut config: Config, sink: &Sink, password: &str) -> Config {
    config.mail.username = Some(USERNAME.to_owned());
    config.mail.password_file = Some(sink.password_file(password));
    config
}

async fn send(config: &Config) -> Result<(), MailError> {
    let (recipient, subject) = ("ada@example.com".to_owned(), "Test".to_owned());
    let message = OutgoingMessage { recipient, subject, text: "Line\n.\nEnd\n".to_owned(), id: "test-1".to_owned() };
    config.mailer().unwrap().unwrap().send(&message).await
}

#[tokio::test]
async fn a_message_is_encrypted_and_authenticated() {
    for (tls, name) in [(MailTls::StartTls, "starttls"), (MailTls::Implicit, "implicit")] {
        let password = (name == "starttls").then_some(SMTP_PASSWORD);
        let mut sink = Sink::start_with(name, ServerCertificate::Good, password).await;
        let config = with_password(config(&sink, tls), &sink, SMTP_PASSWORD);
        let config = if password.is_some() { config } else { self::config(&sink, tls) };
        send(&config).await.unwrap();
        let received = sink.next().await;
        assert!(received.is_encrypted && received.is_authenticated == password.is_some(), "{received:?}");
        assert_eq!((received.to.as_str(), received.text.trim_end()), ("ada@example.com", "Line\n.\nEnd"));
        assert!(received.headers.contains("Auto-Submitted: auto-generated"), "{}", received.headers);
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing() {
    let sink = Sink::start_with("none", ServerCertificate::Good, None).await;
    let mut config = config(&sink, MailTls::StartTls);
    config.mail.ca_file = None;
    let error = send(&config).await.unwrap_err();
    assert!(matches!(error, MailError::NoStartTls { .. }), "{error}");
    assert!(error.to_string().contains("does not offer STARTTLS, so nothing was sent"), "{error}");
}

#[tokio::test]
async fn certificates_of_others_are_not_accepted() {
    for (certificate, remedy) in [
        (ServerCertificate::OtherAuthority, "set mail.ca_file"),
        (ServerCertificate::OtherName, "set mail.host"),
        (ServerCertificate::Expired, "it has expired"),
    ] {
        for (tls, name) in [(MailTls::StartTls, "starttls"), (MailTls::Implicit, "implicit")] {
            let sink = Sink::start_with(name, certificate, None).await;
            let error = send(&config(&sink, tls)).await.unwrap_err();
            assert!(!error.is_permanent() && error.is_of_server(), "{error}");
            assert!(error.to_string().contains(remedy), "{certificate:?} {name}: {error}");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_named_and_not_printed() {
    let sink = Sink::start_with("starttls", ServerCertificate::Good, Some(SMTP_PASSWORD)).await;
    let error = send(&with_password(config(&sink, MailTls::StartTls), &sink, "a wrong one")).await.unwrap_err();
    assert!(matches!(error, MailError::Authentication { .. }) && !error.is_permanent(), "{error}");
    assert!(!format!("{error} {error:?}").contains("a wrong one"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_is_named() {
    let sink = Sink::start().await;
    let config = config(&sink, MailTls::None);
    let port = sink.port;
    drop(sink);
    let error = send(&config).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("localhost:{port} cannot be reached")), "{error}");
}

#[apply(both_databases)]
async fn a_deferred_message_is_sent_later_and_a_rejected_one_is_given_up(engine: Engine) {
    let (app, mut sink) = start(engine).await;
    let token = app.admin().create_token().await;
    sink.reply("451 4.3.0 try again").await;
    sink.reply("451 4.3.0 try again").await;
    app.anonymous().post("/v4/leaks", &json!({"values": [token.value]})).await.expect(202);
    assert_eq!(send_all(&app).await, 1);
    assert_eq!(send_all(&app).await, 0, "not before the backoff has ended");
    app.advance_seconds(60);
    assert_eq!(send_all(&app).await, 1);
    app.advance_seconds(600);
    assert_eq!(send_all(&app).await, 1);
    for reply in ["451 4.3.0 try again", "451 4.3.0 try again", "250 accepted"] {
        let received = sink.next().await;
        assert_eq!(received.reply, reply);
        assert!(!received.text.contains(&token.value), "{}", received.text);
    }
    let given_up =
        async || app.admin().get("/v4/events?allUsers=true&action=mail.given_up").await.expect(200).rows().len();
    assert_eq!(given_up().await, 0);
    let token = app.admin().create_token().await;
    sink.reply("550 5.1.1 no such user").await;
    app.anonymous().post("/v4/leaks", &json!({"values": [token.value]})).await.expect(202);
    assert_eq!(send_all(&app).await, 1);
    app.advance_seconds(86_400);
    assert_eq!((send_all(&app).await, given_up().await), (0, 1));
}

#[apply(both_databases)]
async fn a_message_is_given_up_after_three_days(engine: Engine) {
    let (app, sink) = start(engine).await;
    drop(sink);
    let token = app.admin().create_token().await;
    app.anonymous().post("/v4/leaks", &json!({"values": [token.value]})).await.expect(202);
    let mut attempts = 0;
    for _ in 0..80 {
        attempts += app.state.mail().send_due().await.unwrap().server_failures;
        app.advance_seconds(3_600);
    }
    let events = app.admin().get("/v4/events?allUsers=true&action=mail.given_up").await.expect(200);
    let [event] = &events.rows()[..] else { panic!("{}", events.json) };
    assert_eq!(event["details"]["kind"], json!("token_leaked"));
    // The hours of the test may pass the end between two attempts.
    assert!(["server_failed", "expired"].contains(&event["details"]["outcome"].as_str().unwrap()), "{event}");
    assert!((30..=75).contains(&attempts), "{attempts}");
}
