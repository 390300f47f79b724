//! The delivery of the outbox: claims messages, sends them, and records the outcome.
//!
//! Each message is sent at least once. A node that stops in between leaves its claim, and after the end
//! of the claim another node sends the message again. A reset link is created by the node that sends it,
//! so that neither the outbox nor a copy of the database has a usable link.

use std::time::Duration;

use futures_util::future::join_all;

use super::{
    Mail,
    text::{self, Text},
};
use crate::{
    domain::{
        causes::Causes,
        event::{AuditContext, RequestContext},
        mail::{MailKind, MailOutcome, RETRY_SECONDS},
        password_link::{LinkKind, LinkValue},
        person::{EmailKey, Person},
        time::Timestamp,
        webhook::next_attempt,
    },
    mail::{MailError, Mailer, OutgoingMessage},
    service::Result,
    store::{ClaimedMail, NewPasswordLink, ResetRecipient},
};

/// The duration of a claim: longer than a message with its database statements.
const CLAIM_SECONDS: i64 = 90;
/// The number of messages that one node sends at the same time.
const BATCH_SIZE: i64 = 4;
/// The interval at which the outbox is read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The pause after the server could not be used.
const SERVER_PAUSE: Duration = Duration::from_secs(5);
/// The interval at which a node records that it sends e-mail.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(600);
/// The number of messages deleted per statement.
const PURGE_BATCH_SIZE: i64 = 1_000;

/// A message that is ready, or the reason why there is none.
enum Prepared {
    Ready {
        person: Box<Person>,
        recipient: String,
        text: Text,
    },
    /// There is no recipient, or the recipient does not want the message.
    Skipped,
    /// The time of the retries has passed.
    Expired(Box<Person>),
}

/// The numbers of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentBatch {
    /// Messages that were claimed.
    pub claimed: usize,
    /// Attempts at which the server could not be used.
    pub server_failures: usize,
}

impl Mail {
    /// Records that this node sends e-mail, so that messages are queued. Does nothing without an SMTP
    /// server.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or too
    /// slow.
    pub async fn announce(&self) -> Result<()> {
        if self.is_on() {
            self.store.record_mail_sender(self.clock.now()).await?;
        }
        Ok(())
    }

    /// Announces this node until the future is dropped.
    pub async fn keep_announced(self) {
        let mut timer = tokio::time::interval(ANNOUNCE_INTERVAL);
        loop {
            timer.tick().await;
            if let Err(error) = self.announce().await {
                tracing::warn!(error = %Causes(&error), "failed to record that this node sends e-mail");
            }
        }
    }

    /// Sends messages until the future is dropped. Without an SMTP server it returns at once.
    pub async fn run(self) {
        while self.is_on() {
            let pause = match self.send_due().await {
                Ok(SentBatch { server_failures: 1.., .. }) => SERVER_PAUSE,
                Ok(SentBatch { claimed: 1.., .. }) => continue,
                Ok(_) => POLL_INTERVAL,
                Err(error) => {
                    tracing::warn!(error = %Causes(&error), "failed to read the outbox of e-mail; retrying");
                    SERVER_PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends one batch of messages.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or too
    /// slow.
    pub async fn send_due(&self) -> Result<SentBatch> {
        let Some(mailer) = &self.mailer else { return Ok(SentBatch::default()) };
        let now = self.clock.now();
        let claimed = self.store.claim_mail(now, now.plus_seconds(CLAIM_SECONDS), BATCH_SIZE).await?;
        let sent = join_all(claimed.iter().map(|mail| self.send(mailer, mail))).await;
        let mut batch = SentBatch { claimed: claimed.len(), server_failures: 0 };
        for outcome in sent {
            batch.server_failures += usize::from(outcome? == MailOutcome::ServerFailed);
        }
        Ok(batch)
    }

    /// Deletes messages that no retry sends any more. Returns their number.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::service::Error::Unavailable) if the database is unreachable or too
    /// slow.
    pub async fn purge(&self) -> Result<u64> {
        // A day later, so that the last attempt has recorded what was given up.
        let before = self.clock.now().plus_seconds(-RETRY_SECONDS - 86_400);
        let mut purged = 0;
        loop {
            match self.store.purge_mail(before, PURGE_BATCH_SIZE).await? {
                0 => return Ok(purged),
                count => purged += count,
            }
        }
    }

    /// Sends one message, and records the outcome.
    async fn send(&self, mailer: &Mailer, mail: &ClaimedMail) -> Result<MailOutcome> {
        let (person, outcome, is_final) = match self.prepare(mail).await? {
            Prepared::Skipped => (None, MailOutcome::Skipped, true),
            Prepared::Expired(person) => (Some(person), MailOutcome::Expired, true),
            Prepared::Ready { person, recipient, text } => {
                let message = OutgoingMessage {
                    recipient,
                    subject: text.subject.to_owned(),
                    text: text.text,
                    id: format!("{}-{}-{}", mail.kind.as_str(), mail.id, mail.created_at.as_millis()),
                };
                let sent = mailer.send(&message).await;
                let is_final = sent.as_ref().map_or_else(MailError::is_permanent, |()| true);
                let outcome = outcome_of(&sent);
                if let Err(error) = &sent {
                    let kind = mail.kind.as_str();
                    // The response of the server may repeat a part of the message, such as a link.
                    let error = match mail.kind {
                        MailKind::PasswordReset => outcome.as_str().to_owned(),
                        _ => error.to_string(),
                    };
                    tracing::warn!(
                        mail.id,
                        mail.kind = kind,
                        person.id = person.id.get(),
                        error,
                        "failed to send e-mail"
                    );
                }
                (Some(person), outcome, is_final)
            }
        };
        self.counters.record(mail.kind, outcome);
        self.finish(mail, person.as_deref(), outcome, is_final).await?;
        Ok(outcome)
    }

    /// Records the outcome of an attempt, and the time of the next one.
    async fn finish(
        &self,
        mail: &ClaimedMail,
        person: Option<&Person>,
        outcome: MailOutcome,
        is_final: bool,
    ) -> Result<()> {
        let now = self.clock.now();
        let next = next_attempt(now, mail.created_at, &self.random);
        let next = (!is_final && next < mail.kind.retry_until(mail.created_at)).then_some(next);
        let is_done = matches!(outcome, MailOutcome::Sent | MailOutcome::Skipped);
        let given_up = person.filter(|_| next.is_none() && !is_done);
        self.store.finish_mail(mail, outcome, next, given_up, &AuditContext::for_system(now)).await?;
        if given_up.is_some() {
            self.counters.record_given_up();
            tracing::warn!(mail.id, mail.kind = mail.kind.as_str(), "gave up a message");
        }
        Ok(())
    }

    async fn prepare(&self, mail: &ClaimedMail) -> Result<Prepared> {
        let now = self.clock.now();
        let is_late = now >= mail.kind.retry_until(mail.created_at);
        let Some((workspace_id, person_id)) = mail.person else {
            return if is_late { Ok(Prepared::Skipped) } else { self.prepare_reset(mail, now).await };
        };
        let (Some(event), Some(person)) = (&mail.event, self.store.find_mail_recipient(workspace_id, person_id).await?)
        else {
            return Ok(Prepared::Skipped);
        };
        if is_late {
            return Ok(Prepared::Expired(Box::new(person)));
        }
        if mail.kind == MailKind::TokenExpiring {
            let expires_at = text::text_of(event, "expiresAt").and_then(Timestamp::parse);
            if !person.notify_on_expiry || expires_at.is_none_or(|expires_at| expires_at <= now) {
                return Ok(Prepared::Skipped);
            }
        }
        let Some(text) = text::of_event(mail.kind, event, &self.public_url) else { return Ok(Prepared::Skipped) };
        Ok(Prepared::Ready { person: Box::new(person), recipient: mail.recipient.clone(), text })
    }

    /// Looks up the account of a requested link, and creates the link. Each attempt creates another one,
    /// and the older is void.
    async fn prepare_reset(&self, mail: &ClaimedMail, now: Timestamp) -> Result<Prepared> {
        let kind = LinkKind::Reset;
        let value = LinkValue::generate(&self.random);
        let link = NewPasswordLink { kind, digest: value.digest(), expires_at: kind.expires_at(now) };
        let request = RequestContext { client_ip: mail.address, ..RequestContext::default() };
        let context = AuditContext::for_named_actor("reset request", now, request.clone());
        let requested = AuditContext::for_named_actor("reset request", mail.created_at, request);
        let key = EmailKey::from_text(&mail.recipient);
        let (person, text) = match self.store.insert_reset_link(&key, &link, &context).await? {
            ResetRecipient::Created(person) => {
                let url = format!("{}/reset-password/{}", self.public_url, value.expose());
                (person, text::of_reset_link(&url, &requested))
            }
            ResetRecipient::Linked(person) => {
                let provider = person.provider.as_deref().unwrap_or("your identity provider");
                let text = text::of_linked(provider, &requested, &self.public_url);
                (person, text)
            }
            ResetRecipient::None => return Ok(Prepared::Skipped),
        };
        Ok(Prepared::Ready { recipient: person.email.clone(), person, text })
    }
}

fn outcome_of(sent: &std::result::Result<(), MailError>) -> MailOutcome {
    match sent {
        Ok(()) => MailOutcome::Sent,
        Err(error) if error.is_permanent() => MailOutcome::Rejected,
        Err(error) if error.is_of_server() => MailOutcome::ServerFailed,
        Err(_) => MailOutcome::Deferred,
    }
}
