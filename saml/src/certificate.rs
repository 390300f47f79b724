//! The parts of X.509 certificates that are read: the key, and when the certificate expires.

use std::time::SystemTime;

use crate::{
    der::{Der, INTEGER, SEQUENCE},
    time,
};

const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Returns the `SubjectPublicKeyInfo` and the end of the validity of a certificate in DER.
///
/// Its signature, names and extensions are not read: the operator vouches for the certificate.
pub(crate) fn read(certificate: &[u8]) -> Option<(&[u8], SystemTime)> {
    let mut outer = Der::new(certificate);
    let mut contents = outer.enter(SEQUENCE)?.enter(SEQUENCE)?;
    if !outer.is_empty() {
        return None;
    }
    if contents.peek() == Some(VERSION) {
        contents.read(VERSION)?;
    }
    let _serial_number = contents.read(INTEGER)?;
    let _algorithm = contents.read(SEQUENCE)?;
    let _issuer = contents.read(SEQUENCE)?;
    let mut validity = contents.enter(SEQUENCE)?;
    let _subject = contents.read(SEQUENCE)?;
    let key = contents.read_whole(SEQUENCE)?;
    let _not_before = read_time(&mut validity)?;
    Some((key, read_time(&mut validity)?))
}

/// Reads a time of RFC 5280, section 4.1.2.5.
fn read_time(validity: &mut Der<'_>) -> Option<SystemTime> {
    let tag = validity.peek()?;
    let text = str::from_utf8(validity.read(tag)?).ok().filter(|text| text.is_ascii())?;
    let text = match tag {
        UTC_TIME => {
            let century = if text.get(..2)?.parse::<u8>().ok()? < 50 { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    if text.len() != 15 {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to);
    time::parse(&format!(
        "{}-{}-{}T{}:{}:{}",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 15)?
    ))
}
