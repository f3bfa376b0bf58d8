//! A matcher for the plain patterns that most schemas use: identifiers, URIs, codes, anchored at the start.
//!
//! Such a pattern is a few alternatives, each a sequence of character classes with counts, where the next class can never
//! begin with what the previous one may still take. Then one greedy pass without any state decides, several times faster
//! than a general engine. Patterns of any other shape are left to one.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// More alternatives, or more classes in one, are left to the general engine.
const MAX_ALTERNATIVES: usize = 8;
const MAX_STEPS: usize = 80;

/// A pattern that one pass decides.
#[derive(Debug)]
pub(super) struct Steps {
    alternatives: Vec<Alternative>,
    /// The end of the text may be followed by one line terminator, as Java's `$` has it.
    lenient_end: bool,
}

#[derive(Debug)]
struct Alternative {
    steps: Vec<Step>,
    anchored_end: bool,
}

#[derive(Clone, PartialEq, Debug)]
struct Step {
    class: CharSet,
    min: u32,
    max: u32,
}

/// Which characters: a bit per ASCII character, ranges for the rest.
#[derive(Clone, PartialEq, Debug, Default)]
struct CharSet {
    ascii: [u64; 2],
    wide: Vec<(char, char)>,
}

impl CharSet {
    fn add(&mut self, from: char, to: char) {
        for b in u32::from(from)..=u32::from(to).min(127) {
            // indexing: b / 64 is 0 or 1
            self.ascii[(b / 64) as usize] |= 1 << (b % 64);
        }
        if to > '\u{7f}' {
            self.wide.push((from.max('\u{80}'), to));
        }
    }

    #[inline]
    fn has_ascii(&self, b: u8) -> bool {
        // indexing: an ASCII byte divided by 64 is 0 or 1
        b < 128 && self.ascii[usize::from(b >> 6) & 1] >> (b & 63) & 1 == 1
    }

    fn meets(&self, other: &CharSet) -> bool {
        self.ascii[0] & other.ascii[0] != 0
            || self.ascii[1] & other.ascii[1] != 0
            || self.wide.iter().any(|(a, b)| other.wide.iter().any(|(c, d)| a <= d && c <= b))
    }
}

/// One part of an expanded pattern.
#[derive(Clone)]
enum Piece {
    Step(Step),
    Start,
    End,
}

impl Steps {
    /// The matcher for a pattern, if it is plain enough. `lenient_end`: see [`Steps`].
    pub(super) fn of(hir: &Hir, lenient_end: bool) -> Option<Steps> {
        let alternatives = expand(hir)?.into_iter().map(Alternative::of).collect::<Option<Vec<_>>>()?;
        Some(Steps { alternatives, lenient_end })
    }

    /// Whether the pattern is found in the text.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.alternatives.iter().any(|a| a.matches(text, self.lenient_end))
    }
}

impl Alternative {
    fn of(pieces: Vec<Piece>) -> Option<Alternative> {
        let mut pieces = pieces.into_iter();
        if !matches!(pieces.next(), Some(Piece::Start)) {
            return None;
        }
        let (mut steps, mut anchored_end) = (Vec::<Step>::new(), false);
        for piece in pieces {
            match piece {
                Piece::Step(_) if anchored_end => return None,
                Piece::Step(step) => steps.push(step),
                Piece::Start => return None,
                Piece::End => anchored_end = true,
            }
        }
        let greedy_is_right = steps.iter().enumerate().all(|(i, step)| {
            step.min == step.max || {
                let rest = steps.get(i + 1..).unwrap_or(&[]);
                let reach = rest.iter().position(|s| s.min > 0).map_or(rest.len(), |p| p + 1);
                rest.iter().take(reach).all(|next| !step.class.meets(&next.class))
            }
        });
        greedy_is_right.then_some(Alternative { steps, anchored_end })
    }

    fn matches(&self, text: &str, lenient_end: bool) -> bool {
        let bytes = text.as_bytes();
        let mut at = 0;
        for step in &self.steps {
            let mut count = 0;
            while count < step.max {
                match bytes.get(at) {
                    Some(b) if *b < 128 => {
                        if !step.class.has_ascii(*b) {
                            break;
                        }
                        at += 1;
                    }
                    Some(_) => {
                        let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else { return false };
                        if !step.class.wide.iter().any(|(from, to)| (*from..=*to).contains(&c)) {
                            break;
                        }
                        at += c.len_utf8();
                    }
                    None => break,
                }
                count += 1;
            }
            if count < step.min {
                return false;
            }
        }
        !self.anchored_end || at == bytes.len() || (lenient_end && is_line_end(text.get(at..).unwrap_or("x")))
    }
}

fn is_line_end(rest: &str) -> bool {
    matches!(rest, "\n" | "\r" | "\r\n" | "\u{85}" | "\u{2028}" | "\u{2029}")
}

/// The alternatives of a pattern, each as a flat sequence; none if it is too complicated.
fn expand(hir: &Hir) -> Option<Vec<Vec<Piece>>> {
    let one = |pieces: Vec<Piece>| Some(vec![pieces]);
    match hir.kind() {
        HirKind::Empty => one(Vec::new()),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            let exactly = |c: char| {
                let mut class = CharSet::default();
                class.add(c, c);
                Piece::Step(Step { class, min: 1, max: 1 })
            };
            one(text.chars().map(exactly).collect())
        }
        HirKind::Class(class) => one(vec![Piece::Step(Step { class: char_set(class)?, min: 1, max: 1 })]),
        HirKind::Look(Look::Start) => one(vec![Piece::Start]),
        HirKind::Look(Look::End) => one(vec![Piece::End]),
        HirKind::Look(_) => None,
        HirKind::Capture(capture) => expand(&capture.sub),
        HirKind::Concat(parts) => {
            let mut all = vec![Vec::new()];
            for part in parts {
                all = product(&all, &expand(part)?)?;
            }
            Some(all)
        }
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(expand(branch)?);
            }
            (all.len() <= MAX_ALTERNATIVES).then_some(all)
        }
        HirKind::Repetition(repetition) => {
            let inner = expand(&repetition.sub)?;
            let max = repetition.max.unwrap_or(u32::MAX);
            if let [pieces] = inner.as_slice()
                && let [Piece::Step(step)] = pieces.as_slice()
                && (step.min, step.max) == (1, 1)
            {
                return one(vec![Piece::Step(Step { class: step.class.clone(), min: repetition.min, max })]);
            }
            repeat(&inner, repetition.min, max)
        }
    }
}

/// A repeated group: an exact number of times, or once or not at all.
fn repeat(inner: &[Vec<Piece>], min: u32, max: u32) -> Option<Vec<Vec<Piece>>> {
    if (min, max) == (0, 1) {
        let mut all = inner.to_vec();
        all.push(Vec::new());
        return Some(all);
    }
    if min != max || max > MAX_STEPS as u32 {
        return None;
    }
    let mut all = vec![Vec::new()];
    for _ in 0..max {
        all = product(&all, inner)?;
    }
    Some(all)
}

fn product(left: &[Vec<Piece>], right: &[Vec<Piece>]) -> Option<Vec<Vec<Piece>>> {
    if left.len() * right.len() > MAX_ALTERNATIVES {
        return None;
    }
    let joined: Vec<Vec<Piece>> = left.iter().flat_map(|l| right.iter().map(|r| [l.as_slice(), r].concat())).collect();
    joined.iter().all(|pieces| pieces.len() <= MAX_STEPS).then_some(joined)
}

fn char_set(class: &Class) -> Option<CharSet> {
    let mut set = CharSet::default();
    match class {
        Class::Unicode(class) => class.ranges().iter().for_each(|r| set.add(r.start(), r.end())),
        Class::Bytes(class) if class.is_ascii() => {
            class.ranges().iter().for_each(|r| set.add(r.start() as char, r.end() as char));
        }
        Class::Bytes(_) => return None,
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::super::java_regex::translate;
    use super::*;
    use proptest::prelude::*;

    fn steps(pattern: &str) -> Option<Steps> {
        let t = translate(pattern).unwrap();
        Steps::of(&regex_syntax::parse(&t.strict).unwrap(), t.has_dollar)
    }

    const PLAIN: [&str; 10] = [
        "^iglu:[a-zA-Z0-9-_.]+/[a-zA-Z0-9-_]+/[a-zA-Z0-9-_]+/[0-9]+-[0-9]+-[0-9]+$",
        "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$|^[0-9a-f]{16}$",
        "^[A-Z]{2}$",
        "^s3://",
        "^a?b*c$",
        "^(ab|cd)?x{2,3}$",
        "^[^/]*/?$",
        "^.{0,4096}$",
        "^[ä-ü]+-$",
        "^$",
    ];

    #[test]
    fn plain_patterns_are_taken_and_others_left() {
        for pattern in PLAIN {
            assert!(steps(pattern).is_some(), "{pattern}");
        }
        for pattern in ["abc", "abc$", "^a+ab$", "^(ab|b)+$", "^(?:[0-9]+|\\*){3,}$", "^a*a$", "^\\bx", "^a$b"] {
            assert!(steps(pattern).is_none(), "{pattern}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn agrees_with_the_general_engine(which in 0..PLAIN.len(), text in "[a-dxA-C0-3/:.iglus\\-äöü\n\r\u{2028}]{0,24}|iglu:a.b/c/d/1-0-0\n?|[0-9a-f]{16}|s3://x|ab?b?c?|x{1,4}") {
            let pattern = PLAIN[which];
            let general = regex::Regex::new(&translate(pattern).unwrap().lenient).unwrap();
            prop_assert_eq!(steps(pattern).unwrap().matches(&text), general.is_match(&text), "{} {:?}", pattern, text);
        }
    }
}
