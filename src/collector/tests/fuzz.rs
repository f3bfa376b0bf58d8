//! The fuzz targets over their corpus and over random bytes: what a fuzzer once found stays found.

use crate::collector::fuzz;
use crate::platform::testing::over_corpus;
use proptest::prelude::*;

#[test]
fn the_corpus_holds() {
    over_corpus("query", fuzz::query);
    over_corpus("cookie", fuzz::cookie);
    over_corpus("request", fuzz::request);
    over_corpus("envelope", fuzz::envelope);
    over_corpus("thrift", fuzz::thrift);
    over_corpus("chunks", fuzz::chunks);
}

proptest! {
    #[test]
    fn random_queries(data in "[nuid3pc%=&+0-9a-f]{0,40}") {
        fuzz::query(data.as_bytes());
    }

    #[test]
    fn random_cookies(data in prop::collection::vec(prop_oneof![Just(b';'), Just(b'='), Just(b' '), any::<u8>()], 0..60)) {
        fuzz::cookie(&data);
    }

    #[test]
    fn random_requests(
        method in "(GET|POST|HEAD|OPTIONS|PUT)",
        path in "/(i|r/tp2|a/b|[%a-f0-9\\\\/]{0,12}|health)",
        query in "(|\\?[nu=&%0-9a-f{}\"#:/]{0,40})",
        headers in "(Cookie: [a-z=;\" ]{0,20}\r\n|Origin: [a-z:/.]{0,30}\r\n|X-Forwarded-For: [0-9.,:a ]{0,30}\r\n|SP-Anonymous: x\r\n){0,4}",
    ) {
        fuzz::request(format!("{method} {path}{query} HTTP/1.1\r\nHost: h\r\n{headers}\r\n").as_bytes());
    }

    #[test]
    fn random_chunks(data in "([0-9a-f]{1,2}(;x)?\r\n[a-z]{0,20}\r\n){0,4}0\r\n(T: x\r\n)?\r\n.{0,5}") {
        fuzz::chunks(data.as_bytes());
    }

    #[test]
    fn random_batches(sizes in prop::collection::vec(0usize..9000, 0..12), filler in 0usize..3000) {
        let events: Vec<String> = sizes.iter().map(|n| format!("{{\"x\":\"{}\"}}", "y".repeat(*n))).collect();
        let body = format!(
            "{{\"schema\":\"iglu:a/b/jsonschema/1-0-0\",{}\"data\":[{}]}}", " ".repeat(filler), events.join(", ")
        );
        fuzz::envelope(body.as_bytes());
    }
}
