//! See `snowshed::enrich::fuzz::self_describing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snowshed::enrich::fuzz::self_describing(data));
