use proptest::prelude::*;

use super::*;

/// Encodes an element, its length in the shortest form.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut bytes = vec![tag];
    if let Some(short) = u8::try_from(length).ok().filter(|short| *short < 0x80) {
        bytes.push(short);
    } else {
        let digits: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|digit| *digit == 0).collect();
        bytes.push(0x80 | u8::try_from(digits.len()).unwrap());
        bytes.extend(digits);
    }
    bytes.extend(contents);
    bytes
}

fn nested(levels: usize) -> Vec<u8> {
    (0..levels).fold(Vec::new(), |inner, _| element(0x30, &inner))
}

const BIND_RESPONSE: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

#[test]
fn the_length_of_a_message_is_found() {
    assert_eq!(message_length(BIND_RESPONSE), Ok(Some(14)));
    let two = [BIND_RESPONSE, BIND_RESPONSE].concat();
    assert_eq!(message_length(&two), Ok(Some(14)));
    assert_eq!(message_length(b"\x30\x00"), Ok(Some(2)));
    // The four-byte lengths of Active Directory.
    assert_eq!(message_length(b"\x30\x84\x00\x00\x00\x05\x02\x81\x02\x00\x01"), Ok(Some(11)));
}

#[test]
fn a_truncated_message_needs_more_bytes() {
    for end in 0..BIND_RESPONSE.len() {
        assert_eq!(message_length(&BIND_RESPONSE[..end]), Ok(None), "{end}");
    }
    assert_eq!(message_length(b"\x30\x84\x00\x00"), Ok(None));
}

#[test]
fn the_nesting_is_limited() {
    assert_eq!(message_length(&nested(12)), Ok(Some(nested(12).len())));
    assert_eq!(message_length(&nested(13)), Err(PduError::TooDeep));
    let deep = nested(100_000);
    assert!(deep.len() < MAX_BYTES);
    assert_eq!(message_length(&deep), Err(PduError::TooDeep));
    // A primitive element on the thirteenth level.
    let primitive = (0..12).fold(element(4, b"x"), |inner, _| element(0x30, &inner));
    assert_eq!(message_length(&primitive), Err(PduError::TooDeep));
}

#[test]
fn lengths_are_definite_and_have_at_most_four_bytes() {
    assert_eq!(message_length(b"\x30\x80\x00\x00"), Err(PduError::IndefiniteLength));
    assert_eq!(message_length(b"\x30\x04\x30\x80\x00\x00"), Err(PduError::IndefiniteLength));
    assert_eq!(message_length(b"\x30\x85"), Err(PduError::LengthOfLength));
    assert_eq!(message_length(b"\x30\xff"), Err(PduError::LengthOfLength));
    assert_eq!(message_length(b"\x30\x0a\x04\x88\0\0\0\0\0\0\0\0"), Err(PduError::LengthOfLength));
}

#[test]
fn elements_end_within_the_element_that_contains_them() {
    for overrun in [
        &b"\x30\x02\x04\x01"[..],
        b"\x30\x01\x04",
        b"\x30\x03\x04\x82\x01",
        b"\x30\x04\x30\x02\x04\x01",
        b"\x30\x05\x30\x03\x04\x02\x00",
    ] {
        assert_eq!(message_length(overrun), Err(PduError::Overrun), "{}", overrun.escape_ascii());
    }
}

#[test]
fn only_sequences_with_short_tags_are_messages() {
    assert_eq!(message_length(b"HTTP/1.1 400 Bad Request"), Err(PduError::NotASequence(b'H')));
    assert_eq!(message_length(b"\x15\x03\x03"), Err(PduError::NotASequence(0x15)));
    assert_eq!(message_length(b"\x30\x03\x1f\x01\x00"), Err(PduError::LongTag));
}

#[test]
fn a_message_has_at_most_one_mebibyte() {
    let largest = element(0x30, &element(4, &vec![0; MAX_BYTES - 10]));
    assert_eq!(largest.len(), MAX_BYTES);
    assert_eq!(message_length(&largest), Ok(Some(MAX_BYTES)));
    let over = element(0x30, &element(4, &vec![0; MAX_BYTES - 9]));
    assert_eq!(over.len(), MAX_BYTES + 1);
    assert_eq!(message_length(&over), Err(PduError::TooLong));
    // The announcement is enough.
    assert_eq!(message_length(&over[..5]), Err(PduError::TooLong));
    assert_eq!(message_length(b"\x30\x84\xff\xff\xff\xff"), Err(PduError::TooLong));
}

#[test]
fn the_number_of_elements_is_limited() {
    let many = |count: usize| element(0x30, &b"\x05\x00".repeat(count));
    assert!(message_length(&many(MAX_ELEMENTS - 1)).is_ok());
    assert_eq!(message_length(&many(MAX_ELEMENTS)), Err(PduError::TooManyElements));
}

/// Well-formed elements of up to 12 levels.
fn any_element() -> impl Strategy<Value = Vec<u8>> {
    let primitive =
        (0_u8..31, prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(tag, bytes)| element(tag, &bytes));
    primitive.prop_recursive(10, 60, 5, |inner| {
        (0_u8..31, prop::collection::vec(inner, 0..5)).prop_map(|(tag, parts)| element(tag | 0x20, &parts.concat()))
    })
}

proptest! {
    #[test]
    fn well_formed_messages_are_accepted_whatever_follows(
        parts in prop::collection::vec(any_element(), 0..4), rest in prop::collection::vec(any::<u8>(), 0..20)
    ) {
        let message = element(0x30, &parts.concat());
        let length = message.len();
        prop_assert_eq!(message_length(&[message, rest].concat()), Ok(Some(length)));
    }

    #[test]
    fn accepted_bytes_are_what_the_parser_reads(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [b"\x30".to_vec(), bytes].concat();
        if let Ok(Some(length)) = message_length(&bytes) {
            let (rest, _) = ldap3::asn1::parse_tag(&bytes).expect("a message");
            prop_assert_eq!(rest.len(), bytes.len() - length);
        }
    }
}
