//! What holds of every value, and of everything that is none.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

fn made() -> TokenValue {
    Format::default().make(&Random::system())
}

fn recognise(text: &str) -> Option<TokenDigest> {
    Format::default().recognise(Presented::parse(text)?)
}

#[test]
fn a_made_value_has_the_published_shape_and_is_recognised() {
    let value = made();
    let (prefix, rest) = value.expose().split_once('_').unwrap();
    assert_eq!((prefix, rest.len(), value.expose().len()), ("twd", 49, 53));
    assert!(rest.bytes().all(|b| b.is_ascii_alphanumeric()));
    assert_eq!(recognise(value.expose()), Some(value.digest()));
}

#[test]
fn the_checksum_is_crc32_iso_hdlc_in_base62_padded_with_zeros() {
    // CRC-32 of "123456789" is 0xCBF43926, the check value of the algorithm's catalogue entry.
    assert_eq!(checksum("123456789"), *b"3jZRME");
    assert_eq!(checksum(""), *b"000000");
}

#[test]
fn truncated_extended_or_foreign_values_are_refused() {
    let value = made();
    let text = value.expose();
    for wrong in
        [&text[..52], &format!("{text}0"), &text.replacen("twd", "abc", 1), &text.to_uppercase(), "twd_", "_", ""]
    {
        assert_eq!(recognise(wrong), None, "{wrong}");
    }
}

#[test]
fn secret_token_in_front_is_accepted_once_and_never_emitted() {
    let value = made();
    assert_eq!(recognise(&format!("secret-token:{}", value.expose())), Some(value.digest()));
    assert_eq!(recognise(&format!("secret-token:secret-token:{}", value.expose())), None);
}

#[test]
fn a_second_prefix_is_accepted_beside_the_issued_one() {
    let old = made();
    let format = Format::new(Prefix::parse("acme").unwrap(), vec![Prefix::default()]);
    assert!(format.recognise(Presented::parse(old.expose()).unwrap()).is_some());
    assert!(format.make(&Random::system()).expose().starts_with("acme_"));
}

#[test]
fn nothing_prints_a_secret() {
    let value = made();
    let printed = format!("{value:?} {:?} {:?}", Presented::parse(value.expose()), value.digest());
    assert!(!printed.contains(&value.expose()[4..]));
    assert_eq!(printed, "TokenValue([hidden]) Some(Presented([hidden])) TokenDigest([hidden])");
}

#[test]
fn the_hint_is_the_prefix_and_four_characters() {
    let value = made();
    assert_eq!(value.hint(), &value.expose()[..8]);
}

#[test]
fn bearers_outside_the_grammar_are_not_even_parsed() {
    for wrong in ["a b", "a,b", "a\u{e9}", "===", "", "a=b", &"a".repeat(513)] {
        assert_eq!(Presented::parse(wrong), None, "{wrong}");
    }
    assert!(Presented::parse("a-._~+/9==").is_some());
}

#[test]
fn prefixes_outside_their_grammar_are_refused() {
    for wrong in ["", "a", "1ab", "Abc", "a_b", "abcdefghijklm"] {
        assert_eq!(Prefix::parse(wrong), Err(BadPrefix), "{wrong}");
    }
    assert!(Prefix::parse("a1").is_ok() && Prefix::parse("abcdefghijkl").is_ok());
}

#[test]
fn every_digit_is_about_equally_likely() {
    let text = Random::system().base62(62_000);
    for digit in BASE62 {
        let seen = text.bytes().filter(|b| b == digit).count();
        // 1,000 expected, standard deviation 31: seven of them is 1 in 10^11.
        assert!((780..1220).contains(&seen), "{}: {seen}", char::from(*digit));
    }
}

/// Bytes that would make some digits likelier are passed over; what is short then is filled up, and no more.
#[test]
fn a_text_has_its_length_however_many_bytes_are_passed_over() {
    let random = Random::from_fn(|bytes| {
        bytes.iter_mut().enumerate().for_each(|(n, byte)| *byte = if n % 2 == 0 { 248 } else { 7 });
    });
    assert_eq!(random.base62(43), "7".repeat(43));
}

/// A source that gives something else for each seed.
fn seeded(seed: u64) -> Random {
    let state = AtomicU64::new(seed);
    Random::from_fn(move |bytes| {
        for byte in bytes {
            // SplitMix64.
            let mut z = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = z.to_le_bytes()[7];
        }
    })
}

/// Everything that differs from a text by one slip of the hand: a character replaced, left out, put in, or swapped with the next.
fn damaged(text: &str) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    let any = || (' '..='~').chain(['\0', '\t', '\u{e9}', '\u{ff11}', '\u{202e}']);
    let spelled = |chars: Vec<char>| chars.into_iter().collect::<String>();
    (0..=chars.len()).flat_map(move |at| {
        let put_in = any().map({
            let chars = chars.clone();
            move |c| [&chars[..at], &[c], &chars[at..]].concat()
        });
        let replaced = any().filter_map({
            let chars = chars.clone();
            move |c| (chars.get(at)? != &c).then(|| [&chars[..at], &[c], &chars[at + 1..]].concat())
        });
        let left_out = (at < chars.len()).then(|| [&chars[..at], &chars[at + 1..]].concat());
        let swapped = (at + 1 < chars.len() && chars[at] != chars[at + 1]).then(|| {
            let mut chars = chars.clone();
            chars.swap(at, at + 1);
            chars
        });
        let all: Vec<_> = put_in.chain(replaced).chain(left_out).chain(swapped).map(spelled).collect();
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_slip_of_the_hand_is_refused_without_the_store(seed: u64, prefix in "[a-z][a-z0-9]{1,11}") {
        let format = Format::new(Prefix::parse(&prefix).unwrap(), Vec::new());
        let value = format.make(&seeded(seed));
        for wrong in damaged(value.expose()) {
            let seen = Presented::parse(&wrong).and_then(|presented| format.recognise(presented));
            prop_assert_eq!(seen, None, "{} for {}", wrong, value.expose());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_is_recognised_as_it_was_made_by_those_who_know_its_prefix(
        seed: u64,
        prefix in "[a-z][a-z0-9]{1,11}",
        other in "[a-z][a-z0-9]{1,11}",
    ) {
        let [own, foreign] = [&prefix, &other].map(|text| Format::new(Prefix::parse(text).unwrap(), Vec::new()));
        let value = own.make(&seeded(seed));
        let text = value.expose();
        let (head, rest) = text.split_once('_').unwrap();
        prop_assert_eq!((head, rest.len()), (prefix.as_str(), 49));
        prop_assert!(rest.bytes().all(|b| b.is_ascii_alphanumeric()) && text.starts_with(value.hint()));
        let presented = Presented::parse(text).unwrap();
        prop_assert_eq!(presented.expose(), text);
        prop_assert_eq!(own.recognise(presented), Some(value.digest()));
        prop_assert_eq!(foreign.recognise(presented).is_some(), prefix == other);
        // RFC 6750's alphabet and padding are parsed, and are another value for all that.
        let padded = format!("{text}=");
        prop_assert_eq!(own.recognise(Presented::parse(&padded).unwrap()), None);
    }

    #[test]
    fn a_digest_is_of_its_value_alone(one: u64, two: u64) {
        let [a, b] = [one, two].map(|seed| Format::default().make(&seeded(seed)));
        prop_assert_eq!(a.digest() == b.digest(), a == b);
        prop_assert_eq!(TokenDigest::from_bytes(*a.digest().as_bytes()), a.digest());
    }

    #[test]
    fn what_is_parsed_stays_in_the_grammar(text in "\\PC{0,600}|(secret-token:)?[ -~]{0,80}|[A-Za-z0-9._~+/-]{1,80}={0,3}") {
        if let Some(presented) = Presented::parse(&text) {
            let kept = presented.expose();
            prop_assert!(text.ends_with(kept) && (1..=PRESENTED_MAX).contains(&kept.len()));
            prop_assert!(kept.bytes().all(|b| b.is_ascii_graphic() && b != b','));
            prop_assert!(Format::default().recognise(presented).is_none());
        }
    }
}
