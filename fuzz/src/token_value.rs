//! The token format: the input as a value, and a value that is generated from the input and then
//! altered by it.
//!
//! A value is accepted if it has the documented form and checksum. The check here is an independent
//! implementation.

use tokenward::domain::random::Random;
use tokenward_guard::token_format::{BearerToken, TokenFormat};

/// Computes CRC-32 (ISO-HDLC) bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

fn base62(digit: u8) -> u64 {
    u64::from(match digit {
        b'0'..=b'9' => digit - b'0',
        b'A'..=b'Z' => digit - b'A' + 10,
        _ => digit - b'a' + 36,
    })
}

fn is_well_formed(text: &str) -> bool {
    BearerToken::parse(text).is_some_and(|presented| TokenFormat::default().parse_digest(presented).is_some())
}

fn check_text(text: &str) {
    let is_accepted = is_well_formed(text);
    let bare = text.strip_prefix("secret-token:").unwrap_or(text);
    let is_shaped =
        bare.len() == 53 && bare.starts_with("twd_") && bare[4..].bytes().all(|b| b.is_ascii_alphanumeric());
    let is_valid = is_shaped && {
        let (body, sum) = bare.split_at(47);
        sum.bytes().fold(0, |sum, digit| sum * 62 + base62(digit)) == u64::from(crc32(body.as_bytes()))
    };
    assert_eq!(is_accepted, is_valid, "{text}");
}

/// Checks one input.
///
/// # Panics
///
/// Panics if the service treats the input incorrectly.
pub fn run(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_text(text);
    }
    // The first 16 bytes are the seed. The others are pairs of a position and a replacement.
    let Some((seed, changes)) = bytes.split_first_chunk::<16>() else { return };
    let seed = *seed;
    let random = Random::from_fn(move |out| {
        for (n, byte) in out.iter_mut().enumerate() {
            *byte = seed[n % 16].wrapping_add(u8::try_from(n / 16 * 97 % 256).expect("a byte")) % 248;
        }
    });
    let generated = TokenFormat::default().generate(|bytes| random.fill(bytes)).expose().to_owned();
    check_text(&generated);
    assert!(is_well_formed(&generated));
    let mut altered = generated.clone().into_bytes();
    for change in changes.chunks_exact(2).take(4) {
        let at = usize::from(change[0]) % altered.len();
        altered[at] = change[1];
    }
    if let Ok(altered) = String::from_utf8(altered) {
        check_text(&altered);
        let differing = generated.bytes().zip(altered.bytes()).filter(|(one, other)| one != other).count();
        assert!(differing != 1 || !is_well_formed(&altered), "{altered} for {generated}");
    }
}
