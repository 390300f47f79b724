//! Knowing and forgetting, without a store.

use std::time::Duration;

use uuid::Uuid;

use super::{Lease, TokenCache, invalidation::Change};
use crate::last_used::LastUse;
use crate::{
    domain::{
        person::TokenAccess,
        time::{Clock, Timestamp},
    },
    store::Found,
};
use tokenward_guard::token_format::TokenDigest;

/// What a read finds of a token of this person.
pub(crate) fn found(person_id: i64, workspace_id: i64) -> Found {
    Found {
        token_id: Uuid::from_u128(person_id.unsigned_abs().into()),
        created_at: Timestamp::from_millis(0),
        expires_at: None,
        person_id,
        workspace_id,
        email: format!("{person_id}@example.com"),
        name: String::new(),
        is_admin: false,
        is_platform_admin: false,
        is_disabled: false,
        token_access: TokenAccess::Default,
        enabled: None,
    }
}

/// Digests that spread over the shards, as real ones do.
fn digest(n: u64) -> TokenDigest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    bytes[8] = n.to_le_bytes()[0];
    bytes[16..24].copy_from_slice(&n.to_le_bytes());
    TokenDigest::from_bytes(bytes)
}

fn known(most_tokens: usize) -> TokenCache {
    TokenCache::new(most_tokens, usize::MAX, LastUse::default())
}

fn learn(known: &TokenCache, n: u64, found: &Found) {
    known.keep(known.mark(), &digest(n), found);
}

#[test]
fn a_change_forgets_what_it_concerns_and_nothing_else() {
    let known = known(1_000);
    for (n, person, workspace) in [(1, 10, 100), (2, 10, 100), (3, 11, 100), (4, 12, 101)] {
        learn(&known, n, &found(person, workspace));
    }
    let here = |known: &TokenCache| [1, 2, 3, 4].map(|n| known.find(&digest(n)).is_some());
    known.forget(Change::Token(digest(1)));
    assert_eq!(here(&known), [false, true, true, true]);
    known.forget(Change::Person(10));
    assert_eq!(here(&known), [false, false, true, true]);
    known.forget(Change::Workspace(100));
    assert_eq!(here(&known), [false, false, false, true]);
    learn(&known, 3, &found(11, 100));
    assert_eq!(here(&known), [false, false, true, true]);
    known.forget(Change::Everything);
    assert_eq!(here(&known), [false; 4]);
    assert_eq!(known.table().len(), 0);
}

/// The read has its answer, the change comes, and only then is the answer to be kept.
#[test]
fn a_read_that_a_change_overtook_is_not_kept() {
    for change in [Change::Token(digest(1)), Change::Person(7), Change::Workspace(1), Change::Everything] {
        let known = known(1_000);
        let mark = known.mark();
        known.forget(change);
        let facts = known.keep(mark, &digest(1), &found(7, 1));
        assert!(known.find(&digest(1)).is_none(), "{change:?}");
        assert_eq!(facts.person.holder.person_id, 7, "who waited for the read is answered by it");
    }
    let known = known(1_000);
    let mark = known.mark();
    known.forget(Change::Person(8));
    known.keep(mark, &digest(1), &found(7, 1));
    assert!(known.find(&digest(1)).is_some(), "somebody else's change is none of its business");
}

#[test]
fn what_was_read_decides_over_what_was_known() {
    let known = known(1_000);
    learn(&known, 1, &found(7, 1));
    learn(&known, 2, &found(7, 1));
    let disabled = Found { is_disabled: true, ..found(7, 1) };
    let facts = known.keep(known.mark(), &digest(1), &disabled);
    assert!(facts.person.is_disabled && known.find(&digest(1)).unwrap().person.is_disabled);
    assert!(known.find(&digest(2)).is_none(), "known of the person as it was before");
    let switched = Found { enabled: Some(false), ..found(8, 1) };
    learn(&known, 3, &switched);
    assert!(known.find(&digest(1)).is_none(), "known of the workspace as it was before");
}

#[test]
fn people_and_workspaces_stand_in_memory_once() {
    let known = known(1_000);
    (0..100).for_each(|n| learn(&known, n, &found(7, 1)));
    let first = known.find(&digest(0)).unwrap();
    let shared = (1..100).all(|n| std::sync::Arc::ptr_eq(&first.person, &known.find(&digest(n)).unwrap().person));
    assert!(shared);
    let bytes = known.table().bytes();
    assert!((9_000..12_000).contains(&bytes), "{bytes}");
}

/// A name that were swept while its facts are known could not be told that they are outdated.
#[test]
fn sweeping_drops_the_names_of_those_who_are_gone_and_of_nobody_else() {
    const PEOPLE: i64 = 3_000;
    let at = |id: i64| digest(id.unsigned_abs());
    for change in [Change::Person, Change::Workspace] {
        let known = known(100_000);
        (1..=PEOPLE).for_each(|id| learn(&known, id.unsigned_abs(), &found(id, id)));
        assert_eq!(known.names(), 2 * 3_000);
        for id in 1..=PEOPLE {
            assert!(known.find(&at(id)).is_some());
            known.forget(change(id));
            assert!(known.find(&at(id)).is_none(), "{:?}", change(id));
        }
    }
    let known = known(100_000);
    for id in 1..=PEOPLE {
        learn(&known, id.unsigned_abs(), &found(id, id));
        known.forget(Change::Token(at(id)));
    }
    assert!(known.names() <= 1_024, "{}", known.names());
}

#[test]
fn whoever_administers_what_stands_in_memory_once_as_well() {
    for (is_admin, is_platform_admin) in [(true, false), (false, true), (true, true)] {
        let known = known(1_000);
        let somebody = Found { is_admin, is_platform_admin, ..found(7, 1) };
        let [one, two] = [1, 2].map(|n| known.keep(known.mark(), &digest(n), &somebody).person);
        assert!(std::sync::Arc::ptr_eq(&one, &two));
        assert_eq!((one.holder.is_admin, one.holder.is_platform_admin), (is_admin, is_admin && is_platform_admin));
        let other = Found { is_admin: !is_admin, ..somebody };
        assert!(!std::sync::Arc::ptr_eq(&one, &known.keep(known.mark(), &digest(1), &other).person));
    }
}

#[test]
fn the_texts_of_a_person_are_counted_to_the_byte() {
    let bytes = |email: usize, name: usize| {
        let known = known(1_000);
        learn(&known, 1, &Found { email: "e".repeat(email), name: "n".repeat(name), ..found(7, 1) });
        known.table().bytes()
    };
    assert_eq!(bytes(10, 100) - bytes(0, 0), 110);
    assert!(bytes(0, 0) > size_of::<crate::cache::entry::CachedPerson>());
}

#[test]
fn a_run_through_all_tokens_does_not_push_out_those_in_use() {
    let known = known(6_400);
    let use_it = |n: u64| {
        let facts = known.find(&digest(n)).unwrap_or_else(|| known.keep(known.mark(), &digest(n), &found(7, 1)));
        known.note_use(&facts, Timestamp::from_millis(i64::try_from(n).unwrap() + 1));
    };
    for n in (0..1_000).chain(0..1_000) {
        use_it(n);
    }
    for n in 10_000..50_000 {
        use_it(n);
        // Those in use are used meanwhile.
        use_it(n % 1_000);
    }
    assert!(known.table().len() <= 6_400);
    let kept = (0..1_000).filter(|n| known.find(&digest(*n)).is_some()).count();
    assert!(kept > 950, "{kept}");
}

#[test]
fn bytes_bound_what_is_kept_as_well() {
    let known = TokenCache::new(1_000_000, 1_000_000, LastUse::default());
    for n in 0..20_000 {
        let mut somebody = found(i64::try_from(n).unwrap(), 1);
        somebody.name = "x".repeat(200);
        learn(&known, n, &somebody);
    }
    let (tokens, bytes) = (known.table().len(), known.table().bytes());
    assert!(bytes < 1_010_000 && tokens > 1_000, "{tokens} tokens, {bytes} bytes");
}

#[test]
fn uses_are_collected_once_and_survive_their_token() {
    let last_use = LastUse::default();
    let known = TokenCache::new(1_000, usize::MAX, last_use.clone());
    let at = Timestamp::from_millis;
    for n in 1..=3 {
        learn(&known, n, &found(i64::try_from(n).unwrap(), 1));
        let facts = known.find(&digest(n)).unwrap();
        assert!(known.note_use(&facts, at(5)) && known.note_use(&facts, at(9)) && known.note_use(&facts, at(7)));
    }
    let gone = known.find(&digest(1)).unwrap();
    known.forget(Change::Token(digest(1)));
    assert!(!known.note_use(&gone, at(11)), "there is no place any more to note it");
    let mut uses = known.take_uses();
    uses.sort_unstable();
    assert_eq!(uses, [(Uuid::from_u128(2), at(9)), (Uuid::from_u128(3), at(9))]);
    assert!(known.take_uses().is_empty());
    assert_eq!(last_use.take(), [(Uuid::from_u128(1), at(9))], "handed over when its token went");
}

#[test]
fn a_lease_ends_by_the_stopwatch_and_not_by_the_clock() {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };
    let millis = Arc::new(AtomicU64::new(1_000));
    let passed = Arc::clone(&millis);
    let clock = Clock::from_fn(|| Timestamp::from_millis(0))
        .with_stopwatch(move || Duration::from_millis(passed.load(Ordering::SeqCst)));
    let lease = Lease::none(clock.clone());
    assert!(!lease.is_live());
    lease.extend(Duration::from_millis(1_500));
    assert!(lease.is_live());
    millis.store(1_499, Ordering::SeqCst);
    assert!(lease.is_live());
    millis.store(1_500, Ordering::SeqCst);
    assert!(!lease.is_live());
    lease.extend(Duration::from_millis(2_000));
    lease.end();
    assert!(!lease.is_live());
    assert!(Lease::for_ever(clock).is_live());
    // However long a lease, it is none that never ends.
    let late = Clock::from_fn(|| Timestamp::from_millis(0)).with_stopwatch(|| Duration::MAX);
    let lease = Lease::none(late.clone());
    lease.extend(Duration::MAX);
    assert!(!lease.is_live() && Lease::for_ever(late).is_live());
}

#[test]
fn many_threads_know_and_forget_at_once() {
    let known = known(512);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let known = &known;
            scope.spawn(move || {
                for round in 0..5_000_u64 {
                    let n = (round * 7 + thread) % 1_000;
                    match known.find(&digest(n)) {
                        Some(facts) => {
                            assert_eq!(facts.person.holder.person_id, i64::try_from(n % 10).unwrap());
                            known.note_use(&facts, Timestamp::from_millis(1));
                        }
                        None => learn(known, n, &found(i64::try_from(n % 10).unwrap(), 1)),
                    }
                    if round % 97 == 0 {
                        known.forget(Change::Person(i64::try_from(n % 10).unwrap()));
                    }
                }
            });
        }
    });
    assert!(known.table().len() <= 512);
}
