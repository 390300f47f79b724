//! Tests of webhooks: selections, signatures and the schedule of retries.

use super::*;

#[test]
fn a_selection_has_known_names_or_all_events() {
    let selection = EventSelection::parse(&["token.leaked", "token.created", "token.leaked"]).unwrap();
    assert_eq!(selection.names(), ["token.created", "token.leaked"]);
    assert_eq!(EventSelection::parse(&["*"]).unwrap().names(), ["*"]);
    assert_eq!(EventSelection::parse::<&str>(&[]), Err(ValidationError::NoEvents));
    assert_eq!(EventSelection::parse(&["*", "token.leaked"]), Err(ValidationError::AllEventsBesideNames));
    let error = EventSelection::parse(&["token.leakd"]).unwrap_err().to_string();
    assert_eq!(error, "token.leakd is not the name of an event; the nearest is token.leaked");
    let secret = "twd_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg1234567";
    assert!(!EventSelection::parse(&[secret]).unwrap_err().to_string().contains("twd_"));
}

/// The test vector of the Standard Webhooks libraries.
#[test]
fn the_signature_is_that_of_the_test_vector() {
    let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let mut padded = [0; 32];
    padded[..key.len()].copy_from_slice(&key);
    // HMAC pads a key with zeros, so that this key of 24 bytes is also one of 32.
    let secret = SigningSecret::from_bytes(&padded).unwrap();
    let body = r#"{"test": 2432232314}"#;
    let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert_eq!(format!("{secret:?}"), "SigningSecret([hidden])");
    assert!(SigningSecret::from_bytes(&key).is_none());
}

#[test]
fn delays_double_from_five_seconds_to_one_hour() {
    let start = Timestamp::from_millis(1_767_225_600_000);
    let fixed = |byte: u8| Random::from_fn(move |bytes| bytes.fill(byte));
    let delays = |random: &Random| {
        let mut now = start;
        let mut delays = Vec::new();
        while now < start.plus_seconds(RETRY_SECONDS) {
            let next = next_attempt(now, start, random);
            delays.push((next.as_millis() - now.as_millis()) / 1_000);
            now = next;
        }
        delays
    };
    assert_eq!(delays(&fixed(0))[..4], [3, 3, 5, 9]);
    assert_eq!(delays(&fixed(255))[..4], [6, 7, 17, 39]);
    for random in [fixed(0), fixed(255)] {
        let delays = delays(&random);
        assert!((50..=130).contains(&delays.len()), "{}", delays.len());
        assert!(delays.iter().all(|seconds| *seconds <= 4_500));
    }
}

#[test]
fn stored_outcomes_parse_to_the_same_outcome() {
    for outcome in AttemptOutcome::ALL {
        assert_eq!(AttemptOutcome::parse(outcome.as_str()), Some(outcome));
    }
}
