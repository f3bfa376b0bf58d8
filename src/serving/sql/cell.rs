//! One value of a result column as text: JSON for JSON and NDJSON, bare text for CSV.
//!
//! Every digit survives: integers and decimals are written from their exact value, never through a float. Times are
//! RFC 3339, UTC, with milliseconds, or microseconds where there are any. Bytes are base64.

use crate::event::json::write_string;
use arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, StructArray, downcast_dictionary_array,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fmt::Write as _;

/// How whole numbers that a double cannot hold are written in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ints {
    /// As numbers; readers must take care of 64 bits themselves.
    #[default]
    Number,
    /// 64-bit integers and decimals as strings.
    Text,
}

/// What a value is, before it is written.
enum Value<'a> {
    Null,
    /// Text that is a JSON literal as it stands and fits a double: small numbers, flags.
    Plain(String),
    /// Digits that a double may not hold.
    Exact(String),
    Text(&'a str),
    Owned(String),
    Nested,
}

/// Appends the value at `row` as JSON.
pub fn write_json(column: &dyn Array, row: usize, ints: Ints, out: &mut String) {
    match value(column, row) {
        Value::Null => out.push_str("null"),
        Value::Plain(text) => out.push_str(&text),
        Value::Exact(text) if ints == Ints::Number => out.push_str(&text),
        Value::Exact(text) => {
            out.push('"');
            out.push_str(&text);
            out.push('"');
        }
        Value::Text(text) => write_string(text, out),
        Value::Owned(text) => write_string(&text, out),
        Value::Nested => nested(column, row, ints, out),
    }
}

/// Appends the value at `row` as a CSV cell. Absent is nothing at all, empty text is `""`.
pub fn write_csv(column: &dyn Array, row: usize, out: &mut String) {
    match value(column, row) {
        Value::Null => {}
        Value::Plain(text) | Value::Exact(text) => out.push_str(&text),
        Value::Text(text) => csv_text(text, out),
        Value::Owned(text) => csv_text(&text, out),
        Value::Nested => {
            let mut json = String::new();
            nested(column, row, Ints::Number, &mut json);
            csv_text(&json, out);
        }
    }
}

/// Appends text as a CSV cell, quoted where it must be.
pub fn csv_text(text: &str, out: &mut String) {
    let quote =
        text.is_empty() || text.contains(['"', ',', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ');
    if !quote {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
}

fn value(column: &dyn Array, row: usize) -> Value<'_> {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Plain(column.as_boolean().value(row).to_string()),
        DataType::Int8 => Value::Plain(column.as_primitive::<Int8Type>().value(row).to_string()),
        DataType::Int16 => Value::Plain(column.as_primitive::<Int16Type>().value(row).to_string()),
        DataType::Int32 => Value::Plain(column.as_primitive::<Int32Type>().value(row).to_string()),
        DataType::UInt8 => Value::Plain(column.as_primitive::<UInt8Type>().value(row).to_string()),
        DataType::UInt16 => Value::Plain(column.as_primitive::<UInt16Type>().value(row).to_string()),
        DataType::UInt32 => Value::Plain(column.as_primitive::<UInt32Type>().value(row).to_string()),
        DataType::Int64 => Value::Exact(column.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::UInt64 => Value::Exact(column.as_primitive::<UInt64Type>().value(row).to_string()),
        // DuckDB's HUGEINT comes so, and may have a digit more than the type says.
        DataType::Decimal128(_, 0) => Value::Exact(column.as_primitive::<Decimal128Type>().value(row).to_string()),
        DataType::Decimal128(..) => Value::Exact(column.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Decimal256(..) => Value::Exact(column.as_primitive::<Decimal256Type>().value_as_string(row)),
        DataType::Float32 => float(f64::from(column.as_primitive::<Float32Type>().value(row)), || {
            column.as_primitive::<Float32Type>().value(row).to_string()
        }),
        DataType::Float64 => {
            let v = column.as_primitive::<Float64Type>().value(row);
            float(v, || v.to_string())
        }
        DataType::Utf8 => Value::Text(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Value::Text(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Value::Text(column.as_string_view().value(row)),
        DataType::Binary => bytes(column.as_binary::<i32>().value(row)),
        DataType::LargeBinary => bytes(column.as_binary::<i64>().value(row)),
        DataType::BinaryView => bytes(column.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => bytes(column.as_fixed_size_binary().value(row)),
        DataType::Timestamp(unit, _) => timestamp(column, row, *unit),
        DataType::Date32 => match column.as_primitive::<Date32Type>().value_as_date(row) {
            Some(date) => Value::Owned(date.to_string()),
            None => other(column, row),
        },
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::Struct(_)
        | DataType::Map(..)
        | DataType::Dictionary(..) => Value::Nested,
        _ => other(column, row),
    }
}

/// A float; JSON knows no infinity and no NaN, so these are text.
fn float(v: f64, shortest: impl FnOnce() -> String) -> Value<'static> {
    if v.is_nan() {
        Value::Owned("NaN".to_owned())
    } else if v.is_infinite() {
        Value::Owned(if v > 0.0 { "Infinity" } else { "-Infinity" }.to_owned())
    } else {
        Value::Plain(shortest())
    }
}

fn bytes(v: &[u8]) -> Value<'static> {
    Value::Owned(BASE64_STANDARD.encode(v))
}

fn timestamp(column: &dyn Array, row: usize, unit: TimeUnit) -> Value<'static> {
    let nanos = |v: i64, scale: i128| i128::from(v) * scale;
    let at = match unit {
        TimeUnit::Second => nanos(column.as_primitive::<TimestampSecondType>().value(row), 1_000_000_000),
        TimeUnit::Millisecond => nanos(column.as_primitive::<TimestampMillisecondType>().value(row), 1_000_000),
        TimeUnit::Microsecond => nanos(column.as_primitive::<TimestampMicrosecondType>().value(row), 1_000),
        TimeUnit::Nanosecond => nanos(column.as_primitive::<TimestampNanosecondType>().value(row), 1),
    };
    // What DuckDB calls infinity.
    const ENDLESS: i128 = i64::MAX as i128 * 1_000;
    match jiff::Timestamp::from_nanosecond(at) {
        _ if at.abs() == ENDLESS => Value::Owned(if at > 0 { "infinity" } else { "-infinity" }.to_owned()),
        Ok(t) if at % 1_000_000 == 0 => Value::Owned(format!("{t:.3}")),
        Ok(t) if at % 1_000 == 0 => Value::Owned(format!("{t:.6}")),
        Ok(t) => Value::Owned(format!("{t:.9}")),
        // Years beyond 9999.
        Err(_) => other(column, row),
    }
}

/// Times of day, intervals and whatever else: the text that Arrow has for it.
fn other(column: &dyn Array, row: usize) -> Value<'static> {
    let options = FormatOptions::new().with_display_error(true);
    match ArrayFormatter::try_new(column, &options) {
        Ok(f) => Value::Owned(f.value(row).to_string()),
        Err(e) => Value::Owned(format!("({}: {e})", column.data_type())),
    }
}

fn nested(column: &dyn Array, row: usize, ints: Ints, out: &mut String) {
    match column.data_type() {
        DataType::List(_) => list(column.as_list::<i32>(), row, ints, out),
        DataType::LargeList(_) => list(column.as_list::<i64>(), row, ints, out),
        DataType::FixedSizeList(..) => array(&column.as_fixed_size_list().value(row), ints, out),
        DataType::Struct(_) => object(column.as_struct(), row, ints, out),
        DataType::Map(..) => map(&column.as_map().value(row), ints, out),
        DataType::Dictionary(..) => downcast_dictionary_array!(
            column => match column.key(row) {
                Some(key) => write_json(column.values().as_ref(), key, ints, out),
                None => out.push_str("null"),
            },
            _ => out.push_str("null")
        ),
        _ => out.push_str("null"),
    }
}

fn list<O: OffsetSizeTrait>(column: &GenericListArray<O>, row: usize, ints: Ints, out: &mut String) {
    array(&column.value(row), ints, out);
}

fn array(items: &ArrayRef, ints: Ints, out: &mut String) {
    out.push('[');
    for i in 0..items.len() {
        if i > 0 {
            out.push(',');
        }
        write_json(items.as_ref(), i, ints, out);
    }
    out.push(']');
}

fn object(column: &StructArray, row: usize, ints: Ints, out: &mut String) {
    out.push('{');
    for (i, (name, values)) in column.column_names().iter().zip(column.columns()).enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        write_json(values.as_ref(), row, ints, out);
    }
    out.push('}');
}

/// A map as an array of `{"key","value"}`: its keys need not be text and may repeat.
fn map(entries: &StructArray, ints: Ints, out: &mut String) {
    out.push('[');
    for i in 0..entries.len() {
        if i > 0 {
            out.push(',');
        }
        let _ = write!(out, "{{\"key\":");
        write_json(entries.column(0).as_ref(), i, ints, out);
        let _ = write!(out, ",\"value\":");
        write_json(entries.column(1).as_ref(), i, ints, out);
        out.push('}');
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::*;
    use arrow::datatypes::Int32Type;
    use std::sync::Arc;

    fn json(column: &dyn Array, ints: Ints) -> Vec<String> {
        let one = |row| {
            let mut out = String::new();
            write_json(column, row, ints, &mut out);
            out
        };
        (0..column.len()).map(one).collect()
    }

    #[test]
    fn every_digit_survives() {
        let big = Int64Array::from(vec![Some(9_007_199_254_740_993), None]);
        assert_eq!(json(&big, Ints::Number), ["9007199254740993", "null"]);
        assert_eq!(json(&big, Ints::Text), ["\"9007199254740993\"", "null"]);
        let money = Decimal128Array::from(vec![110, -5]).with_precision_and_scale(18, 2).unwrap();
        assert_eq!(json(&money, Ints::Number), ["1.10", "-0.05"]);
        let floats = Float64Array::from(vec![0.1, f64::NAN, f64::NEG_INFINITY, 1e300]);
        assert_eq!(json(&floats, Ints::Number)[..3], ["0.1", "\"NaN\"", "\"-Infinity\""]);
        assert_eq!(json(&floats, Ints::Number)[3].parse::<f64>().unwrap(), 1e300);
    }

    #[test]
    fn times_and_bytes_have_one_form() {
        let t = TimestampMicrosecondArray::from(vec![1_795_514_400_000_000, 1_795_514_400_123_456]);
        assert_eq!(json(&t, Ints::Number), ["\"2026-11-24T10:00:00.000Z\"", "\"2026-11-24T10:00:00.123456Z\""]);
        assert_eq!(json(&Date32Array::from(vec![0]), Ints::Number), ["\"1970-01-01\""]);
        assert_eq!(json(&BinaryArray::from(vec![&b"\x00\xff"[..]]), Ints::Number), ["\"AP8=\""]);
        assert_eq!(json(&Time64MicrosecondArray::from(vec![3_600_000_000]), Ints::Number), ["\"01:00:00\""]);
    }

    #[test]
    fn nested_values_are_json() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
        assert_eq!(json(&list, Ints::Number), ["[1,null]", "null", "[]"]);
        let field = |n: &str, t| Arc::new(arrow::datatypes::Field::new(n, t, true));
        let object = StructArray::from(vec![
            (field("a\"b", DataType::Utf8), Arc::new(StringArray::from(vec!["x\n"])) as ArrayRef),
            (field("n", DataType::Int64), Arc::new(Int64Array::from(vec![7])) as ArrayRef),
        ]);
        assert_eq!(json(&object, Ints::Text), ["{\"a\\\"b\":\"x\\n\",\"n\":\"7\"}"]);
        let words: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("b")].into_iter().collect();
        assert_eq!(json(&words, Ints::Number), ["\"a\"", "null", "\"b\""]);
    }

    #[test]
    fn csv_tells_absent_from_empty() {
        let text = StringArray::from(vec![Some(""), None, Some("a,\"b\"\n"), Some("plain"), Some("=1+1")]);
        let cells: Vec<String> = (0..text.len())
            .map(|row| {
                let mut out = String::new();
                write_csv(&text, row, &mut out);
                out
            })
            .collect();
        assert_eq!(cells, ["\"\"", "", "\"a,\"\"b\"\"\n\"", "plain", "=1+1"]);
    }
}
