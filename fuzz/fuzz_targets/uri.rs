//! See `snowshed::enrich::fuzz::uri`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snowshed::enrich::fuzz::uri(data));
