//! Reasons why a database URL is rejected.

/// Reason why a database URL is rejected. Its text contains no part of the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    #[error(
        "not a database URL: write postgres://USER:PASSWORD@HOST:PORT/NAME, with HOST:PORT,HOST:PORT for several \
         hosts, or sqlite:FILE"
    )]
    Scheme,
    #[error(
        "the URL is ambiguous: percent-encode the user name, the password and every @ after the ?; write @ as %40, \
         / as %2F, ? as %3F, # as %23, % as %25 and a space as %20"
    )]
    Ambiguous,
    #[error(
        "the URL contains a percent-encoded byte that is not UTF-8, or a zero byte: encode the UTF-8 of each character"
    )]
    Encoding,
    #[error(
        "a host is invalid: write a name, an IPv4 address, an IPv6 address in brackets, or the directory of a Unix \
         socket with / as %2F"
    )]
    Host,
    #[error("hostaddr is not an IP address: write a name as host")]
    HostAddress,
    #[error(
        "hostaddr and sslmode=verify-full exclude each other, because the certificate is compared with the host: \
         remove hostaddr"
    )]
    HostAddressWithVerifyFull,
    #[error("a port is invalid: write a number from 1 to 65535")]
    Port,
    #[error("the numbers of hosts, addresses and ports differ: give one port for all hosts, or one for each")]
    CountMismatch,
    #[error("the database name contains an unencoded /: remove it at the end, or write it as %2F")]
    DatabaseName,
    #[error("parameter {position} of the URL has no value: write NAME=VALUE, and & in a value as %26")]
    MissingValue { position: usize },
    #[error("parameter {position} of the URL is unknown; the nearest known one is {nearest}")]
    UnknownParameter { position: usize, nearest: &'static str },
    #[error(
        "search_path is not a connection parameter: write options=-c%20search_path%3DSCHEMA, with the name of your \
         schema"
    )]
    SearchPath,
    #[error("the value of {name} is invalid: write {expected}")]
    InvalidValue { name: &'static str, expected: &'static str },
    #[error("{name} is not supported: {remedy}")]
    UnsupportedParameter { name: &'static str, remedy: &'static str },
    #[error("only one of sslcert and sslkey is set: set both, the client certificate and its key")]
    IncompleteClientCertificate,
    #[error("sslrootcert has no effect with this sslmode: write sslmode=verify-full (or verify-ca, or require)")]
    UnusedRootCertificate,
    #[error("sslmode=verify-ca requires a CA certificate: set sslrootcert=FILE")]
    MissingRootCertificate,
    #[error(
        "sslrootcert=system requires sslmode=verify-full, because a public CA signs certificates for every host: \
         set sslmode=verify-full"
    )]
    SystemRootNeedsVerifyFull,
    #[error(
        "the URL names no file, and data in memory would be lost at each restart: write sqlite:FILE, \
         for example sqlite:/var/lib/tokenward/tokenward.db"
    )]
    MissingFile,
    #[error("the file name starts with file: as an SQLite URI does: write sqlite:FILE without it")]
    FileUri,
}
