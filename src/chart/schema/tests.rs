use super::check;
use serde_json::{Value, json};

fn broken(schema: Value, value: Value) -> String {
    check(schema.to_string().as_bytes(), &value).err().unwrap_or_default()
}

#[test]
fn messages_are_those_of_helm() {
    let cases = [
        (json!({"type": "integer"}), json!(1.0), ""),
        (json!({"type": "integer"}), json!(1.5), "- at '': got number, want integer\n"),
        (json!({"type": ["object", "null"]}), json!(true), "- at '': got boolean, want null or object\n"),
        (json!({"required": ["a"]}), json!({}), "- at '': missing property 'a'\n"),
        (json!({"required": ["a", "b"]}), json!({}), "- at '': missing properties 'a', 'b'\n"),
        (json!({"properties": {"a": {"enum": ["x", 1]}}}), json!({"a": 2}), "- at '/a': value must be one of 'x', 1\n"),
        (json!({"const": null}), json!(1), "- at '': value must be <nil>\n"),
        (json!({"maximum": 1000}), json!(2000), "- at '': maximum: got 2,000, want 1,000\n"),
        (
            json!({"additionalProperties": false}),
            json!({"b": 1, "a'": 2}),
            "- at '': additional properties 'a\\'', 'b' not allowed\n",
        ),
        (json!({"pattern": "^a$"}), json!("b"), "- at '': 'b' does not match pattern '^a$'\n"),
        (json!({"uniqueItems": true}), json!([1, 2, 1.0]), "- at '': items at 0 and 2 are equal\n"),
        (json!({"not": {}}), json!(1), "- at '': 'not' failed\n"),
        (
            json!({"anyOf": [{"type": "string"}, {"minimum": 5}]}),
            json!(1),
            "- at '': 'anyOf' failed\n  - at '': got number, want string\n  - at '': minimum: got 1, want 5\n",
        ),
        (json!({"oneOf": [{}, {}]}), json!(1), "- at '': 'oneOf' failed, subschemas 0, 1 matched\n"),
        (
            json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"minLength": 2, "pattern": "x"}}}),
            json!({"a": "y"}),
            "- at '/a': validation failed\n  - at '/a': minLength: got 1, want 2\n  - at '/a': 'y' does not match pattern 'x'\n",
        ),
        (
            json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"minLength": 2}}}),
            json!({"a": "y"}),
            "- at '/a': minLength: got 1, want 2\n",
        ),
        (
            json!({"propertyNames": {"maxLength": 1}}),
            json!({"ab": 1}),
            "- at '': invalid propertyName 'ab'\n  - at '': maxLength: got 2, want 1\n",
        ),
        (
            json!({"if": {"type": "string"}, "then": {"minLength": 2}}),
            json!("a"),
            "- at '': minLength: got 1, want 2\n",
        ),
        (
            json!({"properties": {"a": true}, "unevaluatedProperties": false}),
            json!({"a": 1, "b": 2}),
            "- at '/b': false schema\n",
        ),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{}], "additionalItems": false}),
            json!([1, 2]),
            "- at '': last 1 additionalItem(s) not allowed\n",
        ),
    ];
    for (schema, value, expected) in cases {
        let schema_text = schema.to_string();
        assert_eq!(broken(schema, value), expected, "{schema_text}");
    }
}

#[test]
fn references_never_leave_the_file() {
    let message = broken(json!({"$ref": "http://127.0.0.1:9/x.json"}), json!({}));
    assert!(message.contains("is not in the schema"), "{message}");
}

#[test]
fn references_without_end_are_errors() {
    let schema = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}});
    assert!(broken(schema, json!(1)).contains("without end"));
    let mut bomb = json!({"type": "string"});
    for _ in 0..40 {
        bomb = json!({"anyOf": [bomb, {"type": "string"}]});
    }
    assert!(!broken(bomb, json!(1)).is_empty());
}

#[test]
fn what_is_no_schema_is_refused() {
    assert!(broken(json!({"type": "text"}), json!({})).contains("is not valid against metaschema"));
    assert!(check(b"{", &json!({})).is_err());
}
