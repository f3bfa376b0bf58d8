//! See `snowshed::collector::fuzz::envelope`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snowshed::collector::fuzz::envelope(data));
