//! The fuzz targets. Each is a function that checks one input. The programs in `fuzz_targets` run
//! them with libFuzzer, and `tests/fuzz_corpus.rs` of the service compiles this file and runs them
//! with the corpus.

pub mod authorization;
pub mod cookie;
pub mod cursor;
pub mod ext_authz;
pub mod form;
pub mod forwarded;
pub mod json;
pub mod ldap_message;
pub mod path;
pub mod saml_response;
pub mod test_service;
pub mod token_value;

/// A function that panics if the service treats an input incorrectly.
pub type Target = fn(&[u8]);

/// All targets, with the names of their programs and of their folders in `corpus`.
pub const TARGETS: [(&str, Target); 11] = [
    ("authorization", authorization::run),
    ("cookie", cookie::run),
    ("cursor", cursor::run),
    ("ext_authz", ext_authz::run),
    ("form", form::run),
    ("forwarded", forwarded::run),
    ("json", json::run),
    ("ldap_message", ldap_message::run),
    ("path", path::run),
    ("saml_response", saml_response::run),
    ("token_value", token_value::run),
];
