//! Who may what, and how people are named.

use proptest::prelude::*;

use super::*;

#[test]
fn one_account_has_one_key_however_it_is_spelled() {
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
        assert_eq!(EmailKey::of(a), EmailKey::of(b), "{a} {b}");
    }
    assert_ne!(EmailKey::of("a@x.y"), EmailKey::of("b@x.y"));
}

#[test]
fn the_key_of_a_key_is_itself() {
    for text in ["\u{130}@\u{1e9e}.\u{3a3}", "a\u{323}\u{307}@b", "\u{212b}@\u{fb01}", "ǅ@x"] {
        let once = EmailKey::of(text);
        assert_eq!(EmailKey::of(once.as_str()), once, "{text}");
    }
}

#[test]
fn addresses_that_could_not_sign_in_are_refused() {
    for wrong in
        ["", "ada", "@", "a@", "@b", "a@b@c", "a b@c", "a:b@c", "a@b,c", "a@b..c", "a@-b.c", "a@b.", "a\0@b", "a\n@b"]
    {
        assert!(Email::parse(wrong).is_err(), "{wrong:?}");
    }
    for right in [
        "admin@localhost",
        "o'hara+x@example.com",
        "josé@exämple.com",
        "ö@example.com",
        "a@under_score.example",
        "a@xn--a.example",
        "a@ex--ample.com",
    ] {
        assert_eq!(Email::parse(right).unwrap().as_str(), right);
    }
    let of_bytes = |bytes: usize| Email::parse(&format!("{}@b", "a".repeat(bytes - 2)));
    assert!(of_bytes(254).is_ok());
    assert_eq!(of_bytes(255), Err(Invalid::TooLong { field: "email", max: 254 }));
}

#[test]
fn a_domain_has_one_form_whichever_was_typed() {
    for (typed, canonical) in [
        ("Ada@EXAMPLE.com", "Ada@EXAMPLE.com"),
        ("a@M\u{dc}NCHEN.de", "a@m\u{fc}nchen.de"),
        ("a@xn--mnchen-3ya.de", "a@m\u{fc}nchen.de"),
        ("a@XN--MNCHEN-3YA.DE", "a@m\u{fc}nchen.de"),
        ("a@stra\u{df}e.example", "a@stra\u{df}e.example"),
        ("a@xn--strae-oqa.example", "a@stra\u{df}e.example"),
        // What it stands for holds a character that shows nothing, so it stays readable as it is.
        ("a@xn--ab-j1t.example", "a@xn--ab-j1t.example"),
    ] {
        assert_eq!(Email::parse(typed).unwrap().as_str(), canonical, "{typed}");
    }
    for wrong in
        ["a@m\u{fc}n chen.de", "a@\u{ff0f}.de", "a@m\u{fc}nchen\u{ff0c}de", "a@b\u{5d0}\u{fc}.de", "a@-\u{fc}.de"]
    {
        assert_eq!(Email::parse(wrong), Err(Invalid::Email), "{wrong}");
    }
}

#[test]
fn an_address_shows_all_of_itself() {
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
            assert_eq!(Email::parse(&text), Err(Invalid::EmailInvisible { character: c }), "{text:?}");
            assert_eq!(EmailKey::of(&text), EmailKey::of("ada@example.com"), "{text:?}");
        }
    }
}

#[test]
fn rights_are_lost_with_what_they_rest_on() {
    let moment = Timestamp::from_millis(0);
    let person = |is_admin, is_platform_admin, is_disabled, token_access| Person {
        id: 1,
        workspace_id: 1,
        email: "ada@example.com".to_owned(),
        name: String::new(),
        is_admin,
        is_platform_admin,
        is_disabled,
        token_access,
        force_password_change: false,
        last_login_at: None,
        created_at: moment,
        updated_at: moment,
    };
    for (is_admin, is_marked, manages) in
        [(true, true, true), (true, false, false), (false, true, false), (false, false, false)]
    {
        assert_eq!(person(is_admin, is_marked, false, TokenAccess::Default).manages_workspaces(), manages);
    }
    for (is_disabled, access, may) in [
        (false, TokenAccess::Default, true),
        (false, TokenAccess::Enabled, true),
        (false, TokenAccess::Disabled, false),
        (true, TokenAccess::Enabled, false),
        (true, TokenAccess::Disabled, false),
    ] {
        assert_eq!(person(false, false, is_disabled, access).may_use_tokens(), may, "{is_disabled} {access:?}");
    }
}

#[test]
fn words_for_access_are_read_as_they_are_written() {
    for access in [TokenAccess::Default, TokenAccess::Enabled, TokenAccess::Disabled] {
        assert_eq!(TokenAccess::parse(access.as_str()), Ok(access));
    }
    for wrong in ["", "Default", "on"] {
        assert_eq!(TokenAccess::parse(wrong), Err(Invalid::TokenAccess), "{wrong}");
    }
}

#[test]
fn what_is_kept_of_a_strangers_e_mail_is_the_sha_256_of_its_key() {
    let digest = EmailKey::of(" ABC ").digest();
    // RFC 6234's example.
    assert_eq!(digest.as_bytes()[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_ne!(digest, EmailKey::of("abd").digest());
}

#[test]
fn names_are_one_line() {
    assert_eq!(PersonName::parse("  Ada ").unwrap().as_str(), "Ada");
    assert!(PersonName::parse("a\tb").is_err());
    assert!(PersonName::parse("\u{202e}adA").is_err());
    assert!(PersonName::parse(&"é".repeat(255)).is_ok());
    assert!(PersonName::parse(&"é".repeat(256)).is_err());
}

/// What is most likely to come apart when it is folded: marks, letters that are several or none in the other case, odd spaces.
const ODD: &str = "[a-bA-B@.\\u{0}\\u{20}\\u{a0}\\u{2000}\\u{300}-\\u{345}\\u{130}\\u{131}\\u{df}\\u{1e9e}\\u{3a3}\\u{3c2}\\u{1c5}\\u{212a}\\u{212b}\\u{1f88}\\u{fb01}\\u{ff21}]{0,12}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_is_its_own_key(text in prop_oneof![any::<String>(), ODD]) {
        let once = EmailKey::of(&text);
        prop_assert_eq!(EmailKey::of(once.as_str()), once.clone());
        prop_assert!(!once.as_str().contains('\0') && once.as_str().trim() == once.as_str());
    }

    #[test]
    fn an_address_is_found_by_however_it_was_typed(
        text in prop_oneof![ODD, "[a-z\\u{e9}\\u{130}]{1,5}@[a-z\\u{fc}]{1,5}([.-][a-z]{1,3})?"],
    ) {
        if let Ok(email) = Email::parse(&text) {
            prop_assert_eq!(Email::parse(email.as_str()), Ok(email.clone()));
            prop_assert_eq!(email.key(), EmailKey::of(&text));
            let typed = format!(" {} ", email.as_str().to_ascii_uppercase().nfd());
            prop_assert_eq!(email.key(), EmailKey::of(&typed));
        }
    }
}

#[test]
fn every_single_character_has_a_key_of_its_own_key() {
    // The last that has another form; what is above has neither case nor parts.
    for c in '\0'..='\u{2fa1d}' {
        let once = EmailKey::of(&format!("a{c}@b{c}"));
        assert_eq!(EmailKey::of(once.as_str()), once, "{c:?}");
    }
}
