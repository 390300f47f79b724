//! E-mail from end to end: a service that sends, and a real SMTP server.

mod connection;
mod messages;
mod process;
mod reset;
mod sink;

use tokenward::config::MailTls;

use crate::support::{Database, Engine, TestApp};
use sink::Sink;

/// Starts a service that sends through a server without encryption.
async fn start(engine: Engine) -> (TestApp, Sink) {
    let sink = Sink::start().await;
    let app = start_on(engine, &sink).await;
    (app, sink)
}

async fn start_on(engine: Engine, sink: &Sink) -> TestApp {
    let app =
        TestApp::start_with(Database::migrated(engine).await, |config| sink.configure(config, MailTls::None)).await;
    app.state.mail().announce().await.unwrap();
    app
}

/// Sends until nothing is due. Returns the number of messages that were claimed.
async fn send_all(app: &TestApp) -> usize {
    let mut claimed = 0;
    loop {
        match app.state.mail().send_due().await.unwrap().claimed {
            0 => return claimed,
            count => claimed += count,
        }
    }
}
