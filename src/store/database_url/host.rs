//! One host of a PostgreSQL URL, and its connection options.

use std::{fmt, path::PathBuf, time::Duration};

use form_urlencoded::Serializer;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{InvalidDatabaseUrl, parameters::Parameters};

/// Host and its connection options.
#[derive(Clone, Debug)]
pub(in crate::store) struct Host {
    /// Complete options for the driver.
    pub options: PgConnectOptions,
    /// Mode of the second attempt, after the first one failed: the second half of `sslmode=allow`.
    pub fallback: Option<PgSslMode>,
    /// Maximum time that one probe of the host may take.
    pub connect_timeout: Option<Duration>,
}

/// User, password and database. `None` is libpq's default.
pub(super) struct LoginParameters {
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: Option<String>,
}

/// Address of a server. `None` is libpq's default.
pub(super) struct Endpoint {
    /// Host name, IP address, or directory of a Unix socket.
    pub host: Option<String>,
    /// IP address of the named host, which saves the DNS lookup.
    pub address: Option<String>,
    pub port: Option<u16>,
}

/// Source of the root certificates that verify the server's certificate.
#[derive(Debug)]
enum RootCertificates {
    /// Root certificates of the operating system.
    System,
    File(PathBuf),
}

/// Files of the client certificate and its key.
#[derive(Debug)]
struct ClientCertificate {
    certificate: PathBuf,
    key: PathBuf,
}

/// TLS settings of a connection.
#[derive(Debug)]
pub(super) struct TlsSettings {
    mode: PgSslMode,
    fallback: Option<PgSslMode>,
    /// `None` disables verification of the server's certificate.
    root_certificates: Option<RootCertificates>,
    client_certificate: Option<ClientCertificate>,
}

impl Host {
    pub(super) fn new(
        endpoint: &Endpoint,
        login: &LoginParameters,
        tls: &TlsSettings,
        parameters: &Parameters,
    ) -> Result<Self, InvalidDatabaseUrl> {
        let options = connect_options(endpoint, login, parameters)?;
        let is_socket = options.get_socket().is_some() || options.get_host().starts_with('/');
        let connect_timeout = parse_connect_timeout(parameters)?;
        if is_socket {
            // As with libpq: traffic that stays on the machine is not encrypted.
            let options = options.ssl_mode(PgSslMode::Disable);
            return Ok(Self { options, fallback: None, connect_timeout });
        }
        if matches!(tls.mode, PgSslMode::VerifyFull) && endpoint.address.is_some() {
            return Err(InvalidDatabaseUrl::HostAddressWithVerifyFull);
        }
        let mut options = options.ssl_mode(tls.mode);
        if let Some(RootCertificates::File(file)) = &tls.root_certificates {
            options = options.ssl_root_cert(file);
        }
        if let Some(client) = &tls.client_certificate {
            options = options.ssl_client_cert(&client.certificate).ssl_client_key(&client.key);
        }
        Ok(Self { options, fallback: tls.fallback, connect_timeout })
    }
}

/// Formats the host as `HOST:PORT`, as in a URL.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = self.options.get_socket().map(|directory| directory.to_string_lossy().into_owned());
        let host = socket.as_deref().unwrap_or_else(|| self.options.get_host());
        let port = self.options.get_port();
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{}:{port}", host.replace('/', "%2F")) }
    }
}

/// Builds the driver's options from a URL in which every value is an encoded parameter. The driver
/// then also reads the password file.
fn connect_options(
    endpoint: &Endpoint,
    login: &LoginParameters,
    parameters: &Parameters,
) -> Result<PgConnectOptions, InvalidDatabaseUrl> {
    let mut query = Serializer::new(String::new());
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    };
    add("host", endpoint.address.as_deref().or(endpoint.host.as_deref()));
    add("port", endpoint.port.map(|port| port.to_string()).as_deref());
    add("user", login.user.as_deref());
    add("password", login.password.as_deref());
    add("dbname", login.database.as_deref());
    add("options", parameters.get("options"));
    let application_name = parameters.get_or_env("application_name", "PGAPPNAME");
    add("application_name", application_name.as_deref().or_else(|| parameters.get("fallback_application_name")));
    if let Some(capacity) = parameters.get("statement-cache-capacity") {
        let expected = "a number of statements";
        let name = "statement-cache-capacity";
        capacity.parse::<u32>().map_err(|_| InvalidDatabaseUrl::InvalidValue { name, expected })?;
        add("statement-cache-capacity", Some(capacity));
    }
    let url = format!("postgres:///?{}", query.finish());
    let options: PgConnectOptions = url.parse().map_err(|_| InvalidDatabaseUrl::Scheme)?;
    let settings = &parameters.settings;
    Ok(if settings.is_empty() { options } else { options.options(settings.iter().map(|(name, value)| (name, value))) })
}

fn parse_connect_timeout(parameters: &Parameters) -> Result<Option<Duration>, InvalidDatabaseUrl> {
    let Some(text) = parameters.get("connect_timeout") else { return Ok(None) };
    let expected = "a number of seconds, or 0 for the default";
    let invalid = InvalidDatabaseUrl::InvalidValue { name: "connect_timeout", expected };
    let seconds: i32 = text.trim().parse().map_err(|_| invalid)?;
    // As with libpq: the minimum is two seconds.
    Ok(u64::try_from(seconds).ok().filter(|&seconds| seconds > 0).map(|seconds| Duration::from_secs(seconds.max(2))))
}

impl TlsSettings {
    /// Reads `sslmode`, `sslrootcert`, `sslcert` and `sslkey` with libpq's meaning. One difference:
    /// a root certificate that would not be used is an error.
    pub(super) fn from_parameters(parameters: &Parameters) -> Result<Self, InvalidDatabaseUrl> {
        use PgSslMode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};
        let root = parameters.get_or_env("sslrootcert", "PGSSLROOTCERT");
        let root = root
            .map(|text| if text == "system" { RootCertificates::System } else { RootCertificates::File(text.into()) });
        let is_file = matches!(root, Some(RootCertificates::File(_)));
        let without_root = |mode, fallback| Ok((mode, fallback, None));
        let (mode, fallback, root) = match (parse_ssl_mode(parameters)?, root) {
            (Some(Disable), _) => without_root(Disable, None),
            (Some(Allow), None) => without_root(Disable, Some(Require)),
            (Some(Prefer) | None, None) => without_root(Prefer, None),
            (Some(Require), None) => without_root(Require, None),
            (Some(Allow | Prefer), Some(_)) => Err(InvalidDatabaseUrl::UnusedRootCertificate),
            (Some(VerifyCa), None) => Err(InvalidDatabaseUrl::MissingRootCertificate),
            (Some(VerifyFull), root) => Ok((VerifyFull, None, root.or(Some(RootCertificates::System)))),
            (Some(Require | VerifyCa) | None, root) if is_file => Ok((VerifyCa, None, root)),
            (None, root) => Ok((VerifyFull, None, root)),
            (Some(Require | VerifyCa), _) => Err(InvalidDatabaseUrl::SystemRootNeedsVerifyFull),
        }?;
        Ok(Self { mode, fallback, root_certificates: root, client_certificate: parse_client_certificate(parameters)? })
    }
}

fn parse_ssl_mode(parameters: &Parameters) -> Result<Option<PgSslMode>, InvalidDatabaseUrl> {
    let expected = "disable, allow, prefer, require, verify-ca or verify-full";
    let invalid = InvalidDatabaseUrl::InvalidValue { name: "sslmode", expected };
    match (parameters.get("ssl"), parameters.get_or_env("sslmode", "PGSSLMODE")) {
        (None, Some(text)) if text.bytes().all(|c| c.is_ascii_lowercase() || c == b'-') => {
            text.parse().map(Some).map_err(|_| invalid)
        }
        (None, Some(_)) => Err(invalid),
        (None, None) => Ok(None),
        // libpq accepts this parameter of JDBC.
        (Some("true"), _) => Ok(Some(PgSslMode::Require)),
        (Some(_), _) => Err(InvalidDatabaseUrl::InvalidValue { name: "ssl", expected: "true, or better sslmode" }),
    }
}

fn parse_client_certificate(parameters: &Parameters) -> Result<Option<ClientCertificate>, InvalidDatabaseUrl> {
    let certificate = parameters.get_or_env("sslcert", "PGSSLCERT");
    match (certificate, parameters.get_or_env("sslkey", "PGSSLKEY")) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            Ok(Some(ClientCertificate { certificate: certificate.into(), key: key.into() }))
        }
        _ => Err(InvalidDatabaseUrl::IncompleteClientCertificate),
    }
}
