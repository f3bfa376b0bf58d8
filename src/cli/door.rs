//! Where the private port of a configuration is found, and which token opens it.
//!
//! The verbs that ask an instance and the verbs that start one share this, so that both mean the same door.

use crate::app::reachable;
use crate::serving::{self, Config, Token};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::net::SocketAddr;

/// Base URL of the private port that `[serving]` describes.
///
/// # Errors
/// Why it cannot be known, and what to do.
pub(super) fn base(config: &Config) -> Result<String, String> {
    let at = config.address().map_err(|why| format!("serving.listen: {why}"))?;
    match at.port() {
        0 => Err("serving.listen leaves the port to the system: name the address with --url".to_owned()),
        _ => Ok(format!("http://{}", reachable(at))),
    }
}

/// The token that opens it: the first of `serving.tokens`, without any the first of `serving.token_file`.
///
/// # Errors
/// A token file that cannot be read or holds no usable token.
pub(super) fn token(config: &Config) -> Result<Option<Token>, String> {
    match config.tokens.first() {
        Some(token) => Ok(Some(token.clone())),
        None => Ok(serving::tokens(config).map_err(|e| e.to_string())?.into_iter().next()),
    }
}

/// Address of the page. A token goes only where nobody keeps it: to a terminal, never into a file.
pub(super) fn link(at: SocketAddr, token: Option<&Token>, terminal: bool) -> String {
    let page = format!("http://{}/", reachable(at));
    match token.filter(|_| terminal) {
        Some(token) => format!("{page}#token={}", utf8_percent_encode(token.text(), NON_ALPHANUMERIC)),
        None => page,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(at: &str) -> Config {
        Config { listen: at.to_owned(), ..Config::default() }
    }

    #[test]
    fn the_address_is_the_configured_one() {
        for (listen, url) in [
            ("127.0.0.1:9090", "http://127.0.0.1:9090"),
            ("10.1.2.3:91", "http://10.1.2.3:91"),
            ("0.0.0.0:92", "http://127.0.0.1:92"),
            ("[::]:93", "http://[::1]:93"),
            ("[2001:db8::7]:94", "http://[2001:db8::7]:94"),
        ] {
            assert_eq!(base(&listening(listen)).unwrap(), url);
        }
        assert!(base(&listening("127.0.0.1:0")).unwrap_err().contains("--url"));
    }

    #[test]
    fn the_token_is_the_first_of_the_list_or_else_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tokens");
        std::fs::write(&file, "\n  first-of-the-file-0\nsecond-of-the-file\n").unwrap();
        let mut config = Config { token_file: file.display().to_string(), ..Config::default() };
        let text = |c: &Config| token(c).map(|t| t.map(|t| t.text().to_owned()));
        assert_eq!(text(&config).unwrap().unwrap(), "first-of-the-file-0");
        config.tokens = vec![Token::from("first-of-the-list")];
        assert_eq!(text(&config).unwrap().unwrap(), "first-of-the-list");
        assert_eq!(text(&Config::default()).unwrap(), None);
        let gone = Config { token_file: dir.path().join("gone").display().to_string(), ..Config::default() };
        assert!(text(&gone).unwrap_err().contains("serving.token_file"));
    }

    #[test]
    fn a_link_carries_the_token_to_a_terminal_only() {
        let at = "0.0.0.0:9090".parse().unwrap();
        let token = Token::from("0123456789abcd&#%");
        assert_eq!(link(at, Some(&token), true), "http://127.0.0.1:9090/#token=0123456789abcd%26%23%25");
        assert_eq!(link(at, Some(&token), false), "http://127.0.0.1:9090/");
        assert_eq!(link(at, None, true), "http://127.0.0.1:9090/");
    }
}
