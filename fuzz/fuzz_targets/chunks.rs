//! See `snowshed::collector::fuzz::chunks`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snowshed::collector::fuzz::chunks(data));
