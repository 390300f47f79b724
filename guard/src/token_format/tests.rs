//! Properties of token values and of text that is not one.

use proptest::prelude::*;

use super::*;

fn generated() -> TokenValue {
    TokenFormat::default().generate(seeded(7))
}

fn parse(text: &str) -> Option<TokenDigest> {
    TokenFormat::default().parse_digest(BearerToken::parse(text)?)
}

/// A source of bytes that differs for each seed (SplitMix64).
fn seeded(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut state = seed;
    move |bytes| {
        for byte in bytes {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = z.to_le_bytes()[7];
        }
    }
}

#[test]
fn a_generated_value_has_the_published_shape_and_is_parsed() {
    let value = generated();
    let (prefix, rest) = value.expose().split_once('_').unwrap();
    assert_eq!((prefix, rest.len(), value.expose().len()), ("twd", 49, 53));
    assert!(rest.bytes().all(|b| b.is_ascii_alphanumeric()));
    assert_eq!(parse(value.expose()), Some(value.digest()));
}

#[test]
fn the_checksum_is_crc32_iso_hdlc_in_base62_padded_with_zeros() {
    // CRC-32 of "123456789" is 0xCBF43926, the check value of the algorithm's catalogue entry.
    assert_eq!(checksum("123456789"), *b"3jZRME");
    assert_eq!(checksum(""), *b"000000");
}

#[test]
fn truncated_extended_or_foreign_values_are_rejected() {
    let value = generated();
    let text = value.expose();
    for wrong in
        [&text[..52], &format!("{text}0"), &text.replacen("twd", "abc", 1), &text.to_uppercase(), "twd_", "_", ""]
    {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_secret_token_scheme_is_accepted_once() {
    let value = generated();
    assert_eq!(parse(&format!("secret-token:{}", value.expose())), Some(value.digest()));
    assert_eq!(parse(&format!("secret-token:secret-token:{}", value.expose())), None);
}

#[test]
fn a_second_prefix_is_accepted_beside_the_issued_one() {
    let old = generated();
    let format = TokenFormat::new(Prefix::parse("acme").unwrap(), vec![Prefix::default()]);
    assert!(format.parse_digest(BearerToken::parse(old.expose()).unwrap()).is_some());
    assert!(format.generate(seeded(8)).expose().starts_with("acme_"));
}

#[test]
fn debug_output_hides_the_value() {
    let value = generated();
    let printed = format!("{value:?} {:?} {:?}", BearerToken::parse(value.expose()), value.digest());
    assert!(!printed.contains(&value.expose()[4..]));
    assert_eq!(printed, "TokenValue([hidden]) Some(BearerToken([hidden])) TokenDigest([hidden])");
}

#[test]
fn the_display_prefix_is_the_prefix_and_four_characters() {
    let value = generated();
    assert_eq!(value.display_prefix(), &value.expose()[..8]);
}

#[test]
fn bearers_outside_the_grammar_are_not_parsed() {
    for wrong in ["a b", "a,b", "a\u{e9}", "===", "", "a=b", &"a".repeat(513)] {
        assert_eq!(BearerToken::parse(wrong), None, "{wrong}");
    }
    assert!(BearerToken::parse("a-._~+/9==").is_some());
}

#[test]
fn prefixes_outside_their_grammar_are_rejected() {
    for wrong in ["", "a", "1ab", "Abc", "a_b", "abcdefghijklm"] {
        assert_eq!(Prefix::parse(wrong), Err(InvalidPrefix), "{wrong}");
    }
    assert!(Prefix::parse("a1").is_ok() && Prefix::parse("abcdefghijkl").is_ok());
}

#[test]
fn every_digit_is_about_equally_likely() {
    let text = random_base62(62_000, seeded(1));
    for digit in BASE62 {
        let seen = text.bytes().filter(|b| b == digit).count();
        // 1,000 expected, standard deviation 31: seven of them is 1 in 10^11.
        assert!((780..1220).contains(&seen), "{}: {seen}", char::from(*digit));
    }
}

/// Biased bytes are dropped, and the text still has its full length.
#[test]
fn a_text_has_its_length_however_many_bytes_are_dropped() {
    let half_biased = |bytes: &mut [u8]| {
        bytes.iter_mut().enumerate().for_each(|(n, byte)| *byte = if n % 2 == 0 { 248 } else { 7 });
    };
    assert_eq!(random_base62(43, half_biased), "7".repeat(43));
}

/// Every text that differs from the given one by a single typing error: a character replaced, omitted, inserted, or swapped with the next.
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
    fn a_typing_error_is_rejected_by_the_checksum(seed: u64, prefix in "[a-z][a-z0-9]{1,11}") {
        let format = TokenFormat::new(Prefix::parse(&prefix).unwrap(), Vec::new());
        let value = format.generate(seeded(seed));
        for wrong in damaged(value.expose()) {
            let seen = BearerToken::parse(&wrong).and_then(|token| format.parse_digest(token));
            prop_assert_eq!(seen, None, "{} for {}", wrong, value.expose());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_is_parsed_exactly_under_its_own_prefix(
        seed: u64,
        prefix in "[a-z][a-z0-9]{1,11}",
        other in "[a-z][a-z0-9]{1,11}",
    ) {
        let [own, foreign] = [&prefix, &other].map(|text| TokenFormat::new(Prefix::parse(text).unwrap(), Vec::new()));
        let value = own.generate(seeded(seed));
        let text = value.expose();
        let (head, rest) = text.split_once('_').unwrap();
        prop_assert_eq!((head, rest.len()), (prefix.as_str(), 49));
        prop_assert!(rest.bytes().all(|b| b.is_ascii_alphanumeric()) && text.starts_with(value.display_prefix()));
        let token = BearerToken::parse(text).unwrap();
        prop_assert_eq!(token.expose(), text);
        prop_assert_eq!(own.parse_digest(token), Some(value.digest()));
        prop_assert_eq!(foreign.parse_digest(token).is_some(), prefix == other);
        // Padding is allowed by RFC 6750, and makes a different value.
        let padded = format!("{text}=");
        prop_assert_eq!(own.parse_digest(BearerToken::parse(&padded).unwrap()), None);
    }

    #[test]
    fn equal_values_alone_have_equal_digests(one: u64, two: u64) {
        let [a, b] = [one, two].map(|seed| TokenFormat::default().generate(seeded(seed)));
        prop_assert_eq!(a.digest() == b.digest(), a == b);
        prop_assert_eq!(TokenDigest::from_bytes(*a.digest().as_bytes()), a.digest());
    }

    #[test]
    fn parsed_text_stays_in_the_grammar(text in "\\PC{0,600}|(secret-token:)?[ -~]{0,80}|[A-Za-z0-9._~+/-]{1,80}={0,3}") {
        if let Some(token) = BearerToken::parse(&text) {
            let kept = token.expose();
            prop_assert!(text.ends_with(kept) && (1..=MAX_BEARER_LEN).contains(&kept.len()));
            prop_assert!(kept.bytes().all(|b| b.is_ascii_graphic() && b != b','));
            prop_assert!(TokenFormat::default().parse_digest(token).is_none());
        }
    }
}
