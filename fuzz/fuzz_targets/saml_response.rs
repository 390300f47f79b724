//! The libFuzzer program of the target `saml_response`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| tokenward_fuzz::saml_response::run(bytes));
