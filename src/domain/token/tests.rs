use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn grounds(is_admin: bool, token_access: TokenAccess, allow_users: bool) -> Grounds {
    let settings = Settings { allow_users, ..Settings::defaults(true) };
    Grounds { is_admin, is_disabled: false, token_access, settings }
}

#[test]
fn lifetimes_are_minus_one_or_one_second_to_a_hundred_years() {
    for wrong in [0, -2, i64::MIN, i64::MAX, Lifetime::MAX_SECONDS + 1] {
        assert_eq!(Lifetime::from_seconds(wrong), Err(Invalid::Lifetime), "{wrong}");
    }
    assert_eq!(Lifetime::from_seconds(-1), Ok(Lifetime::Forever));
    for right in [1, Lifetime::MAX_SECONDS] {
        assert_eq!(Lifetime::from_seconds(right), Ok(Lifetime::Seconds(right)));
    }
}

#[test]
fn a_lifetime_ends_to_the_millisecond() {
    assert_eq!(Lifetime::Forever.end(NOW), None);
    assert_eq!(Lifetime::Seconds(100).end(NOW), Some(Timestamp::from_millis(1_100_000)));
}

#[test]
fn descriptions_are_kept_as_they_were_sent() {
    for kept in ["", " nightly  job ", "\u{200f}ünï", "\u{1f468}\u{200d}\u{1f680}", &"\u{1f980}".repeat(255)] {
        assert_eq!(Description::parse(kept.to_owned()).map(Description::into_string).as_deref(), Ok(kept));
    }
    for wrong in ["a\0", "a\nb", "\u{202e}ünï", "a\u{2066}b", "a\u{2028}b", &"x".repeat(256)] {
        assert!(Description::parse(wrong.to_owned()).is_err(), "{wrong}");
    }
}

#[test]
fn a_maximum_bounds_every_lifetime_and_forbids_forever() {
    let mut grounds = grounds(true, TokenAccess::Default, false);
    grounds.settings.max_lifetime_days = Some(2);
    assert_eq!(grounds.permit(Lifetime::Seconds(172_800)), Ok(()));
    let too_long = Err(NotIssued::Lifetime(Invalid::LifetimeTooLong { max_days: 2 }));
    assert_eq!(grounds.permit(Lifetime::Seconds(172_801)), too_long);
    assert_eq!(grounds.permit(Lifetime::Forever), too_long);
}

#[test]
fn who_may_generate() {
    use NotIssued::{AccessDisabled, AdministratorsOnly};
    use TokenAccess::{Default, Disabled, Enabled};
    // is_admin, token_access, allow_users
    let table = [
        ((true, Default, false), Ok(())),
        ((true, Disabled, true), Err(AccessDisabled)),
        ((false, Default, false), Err(AdministratorsOnly)),
        ((false, Default, true), Ok(())),
        ((false, Enabled, false), Ok(())),
        ((false, Disabled, true), Err(AccessDisabled)),
    ];
    for ((is_admin, access, allow), expected) in table {
        assert_eq!(
            grounds(is_admin, access, allow).permit(Lifetime::Forever),
            expected,
            "{is_admin} {access:?} {allow}"
        );
    }
}

#[test]
fn what_tokens_may_make_is_the_workspaces_decision() {
    let at = Timestamp::from_millis;
    let (none, outlives) = (Err(NotIssued::TokensMakeNone), Err(NotIssued::OutlivesMaker { end: at(9) }));
    let (ends, forever) = (Maker::Token { expires_at: Some(at(9)) }, Maker::Token { expires_at: None });
    let table = [
        (TokenMinted::Allowed, ends, None, Ok(())),
        (TokenMinted::Bounded, ends, Some(at(9)), Ok(())),
        (TokenMinted::Bounded, ends, Some(at(10)), outlives.clone()),
        (TokenMinted::Bounded, ends, None, outlives),
        (TokenMinted::Bounded, forever, None, Ok(())),
        (TokenMinted::Forbidden, forever, Some(at(1)), none.clone()),
        (TokenMinted::Forbidden, ends, Some(at(1)), none),
        (TokenMinted::Forbidden, Maker::Person, None, Ok(())),
        (TokenMinted::Bounded, Maker::Person, None, Ok(())),
    ];
    for (token_minted, maker, expires_at, expected) in table {
        let mut grounds = grounds(true, TokenAccess::Default, true);
        grounds.settings.token_minted = token_minted;
        assert_eq!(grounds.permit_maker(maker, expires_at), expected, "{token_minted:?} {maker:?} {expires_at:?}");
    }
}

#[test]
fn a_token_is_good_until_just_before_it_expires() {
    let good = Standing {
        expires_at: Some(NOW),
        is_disabled: false,
        token_access: TokenAccess::Default,
        feature_enabled: true,
    };
    assert_eq!(good.check(Timestamp::from_millis(999_999)), Ok(()));
    assert_eq!(good.check(NOW), Err(Refused::Expired));
    assert_eq!(Standing { expires_at: None, ..good }.check(NOW), Ok(()));
}

#[test]
fn the_switch_is_named_only_where_nothing_else_is_wrong() {
    let off =
        Standing { expires_at: None, is_disabled: false, token_access: TokenAccess::Default, feature_enabled: false };
    assert_eq!(off.check(NOW), Err(Refused::FeatureOff));
    assert_eq!(Standing { is_disabled: true, ..off }.check(NOW), Err(Refused::PersonDisabled));
    assert_eq!(Standing { token_access: TokenAccess::Disabled, ..off }.check(NOW), Err(Refused::AccessDisabled));
}
