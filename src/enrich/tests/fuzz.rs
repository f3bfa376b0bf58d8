//! The fuzz targets over their corpus and over random bytes: what a fuzzer once found stays found.

use crate::enrich::fuzz;
use crate::platform::testing::over_corpus;
use proptest::prelude::*;

#[test]
fn the_corpus_holds() {
    over_corpus("payload", fuzz::payload);
    over_corpus("self_describing", fuzz::self_describing);
    over_corpus("uri", fuzz::uri);
    over_corpus("line", fuzz::line);
}

proptest! {
    #[test]
    fn random_urls(text in "(https?|[a-z0-9.+-]{0,4})?:?/{0,3}[a-zA-Z0-9.@:_\\[\\]%#?&={}|$ü -]{0,40}") {
        fuzz::uri(text.as_bytes());
    }

    #[test]
    fn random_json(first in any::<u8>(), text in "[\\[\\]{}\":,0-9eE.tfnul\\\\ a-c-]{0,60}") {
        fuzz::self_describing(&[&[first], text.as_bytes()].concat());
    }

    #[test]
    fn random_payloads(first in any::<u8>(), data in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz::payload(&[&[first], &data[..]].concat());
    }
}
