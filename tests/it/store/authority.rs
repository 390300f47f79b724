//! Every mutation of the store re-reads the authority of its caller, or is listed here with the
//! reason why it need not.

use std::{collections::BTreeSet, fs, path::Path};

/// Methods that write without `begin!`, each with the reason why the caller is not re-read.
const WRITES_WITHOUT_CALLER: &[(&str, &str)] = &[
    ("bootstrap", "the first start has no caller"),
    ("insert_session", "its insert compares the verified password hash, under the lock of the workspace"),
    ("rotate_session", "the session row is the credential"),
    ("record_session_use", "updates a last-used time"),
    ("purge_sessions", "retention"),
    ("record_sign_in", "updates a last-used time"),
    ("redeem_password_link", "the link is the credential; the update compares it, under the lock of the workspace"),
    ("purge_password_links", "retention"),
    ("replace_password_hash", "compares the verified password hash"),
    ("update_last_used", "updates a last-used time"),
    ("insert_event", "records denied attempts"),
    ("prune_events", "retention"),
    ("delete_expired", "retention"),
    ("delete_expired_exchanged", "retention"),
    ("purge_revoked", "purges revoked rows"),
    ("purge_family", "purges revoked rows"),
    ("purge_removed", "purges revoked rows"),
    ("purge_tombstones", "retention"),
    ("purge_idempotency_records", "retention"),
    ("record_login_failure", "counts a failed login"),
    ("delete_login_failures", "follows a successful login"),
    ("purge_login_failures", "retention"),
    ("record_source_failure", "counts a failed login"),
    ("record_source", "follows a successful login"),
    ("purge_sources", "retention"),
    ("record_identity_sign_in", "follows a successful login"),
    ("count_directory_attempt", "precedes a login"),
    ("refund_directory_attempt", "precedes a login"),
    ("reset_directory_attempts", "follows a successful login"),
    ("block_directory_attempts", "follows a failed login"),
    ("purge_directory_attempts", "retention"),
    ("claim_directory_sync", "schedule of the syncs"),
    ("renew_directory_sync", "schedule of the syncs"),
    ("finish_directory_sync", "schedule of the syncs"),
    ("warn_of_expiry", "records an event on schedule"),
    ("claim_webhook_deliveries", "schedule of the deliveries"),
    ("finish_webhook_delivery", "schedule of the deliveries"),
    ("purge_webhook_deliveries", "retention"),
    ("record_mail_sender", "schedule of the messages"),
    ("queue_reset_request", "a client without a credential requests it, and the link is sent to the account's address"),
    ("claim_mail", "schedule of the messages"),
    ("insert_reset_link", "follows the request of a client without a credential"),
    ("finish_mail", "schedule of the messages"),
    ("purge_mail", "retention"),
    ("insert_sign_in_flow", "a client without a credential begins it"),
    ("take_sign_in_flow", "the browser that began the sign-in completes it"),
    ("accept_saml_response", "an identity provider has signed the response"),
    ("take_saml_response", "the browser that began the sign-in completes it"),
    ("purge_sign_in_flows", "retention"),
    ("end_provider_sessions", "an identity provider has signed the logout token"),
    ("insert_device_authorization", "a program without a credential begins it"),
    ("record_device_poll", "the device code is the credential"),
    ("reject_device_authorization", "takes away an approval whose token the rules do not allow"),
    ("purge_device_authorizations", "retention"),
    ("record_scim_credential_use", "follows the look-up of the credential"),
    ("raise_clock_floor", "raises the clock floor"),
    ("reset_clock_floor", "a command of the operator"),
    ("accept_secret", "a command of the operator"),
    ("switch_signing_secret", "a command of the operator"),
    ("join", "node membership"),
    ("leave", "node membership"),
    ("renew", "node membership"),
    ("remove_unresponsive", "node membership"),
];

/// Every public method that writes uses `begin!` or is in the list above.
#[test]
fn every_writing_method_rereads_the_caller() {
    let mut unknown = Vec::new();
    let mut found = BTreeSet::new();
    for text in read_sources(Path::new("src/store")) {
        for (name, body) in public_methods(&text) {
            if !is_writing(&text, body) {
                continue;
            }
            let is_listed = WRITES_WITHOUT_CALLER.iter().any(|(list_token_ids, _)| *list_token_ids == name);
            if is_listed {
                found.insert(name.to_owned());
            }
            let rereads = ["begin!(", "begin_scim!("].iter().any(|begin| body.contains(begin));
            if rereads == is_listed {
                unknown.push(name.to_owned());
            }
        }
    }
    assert!(unknown.is_empty(), "use begin! in these methods, or list them with a reason: {unknown:?}");
    let stale: Vec<_> = WRITES_WITHOUT_CALLER.iter().filter(|(name, _)| !found.contains(*name)).collect();
    assert!(stale.is_empty(), "these methods no longer write: {stale:?}");
}

fn read_sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(read_sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    texts
}

/// Returns the public methods of a file: name and text.
fn public_methods(text: &str) -> Vec<(&str, &str)> {
    let mut methods = Vec::new();
    for part in text.split("    pub async fn ").skip(1) {
        let name = part.split(['(', '<']).next().unwrap();
        let end = part.find("\n    }\n").unwrap_or(part.len());
        methods.push((name, &part[..end]));
    }
    methods
}

/// Returns whether a method writes: by a statement of its own, or by a constant of its file.
fn is_writing(file: &str, body: &str) -> bool {
    const WRITE_KEYWORDS: [&str; 4] = ["insert into ", "update ", "delete from ", "begin!("];
    let is_write = |text: &str| {
        let lower = text.to_lowercase();
        WRITE_KEYWORDS.iter().any(|word| lower.contains(&format!("\"{word}")) || lower.contains(&format!("({word}")))
    };
    let constants = file.split("const ").skip(1).filter_map(|part| {
        let (name, rest) = part.split_once(": &str")?;
        Some((name, rest.split(';').next()?))
    });
    is_write(body)
        || ["begin!(", "record!("].iter().any(|word| body.contains(word))
        || constants.filter(|(_, text)| is_write(text)).any(|(name, _)| body.contains(&format!("({name})")))
}
