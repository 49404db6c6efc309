//! `cargo fuzz run header_json`: see the README.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmq_fuzz::header_json(data));
