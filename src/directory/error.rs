//! Errors of the directory client. Each text states the remedy.

use super::{pdu::PduError, settings::ServerUrl};

/// A question that a directory did not answer. None of these errors says anything about the person
/// or the password.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// No connection to a server, or it ended.
    #[error("cannot reach the directory server {server}; check its address, the network and whether it runs")]
    Unreachable { server: ServerUrl, source: std::io::Error },
    /// The servers did not answer in time.
    #[error("the directory did not answer within {} milliseconds; check the load of its servers and the network", limit.as_millis())]
    Timeout { limit: std::time::Duration },
    /// A password was sent, but the server did not answer. It may have counted the password.
    #[error("the directory did not answer a password check: {0}")]
    NoVerdict(Box<Self>),
    /// All password checks were in use for too long.
    #[error("too many password checks are waiting for the directory; check whether it answers slowly")]
    Busy,
    /// The certificate names nothing in `subjectAltName`, or something else than the server.
    #[error("{}", name_mismatch(server, expected, presented))]
    CertificateName { server: ServerUrl, expected: String, presented: Vec<String> },
    /// The certificate is not trusted, for another reason than its name.
    #[error("the certificate of {server} is not accepted; {remedy}")]
    Certificate { server: ServerUrl, remedy: &'static str },
    /// The TLS handshake failed.
    #[error("no TLS connection to {server}; check that this port of the server speaks TLS")]
    Tls { server: ServerUrl, source: std::io::Error },
    /// The server does not begin TLS on an `ldap://` connection.
    #[error("{server} rejected StartTLS with result code {code}; give it a certificate, or use ldaps://")]
    StartTlsRejected { server: ServerUrl, code: u32 },
    /// The server sent something that is not LDAP, or more than the client accepts.
    #[error("the directory server sent an invalid message: {0}")]
    InvalidAnswer(#[from] InvalidAnswer),
    /// The directory rejected the service's own name or password.
    #[error("the directory rejected the service's own bind name or password; correct bind and bind_password_file")]
    ServiceBindDenied,
    /// The server demands encryption (result code 8 or 13).
    #[error(
        "the directory server demands an encrypted or signed connection (result code {code}); use ldaps:// or starttls"
    )]
    TlsRequired { code: u32 },
    /// A search returned only a part of the entries.
    #[error(
        "the directory returned an incomplete result (result code {code}); raise its size and time limits for the service's account, or allow paged results"
    )]
    Incomplete { code: u32 },
    /// The base of a search does not exist (result code 32).
    #[error("the directory has no entry at base, or hides it from the service's account; correct base")]
    NoSuchBase,
    /// A configured group does not exist.
    #[error("the directory has no group {group:?}; correct the group of the allow rule, or create the group")]
    NoSuchGroup { group: String },
    /// The entry lacks the attribute that identifies it.
    #[error("the entry {dn:?} has no {attribute}; allow the service's account to read this attribute")]
    MissingAttribute { dn: String, attribute: &'static str },
    /// Several entries have the identifier that must be unique.
    #[error(
        "several entries of the directory have the identifier {subject:?}; set base or user_filter so that only one is found"
    )]
    AmbiguousSubject { subject: String },
    /// Any other result code (RFC 4511, section 4.1.9).
    #[error("{}; look it up in the documentation of the directory server", result_text(operation, *code, diagnostic))]
    Result {
        /// The operation: `bind` or `search`.
        operation: &'static str,
        code: u32,
        /// The diagnostic message of the server, shortened, without control characters.
        diagnostic: String,
    },
}

/// A message of a server that the client does not accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnswer {
    /// Not a well-formed LDAP message within the client's limits.
    #[error(transparent)]
    Pdu(#[from] PduError),
    /// The answer to `StartTLS` is followed by unencrypted bytes.
    #[error("bytes after the response to StartTLS, which an attacker may have inserted")]
    AfterStartTls,
    /// The message is not the response to `StartTLS`.
    #[error("not a response to StartTLS")]
    NotStartTls,
    /// The message has the form of BER, but not of an LDAP response.
    #[error("not a response of LDAP")]
    Malformed,
    /// More entries than the search can have.
    #[error("more entries than the search asked for")]
    TooManyEntries,
}

fn result_text(operation: &str, code: u32, diagnostic: &str) -> String {
    let text = format!("the directory answered {operation} with result code {code}");
    if diagnostic.is_empty() { text } else { format!("{text} ({diagnostic})") }
}

fn name_mismatch(server: &ServerUrl, expected: &str, presented: &[String]) -> String {
    let remedy = format!("it must name {expected}; reissue it, or set server_name to a name that it has");
    if presented.is_empty() {
        format!("the certificate of {server} names no server in subjectAltName; {remedy}")
    } else {
        format!("the certificate of {server} names {} in subjectAltName; {remedy}", presented.join(", "))
    }
}
