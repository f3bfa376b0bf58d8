//! Patterns of a schema: searched for, not anchored, in the Java dialect, always in bounded time.
//!
//! Three engines, the cheapest that can do it: one pass over plain patterns, the linear-time `regex` crate, and
//! `fancy-regex` for look-around and back-references, with a limit on its steps. A pattern that none can run makes the schema
//! faulty.

use super::java_regex;
use super::steps::Steps;

/// Steps that a backtracking search may take on one text. A search that needs more counts as not found.
const BACKTRACK_LIMIT: usize = 100_000;
/// Bytes that one compiled pattern may take.
const SIZE_LIMIT: usize = 8 << 20;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    /// As the schema has it.
    pub(super) text: Box<str>,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Plain(Steps),
    Linear(Box<regex::Regex>),
    Backtracking(Box<fancy_regex::Regex>),
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Why no engine can run it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let t = java_regex::translate(text)?;
        let engine = if t.backtracks {
            let built = fancy_regex::RegexBuilder::new(&t.lenient)
                .backtrack_limit(BACKTRACK_LIMIT)
                .delegate_size_limit(SIZE_LIMIT)
                .build();
            Engine::Backtracking(Box::new(built.map_err(|e| last_line(&e.to_string()))?))
        } else {
            let plain = regex_syntax::parse(&t.strict).ok().and_then(|hir| Steps::of(&hir, t.has_dollar));
            match plain {
                Some(steps) => Engine::Plain(steps),
                None => {
                    let built = regex::RegexBuilder::new(&t.lenient).size_limit(SIZE_LIMIT).build();
                    Engine::Linear(Box::new(built.map_err(|e| last_line(&e.to_string()))?))
                }
            }
        };
        Ok(Pattern { text: text.into(), engine })
    }

    /// Whether it is found in the text.
    #[inline]
    pub(super) fn is_found_in(&self, text: &str) -> bool {
        match &self.engine {
            Engine::Plain(steps) => steps.matches(text),
            Engine::Linear(regex) => regex.is_match(text),
            Engine::Backtracking(regex) => regex.is_match(text).unwrap_or(false),
        }
    }
}

/// The regex crates draw a picture of several lines; the reason is the last one.
fn last_line(message: &str) -> String {
    message.lines().last().unwrap_or("not understood").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_engine_is_taken() {
        assert!(matches!(Pattern::new("^[a-z]+$").unwrap().engine, Engine::Plain(_)));
        assert!(matches!(Pattern::new("a|b").unwrap().engine, Engine::Linear(_)));
        assert!(matches!(Pattern::new("(?=a)b").unwrap().engine, Engine::Backtracking(_)));
        assert_eq!(Pattern::new("a{1000}{1000}{1000}").unwrap_err().lines().count(), 1);
    }

    #[test]
    fn a_search_that_explodes_ends() {
        let hostile = Pattern::new(r"^(?=(a+)+$)(a|aa)+\1$").unwrap();
        let begin = std::time::Instant::now();
        assert!(!hostile.is_found_in(&format!("{}!", "a".repeat(5000))));
        assert!(begin.elapsed() < std::time::Duration::from_secs(2), "{:?}", begin.elapsed());
    }
}
