//! The validator as a whole: what each keyword takes and refuses, and what reports say.

mod oracle;

use super::*;

fn json(text: &str) -> Json<'_> {
    parse(text, 100).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn compile(schema: &str) -> Validator {
    Validator::compile(&json(schema)).unwrap_or_else(|issues| panic!("{schema}: {issues:?}"))
}

/// Schema, data that passes, data that does not.
type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

const CASES: &[Case] = &[
    ("{}", &["null", "1", "\"\"", "[]", "{}", "true"], &[]),
    // types
    (r#"{"type":"integer"}"#, &["1", "-0", "123456789012345678901234567890"], &["1.0", "1e3", "1.5", "\"1\"", "null"]),
    (r#"{"type":"number"}"#, &["1", "1.0", "1e3", "-1.5E-7"], &["\"1\"", "null", "true", "[]"]),
    (r#"{"type":["string","null"]}"#, &["\"\"", "null"], &["0", "false", "{}"]),
    (r#"{"type":"boolean"}"#, &["true", "false"], &["0", "\"true\"", "null"]),
    (r#"{"type":"array"}"#, &["[]"], &["{}"]),
    (r#"{"type":"object"}"#, &["{}"], &["[]", "\"{}\""]),
    (r#"{"type":"null"}"#, &["null"], &["0", "\"\"", "false"]),
    // numbers
    (r#"{"minimum":1.1}"#, &["1.1", "2", "\"0\"", "1.10"], &["1", "1.0999999999999999999999", "-5"]),
    (r#"{"minimum":0,"exclusiveMinimum":true}"#, &["0.0000000000000000000000001", "1e-400"], &["0", "-0.0", "-1"]),
    (r#"{"maximum":9007199254740992}"#, &["9007199254740992", "9.007199254740992e15"], &["9007199254740993", "1e16"]),
    (r#"{"maximum":3,"exclusiveMaximum":true}"#, &["2.9"], &["3", "3.0", "4"]),
    (r#"{"maximum":3,"exclusiveMaximum":false}"#, &["3"], &["3.01"]),
    (r#"{"multipleOf":0.01}"#, &["19.99", "0", "4", "\"x\""], &["19.999", "0.001"]),
    (r#"{"multipleOf":2}"#, &["4", "-2", "1e300"], &["3", "0.5"]),
    // text
    (
        r#"{"minLength":2,"maxLength":3}"#,
        &["\"ab\"", "\"äöü\"", "\"😀😀😀\"", "1"],
        &["\"a\"", "\"😀\"", "\"abcd\"", "\"\""],
    ),
    (r#"{"pattern":"b+"}"#, &["\"abc\"", "12"], &["\"ac\"", "\"\""]),
    (r#"{"pattern":"^\\S+$"}"#, &["\"ab\""], &["\"a b\""]),
    (r#"{"pattern":"^(?!.*secret).*$"}"#, &["\"open\""], &["\"a secret\""]),
    (r#"{"format":"date-time"}"#, &["\"2024-01-01T00:00:00Z\"", "5"], &["\"2024-01-01\""]),
    (r#"{"format":"no-such-format"}"#, &["\"anything\""], &[]),
    // enum
    (
        r#"{"enum":["a",1,null,{"k":[1,2]}]}"#,
        &["\"a\"", "1.0", "null", r#"{"k":[1,2.0]}"#],
        &["\"b\"", "2", "false", r#"{"k":[2,1]}"#],
    ),
    (r#"{"type":"string","enum":["a",null]}"#, &["\"a\""], &["null"]),
    // arrays
    (r#"{"items":{"type":"integer"}}"#, &["[]", "[1,2]", "{}"], &["[1,\"2\"]", "[null]"]),
    (r#"{"items":[{"type":"integer"},{"type":"string"}]}"#, &["[]", "[1]", "[1,\"a\",null]"], &["[\"a\"]", "[1,2]"]),
    (r#"{"items":[{}],"additionalItems":false}"#, &["[1]", "[]"], &["[1,2]"]),
    (r#"{"items":[{}],"additionalItems":{"type":"null"}}"#, &["[1,null]"], &["[1,2]"]),
    (r#"{"items":{},"additionalItems":false}"#, &["[1,2,3]"], &[]),
    (r#"{"additionalItems":false}"#, &["[1,2,3]"], &[]),
    (r#"{"minItems":1,"maxItems":2}"#, &["[1]", "[1,2]", "\"\""], &["[]", "[1,2,3]"]),
    (r#"{"uniqueItems":true}"#, &["[1,2,\"1\",true,[1]]", "[]"], &["[1,1.0]", "[[1],[1]]", r#"[{"a":1},{"a":1}]"#]),
    (r#"{"uniqueItems":false}"#, &["[1,1]"], &[]),
    // objects
    (
        r#"{"properties":{"a":{"type":"string"}},"required":["a"]}"#,
        &[r#"{"a":""}"#, r#"{"a":"x","b":1}"#, "[]"],
        &["{}", r#"{"a":null}"#, r#"{"b":""}"#],
    ),
    (r#"{"required":["x","y"]}"#, &[r#"{"x":null,"y":1}"#], &[r#"{"x":1}"#, "{}"]),
    (
        r#"{"properties":{"a":{}},"patternProperties":{"^x-":{"type":"integer"}},"additionalProperties":false}"#,
        &["{}", r#"{"a":1,"x-b":2}"#],
        &[r#"{"b":1}"#, r#"{"x-b":"2"}"#],
    ),
    (r#"{"additionalProperties":{"type":"boolean"}}"#, &[r#"{"a":true}"#, "{}"], &[r#"{"a":1}"#]),
    (
        r#"{"properties":{"xa":{"maximum":5}},"patternProperties":{"^x":{"minimum":3}},"additionalProperties":{"type":"string"}}"#,
        &[r#"{"xa":4,"xb":9,"c":"s"}"#],
        &[r#"{"xa":2}"#, r#"{"xa":6}"#, r#"{"c":1}"#],
    ),
    (r#"{"required":["a"],"additionalProperties":false}"#, &[], &["{}", r#"{"a":1}"#]),
    (r#"{"minProperties":1,"maxProperties":2}"#, &[r#"{"a":1}"#, "[]"], &["{}", r#"{"a":1,"b":2,"c":3}"#]),
    (r#"{"dependencies":{"a":["b"]}}"#, &["{}", r#"{"b":1}"#, r#"{"a":1,"b":1}"#, "1"], &[r#"{"a":1}"#]),
    (
        r#"{"dependencies":{"a":{"required":["c"],"properties":{"a":{"type":"integer"}}}}}"#,
        &[r#"{"a":1,"c":1}"#],
        &[r#"{"a":"x","c":1}"#, r#"{"a":1}"#],
    ),
    (
        r#"{"properties":{"":{"type":"null"},"a\"b":{"type":"null"}}}"#,
        &[r#"{"":null,"a\"b":null}"#],
        &[r#"{"":1}"#, r#"{"a\"b":1}"#],
    ),
    (r#"{"properties":{"$ref":{"type":"string"}}}"#, &[r#"{"$ref":"a"}"#], &[r#"{"$ref":2}"#]),
    // combinations
    (r#"{"allOf":[{"minimum":1},{"maximum":2}]}"#, &["1", "2"], &["0", "3"]),
    (r#"{"anyOf":[{"type":"integer"},{"minLength":2}]}"#, &["1", "\"ab\"", "null"], &["\"a\""]),
    (r#"{"oneOf":[{"type":"integer"},{"minimum":2}]}"#, &["1", "2.5"], &["3", "1.5"]),
    (r#"{"not":{"type":"integer"}}"#, &["\"1\"", "1.0"], &["1"]),
    (r#"{"not":{}}"#, &[], &["1", "null"]),
    (r#"{"type":"integer","anyOf":[{"minimum":10},{"maximum":-10}]}"#, &["10", "-11"], &["0", "10.5"]),
    // references
    (
        r##"{"properties":{"a":{"$ref":"#"}},"additionalProperties":false}"##,
        &[r#"{"a":{"a":{}}}"#],
        &[r#"{"a":{"b":1}}"#],
    ),
    (
        r##"{"definitions":{"n":{"type":"integer"},"x/y~z%":{"type":"null"}},"properties":{"a":{"$ref":"#/definitions/n"},"b":{"$ref":"#/definitions/x~1y~0z%25"}}}"##,
        &[r#"{"a":1,"b":null}"#],
        &[r#"{"a":"1"}"#, r#"{"b":1}"#],
    ),
    (r##"{"items":[{"type":"string"},{"$ref":"#/items/0"}]}"##, &["[\"a\",\"b\"]"], &["[\"a\",1]"]),
    (
        r##"{"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"type":"null"}},"$ref":"#/definitions/a"}"##,
        &["null"],
        &["1"],
    ),
    (
        r##"{"properties":{"a":{"$ref":"#/definitions/s","maxLength":1}},"definitions":{"s":{"type":"string"}}}"##,
        &[r#"{"a":"long"}"#],
        &[r#"{"a":1}"#],
    ),
    (r##"{"definitions":{"s":{"id":"#word","type":"string"}},"items":{"$ref":"#word"}}"##, &["[\"a\"]"], &["[1]"]),
    (
        r##"{"id":"http://x.test/s","definitions":{"s":{"type":"string"}},"items":{"$ref":"http://x.test/s#/definitions/s"}}"##,
        &["[\"a\"]"],
        &["[1]"],
    ),
    (
        r#"{"properties":{"a":{"$ref":"http://json-schema.org/draft-04/schema#"}}}"#,
        &[r#"{"a":{"type":"nonsense"}}"#],
        &[],
    ),
    (
        r##"{"definitions":{"node":{"type":"object","properties":{"value":{"type":"number"},"children":{"type":"array","items":{"$ref":"#/definitions/node"}}},"required":["value"]}},"$ref":"#/definitions/node"}"##,
        &[r#"{"value":1,"children":[{"value":2},{"value":3,"children":[]}]}"#],
        &[r#"{"value":1,"children":[{"value":2,"children":[{}]}]}"#],
    ),
    // what later drafts brought is ignored
    (
        r#"{"const":1,"if":{"type":"integer"},"then":false,"contains":{},"propertyNames":{"maxLength":1},"$id":"x"}"#,
        &["2", r#"{"long":1}"#, "[]"],
        &[],
    ),
    (r#"{"exclusiveMinimum":true,"minimum":1,"description":"d","default":5,"self":{"vendor":"a"}}"#, &["2"], &["1"]),
];

#[test]
fn keywords_take_and_refuse_what_they_should() {
    for (schema, good, bad) in CASES {
        let validator = compile(schema);
        for text in *good {
            let data = json(text);
            assert!(validator.is_valid(&data), "{schema} should take {text}: {:?}", validator.validate(&data));
            assert!(validator.validate(&data).is_empty());
        }
        for text in *bad {
            let data = json(text);
            assert!(!validator.is_valid(&data), "{schema} should refuse {text}");
            assert!(!validator.validate(&data).is_empty(), "{schema} should explain {text}");
        }
    }
}

#[test]
fn more_required_names_than_a_word_has_bits() {
    let names: Vec<String> = (0..100).map(|i| format!("\"n{i}\"")).collect();
    let validator = compile(&format!("{{\"required\":[{}]}}", names.join(",")));
    let object = |skip: usize| {
        let members: Vec<String> = (0..100).filter(|i| *i != skip).map(|i| format!("\"n{i}\":1")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(validator.is_valid(&json(&object(1000))));
    for skip in [0, 63, 64, 99] {
        let text = object(skip);
        let reports = validator.validate(&json(&text));
        assert_eq!(reports.iter().map(|r| r.targets[0].as_str()).collect::<Vec<_>>(), [format!("n{skip}")]);
    }
}

/// Schema, data, and (path, keyword, targets) of every report.
type Told = (&'static str, &'static str, &'static [(&'static str, &'static str, &'static [&'static str])]);

const TOLD: &[Told] = &[
    (r#"{"type":"integer"}"#, "\"5\"", &[("$", "type", &["string", "integer"])]),
    (r#"{"required":["sku"]}"#, "{}", &[("$", "required", &["sku"])]),
    (
        r#"{"properties":{"a":{"properties":{"b":{"items":{"maximum":3}}}}}}"#,
        r#"{"a":{"b":[1,4]}}"#,
        &[("$.a.b[1]", "maximum", &["3"])],
    ),
    (
        r#"{"properties":{"o":{"additionalProperties":false}}}"#,
        r#"{"o":{"x":1,"y":2}}"#,
        &[("$.o", "additionalProperties", &["x"]), ("$.o", "additionalProperties", &["y"])],
    ),
    (r#"{"format":"date"}"#, "\"x\"", &[("$", "dateTime", &["date"])]),
    (r#"{"format":"date-time"}"#, "\"x\"", &[("$", "dateTime", &["date-time"])]),
    (r#"{"format":"uuid"}"#, "\"x\"", &[("$", "uuid", &["uuid"])]),
    (r#"{"format":"ipv4"}"#, "\"x\"", &[("$", "format", &["ipv4"])]),
    (r#"{"maxLength":2,"pattern":"^a"}"#, "\"bcd\"", &[("$", "maxLength", &["2"]), ("$", "pattern", &["^a"])]),
    (r#"{"oneOf":[{"type":"string","maxLength":1},{"type":"null"}]}"#, "\"ab\"", &[("$", "maxLength", &["1"])]),
    (r#"{"oneOf":[{"type":"string"},{"type":"null"}]}"#, "7", &[("$", "oneOf", &["integer", "string or null"])]),
    (r#"{"enum":["a","b"]}"#, "\"c\"", &[("$", "enum", &["[\"a\",\"b\"]"])]),
    (r#"{"dependencies":{"a":["b"]}}"#, r#"{"a":1}"#, &[("$", "dependencies", &["b"])]),
    (r#"{"minItems":1}"#, "[]", &[("$", "minItems", &["1"])]),
];

#[test]
fn reports_name_place_keyword_and_target() {
    for (schema, data, told) in TOLD {
        let reports = compile(schema).validate(&json(data));
        let got: Vec<_> = reports
            .iter()
            .map(|r| (r.path.as_str(), r.keyword.as_str(), r.targets.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        let wanted: Vec<_> = told.iter().map(|(p, k, t)| (*p, *k, t.to_vec())).collect();
        assert_eq!(got, wanted, "{schema} {data}");
    }
}

#[test]
fn messages_say_what_is_there_and_what_should_be() {
    let message = |schema: &str, data: &str| compile(schema).validate(&json(data)).remove(0).message;
    assert_eq!(
        message(r#"{"properties":{"count":{"type":["integer","null"]}}}"#, r#"{"count":"12"}"#),
        "$.count: is string \"12\", must be integer or null"
    );
    assert_eq!(
        message(r#"{"type":"integer"}"#, "5.0"),
        "$: is number 5.0, must be integer; write it without point and exponent"
    );
    assert_eq!(
        message(r#"{"required":["id"],"properties":{"id":{"type":"string"}}}"#, "{}"),
        "$: required property \"id\" (string) is missing"
    );
    assert!(message(r#"{"maxLength":3}"#, &format!("\"{}\"", "x".repeat(5000))).len() < 200);
}

#[test]
fn reports_are_bounded() {
    let data = format!("[{}]", vec!["\"x\""; 10_000].join(","));
    let reports = compile(r#"{"items":{"type":"integer"}}"#).validate(&json(&data));
    assert_eq!(reports.len(), 101);
    assert_eq!(reports[100].targets, ["9900"]);
    let name = "k".repeat(100_000);
    let data = format!("{{\"{name}\":[{}]}}", vec!["\"x\""; 1000].join(","));
    let reports = compile(r#"{"additionalProperties":{"items":{"type":"integer"}}}"#).validate(&json(&data));
    assert!(reports.iter().all(|r| r.path.len() < 200 && r.message.len() < 400));
}

#[test]
fn documents_that_are_no_schema_are_refused_with_the_place() {
    for (schema, path) in [
        (r#"{"type":"nonsense"}"#, "$.type"),
        (r#"{"type":[]}"#, "$.type"),
        (r#"{"required":[]}"#, "$.required"),
        (r#"{"required":["a","a"]}"#, "$.required"),
        (r#"{"enum":[]}"#, "$.enum"),
        (r#"{"properties":{"a":{"minLength":-1}}}"#, "$.properties.a.minLength"),
        (r#"{"minLength":"1"}"#, "$.minLength"),
        (r#"{"maxLength":1.0}"#, "$.maxLength"),
        (r#"{"multipleOf":0}"#, "$.multipleOf"),
        (r#"{"exclusiveMinimum":true}"#, "$"),
        (r#"{"exclusiveMinimum":5,"minimum":1}"#, "$.exclusiveMinimum"),
        (r#"{"properties":[]}"#, "$.properties"),
        (r#"{"anyOf":[]}"#, "$.anyOf"),
        (r#"{"items":[]}"#, "$.items"),
        (r#"{"definitions":{"a":{"type":5}}}"#, "$.definitions.a.type"),
        (r#"{"pattern":"("}"#, "$"),
        (r#"{"properties":{"a":{"pattern":"\\G"}}}"#, "$.properties.a"),
        (r##"{"properties":{"a":{"$ref":"#/definitions/no"}}}"##, "$.properties.a"),
        (r##"{"$ref":"#"}"##, "$"),
        (
            r##"{"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}},"$ref":"#/definitions/a"}"##,
            "$",
        ),
        (r##"{"allOf":[{"$ref":"#"}]}"##, "$"),
        (
            r##"{"definitions":{"a":{"not":{"$ref":"#/definitions/b"}},"b":{"anyOf":[{"$ref":"#/definitions/a"}]}},"items":{"$ref":"#/definitions/a"}}"##,
            "$",
        ),
        ("[]", "$"),
        ("true", "$"),
    ] {
        let issues = Validator::compile(&json(schema)).expect_err(schema);
        assert!(issues.iter().any(|i| i.path == path), "{schema}: {issues:?}");
    }
}

#[test]
fn the_metaschema_is_a_schema() {
    let text = include_str!("../draft04.json");
    assert!(compile(text).is_valid(&json(text)));
    assert!(DRAFT_04.nodes.len() > 30);
}

#[test]
fn a_schema_that_multiplies_its_work_ends() {
    let bomb = compile(r##"{"properties":{"a":{"anyOf":[{"$ref":"#"},{"$ref":"#"},{"$ref":"#"}]}},"required":["z"]}"##);
    let data = format!("{}{{}}{}", "{\"z\":1,\"a\":".repeat(35), "}".repeat(35));
    let begin = std::time::Instant::now();
    assert!(!bomb.is_valid(&json(&data)));
    assert!(!bomb.validate(&json(&data)).is_empty());
    let not = compile(
        r##"{"not":{"properties":{"a":{"oneOf":[{"$ref":"#/not"},{"$ref":"#/not"},{"$ref":"#/not"}]}},"required":["z"]}}"##,
    );
    assert!(!not.is_valid(&json(&data)), "a check that was broken off never passes");
    assert!(begin.elapsed() < std::time::Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn a_long_chain_of_references_is_compiled_without_recursion() {
    let chain: Vec<String> =
        (0..20_000).map(|i| format!("\"d{i}\":{{\"items\":{{\"$ref\":\"#/definitions/d{}\"}}}}", i + 1)).collect();
    let schema = format!("{{\"definitions\":{{{},\"d20000\":{{}}}},\"$ref\":\"#/definitions/d0\"}}", chain.join(","));
    assert!(compile(&schema).is_valid(&json("[[[[]]]]")));
}
