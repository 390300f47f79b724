//! One plain-text message.

use lettre::{
    Address, Message,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

use super::MailError;

/// Marks messages of programs, so that no program responds to them (RFC 3834).
const AUTO_SUBMITTED: &str = "Auto-Submitted";

/// A message to one recipient. `Debug` is not implemented, because the text may contain a secret link.
pub struct OutgoingMessage {
    pub recipient: String,
    pub subject: String,
    /// The text, with `\n` between lines.
    pub text: String,
    /// Identifies the message; a repeated message has the same ID. Letters, digits and hyphens only.
    pub id: String,
}

impl OutgoingMessage {
    /// Returns the address for the envelope, with the domain in its ASCII form (RFC 5891).
    ///
    /// # Errors
    /// [`MailError::Recipient`] if the address cannot be used.
    pub(super) fn recipient(&self) -> Result<Address, MailError> {
        let (local, domain) = self.recipient.rsplit_once('@').ok_or(MailError::Recipient)?;
        let domain = idna::domain_to_ascii(domain).map_err(|_| MailError::Recipient)?;
        Address::new(local, domain).map_err(|_| MailError::Recipient)
    }

    /// Returns the message as it is sent.
    ///
    /// # Errors
    /// [`MailError::Recipient`] if the address cannot be used.
    pub(super) fn build(&self, from: &Mailbox) -> Result<Message, MailError> {
        let auto_submitted =
            HeaderValue::new(HeaderName::new_from_ascii_str(AUTO_SUBMITTED), "auto-generated".to_owned());
        Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, self.recipient()?))
            .subject(&self.subject)
            .message_id(Some(format!("<{}@{}>", self.id, from.email.domain())))
            .raw_header(auto_submitted)
            .header(ContentType::TEXT_PLAIN)
            .body(self.text.replace('\n', "\r\n"))
            .map_err(|_| MailError::Recipient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(recipient: &str) -> OutgoingMessage {
        let (subject, text) = ("Your token expires".to_owned(), "Zeile für Zeile\nEnde\n".to_owned());
        OutgoingMessage { recipient: recipient.to_owned(), subject, text, id: "mail-7".to_owned() }
    }

    #[test]
    fn a_message_has_one_recipient_and_says_that_a_program_sent_it() {
        let from: Mailbox = "Tokenward <tokenward@example.com>".parse().unwrap();
        let sent = String::from_utf8(message("ada@münchen.example").build(&from).unwrap().formatted()).unwrap();
        for header in
            ["To: ada@xn--mnchen-3ya.example\r\n", "Auto-Submitted: auto-generated\r\n", "Message-ID: <mail-7@"]
        {
            assert!(sent.contains(header), "{sent}");
        }
    }

    #[test]
    fn a_recipient_cannot_add_a_header() {
        let from: Mailbox = "tokenward@example.com".parse().unwrap();
        for invalid in ["", "ada", "ada@example.com\r\nBcc: eve@example.com", "a b@example.com"] {
            assert!(matches!(message(invalid).build(&from), Err(MailError::Recipient)), "{invalid}");
        }
    }
}
