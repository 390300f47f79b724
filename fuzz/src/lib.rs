//! The fuzz targets: for each a function that checks one input. The programs in `fuzz_targets` feed them what libFuzzer makes up, and the
//! service's own `tests/fuzz_corpus.rs` compiles this file and feeds them the corpus in every run.

pub mod authorization;
pub mod cookie;
pub mod cursor;
pub mod ext_authz;
pub mod form;
pub mod forwarded;
pub mod json;
pub mod path;
pub mod test_service;
pub mod token_value;

/// A function that panics where the service is wrong about an input.
pub type Target = fn(&[u8]);

/// All targets, by the names of their programs and of the folders in `corpus`.
pub const TARGETS: [(&str, Target); 9] = [
    ("authorization", authorization::run),
    ("cookie", cookie::run),
    ("cursor", cursor::run),
    ("ext_authz", ext_authz::run),
    ("form", form::run),
    ("forwarded", forwarded::run),
    ("json", json::run),
    ("path", path::run),
    ("token_value", token_value::run),
];
