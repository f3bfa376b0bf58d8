//! Claims of the facts sheet about URLs, one by one.

use super::*;

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn components_are_raw_and_empty_ones_absent() {
    let u = uri("https://user:pw@Shop.Test:8443/a%20b/ü?x=1&y=%2B#frag");
    assert_eq!(u.scheme(), Some("https"));
    assert_eq!(u.host(), Some("Shop.Test"));
    assert_eq!(u.port(), 8443);
    assert_eq!(u.path(), Some("/a%20b/ü"));
    assert_eq!(u.query(), Some("x=1&y=%2B"));
    assert_eq!(u.fragment(), Some("frag"));
    let u = uri("http://shop.test?#");
    assert_eq!((u.path(), u.query(), u.fragment()), (None, None, None));
}

#[test]
fn the_port_is_443_for_exactly_https_and_80_for_all_else() {
    for (text, port) in [
        ("https://a.test/", 443),
        ("HTTPS://a.test/", 80),
        ("http://a.test/", 80),
        ("/relative", 80),
        ("about:blank", 80),
        ("http://shop.test:", 80),
        ("http://shop.test:99999999999/", 80),
        ("http://shop.test:80:80/", 80),
    ] {
        assert_eq!(uri(text).port(), port, "{text}");
    }
}

#[test]
fn a_host_that_is_no_host_name_is_null_without_failure() {
    for text in [
        "http://a_b.test/",
        "http://bücher.test/",
        "http://shop.test:port/",
        "http://-a.test/",
        "http://a..b/",
        "http://shop.1/",
        "http://shop.test:99999999999/",
        "http://shop.test:80:80/",
        "http://a b/",
        "http:///path",
    ] {
        assert_eq!(uri(text).host(), None, "{text}");
    }
    for (text, host) in [
        ("http://shop.test./", "shop.test."),
        ("http://shop.test:/", "shop.test"),
        ("http://[::1]:80/", "[::1]"),
        ("http://[fe80::1%eth0]/", "[fe80::1%eth0]"),
        ("http://1.2.3.4:5/", "1.2.3.4"),
        ("http://123/", "123"),
        ("http://u@h.test/", "h.test"),
    ] {
        assert_eq!(uri(text).host(), Some(host), "{text}");
    }
    assert_eq!(uri("http://a b/").text(), "http://a%20b/");
}

#[test]
fn opaque_uris_have_a_scheme_and_a_port_only() {
    for text in ["about:blank", "mailto:a@b.test"] {
        let u = uri(text);
        assert!(u.scheme().is_some());
        assert_eq!((u.host(), u.path(), u.query()), (None, None, None), "{text}");
    }
}

#[test]
fn what_the_strict_reading_refuses_is_percent_encoded() {
    for (text, out) in [
        ("http://a.test/x|y{z}", "http://a.test/x%7Cy%7Bz%7D"),
        ("http://a.test/?x=$y[1]|", "http://a.test/?x=%24y%5B1%5D%7C"),
        ("http://a.test/100%", "http://a.test/100%25"),
        ("http://a.test/?q=a+b|", "http://a.test/?q=a+b%7C"),
        ("http://a.test/?q=a%20b|", "http://a.test/?q=a%20b%7C"),
        ("http://a.test/?x=$y[1]#z#w", "http://a.test/?x=%24y%5B1%5D#z%23w"),
        (" http://shop.test/", "%20http%3A//shop.test/"),
        ("1http://x", "1http%3A//x"),
        ("    x", "%20%20%20%20x"),
        ("http://a.test/a b", "http://a.test/a%20b"),
    ] {
        assert_eq!(uri(text).text(), out, "{text}");
    }
    let u = uri(" http://shop.test/");
    assert_eq!((u.scheme(), u.host(), u.path()), (None, None, Some("%20http%3A//shop.test/")));
    assert_eq!(uri("http://a.test/?x=$y[1]#z#w").fragment(), Some("z%23w"));
}

#[test]
fn a_query_may_hold_brackets_and_keeps_them() {
    assert_eq!(uri("http://a.test/?x[]=1").query(), Some("x[]=1"));
}

#[test]
fn a_broken_authority_fails_both_readings() {
    for text in ["http://", "http:", "http://a\\b/", "http://sh{op}.test/", "http://a.test:80%/", "http://[::1/", "//"]
    {
        assert!(Uri::parse(text).is_err(), "{text}");
    }
}

#[test]
fn illegal_characters_of_a_query_string_are_found() {
    for bad in [
        "a b", "a=\"", "a=<", "a=>", "a=\\", "a=^", "a=`", "a={x}", "a=|", "a=\u{1}", "a=%zz", "a=%", "a=1#b#c", "a=%1",
    ] {
        assert!(first_illegal_in_query(bad).is_some(), "{bad}");
    }
    for good in ["", "a=1&b=2;c", "?a=1", "a=[x]", "a==b", "a=é", "a=%C3%A9", "a=1#frag", "a=$,@:/'()*!~"] {
        assert!(first_illegal_in_query(good).is_none(), "{good}");
    }
}

#[test]
fn no_text_panics_and_what_is_read_reads_again() {
    let alphabet: Vec<char> = "ahtp:/?#[]@%2F .-_\\|{}é\u{a0}&=+;$\u{1}".chars().collect();
    let mut seed = 1u64;
    for _ in 0..200_000 {
        let mut text = String::new();
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let mut s = seed;
        for _ in 0..(seed >> 59) {
            s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text.push(alphabet[(s >> 33) as usize % alphabet.len()]);
        }
        if let Ok(u) = Uri::parse(&text) {
            let again = Uri::parse(u.text()).unwrap_or_else(|e| panic!("{text:?} -> {:?}: {e}", u.text()));
            assert_eq!(again.text(), u.text());
            let _ = (u.scheme(), u.host(), u.port(), u.path(), u.query(), u.fragment());
        }
    }
}
