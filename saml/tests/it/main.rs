//! The reader through its public API: fixtures of other programs, attacks, claims, mutations, and a
//! second opinion by `xmlsec1`.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed assumption fails the test")]

mod attacks;
mod claims;
mod encodings;
mod fixtures;
mod limits;
mod metadata;
mod mutations;
mod oracle;
mod requests;
mod signatures;
mod support;
mod variants;
mod wrapping;
