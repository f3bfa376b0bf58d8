//! Translation of regular expressions from the Java dialect to the dialect of the `regex` and `fancy-regex` crates.
//!
//! Schemas in the wild were written for, and tested with, Java. The differences that matter: `\d`, `\w`, `\s` are ASCII; `.`
//! stops at five line terminators; `$` also matches before a last line terminator; possessive quantifiers, look-around and
//! back-references exist; escapes and classes are spelled differently. What has no counterpart (`\G`, `\X`, named
//! characters, blocks such as `\p{InGreek}`) is an error that names the construct.

use super::java_class;

/// A translated pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Translated {
    /// In the Rust dialect. A final `$` has become `\z`.
    pub(super) strict: String,
    /// The same, but `$` allows one last line terminator.
    pub(super) lenient: String,
    /// `$` occurs, so the two differ.
    pub(super) has_dollar: bool,
    /// It needs look-around, back-references or atomic groups.
    pub(super) backtracks: bool,
}

/// What matches the end of the text in Java.
const DOLLAR: &str = r"(?:\r\n|[\n\r\u{85}\u{2028}\u{2029}])?\z";
const NO_LINE_END: &str = r"[^\n\r\u{85}\u{2028}\u{2029}]";
/// Stands for `$` until the two forms are made; no pattern can hold it, because it is escaped on the way.
const DOLLAR_MARK: char = '\u{E000}';
/// Groups nested deeper than this are refused.
const MAX_GROUPS: usize = 100;

/// Translates a Java pattern.
///
/// # Errors
/// What cannot be translated, in a few words.
pub(super) fn translate(pattern: &str) -> Result<Translated, String> {
    let mut t = Translator::new(pattern);
    t.run()?;
    Ok(Translated {
        strict: t.out.replace(DOLLAR_MARK, r"\z"),
        lenient: t.out.replace(DOLLAR_MARK, DOLLAR),
        has_dollar: t.out.contains(DOLLAR_MARK),
        backtracks: t.backtracks,
    })
}

#[derive(Clone, Copy, Default)]
struct Flags {
    multi_line: bool,
    dot_all: bool,
    comments: bool,
}

/// Reads characters of a pattern.
pub(super) struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    pub(super) fn new(pattern: &str) -> Self {
        Reader { chars: pattern.chars().collect(), at: 0 }
    }
    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }
    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let mut ahead = self.at;
        for c in text.chars() {
            if self.chars.get(ahead) != Some(&c) {
                return false;
            }
            ahead += 1;
        }
        self.at = ahead;
        true
    }
    /// Takes up to and without `end`, and skips `end`.
    pub(super) fn until(&mut self, end: &str) -> Option<String> {
        let mut text = String::new();
        while self.peek().is_some() {
            if self.eat(end) {
                return Some(text);
            }
            text.extend(self.next());
        }
        None
    }
    /// Takes what `wanted` accepts.
    pub(super) fn run_of(&mut self, most: usize, wanted: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while text.len() < most
            && let Some(c) = self.peek().filter(|c| wanted(*c))
        {
            text.push(c);
            self.at += 1;
        }
        text
    }
}

struct Translator {
    reader: Reader,
    out: String,
    flags: Flags,
    /// Per open group: flags outside, where it begins in `out`.
    groups: Vec<(Flags, usize)>,
    /// Where the last atom begins in `out`; none = nothing to repeat.
    atom: Option<usize>,
    captures: usize,
    backtracks: bool,
}

impl Translator {
    fn new(pattern: &str) -> Self {
        Translator {
            reader: Reader::new(pattern),
            out: String::new(),
            flags: Flags::default(),
            groups: Vec::new(),
            atom: None,
            captures: pattern.matches('(').count(),
            backtracks: false,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.reader.next() {
            match c {
                '\\' => self.escape()?,
                '[' => {
                    let class = java_class::class(&mut self.reader, 0)?;
                    self.put_atom(&class);
                }
                '.' if self.flags.dot_all => self.put_atom("(?s:.)"),
                '.' => self.put_atom(NO_LINE_END),
                '^' => self.put_plain(if self.flags.multi_line { "(?m:^)" } else { "^" }),
                '$' if self.flags.multi_line => self.put_plain("(?m:$)"),
                '$' => {
                    self.out.push(DOLLAR_MARK);
                    self.atom = None;
                }
                '(' => self.open()?,
                ')' => {
                    let (flags, start) = self.groups.pop().ok_or("a ) without its (")?;
                    self.flags = flags;
                    self.out.push(')');
                    self.atom = Some(start);
                }
                '|' => self.put_plain("|"),
                '*' | '+' | '?' => self.quantifier(c.to_string())?,
                '{' => {
                    let inner = self.reader.until("}").ok_or("a { without its }")?;
                    self.counted(&inner)?;
                }
                c if self.flags.comments && c.is_ascii_whitespace() => {}
                '#' if self.flags.comments => {
                    let _ = self.reader.run_of(usize::MAX, |c| c != '\n');
                }
                c => {
                    let literal = literal(c);
                    self.put_atom(&literal);
                }
            }
        }
        if self.groups.is_empty() { Ok(()) } else { Err("a ( without its )".to_owned()) }
    }

    fn put_atom(&mut self, text: &str) {
        self.atom = Some(self.out.len());
        self.out.push_str(text);
    }

    fn put_plain(&mut self, text: &str) {
        self.atom = None;
        self.out.push_str(text);
    }

    fn counted(&mut self, inner: &str) -> Result<(), String> {
        let number = |s: &str| !s.is_empty() && s.len() <= 9 && s.bytes().all(|b| b.is_ascii_digit());
        let good = match inner.split_once(',') {
            None => number(inner),
            Some((from, to)) => number(from) && (to.is_empty() || number(to)),
        };
        if good { self.quantifier(format!("{{{inner}}}")) } else { Err(format!("{{{inner}}} is no repetition")) }
    }

    fn quantifier(&mut self, mark: String) -> Result<(), String> {
        let start = self.atom.take().ok_or_else(|| format!("{mark} has nothing to repeat"))?;
        self.out.push_str(&mark);
        if self.reader.eat("?") {
            self.out.push('?');
        } else if self.reader.eat("+") {
            self.out.insert_str(start, "(?>");
            self.out.push(')');
            self.backtracks = true;
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), String> {
        if self.groups.len() >= MAX_GROUPS {
            return Err(format!("groups nested deeper than {MAX_GROUPS}"));
        }
        let outside = (self.flags, self.out.len());
        if !self.reader.eat("?") {
            self.put_plain("(");
        } else if let Some(mark) = ["=", "!", "<=", "<!", ">"].into_iter().find(|m| self.reader.eat(m)) {
            self.put_plain("(?");
            self.out.push_str(mark);
            self.backtracks = true;
        } else if self.reader.eat("<") {
            let name = self.reader.until(">").ok_or("a group name without its >")?;
            self.put_plain(&format!("(?<{name}>"));
        } else {
            return self.flag_group(outside);
        }
        self.groups.push(outside);
        Ok(())
    }

    /// `(?ims-x)`, `(?i:…)` and `(?:…)`.
    fn flag_group(&mut self, outside: (Flags, usize)) -> Result<(), String> {
        let (mut on, mut fold) = (true, None);
        loop {
            match self.reader.next() {
                Some('-') => on = false,
                Some('i') => fold = Some(on),
                Some('m') => self.flags.multi_line = on,
                Some('s') => self.flags.dot_all = on,
                Some('x') => self.flags.comments = on,
                Some('d' | 'u' | 'U') => {}
                Some(end @ (':' | ')')) => {
                    let case = match fold {
                        None => "",
                        Some(true) => "i",
                        Some(false) => "-i",
                    };
                    if end == ')' {
                        if !case.is_empty() {
                            self.put_plain(&format!("(?{case})"));
                        }
                        return Ok(());
                    }
                    self.put_plain(&format!("(?{case}:"));
                    self.groups.push(outside);
                    return Ok(());
                }
                Some(c) => return Err(format!("(?{c} is unknown")),
                None => return Err("a ( without its )".to_owned()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        let c = self.reader.next().ok_or("a \\ at the end")?;
        match c {
            'Q' => {
                let end = self.reader.until("\\E");
                let quoted = end.unwrap_or_else(|| self.reader.run_of(usize::MAX, |_| true));
                for c in quoted.chars() {
                    let literal = literal(c);
                    self.put_atom(&literal);
                }
            }
            'b' if self.reader.peek() == Some('{') => return Err("\\b{…} is not supported".to_owned()),
            'b' | 'B' | 'A' | 'z' => self.put_plain(&format!("\\{c}")),
            'Z' => {
                self.out.push(DOLLAR_MARK);
                self.atom = None;
            }
            'R' => self.put_atom(r"(?:\r\n|[\n\x0B\x0C\r\u{85}\u{2028}\u{2029}])"),
            'k' if self.reader.eat("<") => {
                let name = self.reader.until(">").ok_or("a group name without its >")?;
                self.put_atom(&format!("\\k<{name}>"));
                self.backtracks = true;
            }
            '1'..='9' => {
                let mut number = c.to_string();
                while let Some(d) = self.reader.peek().filter(char::is_ascii_digit)
                    && format!("{number}{d}").parse::<usize>().is_ok_and(|n| n <= self.captures)
                {
                    number.push(d);
                    self.reader.next();
                }
                // A group of its own keeps a digit that follows apart.
                self.put_atom(&format!("(?:\\{number})"));
                self.backtracks = true;
            }
            _ => match java_class::escape(c, &mut self.reader)? {
                java_class::Escape::Char(c) => {
                    let literal = literal(c);
                    self.put_atom(&literal);
                }
                java_class::Escape::Set(set) => self.put_atom(&format!("[{set}]")),
            },
        }
        Ok(())
    }
}

/// One character as itself, inside or outside a class.
pub(super) fn literal(c: char) -> String {
    if c.is_ascii_alphanumeric() || c == '_' || (c as u32) >= 0x80 && !(0xE000..=0xE0FF).contains(&(c as u32)) {
        c.to_string()
    } else {
        format!("\\x{{{:X}}}", c as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the pattern, read as Java reads it, is found in the text.
    fn finds(pattern: &str, text: &str) -> bool {
        let t = translate(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        if t.backtracks {
            fancy_regex::Regex::new(&t.lenient).unwrap_or_else(|e| panic!("{pattern}: {e}")).is_match(text).unwrap()
        } else {
            regex::Regex::new(&t.lenient).unwrap_or_else(|e| panic!("{pattern}: {e}")).is_match(text)
        }
    }

    #[test]
    fn patterns_find_what_java_finds() {
        let yes = [
            (r"^\d+$", "123"),
            (r"^[a-zA-Z0-9-_.]+$", "a-b_c.D9"),
            (r"^abc$", "abc\n"),
            (r"^abc$", "abc\r\n"),
            (r"b", "abc"),
            (r"^\Qa.b\E$", "a.b"),
            (r"^(a+)\1$", "aaaa"),
            (r"^(?=.*\d)(?=.*[a-z]).{4,8}$", "pass1"),
            (r"(?<!x)y", "ay"),
            (r"^(?<n>ab)\k<n>$", "abab"),
            (r"^a++b$", "aaab"),
            (r"^\p{Alpha}\p{Upper}\p{Digit}\p{XDigit}$", "aB1f"),
            (r"^\p{L}+$", "Grüße"),
            (r"^\p{IsLatin}+$", "Grüße"),
            (r"^[\p{L}\d&&[^x]]+$", "ab1"),
            (r"^[a-d[m-p]]+$", "am"),
            (r"(?i)^HELLO$", "hello"),
            (r"^(?i:he)LLO$", "HeLLO"),
            (r"(?s)^a.b$", "a\nb"),
            (r"(?m)^b$", "a\nb"),
            (r"^\x41\u0042\t\x{43}\0104$", "AB\tCD"),
            (r"^[]a]+$", "]a"),
            (r"^a}$", "a}"),
            (r"^[^\]]+$", "a[b"),
            (r"(?x) ^ a b # comment", "ab"),
            (r"^\uD83D\uDE00$", "😀"),
            (r"^(\d)(?:x)\1$", "7x7"),
            (r"^\h\v\R$", "\t\n\r\n"),
            (r"^[\w.~!$&'()*+,;=:@/-]+$", "a~b-c"),
            (r"^[\s\S]{3}$", "a\nb"),
            (r"^.{2,}?$", "ab"),
        ];
        for (pattern, text) in yes {
            assert!(finds(pattern, text), "{pattern} should find {text:?}");
        }
        let no = [
            (r"^\d+$", "٣"),
            (r"^\w+$", "ü"),
            (r"^a.b$", "a\rb"),
            (r"^abc$", "abc\n\n"),
            (r"^abc\z", "abc\n"),
            (r"^a++ab$", "aaab"),
            (r"^\p{Alpha}+$", "ü"),
            (r"^[a-z&&[^x]]+$", "axb"),
            (r"^(?i:he)LLO$", "hello"),
            (r"^[!--]$", "/"),
            (r"^(?!.*bad).*$", "so bad"),
        ];
        for (pattern, text) in no {
            assert!(!finds(pattern, text), "{pattern} should not find {text:?}");
        }
    }

    #[test]
    fn what_java_or_rust_cannot_read_is_named() {
        for bad in
            ["(", ")", "*a", "a{", "a{x}", "[a", "\\", "(?<n", "\\Gx", "\\y", "(?q)", "\\p{L", "a**", "[b-a]", "[a--b]"]
        {
            let built = translate(bad).and_then(|t| regex::Regex::new(&t.lenient).map_err(|e| e.to_string()));
            assert!(built.is_err(), "{bad}");
        }
        assert!(translate(&"(".repeat(5000)).is_err());
        assert!(translate(&"[".repeat(5000)).is_err());
    }
}
