//! The verdict of `xmlsec1`, an independent implementation of XML signatures in C.

use std::process::Command;

/// A key for `xmlsec1`, in PEM.
#[derive(Clone, Copy, Debug)]
pub enum Pem<'a> {
    Certificate(&'a str),
    Key(&'a str),
}

/// Returns whether `xmlsec1` accepts all signatures of a response and of its assertion, each by one
/// of the keys.
///
/// # Panics
///
/// Panics if the program is missing: without it, the tests compare nothing.
pub fn accepts(response: &str, keys: &[Pem<'_>]) -> bool {
    let places = [
        "/*[local-name()='Response']/*[local-name()='Signature']",
        "/*[local-name()='Response']/*[local-name()='Assertion']/*[local-name()='Signature']",
    ];
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("response.xml");
    std::fs::write(&document, response).unwrap();
    let verdicts = places.map(|place| {
        if !has_node(&document, place) {
            return None;
        }
        Some(keys.iter().any(|key| {
            let (option, pem) = match key {
                Pem::Certificate(pem) => ("--pubkey-cert-pem", pem),
                Pem::Key(pem) => ("--pubkey-pem", pem),
            };
            let file = folder.path().join("key.pem");
            std::fs::write(&file, pem).unwrap();
            let mut command = verification(place);
            command.arg(option).arg(file).arg(&document);
            command.output().expect(MISSING).status.success()
        }))
    });
    let verdicts: Vec<bool> = verdicts.into_iter().flatten().collect();
    !verdicts.is_empty() && verdicts.iter().all(|verdict| *verdict)
}

const MISSING: &str = "xmlsec1 is missing: apt-get install xmlsec1";

fn verification(place: &str) -> Command {
    let mut command = Command::new("xmlsec1");
    command.arg("--verify").args(["--node-xpath", place]);
    for element in ["urn:oasis:names:tc:SAML:2.0:assertion:Assertion", "urn:oasis:names:tc:SAML:2.0:protocol:Response"]
    {
        command.args(["--id-attr:ID", element]);
    }
    command
}

/// Returns whether the document has a signature at a place: without a key, the error differs.
fn has_node(document: &std::path::Path, place: &str) -> bool {
    let output = verification(place).arg(document).output().expect(MISSING);
    !String::from_utf8_lossy(&output.stderr).contains("xpath")
}
