//! `cargo fuzz run sweep_file`: see the README.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmq_fuzz::sweep_file(data));
