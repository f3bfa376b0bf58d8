//! Measures as text: `count`, `distinct(domain_userid)`, `quantile(tr_total, 0.95)`, `top(page_urlpath, 20)`.

use super::field::{Field, Kind};
use std::fmt;

/// What is computed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Function {
    /// Number of events, or of events that have the field.
    Count,
    /// Exact sum.
    Sum,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
    /// Arithmetic mean.
    Avg,
    /// Number of different values, estimated.
    Distinct,
    /// A quantile, estimated.
    Quantile(
        /// Between 0 and 1.
        f64,
    ),
    /// The most frequent values, estimated.
    Top(
        /// How many.
        usize,
    ),
}

/// How the numbers of a measure are represented so that adding them is exact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Number {
    /// Whole numbers.
    Whole,
    /// Hundredths, from `DECIMAL(18,2)`.
    Money,
    /// Doubles: billionths when they are added, an order-keeping integer when they are compared.
    Double,
    /// Microseconds since the epoch; compared only.
    Time,
}

impl Number {
    /// Decimal places of a sum.
    pub const fn scale(self) -> u8 {
        match self {
            Number::Whole | Number::Time => 0,
            Number::Money => 2,
            Number::Double => super::exact::DOUBLE_SCALE,
        }
    }
}

/// One measure of a view.
#[derive(Clone, PartialEq, Debug)]
pub struct Measure {
    /// Its name in answers and in the table.
    pub name: String,
    /// What is computed.
    pub function: Function,
    /// Of which field: an index into the view's fields; `None` only for `count`.
    pub field: Option<usize>,
    /// How its numbers are represented; [`Number::Whole`] where there are none.
    pub number: Number,
}

impl Measure {
    /// The bound on the error of the answer: of `distinct` and `quantile` relative to the value (one standard error, and
    /// the greatest error), of `top` relative to the events of the group. `None` when the answer is exact.
    pub fn error(&self) -> Option<f64> {
        match self.function {
            Function::Distinct => Some(super::distinct::ERROR),
            Function::Quantile(_) => Some(super::quantiles::ERROR),
            Function::Top(n) => Some(super::top::error(n)),
            _ => None,
        }
    }

    /// Whether its parts add up to the whole, so that batch + speed = merged holds digit for digit.
    pub fn is_additive(&self) -> bool {
        matches!(self.function, Function::Count | Function::Sum)
    }

    /// Whether SQL can fold its stored form without knowing sketches.
    pub fn is_scalar(&self) -> bool {
        !matches!(self.function, Function::Distinct | Function::Quantile(_) | Function::Top(_))
    }
}

/// A measure as parsed, before its field is numbered.
#[derive(Clone, PartialEq, Debug)]
pub struct Parsed {
    /// What is computed.
    pub function: Function,
    /// Of what.
    pub field: Option<Field>,
    /// How its numbers are represented.
    pub number: Number,
}

/// Most values that `top` may list.
pub const MAX_TOP: usize = 1000;

const ALLOWED: &str = "allowed: count, count(field), sum(field), min(field), max(field), avg(field), distinct(field), \
                       quantile(field, 0.95), top(field, 20)";

/// Reads the text of a measure.
///
/// # Errors
/// What is wrong and what is allowed.
pub fn parse(text: &str) -> Result<Parsed, String> {
    let text = text.trim();
    if text == "count" || text == "count(*)" {
        return Ok(Parsed { function: Function::Count, field: None, number: Number::Whole });
    }
    let inner = text.strip_suffix(')').and_then(|t| t.split_once('('));
    let Some((name, arguments)) = inner else {
        return Err(format!("\"{text}\" is no measure; {ALLOWED}"));
    };
    let mut arguments = arguments.split(',').map(str::trim);
    let field = Field::parse(arguments.next().unwrap_or_default())?;
    let second = arguments.next();
    if arguments.next().is_some() {
        return Err(format!("\"{text}\" has too many arguments; {ALLOWED}"));
    }
    let function = match (name.trim(), second) {
        ("count", None) => Function::Count,
        ("sum", None) => Function::Sum,
        ("min", None) => Function::Min,
        ("max", None) => Function::Max,
        ("avg", None) => Function::Avg,
        ("distinct", None) => Function::Distinct,
        ("quantile", Some(q)) => Function::Quantile(rank(q)?),
        ("top", Some(n)) => Function::Top(length(n)?),
        ("quantile", None) => return Err(format!("\"{text}\" lacks the rank, as in quantile({}, 0.95)", field.text)),
        ("top", None) => return Err(format!("\"{text}\" lacks the length, as in top({}, 20)", field.text)),
        ("count" | "sum" | "min" | "max" | "avg" | "distinct", Some(_)) => {
            return Err(format!("\"{text}\" has too many arguments; {ALLOWED}"));
        }
        (other, _) => return Err(format!("\"{other}\" is no function; {ALLOWED}")),
    };
    let number = number_of(function, &field)?;
    Ok(Parsed { function, field: Some(field), number })
}

fn number_of(function: Function, field: &Field) -> Result<Number, String> {
    let number = match field.kind {
        Kind::Int => Some(Number::Whole),
        Kind::Money => Some(Number::Money),
        Kind::Double | Kind::Json => Some(Number::Double),
        Kind::Time => Some(Number::Time),
        Kind::Text | Kind::Bool => None,
    };
    let (name, kind) = (&field.text, field.kind.word());
    match (function, number) {
        (Function::Sum | Function::Avg | Function::Quantile(_), None | Some(Number::Time)) => {
            Err(format!("{name} is {kind}; allowed: integer, decimal and double columns, and JSON numbers"))
        }
        (Function::Min | Function::Max, None) => {
            Err(format!("{name} is {kind}; allowed: integer, decimal, double and time columns, and JSON numbers"))
        }
        (Function::Top(_), _) if !field.can_group() => {
            Err(format!("{name} is {kind}; allowed: text, integer and flag columns, and JSON values"))
        }
        (Function::Count | Function::Distinct | Function::Top(_), _) => Ok(Number::Whole),
        (_, number) => Ok(number.unwrap_or(Number::Whole)),
    }
}

fn rank(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(q) if (0.0..=1.0).contains(&q) => Ok(q),
        _ => Err(format!("the rank \"{text}\" is not allowed; allowed: a number from 0 to 1, as in 0.95")),
    }
}

fn length(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if (1..=MAX_TOP).contains(&n) => Ok(n),
        _ => Err(format!("the length \"{text}\" is not allowed; allowed: a whole number from 1 to {MAX_TOP}")),
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Function::Count => f.write_str("count"),
            Function::Sum => f.write_str("sum"),
            Function::Min => f.write_str("min"),
            Function::Max => f.write_str("max"),
            Function::Avg => f.write_str("avg"),
            Function::Distinct => f.write_str("distinct"),
            Function::Quantile(q) => write!(f, "quantile {q}"),
            Function::Top(n) => write!(f, "top {n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_of_the_manual_are_read() {
        let f = |t: &str| parse(t).unwrap();
        assert_eq!(f("count").field, None);
        assert_eq!(f("count(user_id)").function, Function::Count);
        assert_eq!(f("distinct(domain_userid)").function, Function::Distinct);
        assert_eq!(f("sum(tr_total)").number, Number::Money);
        assert_eq!(f("top( page_urlpath , 20 )").function, Function::Top(20));
        assert_eq!(f("max(collector_tstamp)").number, Number::Time);
        let q = f("quantile(contexts_org_w3_performance_timing_1.loadEventEnd, 0.95)");
        assert_eq!((q.function, q.number), (Function::Quantile(0.95), Number::Double));
    }

    #[test]
    fn wrong_measures_say_what_is_allowed() {
        for bad in [
            "",
            "sum",
            "sum()",
            "sum(app_id)",
            "avg(collector_tstamp)",
            "quantile(tr_total, 95)",
            "top(page_urlpath, 0)",
            "top(tr_total, 5)",
            "median(tr_total)",
            "sum(tr_total, 2)",
            "min(app_id)",
            "count(",
            "top(app_id,1,2)",
        ] {
            let why = parse(bad).unwrap_err();
            assert!(why.contains("allowed"), "{bad}: {why}");
        }
        assert!(parse("top(app_id)").unwrap_err().contains("lacks the length"));
    }
}
