//! `cargo fuzz run bodies`: see the README.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmq_fuzz::bodies(data));
