//! `tokenward mail`: tests the SMTP server.

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{global::GlobalOptions, output};
use crate::{
    domain::{person::Email, random::Random},
    mail::OutgoingMessage,
};

/// The subcommands of `tokenward mail`.
#[derive(Debug, Subcommand)]
pub(super) enum MailCommand {
    /// Send a message to an address, and print whether the server accepted it; exit code 1 if not
    Test(TestMail),
}

#[derive(Debug, Args)]
pub(super) struct TestMail {
    /// E-mail address of the recipient, for example ada@example.com
    address: String,
}

impl MailCommand {
    /// Runs the command with the configuration of this process. It needs no database.
    pub(super) async fn run(self, global: &GlobalOptions) -> anyhow::Result<()> {
        let Self::Test(TestMail { address }) = self;
        let recipient = Email::parse(&address).with_context(|| format!("{address} is not an e-mail address"))?;
        let config = global.load(None)?;
        let mailer = config.mailer()?.context("e-mail is off; set host and from in the section [mail]")?;
        output::print_line(format_args!("server: {} ({})", mailer.server(), mailer.tls().as_str()))?;
        let message = OutgoingMessage {
            recipient: recipient.as_str().to_owned(),
            subject: "Test message of Tokenward".to_owned(),
            text: format!(
                "This is a test message of the Tokenward service at {}.\n\n`tokenward mail test` was run on its \
                 server. There is nothing to do.\n",
                config.public_url()
            ),
            id: format!("test-{}", Random::system().base62(16)),
        };
        mailer.send(&message).await?;
        output::print_line(format_args!("the server accepted the message to {}", recipient.as_str()))
    }
}
