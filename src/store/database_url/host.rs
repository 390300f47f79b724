//! One host of a PostgreSQL URL, and how it is connected to.

use std::{fmt, path::PathBuf, time::Duration};

use form_urlencoded::Serializer;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{BadAddress, parameters::Parameters};

/// A host and how to connect to it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Host {
    /// All that the driver needs.
    pub options: PgConnectOptions,
    /// What is tried where the first try fails: the second half of `allow`.
    pub fallback: Option<PgSslMode>,
    /// How long the host may take to say what it is.
    pub connect_timeout: Option<Duration>,
}

/// Who logs in, and to which database. None: libpq's default.
pub(super) struct Login {
    pub user: Option<String>,
    pub password: Option<String>,
    pub name: Option<String>,
}

/// Where a server listens. None: libpq's default.
pub(super) struct Place {
    /// A name, an address, or the folder of a Unix socket.
    pub host: Option<String>,
    /// The address of the named host, which then need not be looked up.
    pub address: Option<String>,
    pub port: Option<u16>,
}

/// Where the certificates come from that a server's is verified with.
#[derive(Debug)]
enum Root {
    /// Those of the operating system.
    System,
    File(PathBuf),
}

/// The client's own certificate and its key, as files.
#[derive(Debug)]
struct ClientCertificate {
    certificate: PathBuf,
    key: PathBuf,
}

/// How connections are encrypted.
#[derive(Debug)]
pub(super) struct Security {
    mode: PgSslMode,
    fallback: Option<PgSslMode>,
    /// None: the certificate is not verified.
    root: Option<Root>,
    client: Option<ClientCertificate>,
}

impl Host {
    pub(super) fn new(
        place: &Place,
        login: &Login,
        security: &Security,
        parameters: &Parameters,
    ) -> Result<Self, BadAddress> {
        let options = options(place, login, parameters)?;
        let is_socket = options.get_socket().is_some() || options.get_host().starts_with('/');
        let connect_timeout = connect_timeout(parameters)?;
        if is_socket {
            // As with libpq: what does not leave the machine is not encrypted.
            let options = options.ssl_mode(PgSslMode::Disable);
            return Ok(Self { options, fallback: None, connect_timeout });
        }
        if matches!(security.mode, PgSslMode::VerifyFull) && place.address.is_some() {
            return Err(BadAddress::AddressUnverified);
        }
        let mut options = options.ssl_mode(security.mode);
        if let Some(Root::File(file)) = &security.root {
            options = options.ssl_root_cert(file);
        }
        if let Some(client) = &security.client {
            options = options.ssl_client_cert(&client.certificate).ssl_client_key(&client.key);
        }
        Ok(Self { options, fallback: security.fallback, connect_timeout })
    }
}

/// `HOST:PORT`, as it stands in a URL.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = self.options.get_socket().map(|folder| folder.to_string_lossy().into_owned());
        let host = socket.as_deref().unwrap_or_else(|| self.options.get_host());
        let port = self.options.get_port();
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{}:{port}", host.replace('/', "%2F")) }
    }
}

/// Lets the driver parse a URL in which everything is a parameter and encoded: then it also looks into the file of passwords.
fn options(place: &Place, login: &Login, parameters: &Parameters) -> Result<PgConnectOptions, BadAddress> {
    let mut query = Serializer::new(String::new());
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    };
    add("host", place.address.as_deref().or(place.host.as_deref()));
    add("port", place.port.map(|port| port.to_string()).as_deref());
    add("user", login.user.as_deref());
    add("password", login.password.as_deref());
    add("dbname", login.name.as_deref());
    add("options", parameters.get("options"));
    let named = parameters.get_or_variable("application_name", "PGAPPNAME");
    add("application_name", named.as_deref().or_else(|| parameters.get("fallback_application_name")));
    if let Some(capacity) = parameters.get("statement-cache-capacity") {
        let takes = "a number of statements";
        capacity.parse::<u32>().map_err(|_| BadAddress::Value { name: "statement-cache-capacity", takes })?;
        add("statement-cache-capacity", Some(capacity));
    }
    let url = format!("postgres:///?{}", query.finish());
    let options: PgConnectOptions = url.parse().map_err(|_| BadAddress::Scheme)?;
    let settings = &parameters.settings;
    Ok(if settings.is_empty() { options } else { options.options(settings.iter().map(|(name, value)| (name, value))) })
}

fn connect_timeout(parameters: &Parameters) -> Result<Option<Duration>, BadAddress> {
    let Some(text) = parameters.get("connect_timeout") else { return Ok(None) };
    let bad = BadAddress::Value { name: "connect_timeout", takes: "a number of seconds; 0 for the default" };
    let seconds: i32 = text.trim().parse().map_err(|_| bad)?;
    // As with libpq: less than two seconds are too few.
    Ok(u64::try_from(seconds).ok().filter(|&seconds| seconds > 0).map(|seconds| Duration::from_secs(seconds.max(2))))
}

impl Security {
    /// Reads `sslmode`, `sslrootcert`, `sslcert` and `sslkey` with the meaning that they have for libpq. One difference: a root
    /// certificate is an error where it would not be used.
    pub(super) fn of(parameters: &Parameters) -> Result<Self, BadAddress> {
        use PgSslMode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};
        let root = parameters.get_or_variable("sslrootcert", "PGSSLROOTCERT");
        let root = root.map(|text| if text == "system" { Root::System } else { Root::File(text.into()) });
        let is_file = matches!(root, Some(Root::File(_)));
        let plain = |mode, fallback| Ok((mode, fallback, None));
        let (mode, fallback, root) = match (mode(parameters)?, root) {
            (Some(Disable), _) => plain(Disable, None),
            (Some(Allow), None) => plain(Disable, Some(Require)),
            (Some(Prefer) | None, None) => plain(Prefer, None),
            (Some(Require), None) => plain(Require, None),
            (Some(Allow | Prefer), Some(_)) => Err(BadAddress::RootWithoutVerification),
            (Some(VerifyCa), None) => Err(BadAddress::NoRoot),
            (Some(VerifyFull), root) => Ok((VerifyFull, None, root.or(Some(Root::System)))),
            (Some(Require | VerifyCa) | None, root) if is_file => Ok((VerifyCa, None, root)),
            (None, root) => Ok((VerifyFull, None, root)),
            (Some(Require | VerifyCa), _) => Err(BadAddress::WeakMode),
        }?;
        Ok(Self { mode, fallback, root, client: client(parameters)? })
    }
}

fn mode(parameters: &Parameters) -> Result<Option<PgSslMode>, BadAddress> {
    let takes = "disable, allow, prefer, require, verify-ca or verify-full";
    let bad = BadAddress::Value { name: "sslmode", takes };
    match (parameters.get("ssl"), parameters.get_or_variable("sslmode", "PGSSLMODE")) {
        (None, Some(text)) if text.bytes().all(|c| c.is_ascii_lowercase() || c == b'-') => {
            text.parse().map(Some).map_err(|_| bad)
        }
        (None, Some(_)) => Err(bad),
        (None, None) => Ok(None),
        // libpq takes this one of JDBC.
        (Some("true"), _) => Ok(Some(PgSslMode::Require)),
        (Some(_), _) => Err(BadAddress::Value { name: "ssl", takes: "true; better write sslmode" }),
    }
}

fn client(parameters: &Parameters) -> Result<Option<ClientCertificate>, BadAddress> {
    let certificate = parameters.get_or_variable("sslcert", "PGSSLCERT");
    match (certificate, parameters.get_or_variable("sslkey", "PGSSLKEY")) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            Ok(Some(ClientCertificate { certificate: certificate.into(), key: key.into() }))
        }
        _ => Err(BadAddress::HalfCertificate),
    }
}
