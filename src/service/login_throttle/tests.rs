//! Tests of the login throttle.

use super::*;
use crate::domain::login_failures::LoginFailures;

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

fn source_digest(n: i64) -> SourceDigest {
    address_source(n).digest
}

fn address_source(n: i64) -> SignInSource {
    SignInSource::from_address(PersonId::new(n), "192.0.2.1".parse().unwrap())
}

fn known_source(n: i64, failures: u32) -> KnownSource {
    let failures = (failures > 0).then_some(LoginFailures { count: failures, last_failed_at: NOW });
    KnownSource { digest: source_digest(n), last_seen_at: NOW, failures }
}

#[test]
fn known_source_uses_its_own_counter_and_unknown_source_the_account_counter() {
    let locked = Some(LoginFailures { count: 12, last_failed_at: NOW });
    let choose = |common, known: &[KnownSource], sources: &[i64]| {
        let attempt_sources: Vec<SignInSource> = sources.iter().map(|n| address_source(*n)).collect();
        super::choose_counter(
            &LoginFailureCounts { unknown_sources: common, known_sources: known.to_vec() },
            &attempt_sources,
            NOW,
        )
    };
    assert_eq!(choose(None, &[], &[1, 2]), Ok(FailureCounter::Account));
    assert_eq!(choose(locked, &[], &[1, 2]), Err(4));
    assert_eq!(choose(locked, &[known_source(1, 9)], &[1, 2]), Ok(FailureCounter::Source(source_digest(1))));
    assert_eq!(choose(locked, &[known_source(2, 0)], &[1, 2]), Ok(FailureCounter::Source(source_digest(2))));
    // An attacker shares the address but not the browser.
    assert_eq!(
        choose(None, &[known_source(2, 0), known_source(1, 10)], &[1, 2]),
        Ok(FailureCounter::Source(source_digest(2)))
    );
    assert_eq!(choose(None, &[known_source(1, 11), known_source(2, 10)], &[1, 2]), Err(1));
    // A known source with a delay is not treated as unknown.
    assert_eq!(choose(None, &[known_source(1, 10)], &[1]), Err(1));
}
