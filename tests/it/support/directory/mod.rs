//! Directories for tests: OpenLDAP's slapd, and a domain controller of Samba, which is a real
//! Active Directory. Also a server that misbehaves on purpose.
//!
//! Every server listens on loopback only, and ends with the test that started it.

pub mod ber;
pub mod certificates;
mod changes;
pub mod fake_server;
mod ldif;
mod samba;
mod seed;
mod setup;
mod slapd;
mod supervisor;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

pub use certificates::{ServerCertificate, write_certificates};
pub use fake_server::FakeServer;
pub use seed::{CROWD, ODD_LOGIN, crowd_login, password_of};
pub use setup::DirectorySetup;

use supervisor::SupervisedServer;

/// The software of a directory server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    Slapd,
    Samba,
}

impl Flavor {
    /// Returns the DN under which people and groups are.
    pub fn base(self) -> &'static str {
        match self {
            Self::Slapd => "dc=example,dc=org",
            Self::Samba => "DC=ad,DC=example,DC=org",
        }
    }

    /// Returns the initial DN of a person.
    fn person_dn(self, login: &str, name: &str) -> String {
        match self {
            Self::Slapd => format!("uid={},ou=people,{}", escape_dn_value(login), self.base()),
            Self::Samba => format!("CN={name},CN=Users,{}", self.base()),
        }
    }

    /// Returns the DN of a group.
    pub fn group_dn(self, group: &str) -> String {
        match self {
            Self::Slapd => format!("cn={group},ou=groups,{}", self.base()),
            Self::Samba => format!("CN={group},CN=Users,{}", self.base()),
        }
    }
}

/// A running directory with the people and groups of `seed.rs`.
pub struct TestDirectory {
    pub flavor: Flavor,
    /// The URL for LDAPS.
    pub url: String,
    /// The URL for StartTLS. Both servers deny a bind without TLS.
    pub plain_url: String,
    /// The account that searches.
    pub bind: String,
    folder: PathBuf,
    server: SupervisedServer,
    administrator: Administrator,
}

/// The account that changes entries.
struct Administrator {
    url: String,
    bind: &'static str,
    password: &'static str,
}

impl TestDirectory {
    pub fn start(flavor: Flavor) -> Self {
        Self::start_with(flavor, ServerCertificate::Good)
    }

    pub fn start_with(flavor: Flavor, certificate: ServerCertificate) -> Self {
        match flavor {
            Flavor::Slapd => slapd::start(certificate, slapd::UNLIMITED_PAGES),
            Flavor::Samba => samba::start(certificate),
        }
    }

    /// Starts a slapd that ends a paged search after this many entries, with result code 4.
    pub fn with_page_limit(entries: usize) -> Self {
        slapd::start(ServerCertificate::Good, &entries.to_string())
    }

    /// Returns the file with the authority that clients trust.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Stops the server and waits until it has exited. Its data stay.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts the stopped server again and waits until it responds.
    pub fn start_again(&mut self) {
        self.server.start_again(&self.folder);
    }

    /// Suspends the server: the kernel accepts connections, but it does not respond.
    pub fn pause(&self) {
        self.server.pause();
    }

    pub fn resume(&self) {
        self.server.resume();
    }
}

/// Creates the folder of a server, which its supervisor removes.
fn new_folder() -> PathBuf {
    tempfile::Builder::new().prefix("tokenward-ldap").tempdir().unwrap().keep()
}

impl Administrator {
    /// Returns the command of an LDAP client that accepts every certificate.
    fn client(&self, program: &str) -> Command {
        ldap_client(program, &self.url, self.bind, self.password)
    }
}

fn ldap_client(program: &str, url: &str, bind: &str, password: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LDAPTLS_REQCERT", "never").args(["-x", "-o", "nettimeout=10", "-H", url, "-D", bind, "-w", password]);
    command
}

/// Returns a shell command that succeeds as soon as the server responds.
fn probe(administrator: &Administrator) -> String {
    let Administrator { url, bind, password } = administrator;
    format!("LDAPTLS_REQCERT=never ldapsearch -x -o nettimeout=10 -H '{url}' -D '{bind}' -w '{password}' -s base -b ''")
}

/// Returns the path of a server program. It is usually not on the PATH of users.
fn program_path(name: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut paths = std::env::split_paths(&folders).chain(["/usr/sbin".into()]).map(|folder| folder.join(name));
    paths.find(|path| path.exists()).unwrap_or_else(|| panic!("these tests need {name}: scripts/test installs it"))
}

/// Runs a command that must succeed, and returns its output.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("these tests need {}, which scripts/test installs: {error}", command.get_program().display())
    });
    expect_success(&output)
}

fn expect_success(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Escapes the value of a relative DN (RFC 4514 section 2.4).
fn escape_dn_value(value: &str) -> String {
    value.chars().flat_map(|c| (r#"\,+"<>;=#"#.contains(c)).then_some('\\').into_iter().chain([c])).collect()
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}
