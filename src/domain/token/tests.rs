//! Tests of lifetimes, descriptions, and the rules for issuing and using tokens.

use super::*;
use crate::domain::{
    person::TokenAccess,
    setting::{ChildTokenPolicy, Settings},
    token_limits::AllowedNetworks,
};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn policy(is_admin: bool, token_access: TokenAccess, allow_users: bool) -> IssuePolicy {
    let settings = Settings { allow_users, ..Settings::defaults(true) };
    IssuePolicy { is_service_account: false, is_admin, is_disabled: false, token_access, settings }
}

#[test]
fn lifetimes_are_minus_one_or_one_second_to_a_hundred_years() {
    for invalid in [0, -2, i64::MIN, i64::MAX, Lifetime::MAX_SECONDS + 1] {
        assert_eq!(Lifetime::from_seconds(invalid), Err(ValidationError::Lifetime), "{invalid}");
    }
    assert_eq!(Lifetime::from_seconds(-1), Ok(Lifetime::Forever));
    for valid in [1, Lifetime::MAX_SECONDS] {
        assert_eq!(Lifetime::from_seconds(valid), Ok(Lifetime::Seconds(valid)));
    }
}

#[test]
fn a_lifetime_ends_to_the_millisecond() {
    assert_eq!(Lifetime::Forever.expires_at(NOW), None);
    assert_eq!(Lifetime::Seconds(100).expires_at(NOW), Some(Timestamp::from_millis(1_100_000)));
}

#[test]
fn descriptions_are_stored_as_sent() {
    for valid in ["", " nightly  job ", "\u{200f}ünï", "\u{1f468}\u{200d}\u{1f680}", &"\u{1f980}".repeat(255)] {
        assert_eq!(Description::parse(valid.to_owned()).map(Description::into_string).as_deref(), Ok(valid));
    }
    for invalid in ["a\0", "a\nb", "\u{202e}ünï", "a\u{2066}b", "a\u{2028}b", &"x".repeat(256)] {
        assert!(Description::parse(invalid.to_owned()).is_err(), "{invalid}");
    }
}

#[test]
fn a_maximum_lifetime_applies_to_administrators_and_forbids_tokens_that_never_expire() {
    let mut policy = policy(true, TokenAccess::Default, false);
    policy.settings.max_lifetime_days = Some(2);
    assert_eq!(policy.check(Lifetime::Seconds(172_800)), Ok(()));
    let too_long = Err(IssueError::Lifetime(ValidationError::LifetimeTooLong { max_days: 2 }));
    assert_eq!(policy.check(Lifetime::Seconds(172_801)), too_long);
    assert_eq!(policy.check(Lifetime::Forever), too_long);
}

#[test]
fn generating_depends_on_role_token_access_and_the_workspace_setting() {
    use IssueError::{AccessDisabled, AdministratorsOnly};
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
    for ((is_admin, access, allow_users), expected) in table {
        let result = policy(is_admin, access, allow_users).check(Lifetime::Forever);
        assert_eq!(result, expected, "{is_admin} {access:?} {allow_users}");
    }
}

#[test]
fn the_child_token_policy_applies_to_tokens_that_create_tokens() {
    use ChildTokenPolicy::{Allowed, Forbidden, WithinParent};
    let at = Timestamp::from_millis;
    let forbidden = Err(IssueError::ChildTokensForbidden);
    let outlives = Err(IssueError::OutlivesParent { parent_expires_at: at(9) });
    let expiring = IssuedBy::Token { expires_at: Some(at(9)), is_exchanged: false };
    let forever = IssuedBy::Token { expires_at: None, is_exchanged: false };
    let table = [
        (Allowed, expiring, None, Ok(())),
        (WithinParent, expiring, Some(at(9)), Ok(())),
        (WithinParent, expiring, Some(at(10)), outlives.clone()),
        (WithinParent, expiring, None, outlives),
        (WithinParent, forever, None, Ok(())),
        (Forbidden, forever, Some(at(1)), forbidden.clone()),
        (Forbidden, expiring, Some(at(1)), forbidden),
        (Forbidden, IssuedBy::Person, None, Ok(())),
        (WithinParent, IssuedBy::Person, None, Ok(())),
    ];
    for (child_tokens, issued_by, expires_at, expected) in table {
        let mut policy = policy(true, TokenAccess::Default, true);
        policy.settings.child_tokens = child_tokens;
        let result = policy.check_issuer(issued_by, expires_at);
        assert_eq!(result, expected, "{child_tokens:?} {issued_by:?} {expires_at:?}");
    }
}

#[test]
fn a_token_is_usable_until_just_before_it_expires() {
    let facts = TokenFacts {
        ends_at: Some(NOW),
        networks: &AllowedNetworks::any(),
        is_disabled: false,
        token_access: TokenAccess::Default,
        feature_enabled: true,
        pauses_at: None,
    };
    assert_eq!(facts.ensure_usable(Timestamp::from_millis(999_999), || None), Ok(()));
    assert_eq!(facts.ensure_usable(NOW, || None), Err(UnusableReason::Expired));
    assert_eq!(TokenFacts { ends_at: None, ..facts }.ensure_usable(NOW, || None), Ok(()));
}

#[test]
fn feature_off_is_reported_only_for_a_token_that_would_otherwise_authenticate() {
    let facts = TokenFacts {
        ends_at: None,
        networks: &AllowedNetworks::any(),
        is_disabled: false,
        token_access: TokenAccess::Default,
        feature_enabled: false,
        pauses_at: None,
    };
    assert_eq!(facts.ensure_usable(NOW, || None), Err(UnusableReason::FeatureOff));
    let person_disabled = TokenFacts { is_disabled: true, ..facts };
    assert_eq!(person_disabled.ensure_usable(NOW, || None), Err(UnusableReason::PersonDisabled));
    let access_disabled = TokenFacts { token_access: TokenAccess::Disabled, ..facts };
    assert_eq!(access_disabled.ensure_usable(NOW, || None), Err(UnusableReason::AccessDisabled));
}

#[test]
fn the_first_rule_that_rejects_a_token_is_reported() {
    let networks = AllowedNetworks::parse(&["10.0.0.0/8".to_owned()]).unwrap();
    let usable = TokenFacts {
        ends_at: Some(NOW.plus_seconds(1)),
        networks: &networks,
        is_disabled: false,
        token_access: TokenAccess::Default,
        feature_enabled: true,
        pauses_at: None,
    };
    let (inside, outside) = (Some([10, 1, 2, 3].into()), Some([192, 0, 2, 1].into()));
    assert_eq!(usable.ensure_usable(NOW, || inside), Ok(()));
    assert_eq!(usable.ensure_usable(NOW, || outside), Err(UnusableReason::OutsideNetworks));
    assert_eq!(usable.ensure_usable(NOW, || None), Err(UnusableReason::ClientAddressUnknown));
    let feature_off = TokenFacts { feature_enabled: false, ..usable };
    assert_eq!(feature_off.ensure_usable(NOW, || inside), Err(UnusableReason::FeatureOff));
    assert_eq!(feature_off.ensure_usable(NOW, || outside), Err(UnusableReason::OutsideNetworks));
    let paused = TokenFacts { pauses_at: Some(NOW), ..usable };
    assert_eq!(paused.ensure_usable(NOW, || outside), Err(UnusableReason::Paused));
    assert_eq!(paused.ensure_usable(NOW.plus_seconds(-1), || inside), Ok(()));
    let disabled = TokenFacts { is_disabled: true, ..paused };
    assert_eq!(disabled.ensure_usable(NOW, || outside), Err(UnusableReason::PersonDisabled));
    assert_eq!(disabled.ensure_usable(NOW.plus_seconds(1), || outside), Err(UnusableReason::Expired));
}

#[test]
fn a_grace_period_has_at_most_thirty_days() {
    for (seconds, is_valid) in
        [(-1, false), (0, true), (1, true), (2_592_000, true), (2_592_001, false), (i64::MAX, false)]
    {
        assert_eq!(GracePeriod::from_seconds(seconds).is_ok(), is_valid, "{seconds}");
    }
    assert_eq!(GracePeriod::from_seconds(0).unwrap().ends_at(NOW), None);
    assert_eq!(GracePeriod::DEFAULT.ends_at(NOW), Some(NOW.plus_seconds(86_400)));
}

#[test]
fn custodians_and_administrators_create_tokens_of_a_service_account() {
    use IssueError::{
        AccessDisabled, AdministratorAccount, NotCustodian, OwnerNotServiceAccount, ServiceAccountDisabled,
    };
    let account = OwnerFacts { is_service_account: true, is_admin: false, is_disabled: false };
    let custodian = MakerFacts { is_admin: false, is_custodian: true, token_access: TokenAccess::Default };
    let administrator = MakerFacts { is_admin: true, is_custodian: false, ..custodian };
    for maker in [custodian, administrator] {
        assert_eq!(maker.check_owner(account), Ok(()));
        let person = OwnerFacts { is_service_account: false, ..account };
        assert_eq!(maker.check_owner(person), Err(OwnerNotServiceAccount));
        let disabled = OwnerFacts { is_disabled: true, ..account };
        assert_eq!(maker.check_owner(disabled), Err(ServiceAccountDisabled));
        let without_access = MakerFacts { token_access: TokenAccess::Disabled, ..maker };
        assert_eq!(without_access.check_owner(account), Err(AccessDisabled));
    }
    assert_eq!(MakerFacts { is_custodian: false, ..custodian }.check_owner(account), Err(NotCustodian));
    let of_administrator = OwnerFacts { is_admin: true, ..account };
    assert_eq!(custodian.check_owner(of_administrator), Err(AdministratorAccount));
    assert_eq!(administrator.check_owner(of_administrator), Ok(()));
}
