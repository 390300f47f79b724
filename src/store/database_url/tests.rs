use proptest::prelude::*;
use sqlx::postgres::PgSslMode;

use super::*;

fn hosts(url: &str) -> Vec<Host> {
    match url.parse::<Address>().unwrap_or_else(|error| panic!("{url}: {error}")).scheme {
        Scheme::Postgres(hosts) => hosts,
        Scheme::Sqlite(_) => panic!("PostgreSQL"),
    }
}

fn error(url: &str) -> BadAddress {
    url.parse::<Address>().expect_err(url)
}

#[test]
fn an_address_prints_without_its_password() {
    let address: Address = "postgres://tokenward:s3cret@db.example:5433/tokens?sslmode=require".parse().unwrap();
    assert_eq!(format!("{address} {address:?}").matches("s3cret").count(), 0);
    assert_eq!(address.to_string(), "postgres://tokenward@db.example:5433/tokens");
    assert_eq!("sqlite:x/y.db".parse::<Address>().unwrap().to_string(), "sqlite:x/y.db");
}

#[test]
fn the_forms_of_libpq_are_understood() {
    for (url, host, port, user, name) in [
        ("postgres://u:p@db.example/tokens", "db.example", 5432, "u", "tokens"),
        ("postgresql://u@db.example:5433/tokens", "db.example", 5433, "u", "tokens"),
        ("postgres://u@[::1]:5434/tokens", "::1", 5434, "u", "tokens"),
        ("postgres:///tokens?host=db.example&port=5435&user=u", "db.example", 5435, "u", "tokens"),
        ("postgres://u@db.example?dbname=tokens", "db.example", 5432, "u", "tokens"),
        ("postgres://u@db.example/tokens?hostaddr=10.0.0.7&sslmode=require", "10.0.0.7", 5432, "u", "tokens"),
        ("postgres://u%40x:p%2F%40@db.example/a%2Fb", "db.example", 5432, "u@x", "a/b"),
    ] {
        let [host_read] = hosts(url).try_into().unwrap();
        let options = host_read.options;
        assert_eq!((options.get_host(), options.get_port()), (host, port), "{url}");
        assert_eq!((options.get_username(), options.get_database()), (user, Some(name)), "{url}");
    }
    for url in ["postgres://u:p@/db?host=/var/run/postgresql", "postgres://u:p@%2Fvar%2Frun%2Fpostgresql/db"] {
        let [host] = hosts(url).try_into().unwrap();
        assert_eq!(
            host.options.get_socket().map(|path| path.to_string_lossy().into_owned()).as_deref(),
            Some("/var/run/postgresql")
        );
        assert!(matches!(host.options.get_ssl_mode(), PgSslMode::Disable), "a socket does not leave the machine");
    }
}

#[test]
fn several_hosts_share_what_is_said_once() {
    let text =
        "postgres://tokenward:s3c%2Cret@a:5433,[::1]:5434,c/tokens?target_session_attrs=read-write&sslmode=require";
    assert_eq!(text.parse::<Address>().unwrap().to_string(), "postgres://tokenward@a:5433,[::1]:5434,c:5432/tokens");
    for host in hosts(text) {
        assert_eq!((host.options.get_username(), host.options.get_database()), ("tokenward", Some("tokens")));
        assert!(matches!(host.options.get_ssl_mode(), PgSslMode::Require));
    }
    assert_eq!(error("postgres://u@a,b/d?port=1,2,3"), BadAddress::Count);
}

#[test]
fn a_root_certificate_is_never_given_in_vain() {
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
    assert!(matches!((allow.options.get_ssl_mode(), allow.fallback), (PgSslMode::Disable, Some(PgSslMode::Require))));
    for (query, expected) in [
        ("sslmode=prefer&sslrootcert=/ca.crt", BadAddress::RootWithoutVerification),
        ("sslmode=allow&sslrootcert=/ca.crt", BadAddress::RootWithoutVerification),
        ("sslmode=verify-ca", BadAddress::NoRoot),
        ("sslmode=require&sslrootcert=system", BadAddress::WeakMode),
        ("sslcert=/c.crt", BadAddress::HalfCertificate),
        ("sslmode=verify-full&hostaddr=10.0.0.7", BadAddress::AddressUnverified),
    ] {
        assert_eq!(error(&format!("postgres://u@h/d?{query}")), expected, "{query}");
    }
}

#[test]
fn parameters_without_effect_are_rejected() {
    let text = |query: &str| error(&format!("postgres://u@h/d?{query}")).to_string();
    assert!(text("search_path=own").contains("options=-c%20search_path%3DSCHEMA"));
    assert!(text("ssl_mode=require").contains("nearest known one is sslmode"));
    assert!(text("application-name=x").contains("application_name"));
    assert!(text("sslmode=on").contains("verify-full"));
    for wrong in ["any", "standby", "read-only", "prefer-standby"] {
        assert!(text(&format!("target_session_attrs={wrong}")).contains("read-write"));
    }
    assert!(text("channel_binding=require").contains("verify-full"));
    for fine in ["connect_timeout=10", "keepalives=1", "gssencmode=disable", "options=-c%20search_path%3Down"] {
        hosts(&format!("postgres://u@h/d?{fine}"));
    }
}

#[test]
fn a_database_that_would_be_lost_is_rejected() {
    for lost in [
        "sqlite:",
        "sqlite://",
        "sqlite::memory:",
        "sqlite://:memory:",
        "sqlite:?mode=memory",
        "sqlite:x.db?mode=memory",
        "sqlite:%20",
    ] {
        assert_eq!(error(lost), BadAddress::NoFile, "{lost}");
    }
    assert_eq!(error("sqlite:file::memory:"), BadAddress::FileUri);
    for fine in ["sqlite:x.db", "sqlite:///var/lib/x.db", "sqlite:x.db?mode=rwc"] {
        assert!(fine.parse::<Address>().is_ok(), "{fine}");
    }
    assert_eq!(error("mysql://u:s3cret@h/d"), BadAddress::Scheme);
}

proptest! {
    /// Whatever a password holds that was not encoded: the URL is understood, or the error repeats none of it.
    #[test]
    fn no_error_repeats_a_part_of_the_password(password in "[ -~]{4,24}") {
        let url = format!("postgres://u:{password}@db.example/tokens");
        if let Err(error) = url.parse::<Address>() {
            let text = error.to_string();
            // What is in every error, whatever was typed.
            let fixed = BadAddress::Ambiguous.to_string();
            for start in 0..=password.len() - 4 {
                let part = &password[start..start + 4];
                prop_assert!(!text.contains(part) || fixed.contains(part) || text.contains("nearest"), "{part:?} in {text}");
            }
        }
    }

    /// A password that is encoded as the error advises is taken.
    #[test]
    fn an_encoded_password_is_taken(password in "[ -~]{1,24}") {
        let encoded = utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
        let url = format!("postgres://u:{encoded}@db.example/tokens");
        prop_assert!(url.parse::<Address>().is_ok());
    }
}
