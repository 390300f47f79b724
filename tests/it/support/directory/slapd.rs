//! OpenLDAP's server.

use std::path::Path;

use super::{
    Administrator, Flavor, ServerCertificate, TestDirectory, new_folder, path_text, probe, program_path, seed::seed,
    supervisor::SupervisedServer, write_certificates,
};
use crate::support::postgres::free_port;

/// A search with pages may return all entries.
pub const UNLIMITED_PAGES: &str = "unlimited";

/// Debian's directory of schemas.
const SCHEMAS: &str = "/etc/ldap/schema";

/// Starts a server with the data of `seed.rs`. A search without pages returns at most 50 entries,
/// and one with pages at most `paged_entries` in total.
pub fn start(certificate: ServerCertificate, paged_entries: &str) -> TestDirectory {
    let program = program_path("slapd");
    let folder = new_folder();
    write_certificates(&folder, certificate, "IP:127.0.0.1");
    std::fs::create_dir(folder.join("db")).unwrap();
    std::fs::write(folder.join("slapd.conf"), configuration(&folder, paged_entries)).unwrap();
    let url = format!("ldaps://127.0.0.1:{}", free_port());
    let plain_url = format!("ldap://127.0.0.1:{}", free_port());
    let socket = format!("ldapi://{}", path_text(&folder.join("ldapi")).replace('/', "%2F"));
    let administrator = Administrator { url: socket, bind: "cn=root,dc=example,dc=org", password: "root-password" };
    let listeners = format!("{plain_url} {url} {}", administrator.url);
    let configuration = folder.join("slapd.conf");
    // With -d, the server stays in the foreground.
    let command = [path_text(&program), "-d", "0", "-f", path_text(&configuration), "-h", &listeners];
    let server = SupervisedServer::start(&folder, &probe(&administrator), &command);
    let bind = format!("cn=search,{}", Flavor::Slapd.base());
    let directory = TestDirectory { flavor: Flavor::Slapd, url, plain_url, bind, folder, server, administrator };
    directory.apply(&seed(Flavor::Slapd));
    directory
}

fn configuration(folder: &Path, paged_entries: &str) -> String {
    let folder = path_text(folder);
    let base = Flavor::Slapd.base();
    format!(
        r#"
include {SCHEMAS}/core.schema
include {SCHEMAS}/cosine.schema
include {SCHEMAS}/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
pidfile {folder}/pid
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
security simple_bind=128
localSSF 128
database mdb
suffix "{base}"
rootdn "cn=root,{base}"
rootpw root-password
directory {folder}/db
maxsize 67108864
dbnosync
limits dn.exact="cn=search,{base}" size.soft=50 size.hard=500 size.pr=50 size.prtotal={paged_entries}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=search,{base}" read by anonymous auth by * none
overlay memberof
memberof-refint TRUE
overlay ppolicy
ppolicy_default "cn=policy,{base}"
ppolicy_use_lockout
"#
    )
}
