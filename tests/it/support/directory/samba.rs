//! A domain controller of Samba: an Active Directory.

use std::{
    fs::{DirBuilder, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::{Ipv4Addr, TcpListener},
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::{DirBuilderExt as _, MetadataExt as _},
            net::{SocketAddr, UnixListener},
        },
    },
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use super::{
    Administrator, Flavor, ServerCertificate, TestDirectory, new_folder, path_text, probe, program_path, run,
    seed::seed, supervisor::SupervisedServer, write_certificates,
};

const ADMINISTRATOR_PASSWORD: &str = "Passw0rd-of-admin";

/// The folders of a provisioned domain. They contain no absolute path.
const DATA_FOLDERS: [&str; 2] = ["private", "state"];

/// The folders that the server needs besides.
const RUN_FOLDERS: [&str; 6] = ["cache", "lock", "pid", "ncalrpc", "winbindd", "ntp"];

/// The arguments of `samba-tool domain provision`, except for the folder.
const PROVISION: [&str; 10] = [
    "--realm=AD.EXAMPLE.ORG",
    "--domain=ADTEST",
    "--server-role=dc",
    "--dns-backend=NONE",
    "--host-name=dc1",
    "--host-ip=127.0.0.1",
    "--option=interfaces = 127.0.0.1/8",
    "--option=bind interfaces only = yes",
    "--option=ldb:nosync = yes",
    "--quiet",
];

/// Starts a domain controller with the data of `seed.rs`, on a copy of the domain that is kept below
/// `target/`.
pub fn start(certificate: ServerCertificate) -> TestDirectory {
    let folder = new_folder();
    // The ports of Samba's LDAP server are fixed.
    let is_root = std::fs::metadata(&folder).unwrap().uid() == 0;
    assert!(
        is_root,
        "tests with Samba need root, because it listens on the ports 389 and 636: run scripts/test as root"
    );
    copy_template(&folder);
    run_in(folder, certificate)
}

/// Starts a domain controller on the data in this folder.
fn run_in(folder: PathBuf, certificate: ServerCertificate) -> TestDirectory {
    let address = free_address();
    write_certificates(&folder, certificate, &format!("DNS:dc1.ad.example.org,IP:{address}"));
    for name in RUN_FOLDERS {
        DirBuilder::new().recursive(true).mode(0o755).create(folder.join(name)).unwrap();
    }
    let configuration = folder.join("smb.conf");
    std::fs::write(&configuration, configuration_text(&folder, address)).unwrap();
    let url = format!("ldaps://{address}");
    let bind = "administrator@ad.example.org";
    let administrator = Administrator { url: url.clone(), bind, password: ADMINISTRATOR_PASSWORD };
    let program = program_path("samba");
    let command = [path_text(&program), "-s", path_text(&configuration), "-F", "--no-process-group", "-M", "single"];
    let server = SupervisedServer::start(&folder, &probe(&administrator), &command);
    let bind = "search@ad.example.org".to_owned();
    let plain_url = format!("ldap://{address}");
    TestDirectory { flavor: Flavor::Samba, url, plain_url, bind, folder, server, administrator }
}

/// Copies the provisioned domain into the folder. The first caller provisions it, which takes a few
/// seconds. Others wait for it, also those in other processes.
fn copy_template(folder: &Path) {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let lock = File::create(cache.join("samba-domain.lock")).unwrap();
    lock.lock().unwrap();
    let template = cache.join(format!("samba-domain-{:016x}", template_version()));
    if !template.exists() {
        for entry in std::fs::read_dir(&cache).unwrap().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().starts_with("samba-domain-") {
                std::fs::remove_dir_all(entry.path()).unwrap();
            }
        }
        provision(&template);
    }
    copy_data(&template, folder);
}

/// Returns a number that changes with the version of Samba and with the data.
fn template_version() -> u64 {
    let mut hasher = DefaultHasher::new();
    run(Command::new(program_path("samba")).arg("--version")).hash(&mut hasher);
    (PROVISION, DATA_FOLDERS, seed(Flavor::Samba).as_str()).hash(&mut hasher);
    hasher.finish()
}

/// Creates a domain with the data of `seed.rs` in this folder, which appears when it is complete.
fn provision(template: &Path) {
    let folder = new_folder();
    let mut command = Command::new("samba-tool");
    command.args(["domain", "provision", &format!("--targetdir={}", folder.display())]).args(PROVISION);
    run(command.arg(format!("--adminpass={ADMINISTRATOR_PASSWORD}")));
    let mut directory = run_in(folder, ServerCertificate::Good);
    directory.apply(&seed(Flavor::Samba));
    directory.make_primary_group("primaries", "prim");
    directory.stop();
    let incomplete = tempfile::Builder::new().prefix("samba-domain-").tempdir_in(template.parent().unwrap()).unwrap();
    copy_data(&directory.folder, incomplete.path());
    std::fs::rename(incomplete.keep(), template).unwrap();
}

fn copy_data(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto"]).args(DATA_FOLDERS.map(|name| from.join(name)));
    run(command.arg(to));
}

/// Returns a loopback address whose LDAP ports are free. No other test process gets the same one
/// while this process runs.
fn free_address() -> Ipv4Addr {
    static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    for _ in 0..1_000 {
        let address = Ipv4Addr::new(127, 77, rand::random_range(1..255), rand::random_range(1..255));
        // The abstract socket holds the name until this process exits.
        let name = SocketAddr::from_abstract_name(format!("tokenward-test-address-{address}")).unwrap();
        let Ok(reservation) = UnixListener::bind_addr(&name) else { continue };
        if [389, 636].iter().all(|port| TcpListener::bind((address, *port)).is_ok()) {
            RESERVED.lock().unwrap().push(reservation);
            return address;
        }
    }
    panic!("the ports 389 and 636 are in use on all loopback addresses: stop the LDAP server of this machine");
}

fn configuration_text(folder: &Path, address: Ipv4Addr) -> String {
    let folder = path_text(folder);
    // With another mask than /8, Samba does not find the interface.
    format!(
        "[global]
netbios name = DC1
realm = AD.EXAMPLE.ORG
workgroup = ADTEST
server role = active directory domain controller
server services = ldap
interfaces = {address}/8
bind interfaces only = yes
ldb:nosync = yes
private dir = {folder}/private
state directory = {folder}/state
cache directory = {folder}/cache
lock directory = {folder}/lock
pid directory = {folder}/pid
ncalrpc dir = {folder}/ncalrpc
winbindd socket directory = {folder}/winbindd
ntp signd socket directory = {folder}/ntp
log file = {folder}/log
tls keyfile = {folder}/server.key
tls certfile = {folder}/server.pem
tls cafile = {folder}/ca.pem
[sysvol]
path = {folder}/state/sysvol
[netlogon]
path = {folder}/state/sysvol
"
    )
}
