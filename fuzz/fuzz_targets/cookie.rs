//! See `snowshed::collector::fuzz::cookie`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snowshed::collector::fuzz::cookie(data));
