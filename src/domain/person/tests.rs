//! Tests of e-mail addresses and their keys, names, and the rights of a person.

use proptest::prelude::*;

use super::*;

#[test]
fn all_spellings_of_an_address_have_the_same_key() {
    for (a, b) in [
        ("Ada@Example.COM", " ada@example.com "),
        ("jos\u{e9}@example.com", "JOSE\u{301}@example.com"),
        ("\u{130}@x.y", "i\u{307}@x.y"),
        ("a@m\u{fc}nchen.de", "A@XN--MNCHEN-3YA.de"),
        ("a@m\u{fc}nchen.de", "a@MU\u{308}NCHEN.DE"),
        ("a@m\u{fc}nchen.de", "a@\u{ff4d}\u{fc}nchen\u{3002}de"),
        ("a@\u{4f8b}\u{3048}.jp", "a@xn--r8jz45g.jp"),
        ("ad\u{200b}a@example.com", "\u{feff}ada@exam\u{ad}ple.com\u{2060}"),
    ] {
        assert_eq!(EmailKey::from_text(a), EmailKey::from_text(b), "{a} {b}");
    }
    assert_ne!(EmailKey::from_text("a@x.y"), EmailKey::from_text("b@x.y"));
}

#[test]
fn the_key_of_a_key_is_the_key_itself() {
    for text in ["\u{130}@\u{1e9e}.\u{3a3}", "a\u{323}\u{307}@b", "\u{212b}@\u{fb01}", "ǅ@x"] {
        let key = EmailKey::from_text(text);
        assert_eq!(EmailKey::from_text(key.as_str()), key, "{text}");
    }
}

#[test]
fn malformed_addresses_are_rejected() {
    for invalid in
        ["", "ada", "@", "a@", "@b", "a@b@c", "a b@c", "a:b@c", "a@b,c", "a@b..c", "a@-b.c", "a@b.", "a\0@b", "a\n@b"]
    {
        assert!(Email::parse(invalid).is_err(), "{invalid:?}");
    }
    for valid in [
        "admin@localhost",
        "o'hara+x@example.com",
        "josé@exämple.com",
        "ö@example.com",
        "a@under_score.example",
        "a@xn--a.example",
        "a@ex--ample.com",
    ] {
        assert_eq!(Email::parse(valid).unwrap().as_str(), valid);
    }
    let parse_with_length = |bytes: usize| Email::parse(&format!("{}@b", "a".repeat(bytes - 2)));
    assert!(parse_with_length(254).is_ok());
    assert_eq!(parse_with_length(255), Err(ValidationError::TooLong { field: "email", max: 254 }));
}

#[test]
fn all_spellings_of_an_internationalized_domain_are_stored_alike() {
    for (typed, canonical) in [
        ("Ada@EXAMPLE.com", "Ada@EXAMPLE.com"),
        ("a@M\u{dc}NCHEN.de", "a@m\u{fc}nchen.de"),
        ("a@xn--mnchen-3ya.de", "a@m\u{fc}nchen.de"),
        ("a@XN--MNCHEN-3YA.DE", "a@m\u{fc}nchen.de"),
        ("a@stra\u{df}e.example", "a@stra\u{df}e.example"),
        ("a@xn--strae-oqa.example", "a@stra\u{df}e.example"),
        // The Unicode form contains an invisible character, so the label stays encoded.
        ("a@xn--ab-j1t.example", "a@xn--ab-j1t.example"),
    ] {
        assert_eq!(Email::parse(typed).unwrap().as_str(), canonical, "{typed}");
    }
    for invalid in
        ["a@m\u{fc}n chen.de", "a@\u{ff0f}.de", "a@m\u{fc}nchen\u{ff0c}de", "a@b\u{5d0}\u{fc}.de", "a@-\u{fc}.de"]
    {
        assert_eq!(Email::parse(invalid), Err(ValidationError::Email), "{invalid}");
    }
}

#[test]
fn invisible_characters_are_rejected_in_addresses_and_ignored_in_keys() {
    for c in [
        '\u{200b}',
        '\u{200c}',
        '\u{200d}',
        '\u{2060}',
        '\u{feff}',
        '\u{ad}',
        '\u{180e}',
        '\u{3164}',
        '\u{2800}',
        '\u{e0061}',
    ] {
        for text in [
            format!("a{c}da@example.com"),
            format!("{c}ada@example.com"),
            format!("ada@exam{c}ple.com"),
            format!("ada@example.com{c}"),
        ] {
            let error = ValidationError::EmailInvisibleCharacter { character: c };
            assert_eq!(Email::parse(&text), Err(error), "{text:?}");
            assert_eq!(EmailKey::from_text(&text), EmailKey::from_text("ada@example.com"), "{text:?}");
        }
    }
}

fn person(is_admin: bool, is_platform_admin: bool, is_disabled: bool, token_access: TokenAccess) -> Person {
    let created_at = Timestamp::from_millis(0);
    Person {
        kind: PersonKind::Person,
        custodians: Vec::new(),
        has_enabled_custodian: false,
        id: PersonId::new(1),
        workspace_id: WorkspaceId::FIRST,
        email: "ada@example.com".to_owned(),
        name: String::new(),
        is_admin,
        is_platform_admin,
        is_disabled,
        disabled_by: DisabledBy { administrator: is_disabled, directory: false, scim: false },
        admin_by_directory: false,
        token_access,
        force_password_change: false,
        notify_on_expiry: true,
        has_password: true,
        provider: None,
        sso_principal: None,
        last_login_at: None,
        last_sign_in_at: None,
        created_at,
        updated_at: created_at,
    }
}

#[test]
fn managing_workspaces_requires_both_administrator_flags() {
    for (is_admin, is_platform_admin, expected) in
        [(true, true, true), (true, false, false), (false, true, false), (false, false, false)]
    {
        let person = person(is_admin, is_platform_admin, false, TokenAccess::Default);
        assert_eq!(person.can_manage_workspaces(), expected, "{is_admin} {is_platform_admin}");
    }
}

#[test]
fn using_tokens_requires_an_enabled_account_with_access() {
    for (is_disabled, access, expected) in [
        (false, TokenAccess::Default, true),
        (false, TokenAccess::Enabled, true),
        (false, TokenAccess::Disabled, false),
        (true, TokenAccess::Enabled, false),
        (true, TokenAccess::Disabled, false),
    ] {
        let person = person(false, false, is_disabled, access);
        assert_eq!(person.can_use_tokens(), expected, "{is_disabled} {access:?}");
    }
}

#[test]
fn every_access_name_parses_to_its_own_access() {
    for access in [TokenAccess::Default, TokenAccess::Enabled, TokenAccess::Disabled] {
        assert_eq!(TokenAccess::parse(access.as_str()), Ok(access));
    }
    for invalid in ["", "Default", "on"] {
        assert_eq!(TokenAccess::parse(invalid), Err(ValidationError::TokenAccess), "{invalid}");
    }
}

#[test]
fn an_e_mail_digest_is_the_sha_256_of_the_key() {
    let digest = EmailKey::from_text(" ABC ").digest();
    // The example of RFC 6234.
    assert_eq!(digest.as_bytes()[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_ne!(digest, EmailKey::from_text("abd").digest());
}

#[test]
fn names_are_a_single_line() {
    assert_eq!(PersonName::parse("  Ada ").unwrap().as_str(), "Ada");
    assert!(PersonName::parse("a\tb").is_err());
    assert!(PersonName::parse("\u{202e}adA").is_err());
    assert!(PersonName::parse(&"é".repeat(255)).is_ok());
    assert!(PersonName::parse(&"é".repeat(256)).is_err());
}

/// A pattern of characters whose case folding is irregular: combining marks, letters that become
/// several letters or none in the other case, and unusual spaces.
const IRREGULAR_CASE: &str = "[a-bA-B@.\\u{0}\\u{20}\\u{a0}\\u{2000}\\u{300}-\\u{345}\\u{130}\\u{131}\\u{df}\\u{1e9e}\\u{3a3}\\u{3c2}\\u{1c5}\\u{212a}\\u{212b}\\u{1f88}\\u{fb01}\\u{ff21}]{0,12}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn keys_of_random_text_are_their_own_keys(text in prop_oneof![any::<String>(), IRREGULAR_CASE]) {
        let key = EmailKey::from_text(&text);
        prop_assert_eq!(EmailKey::from_text(key.as_str()), key.clone());
        prop_assert!(!key.as_str().contains('\0'));
        prop_assert!(key.as_str().trim() == key.as_str());
    }

    #[test]
    fn an_address_is_found_by_every_spelling(
        text in prop_oneof![IRREGULAR_CASE, "[a-z\\u{e9}\\u{130}]{1,5}@[a-z\\u{fc}]{1,5}([.-][a-z]{1,3})?"],
    ) {
        if let Ok(email) = Email::parse(&text) {
            prop_assert_eq!(Email::parse(email.as_str()), Ok(email.clone()));
            prop_assert_eq!(email.key(), EmailKey::from_text(&text));
            let respelled = format!(" {} ", email.as_str().to_ascii_uppercase().nfd());
            prop_assert_eq!(email.key(), EmailKey::from_text(&respelled));
        }
    }
}

#[test]
fn the_key_of_every_single_character_is_its_own_key() {
    // The last code point that has a decomposition. Higher ones have neither case nor parts.
    for c in '\0'..='\u{2fa1d}' {
        let key = EmailKey::from_text(&format!("a{c}@b{c}"));
        assert_eq!(EmailKey::from_text(key.as_str()), key, "{c:?}");
    }
}
