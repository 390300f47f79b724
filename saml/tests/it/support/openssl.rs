//! Keys and certificates by the `openssl` program.

use std::{path::Path, process::Command};

/// Runs a command in a folder.
pub fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl is missing");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Returns a self-signed certificate in DER with a new key.
pub fn certificate(key: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let options = ["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=idp", "-outform", "DER"];
    let files = ["-keyout", "key.pem", "-out", "certificate.der"];
    openssl(folder.path(), &[&options[..], &files, key].concat());
    std::fs::read(folder.path().join("certificate.der")).unwrap()
}
