//! The encodings in which a secret could appear, and the search for them.

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use sha2::{Digest as _, Sha256};

/// A text to search for.
#[derive(Clone, Debug)]
pub struct Needle {
    /// The name of the secret and of the form, for the failure message.
    pub label: String,
    pub text: String,
}

/// Returns the forms that reveal the secret.
pub fn plain_forms(name: &str, secret: &str) -> Vec<Needle> {
    let escape = |digits: fn(u8) -> String, keep: fn(u8) -> bool| -> String {
        secret.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{}", digits(b)) }).collect()
    };
    let [upper, lower]: [fn(u8) -> String; 2] = [|b| format!("{b:02X}"), |b| format!("{b:02x}")];
    let alphanumeric: fn(u8) -> bool = |b| b.is_ascii_alphanumeric();
    let unreserved: fn(u8) -> bool = |b| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let decimal: Vec<String> = secret.bytes().map(|b| b.to_string()).collect();
    let mut forms = vec![
        ("itself", secret.to_owned()),
        ("in a URL", escape(upper, unreserved)),
        ("in a URL, lower case", escape(lower, unreserved)),
        ("in a form", escape(upper, unreserved).replace("%20", "+")),
        ("in a URL, all but letters and digits", escape(upper, alphanumeric)),
        ("as hexadecimal digits", hex::encode(secret.as_bytes())),
        ("as a list of bytes", decimal.join(", ")),
    ];
    forms.extend(base64_forms(secret.as_bytes()).map(|text| ("in base64", text)));
    into_needles(name, forms)
}

/// Returns the forms of the SHA-256 of the secret. The store has those of tokens and sessions.
pub fn hashed_forms(name: &str, secret: &str) -> Vec<Needle> {
    let digest = Sha256::digest(secret);
    let decimal: Vec<String> = digest.iter().map(ToString::to_string).collect();
    let mut forms = vec![
        ("SHA-256", hex::encode(digest)),
        ("SHA-256, upper case", hex::encode(digest).to_uppercase()),
        ("SHA-256 as a list of bytes", decimal.join(", ")),
    ];
    forms.extend(base64_forms(&digest).map(|text| ("SHA-256 in base64", text)));
    into_needles(name, forms)
}

fn into_needles(name: &str, forms: Vec<(&str, String)>) -> Vec<Needle> {
    forms.into_iter().map(|(form, text)| Needle { label: format!("{name}, {form}"), text }).collect()
}

/// Returns the base64 digits of these bytes at any offset in a longer text, in both alphabets. Only
/// digits that do not depend on the surrounding bytes are included, so padding makes no difference.
fn base64_forms(bytes: &[u8]) -> impl Iterator<Item = String> {
    [STANDARD, URL_SAFE].into_iter().flat_map(move |alphabet| {
        let engine = GeneralPurpose::new(&alphabet, NO_PAD);
        (0..3).map(move |before| {
            let text = engine.encode([vec![0; before], bytes.to_vec()].concat());
            let (first, last) = ((before * 8).div_ceil(6), (before + bytes.len()) * 8 / 6);
            text[first..last].to_owned()
        })
    })
}

/// Returns the first needle that occurs in the bytes.
pub fn find_needle<'n>(needles: &'n [Needle], text: &[u8]) -> Option<&'n Needle> {
    let text = String::from_utf8_lossy(text);
    needles.iter().find(|needle| text.contains(&needle.text))
}

#[test]
fn planted_secrets_are_found() {
    use base64::engine::general_purpose::{STANDARD as PADDED, URL_SAFE_NO_PAD as UNPADDED};
    let secret = "Zanzibar? quietly> 7";
    let (plain_forms, hashed_forms) = (plain_forms("it", secret), hashed_forms("it", secret));
    let digest = Sha256::digest(secret);
    let all: Vec<Needle> = plain_forms.iter().chain(&hashed_forms).cloned().collect();
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
        (hex::encode(secret.as_bytes()), true),
        (hex::encode(digest), false),
        (hex::encode(digest).to_uppercase(), false),
        (format!("{:?}", digest.as_slice()), false),
        (PADDED.encode(digest), false),
        (UNPADDED.encode(digest), false),
    ] {
        let text = [b"\xff\x00 a log line, ", text.as_bytes(), b", and the next\n"].concat();
        let needles = if is_plain { &plain_forms } else { &hashed_forms };
        assert!(find_needle(needles, &text).is_some(), "{}", String::from_utf8_lossy(&text));
    }
    let unrelated = "Zanzibar? quickly> 7";
    let unrelated = format!("{unrelated} {} {}", PADDED.encode(unrelated), hex::encode(Sha256::digest(unrelated)));
    assert!(find_needle(&all, unrelated.as_bytes()).is_none());
    // A shorter needle could be found by accident.
    assert!(all.iter().all(|needle| needle.text.len() >= secret.len()), "{all:?}");
}
