//! One deviation at a time. The verdict of the reader is the expected one.

use crate::{
    support::{
        UNSIGNED, read,
        signing::{KEY, Signed, sign},
    },
    variants::{self, Variant},
};

fn check(variant: &Variant) {
    let found = read(&variant.response, &KEY.pinned());
    match (found, variant.is_expected) {
        (Ok(assertion), None) => assert_eq!(assertion, read(&sign(UNSIGNED, Signed::Both), &KEY.pinned()).unwrap()),
        (Err(error), Some(is_expected)) => assert!(is_expected(&error), "{}: {error}", variant.name),
        (Ok(_), Some(_)) => panic!("{} is accepted", variant.name),
        (Err(error), None) => panic!("{}: {error}", variant.name),
    }
}

#[test]
fn deviations_are_rejected_even_if_they_are_signed() {
    let variants = variants::edited();
    assert!(variants.len() > 40);
    variants.iter().for_each(check);
}

#[test]
fn changes_of_signed_parts_are_rejected() {
    variants::changed_after_signing().iter().for_each(check);
}

/// Attribute values and names of people are not in errors, and not in debug output.
#[test]
fn errors_and_debug_output_do_not_name_the_person() {
    let mut texts = Vec::new();
    for variant in variants::edited().into_iter().chain(variants::changed_after_signing()) {
        match read(&variant.response, &KEY.pinned()) {
            Ok(assertion) => texts.extend([format!("{assertion:?}"), format!("{:?}", assertion.name_id)]),
            Err(error) => {
                // One sentence without a full stop, or several parts with semicolons.
                assert!(!error.to_string().ends_with('.'), "{error}");
                texts.extend([error.to_string(), format!("{error:?}")]);
            }
        }
    }
    for text in texts {
        assert!(!text.contains("7f3c") && !text.contains("token-users"), "{text}");
    }
}
