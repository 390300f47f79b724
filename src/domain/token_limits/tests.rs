//! Tests of the limits of tokens.

use proptest::prelude::*;

use super::*;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn scopes_are_distinct_words() {
    let accepted = ["a", "0", "read", "reports:read", "a.b_c-d", "tokenward:introspect", &"x".repeat(64)];
    assert_eq!(parse_scopes(&words(&accepted)).unwrap().words().count(), accepted.len());
    assert_eq!(parse_scopes(&[]).unwrap(), Scopes::parse(""));
    for rejected in ["", " ", "A", "a b", ":a", ".a", "é", "a\n", "a\"", "*", &"x".repeat(65)] {
        assert!(matches!(parse_scopes(&words(&[rejected])), Err(ValidationError::ScopeSyntax { .. })), "{rejected:?}");
    }
    for rejected in ["tokenward:", "tokenward:all", "tokenward:tokens"] {
        let result = parse_scopes(&words(&[rejected]));
        assert!(matches!(result, Err(ValidationError::UnknownReservedScope { .. })), "{rejected:?}");
    }
    assert!(matches!(parse_scopes(&words(&["a", "b", "a"])), Err(ValidationError::DuplicateScope { .. })));
    let many: Vec<String> = (0..33).map(|n| format!("s{n}")).collect();
    assert!(parse_scopes(&many[..32]).is_ok());
    assert!(matches!(
        parse_scopes(&many),
        Err(ValidationError::TooManyEntries { field: "scopes", count: 33, max: 32 })
    ));
}

#[test]
fn networks_are_addresses_or_networks_without_host_bits() {
    let networks =
        AllowedNetworks::parse(&words(&["192.0.2.7", "10.0.0.0/8", "2001:db8::/32", "::ffff:172.16.0.0/108"]));
    assert_eq!(networks.unwrap().to_string(), "10.0.0.0/8 172.16.0.0/12 192.0.2.7/32 2001:db8::/32");
    assert_eq!(AllowedNetworks::parse(&[]), Err(ValidationError::NoNetworks));
    for rejected in ["", "10.0.0.0/33", "fe80::1%eth0", "example.com", "10.0.0", " 10.0.0.1", "010.0.0.1"] {
        let result = AllowedNetworks::parse(&words(&[rejected]));
        assert!(matches!(result, Err(ValidationError::Network { .. })), "{rejected:?}: {result:?}");
    }
    for rejected in ["0.0.0.0/0", "::/0", "::ffff:0:0/96"] {
        let result = AllowedNetworks::parse(&words(&[rejected]));
        assert!(matches!(result, Err(ValidationError::NetworkOfAllAddresses { .. })), "{rejected:?}: {result:?}");
    }
    for (rejected, meant) in [("10.0.0.1/8", "10.0.0.0/8"), ("2001:db8::1/32", "2001:db8::/32")] {
        let expected = ValidationError::NetworkHostBits { text: rejected.to_owned(), network: meant.to_owned() };
        assert_eq!(AllowedNetworks::parse(&words(&[rejected])), Err(expected));
    }
    let many: Vec<String> = (0..33).map(|n| format!("10.0.0.{n}")).collect();
    assert!(AllowedNetworks::parse(&many[..32]).is_ok());
    assert!(matches!(AllowedNetworks::parse(&many), Err(ValidationError::TooManyEntries { .. })));
}

#[test]
fn an_address_must_be_known_and_within_a_network() {
    let networks = AllowedNetworks::parse(&words(&["10.0.0.0/8", "2001:db8::/32"])).unwrap();
    for (address, is_allowed) in [
        ("10.255.0.1", true),
        ("::ffff:10.0.0.1", true),
        ("11.0.0.1", false),
        ("2001:db8::1", true),
        ("2001:db9::1", false),
    ] {
        assert_eq!(networks.allow(Some(address.parse().unwrap())), is_allowed, "{address}");
    }
    assert!(!networks.allow(None));
    assert!(AllowedNetworks::any().allow(None) && AllowedNetworks::any().allow(Some([192, 0, 2, 1].into())));
}

#[test]
fn stored_networks_parse_to_the_same() {
    let networks = AllowedNetworks::parse(&words(&["192.0.2.7", "2001:db8::/32"])).unwrap();
    assert_eq!(AllowedNetworks::parse_stored(&networks.to_string()), Some(networks));
    assert_eq!(AllowedNetworks::parse_stored(""), None);
    assert_eq!(AllowedNetworks::parse_stored("10.0.0.0/8 x"), None);
}

#[test]
fn stored_limits_are_parsed() {
    let limits = |text| TokenLimits::parse_stored(text);
    assert_eq!(limits("*|*"), Some(TokenLimits::NONE));
    assert_eq!(limits("|*"), Some(TokenLimits { scopes: Scopes::parse(""), ..TokenLimits::NONE }));
    let networks = AllowedNetworks::parse(&words(&["10.0.0.0/8"])).unwrap();
    assert_eq!(limits("a b|10.0.0.0/8"), Some(TokenLimits { scopes: Scopes::parse("a b"), networks }));
    for corrupt in ["", "*", "a", "A|*", "a  b|*", "*|", "*|x", "* a|*"] {
        assert_eq!(limits(corrupt), None, "{corrupt:?}");
    }
}

#[test]
fn a_child_inherits_what_it_does_not_ask_for() {
    let maker = TokenLimits {
        scopes: Scopes::parse("read write"),
        networks: AllowedNetworks::parse(&words(&["10.0.0.0/8"])).unwrap(),
    };
    let none = RequestedLimits::default();
    assert_eq!(maker.for_child(&none, &maker), Ok(maker.clone()));
    assert_eq!(TokenLimits::NONE.for_child(&none, &TokenLimits::NONE), Ok(TokenLimits::NONE));
    // A token with scopes cannot give away a replaced token's full access.
    assert_eq!(maker.for_child(&none, &TokenLimits::NONE), Err(ValidationError::ScopesExceedMaker));
    let read = RequestedLimits { scopes: Some(Scopes::parse("read")), networks: None };
    assert_eq!(maker.for_child(&read, &maker).unwrap().networks, maker.networks);
    let other = RequestedLimits { scopes: Some(Scopes::parse("read other")), networks: None };
    assert_eq!(maker.for_child(&other, &maker), Err(ValidationError::ScopesExceedMaker));
    let wider = AllowedNetworks::parse(&words(&["10.0.0.0/8", "192.0.2.0/24"])).unwrap();
    let wider = RequestedLimits { scopes: None, networks: Some(wider) };
    assert_eq!(maker.for_child(&wider, &maker), Err(ValidationError::NetworksExceedMaker));
}

fn any_scopes() -> impl Strategy<Value = Option<Scopes>> {
    proptest::option::of(proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3).prop_map(Scopes::from_words))
}

fn any_networks() -> impl Strategy<Value = Option<AllowedNetworks>> {
    let networks = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.0.2.0/24", "2001:db8::/32", "2001:db8:1::/48"];
    let networks = proptest::sample::subsequence(words(&networks), 1..=6);
    proptest::option::of(networks.prop_map(|texts| AllowedNetworks::parse(&texts).unwrap()))
}

fn any_limits() -> impl Strategy<Value = TokenLimits> {
    (any_scopes(), any_networks()).prop_map(|(scopes, networks)| TokenLimits {
        scopes: scopes.unwrap_or(Scopes::unrestricted()),
        networks: networks.unwrap_or_default(),
    })
}

proptest! {
    /// Tries all scopes and some addresses, whatever is requested and whatever the defaults are.
    #[test]
    fn a_child_never_has_a_right_that_its_maker_lacks(
        maker in any_limits(), defaults in any_limits(), scopes in any_scopes(), networks in any_networks()
    ) {
        let requested = RequestedLimits { scopes, networks };
        if let Ok(child) = maker.for_child(&requested, &defaults) {
            for word in ["a", "b", "c", "d"] {
                prop_assert!(!child.scopes.contains(word) || maker.scopes.contains(word));
            }
            prop_assert!(!child.scopes.is_unrestricted() || maker.scopes.is_unrestricted());
            for address in ["10.0.0.1", "10.1.0.1", "10.1.2.3", "192.0.2.1", "198.51.100.1", "2001:db8::1", "2001:db8:1::1"] {
                let address = Some(address.parse().unwrap());
                prop_assert!(!child.networks.allow(address) || maker.networks.allow(address));
            }
            prop_assert!(!child.networks.allow(None) || maker.networks.allow(None));
        }
    }
}

#[test]
fn limits_are_none_without_scopes_and_networks_only() {
    let networks = AllowedNetworks::parse(&["10.0.0.0/8".to_owned()]).unwrap();
    for (scopes, networks, is_none) in [
        (Scopes::unrestricted(), AllowedNetworks::any(), true),
        (Scopes::parse(""), AllowedNetworks::any(), false),
        (Scopes::unrestricted(), networks.clone(), false),
        (Scopes::parse("a"), networks, false),
    ] {
        assert_eq!(TokenLimits { scopes, networks }.is_none(), is_none);
    }
}
