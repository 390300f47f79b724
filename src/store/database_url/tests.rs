//! Tests of parsing and printing database URLs.

use proptest::prelude::*;
use sqlx::postgres::PgSslMode;

use super::*;

fn hosts(url: &str) -> Vec<Host> {
    match url.parse::<DatabaseUrl>().unwrap_or_else(|error| panic!("{url}: {error}")).scheme {
        Scheme::Postgres(hosts) => hosts,
        Scheme::Sqlite(_) => panic!("{url} is not a PostgreSQL URL"),
    }
}

fn error(url: &str) -> InvalidDatabaseUrl {
    url.parse::<DatabaseUrl>().expect_err(url)
}

#[test]
fn display_and_debug_omit_the_password() {
    let url: DatabaseUrl = "postgres://tokenward:s3cret@db.example:5433/tokens?sslmode=require".parse().unwrap();
    assert_eq!(format!("{url} {url:?}").matches("s3cret").count(), 0);
    assert_eq!(url.to_string(), "postgres://tokenward@db.example:5433/tokens");
    assert_eq!("sqlite:x/y.db".parse::<DatabaseUrl>().unwrap().to_string(), "sqlite:x/y.db");
}

#[test]
fn libpq_url_forms_are_accepted() {
    for (url, host, port, user, name) in [
        ("postgres://u:p@db.example/tokens", "db.example", 5432, "u", "tokens"),
        ("postgresql://u@db.example:5433/tokens", "db.example", 5433, "u", "tokens"),
        ("postgres://u@[::1]:5434/tokens", "::1", 5434, "u", "tokens"),
        ("postgres:///tokens?host=db.example&port=5435&user=u", "db.example", 5435, "u", "tokens"),
        ("postgres://u@db.example?dbname=tokens", "db.example", 5432, "u", "tokens"),
        ("postgres://u@db.example/tokens?hostaddr=10.0.0.7&sslmode=require", "10.0.0.7", 5432, "u", "tokens"),
        ("postgres://u%40x:p%2F%40@db.example/a%2Fb", "db.example", 5432, "u@x", "a/b"),
    ] {
        let [parsed] = hosts(url).try_into().unwrap();
        let options = parsed.options;
        assert_eq!(options.get_host(), host, "{url}");
        assert_eq!(options.get_port(), port, "{url}");
        assert_eq!(options.get_username(), user, "{url}");
        assert_eq!(options.get_database(), Some(name), "{url}");
    }
    for url in ["postgres://u:p@/db?host=/var/run/postgresql", "postgres://u:p@%2Fvar%2Frun%2Fpostgresql/db"] {
        let [host] = hosts(url).try_into().unwrap();
        assert_eq!(
            host.options.get_socket().map(|path| path.to_string_lossy().into_owned()).as_deref(),
            Some("/var/run/postgresql")
        );
        assert!(matches!(host.options.get_ssl_mode(), PgSslMode::Disable), "traffic through a socket is not encrypted");
    }
}

#[test]
fn hosts_share_the_parameters_given_once() {
    let url =
        "postgres://tokenward:s3c%2Cret@a:5433,[::1]:5434,c/tokens?target_session_attrs=read-write&sslmode=require";
    assert_eq!(url.parse::<DatabaseUrl>().unwrap().to_string(), "postgres://tokenward@a:5433,[::1]:5434,c:5432/tokens");
    for host in hosts(url) {
        assert_eq!(host.options.get_username(), "tokenward");
        assert_eq!(host.options.get_database(), Some("tokens"));
        assert!(matches!(host.options.get_ssl_mode(), PgSslMode::Require));
    }
    assert_eq!(error("postgres://u@a,b/d?port=1,2,3"), InvalidDatabaseUrl::CountMismatch);
}

#[test]
fn a_root_certificate_requires_a_verifying_sslmode() {
    for (query, mode) in [
        ("", PgSslMode::Prefer),
        ("sslmode=disable", PgSslMode::Disable),
        ("sslmode=prefer", PgSslMode::Prefer),
        ("sslmode=require", PgSslMode::Require),
        ("sslmode=require&sslrootcert=/ca.crt", PgSslMode::VerifyCa),
        ("sslrootcert=/ca.crt", PgSslMode::VerifyCa),
        ("sslmode=verify-ca&sslrootcert=/ca.crt", PgSslMode::VerifyCa),
        ("sslmode=verify-full&sslrootcert=/ca.crt", PgSslMode::VerifyFull),
        ("sslmode=verify-full", PgSslMode::VerifyFull),
        ("sslrootcert=system", PgSslMode::VerifyFull),
    ] {
        let [host] = hosts(&format!("postgres://u@h/d?{query}")).try_into().unwrap();
        assert_eq!(format!("{:?}", host.options.get_ssl_mode()), format!("{mode:?}"), "{query}");
    }
    let [allow] = hosts("postgres://u@h/d?sslmode=allow").try_into().unwrap();
    assert!(matches!(allow.options.get_ssl_mode(), PgSslMode::Disable));
    assert!(matches!(allow.fallback, Some(PgSslMode::Require)));
    for (query, expected) in [
        ("sslmode=prefer&sslrootcert=/ca.crt", InvalidDatabaseUrl::UnusedRootCertificate),
        ("sslmode=allow&sslrootcert=/ca.crt", InvalidDatabaseUrl::UnusedRootCertificate),
        ("sslmode=verify-ca", InvalidDatabaseUrl::MissingRootCertificate),
        ("sslmode=require&sslrootcert=system", InvalidDatabaseUrl::SystemRootNeedsVerifyFull),
        ("sslcert=/c.crt", InvalidDatabaseUrl::IncompleteClientCertificate),
        ("sslmode=verify-full&hostaddr=10.0.0.7", InvalidDatabaseUrl::HostAddressWithVerifyFull),
    ] {
        assert_eq!(error(&format!("postgres://u@h/d?{query}")), expected, "{query}");
    }
}

#[test]
fn parameters_without_effect_are_rejected() {
    let message = |query: &str| error(&format!("postgres://u@h/d?{query}")).to_string();
    assert!(message("search_path=own").contains("options=-c%20search_path%3DSCHEMA"));
    assert!(message("ssl_mode=require").contains("nearest known one is sslmode"));
    assert!(message("application-name=x").contains("application_name"));
    assert!(message("sslmode=on").contains("verify-full"));
    for value in ["any", "standby", "read-only", "prefer-standby"] {
        assert!(message(&format!("target_session_attrs={value}")).contains("read-write"));
    }
    assert!(message("channel_binding=require").contains("verify-full"));
    for query in ["connect_timeout=10", "keepalives=1", "gssencmode=disable", "options=-c%20search_path%3Down"] {
        hosts(&format!("postgres://u@h/d?{query}"));
    }
}

#[test]
fn in_memory_databases_are_rejected() {
    for url in [
        "sqlite:",
        "sqlite://",
        "sqlite::memory:",
        "sqlite://:memory:",
        "sqlite:?mode=memory",
        "sqlite:x.db?mode=memory",
        "sqlite:%20",
    ] {
        assert_eq!(error(url), InvalidDatabaseUrl::MissingFile, "{url}");
    }
    assert_eq!(error("sqlite:file::memory:"), InvalidDatabaseUrl::FileUri);
    for url in ["sqlite:x.db", "sqlite:///var/lib/x.db", "sqlite:x.db?mode=rwc"] {
        assert!(url.parse::<DatabaseUrl>().is_ok(), "{url}");
    }
    assert_eq!(error("mysql://u:s3cret@h/d"), InvalidDatabaseUrl::Scheme);
}

proptest! {
    /// Whatever unencoded characters a password contains, the URL is either parsed or rejected
    /// without echoing any part of it.
    #[test]
    fn errors_never_contain_a_part_of_the_password(password in "[ -~]{4,24}") {
        let url = format!("postgres://u:{password}@db.example/tokens");
        if let Err(error) = url.parse::<DatabaseUrl>() {
            let message = error.to_string();
            // Text that every error contains, independent of the input.
            let constant = InvalidDatabaseUrl::Ambiguous.to_string();
            for start in 0..=password.len() - 4 {
                let part = &password[start..start + 4];
                let is_allowed = constant.contains(part) || message.contains("nearest");
                prop_assert!(!message.contains(part) || is_allowed, "{part:?} in {message}");
            }
        }
    }

    /// A password encoded as the error advises is accepted.
    #[test]
    fn a_percent_encoded_password_is_accepted(password in "[ -~]{1,24}") {
        let encoded = utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
        let url = format!("postgres://u:{encoded}@db.example/tokens");
        prop_assert!(url.parse::<DatabaseUrl>().is_ok());
    }
}
