//! Every form in which a secret could be written down, and the search for them.

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use sha2::{Digest as _, Sha256};

/// Something to look for.
#[derive(Clone, Debug)]
pub struct Needle {
    /// Whose form it is, and which, for whoever reads that it was found.
    pub of: String,
    pub text: String,
}

/// The forms from which the secret can be read again.
pub fn plain(name: &str, secret: &str) -> Vec<Needle> {
    let escape = |digits: fn(u8) -> String, keep: fn(u8) -> bool| -> String {
        secret.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{}", digits(b)) }).collect()
    };
    let [upper, lower]: [fn(u8) -> String; 2] = [|b| format!("{b:02X}"), |b| format!("{b:02x}")];
    let alphanumeric: fn(u8) -> bool = |b| b.is_ascii_alphanumeric();
    let unreserved: fn(u8) -> bool = |b| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let listed: Vec<String> = secret.bytes().map(|b| b.to_string()).collect();
    let mut forms = vec![
        ("itself", secret.to_owned()),
        ("in a URL", escape(upper, unreserved)),
        ("in a URL, lower case", escape(lower, unreserved)),
        ("in a form", escape(upper, unreserved).replace("%20", "+")),
        ("in a URL, all but letters and digits", escape(upper, alphanumeric)),
        ("as hexadecimal digits", hex(secret.as_bytes())),
        ("as a list of bytes", listed.join(", ")),
    ];
    forms.extend(within_base64(secret.as_bytes()).map(|text| ("in base64", text)));
    named(name, forms)
}

/// The SHA-256 of the secret. The store knows tokens and sessions by it.
pub fn hashed(name: &str, secret: &str) -> Vec<Needle> {
    let digest = Sha256::digest(secret);
    let listed: Vec<String> = digest.iter().map(ToString::to_string).collect();
    let mut forms = vec![
        ("SHA-256", hex(&digest)),
        ("SHA-256, upper case", hex(&digest).to_uppercase()),
        ("SHA-256 as a list of bytes", listed.join(", ")),
    ];
    forms.extend(within_base64(&digest).map(|text| ("SHA-256 in base64", text)));
    named(name, forms)
}

fn named(name: &str, forms: Vec<(&str, String)>) -> Vec<Needle> {
    forms.into_iter().map(|(form, text)| Needle { of: format!("{name}, {form}"), text }).collect()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What base64 writes for these bytes wherever they stand in a longer text, in both alphabets: the digits that no byte before or
/// behind has a part in. Padded or not is the same, then.
fn within_base64(bytes: &[u8]) -> impl Iterator<Item = String> {
    [STANDARD, URL_SAFE].into_iter().flat_map(move |alphabet| {
        let engine = GeneralPurpose::new(&alphabet, NO_PAD);
        (0..3).map(move |before| {
            let text = engine.encode([vec![0; before], bytes.to_vec()].concat());
            let (first, last) = ((before * 8).div_ceil(6), (before + bytes.len()) * 8 / 6);
            text[first..last].to_owned()
        })
    })
}

/// The first needle in a text of whatever bytes.
pub fn found<'n>(needles: &'n [Needle], text: &[u8]) -> Option<&'n Needle> {
    let text = String::from_utf8_lossy(text);
    needles.iter().find(|needle| text.contains(&needle.text))
}

#[test]
fn what_is_planted_is_found() {
    use base64::engine::general_purpose::{STANDARD as PADDED, URL_SAFE_NO_PAD as UNPADDED};
    let secret = "Zanzibar? quietly> 7";
    let (plain, hashed) = (plain("it", secret), hashed("it", secret));
    let digest = Sha256::digest(secret);
    let all: Vec<Needle> = plain.iter().chain(&hashed).cloned().collect();
    for (text, is_plain) in [
        (secret.to_owned(), true),
        ("Zanzibar%3F%20quietly%3E%207".to_owned(), true),
        ("Zanzibar%3f%20quietly%3e%207".to_owned(), true),
        ("q=Zanzibar%3F+quietly%3E+7&x=y".to_owned(), true),
        (PADDED.encode(secret), true),
        (UNPADDED.encode(secret), true),
        (PADDED.encode(format!("ada@example.com:{secret}")), true),
        (PADDED.encode(format!("a@example.com:{secret}, and more")), true),
        (UNPADDED.encode(format!("an@example.com:{secret}")), true),
        (format!("{:?}", secret.as_bytes()), true),
        (hex(secret.as_bytes()), true),
        (hex(&digest), false),
        (hex(&digest).to_uppercase(), false),
        (format!("{:?}", digest.as_slice()), false),
        (PADDED.encode(digest), false),
        (UNPADDED.encode(digest), false),
    ] {
        let text = [b"\xff\x00 a log line, ", text.as_bytes(), b", and the next\n"].concat();
        let needles = if is_plain { &plain } else { &hashed };
        assert!(found(needles, &text).is_some(), "{}", String::from_utf8_lossy(&text));
    }
    let innocent = "Zanzibar? quickly> 7";
    let innocent = format!("{innocent} {} {}", PADDED.encode(innocent), hex(&Sha256::digest(innocent)));
    assert!(found(&all, innocent.as_bytes()).is_none());
    // None is so short that it is found by accident, and so useless.
    assert!(all.iter().all(|needle| needle.text.len() >= secret.len()), "{all:?}");
}
