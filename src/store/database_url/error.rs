//! The reasons for which a database URL is rejected.

/// A database URL that cannot be used. Its text holds no part of the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    #[error(
        "a database URL is postgres://USER:PASSWORD@HOST:PORT/NAME, with HOST:PORT,HOST:PORT for several hosts, or sqlite:FILE"
    )]
    Scheme,
    #[error(
        "the URL can be read in more than one way: percent-encode the password (and the user name, and every @ behind the ?): \
         write @ as %40, / as %2F, ? as %3F, # as %23, % as %25 and a space as %20"
    )]
    Ambiguous,
    #[error(
        "the URL holds a percent-encoded byte that is not UTF-8, or a zero byte: encode the UTF-8 of each character"
    )]
    Encoding,
    #[error(
        "a host is a name, an IPv4 address, an IPv6 address in brackets, or the folder of a Unix socket with / as %2F"
    )]
    Host,
    #[error("hostaddr takes IP addresses: write a name as host")]
    HostAddress,
    #[error(
        "hostaddr and sslmode=verify-full exclude each other: the certificate is compared with the host of the URL, so leave hostaddr out"
    )]
    AddressUnverified,
    #[error("a port is a number from 1 to 65535")]
    Port,
    #[error("the URL has other numbers of hosts, addresses and ports: give one port for all hosts, or one for each")]
    Count,
    #[error("the name of the database has an unencoded /: leave a / at the end out, write any other as %2F")]
    Name,
    #[error("parameter {position} of the URL has no value: write NAME=VALUE, and & in a value as %26")]
    NoValue { position: usize },
    #[error("parameter {position} of the URL is unknown; the nearest known one is {nearest}")]
    Unknown { position: usize, nearest: &'static str },
    #[error(
        "search_path is no parameter of a connection: write options=-c%20search_path%3DSCHEMA, with the name of your schema"
    )]
    SearchPath,
    #[error("{name} takes {takes}")]
    Value { name: &'static str, takes: &'static str },
    #[error("{name} is not supported: {instead}")]
    Unsupported { name: &'static str, instead: &'static str },
    #[error("sslcert and sslkey are needed together: the client's certificate and its key")]
    HalfCertificate,
    #[error("sslrootcert has no effect with this sslmode: write sslmode=verify-full (or verify-ca, or require)")]
    RootWithoutVerification,
    #[error("sslmode=verify-ca needs sslrootcert=FILE: the certificate of the CA that signed the server's")]
    NoRoot,
    #[error("sslrootcert=system allows only sslmode=verify-full: a public CA signs certificates for every host")]
    WeakMode,
    #[error(
        "the URL names no file, and data in memory would be lost at each restart: write sqlite:FILE, \
         for example sqlite:/var/lib/tokenward/tokenward.db"
    )]
    NoFile,
    #[error("a SQLite URL is sqlite:FILE, without file: before the name of the file")]
    FileUri,
}
