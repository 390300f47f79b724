//! The token value: what a line says, and a value made of the bytes and damaged by them.
//!
//! What is recognised has the published shape and checksum, worked out here anew, and is exactly what was made.

use tokenward::domain::random::Random;
use tokenward_guard::token_format::{BearerToken, TokenFormat};

/// CRC-32 (ISO-HDLC), bit by bit.
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

fn is_recognised(text: &str) -> bool {
    BearerToken::parse(text).is_some_and(|presented| TokenFormat::default().parse_digest(presented).is_some())
}

fn judge(text: &str) {
    let seen = is_recognised(text);
    let bare = text.strip_prefix("secret-token:").unwrap_or(text);
    let is_shaped =
        bare.len() == 53 && bare.starts_with("twd_") && bare[4..].bytes().all(|b| b.is_ascii_alphanumeric());
    let is_ours = is_shaped && {
        let (body, sum) = bare.split_at(47);
        sum.bytes().fold(0, |sum, digit| sum * 62 + base62(digit)) == u64::from(crc32(body.as_bytes()))
    };
    assert_eq!(seen, is_ours, "{text}");
}

/// Checks one input; panics where the service is wrong about it.
pub fn run(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        judge(text);
    }
    // What is left of the bytes after sixteen are places and characters to put there.
    let Some((seed, damages)) = bytes.split_first_chunk::<16>() else { return };
    let seed = *seed;
    let random = Random::from_fn(move |out| {
        for (n, byte) in out.iter_mut().enumerate() {
            *byte = seed[n % 16].wrapping_add(u8::try_from(n / 16 * 97 % 256).expect("a byte")) % 248;
        }
    });
    let made = TokenFormat::default().generate(|bytes| random.fill(bytes)).expose().to_owned();
    judge(&made);
    assert!(is_recognised(&made));
    let mut damaged = made.clone().into_bytes();
    for damage in damages.chunks_exact(2).take(4) {
        let at = usize::from(damage[0]) % damaged.len();
        damaged[at] = damage[1];
    }
    if let Ok(damaged) = String::from_utf8(damaged) {
        judge(&damaged);
        let differing = made.bytes().zip(damaged.bytes()).filter(|(one, other)| one != other).count();
        assert!(differing != 1 || !is_recognised(&damaged), "{damaged} for {made}");
    }
}
