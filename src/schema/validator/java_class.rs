//! Character classes and single escapes of the Java regular-expression dialect.

use super::java_regex::{Reader, literal};

/// Classes nested deeper than this are refused.
const MAX_DEPTH: usize = 20;

/// What an escape stands for.
pub(super) enum Escape {
    /// One character.
    Char(char),
    /// A set, as the inside of a class.
    Set(String),
}

/// Reads a class after its `[`, and gives it with its brackets in the Rust dialect.
pub(super) fn class(reader: &mut Reader, depth: usize) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err(format!("classes nested deeper than {MAX_DEPTH}"));
    }
    let mut out = String::from(if reader.eat("^") { "[^" } else { "[" });
    let mut empty = true;
    loop {
        if reader.eat("&&") {
            out.push_str("&&");
            continue;
        }
        let item = match reader.next().ok_or("a [ without its ]")? {
            ']' if !empty => {
                out.push(']');
                return Ok(out);
            }
            '[' => {
                out.push_str(&class(reader, depth + 1)?);
                empty = false;
                continue;
            }
            '\\' => match quoted_or_escape(reader, &mut out)? {
                Some(c) => c,
                None => {
                    empty = false;
                    continue;
                }
            },
            c => c,
        };
        empty = false;
        out.push_str(&literal(item));
        range(reader, &mut out)?;
    }
}

/// After the first character of a possible range `a-z`.
fn range(reader: &mut Reader, out: &mut String) -> Result<(), String> {
    if !reader.eat("-") {
        return Ok(());
    }
    match reader.peek() {
        // The hyphen stands for itself before the end of the class and before a nested one.
        None | Some(']' | '[') => out.push_str(&literal('-')),
        Some('\\') => {
            reader.next();
            let c = reader.next().ok_or("a \\ at the end")?;
            match escape(c, reader)? {
                Escape::Char(c) => {
                    out.push('-');
                    out.push_str(&literal(c));
                }
                Escape::Set(set) => {
                    out.push_str(&literal('-'));
                    out.push_str(&set);
                }
            }
        }
        Some(c) => {
            reader.next();
            out.push('-');
            out.push_str(&literal(c));
        }
    }
    Ok(())
}

/// An escape inside a class: a character that may begin a range, or something that is written out at once.
fn quoted_or_escape(reader: &mut Reader, out: &mut String) -> Result<Option<char>, String> {
    let c = reader.next().ok_or("a \\ at the end")?;
    if c == 'Q' {
        let quoted = reader.until("\\E").ok_or("a \\Q without its \\E")?;
        out.extend(quoted.chars().map(literal));
        return Ok(None);
    }
    match escape(c, reader)? {
        Escape::Char(c) => Ok(Some(c)),
        Escape::Set(set) => {
            out.push_str(&set);
            Ok(None)
        }
    }
}

/// Reads the escape that begins with `\c`, inside or outside a class.
pub(super) fn escape(c: char, reader: &mut Reader) -> Result<Escape, String> {
    let set = |s: &str| Ok(Escape::Set(s.to_owned()));
    match c {
        'd' => set("0-9"),
        'D' => set("[^0-9]"),
        'w' => set("a-zA-Z0-9_"),
        'W' => set("[^a-zA-Z0-9_]"),
        's' => set(r"\x20\t\n\x0B\x0C\r"),
        'S' => set(r"[^\x20\t\n\x0B\x0C\r]"),
        'h' => set(r"\x20\t\xA0\u{1680}\u{180e}\u{2000}-\u{200a}\u{202f}\u{205f}\u{3000}"),
        'H' => set(r"[^\x20\t\xA0\u{1680}\u{180e}\u{2000}-\u{200a}\u{202f}\u{205f}\u{3000}]"),
        'v' => set(r"\n\x0B\x0C\r\u{85}\u{2028}\u{2029}"),
        'V' => set(r"[^\n\x0B\x0C\r\u{85}\u{2028}\u{2029}]"),
        'p' | 'P' => property(c == 'P', reader),
        't' => Ok(Escape::Char('\t')),
        'n' => Ok(Escape::Char('\n')),
        'r' => Ok(Escape::Char('\r')),
        'f' => Ok(Escape::Char('\u{c}')),
        'a' => Ok(Escape::Char('\u{7}')),
        'e' => Ok(Escape::Char('\u{1b}')),
        'c' => {
            let control = reader.next().ok_or("\\c at the end")?;
            char::from_u32(control as u32 ^ 64).map(Escape::Char).ok_or_else(|| "\\c is wrong".to_owned())
        }
        '0' => number(&reader.run_of(3, |c| ('0'..='7').contains(&c)), 8),
        'x' if reader.eat("{") => number(&reader.until("}").ok_or("a \\x{ without its }")?, 16),
        'x' => number(&reader.run_of(2, |c| c.is_ascii_hexdigit()), 16),
        'u' => unicode(reader),
        c if c.is_ascii_alphanumeric() => Err(format!("\\{c} is unknown or not supported")),
        c => Ok(Escape::Char(c)),
    }
}

fn number(digits: &str, radix: u32) -> Result<Escape, String> {
    u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
        .map(Escape::Char)
        .ok_or_else(|| format!("\"{digits}\" is no character number"))
}

/// `\u0041`, or a pair of surrogates.
fn unicode(reader: &mut Reader) -> Result<Escape, String> {
    let four = |reader: &mut Reader| {
        let digits = reader.run_of(4, |c| c.is_ascii_hexdigit());
        u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4).ok_or("\\u needs four digits")
    };
    let first = four(reader)?;
    let code = if (0xD800..0xDC00).contains(&first) && reader.eat("\\u") {
        0x10000 + ((first - 0xD800) << 10) + (four(reader)? & 0x3FF)
    } else {
        first
    };
    char::from_u32(code).map(Escape::Char).ok_or_else(|| "half a surrogate pair".to_owned())
}

/// `\p{…}` and `\pL`: POSIX names are ASCII in Java, the rest is Unicode.
fn property(negated: bool, reader: &mut Reader) -> Result<Escape, String> {
    let name = if reader.eat("{") {
        reader.until("}").ok_or("a \\p{ without its }")?
    } else {
        reader.next().ok_or("\\p at the end")?.to_string()
    };
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '=' | ' ' | '-')) {
        return Err(format!("\\p{{{name}}} is unknown"));
    }
    let posix = match name.as_str() {
        "Lower" | "Upper" | "Alpha" | "Digit" | "Alnum" | "Punct" | "Graph" | "Print" | "Blank" | "Cntrl"
        | "XDigit" | "Space" | "ASCII" => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    if let Some(posix) = posix {
        return Ok(Escape::Set(format!("[:{}{posix}:]", if negated { "^" } else { "" })));
    }
    let rust = match name.as_str() {
        "javaLowerCase" => "Lowercase",
        "javaUpperCase" => "Uppercase",
        "javaLetter" | "javaAlphabetic" => "Alphabetic",
        "javaDigit" => "Nd",
        "javaWhitespace" => "White_Space",
        "L1" => return Ok(Escape::Set(r"\x00-\xFF".to_owned())),
        other => ["Is", "script=", "sc=", "general_category=", "gc="]
            .iter()
            .find_map(|prefix| other.strip_prefix(prefix))
            .unwrap_or(other),
    };
    Ok(Escape::Set(format!("\\{}{{{rust}}}", if negated { 'P' } else { 'p' })))
}
