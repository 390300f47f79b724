//! Certificates of test servers, written by `openssl`.

use std::{path::Path, process::Command};

use super::run;

/// The certificate that a server presents. Clients trust `ca.pem` of its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerCertificate {
    Good,
    /// Names the host in the common name only, like a certificate that Samba generates.
    CommonNameOnly,
    Expired,
    /// Names another host.
    OtherName,
    /// Signed by an authority that is not in `ca.pem`.
    OtherAuthority,
}

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/// Writes `ca.pem`, `server.key` and `server.pem` into the folder. A good certificate names
/// `localhost` and the alternative names, which openssl reads, for example `IP:127.0.0.1`.
pub fn write_certificates(folder: &Path, kind: ServerCertificate, alternative_names: &str) {
    write_authority(folder, "ca");
    let authority = if kind == ServerCertificate::OtherAuthority { "other-ca" } else { "ca" };
    if authority == "other-ca" {
        write_authority(folder, authority);
    }
    let extension = match kind {
        ServerCertificate::CommonNameOnly => "basicConstraints=critical,CA:FALSE".to_owned(),
        ServerCertificate::OtherName => "subjectAltName=DNS:other.example.org".to_owned(),
        _ => format!("subjectAltName=DNS:localhost,{alternative_names}"),
    };
    std::fs::write(folder.join("extensions"), extension).unwrap();
    openssl(folder, None, &format!("req {NEW_KEY} -subj /CN=localhost -keyout server.key -out server.csr"));
    let clock = (kind == ServerCertificate::Expired).then_some("-3d");
    let signer = format!("-CA {authority}.pem -CAkey {authority}.key -CAcreateserial");
    openssl(folder, clock, &format!("x509 -req -in server.csr {signer} -days 2 -out server.pem -extfile extensions"));
}

fn write_authority(folder: &Path, name: &str) {
    let usage = "-addext keyUsage=critical,keyCertSign";
    openssl(
        folder,
        None,
        &format!("req -x509 {NEW_KEY} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem {usage}"),
    );
}

/// Runs openssl in the folder, at another time if a clock is given.
fn openssl(folder: &Path, clock: Option<&str>, arguments: &str) {
    let mut command = match clock {
        None => Command::new("openssl"),
        Some(offset) => {
            let mut command = Command::new("faketime");
            command.args(["-f", offset, "openssl"]);
            command
        }
    };
    run(command.args(arguments.split(' ')).current_dir(folder));
}
