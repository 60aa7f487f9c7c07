//! Laws that hold for any template.

use bowline::template::{Context, State, Templates, Value};
use proptest::prelude::*;

use super::table;

/// Templates made by the grammar: most of them parse.
fn template() -> impl Strategy<Value = String> {
    nodes(3).prop_map(|nodes| nodes.concat())
}

fn nodes(depth: u32) -> BoxedStrategy<Vec<String>> {
    let text = prop_oneof!["[a-z \n<>}]{1,8}", Just("{".to_owned()), Just("{{/* c */}}".to_owned())];
    let action = pipeline(2).prop_map(|pipeline| format!("{{{{ {pipeline} }}}}"));
    let trimmed = pipeline(1).prop_map(|pipeline| format!(" {{{{- {pipeline} -}}}} "));
    let declared = pipeline(1).prop_map(|pipeline| format!("{{{{ $x := {pipeline} }}}}"));
    if depth == 0 {
        return prop::collection::vec(prop_oneof![text, action, trimmed, declared], 0..4).boxed();
    }
    let keyword = prop::sample::select(vec!["if", "with", "range", "range $x, $y :="]);
    let branch = (keyword, pipeline(1), nodes(depth - 1), prop::option::of(nodes(depth - 1))).prop_map(
        |(keyword, pipeline, body, otherwise)| {
            let otherwise = otherwise.map_or_else(String::new, |nodes| format!("{{{{ else }}}}{}", nodes.concat()));
            format!("{{{{ {keyword} {pipeline} }}}}{}{otherwise}{{{{ end }}}}", body.concat())
        },
    );
    let call = pipeline(1).prop_map(|pipeline| format!("{{{{ template \"t\" {pipeline} }}}}"));
    prop::collection::vec(
        prop_oneof![3 => text, 3 => action, 1 => trimmed, 1 => declared, 3 => branch, 1 => call],
        0..5,
    )
    .boxed()
}

fn pipeline(depth: u32) -> BoxedStrategy<String> {
    let command = prop::collection::vec(operand(depth), 0..3);
    let function =
        prop::sample::select(vec!["print", "printf", "len", "index", "and", "or", "not", "eq", "list", "dict"]);
    let call = (function, command).prop_map(|(function, operands)| format!("{function} {}", operands.join(" ")));
    let first = prop_oneof![operand(depth), call.clone()];
    (first, prop::collection::vec(call, 0..2))
        .prop_map(|(first, rest)| [vec![first], rest].concat().join(" | "))
        .boxed()
}

fn operand(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop::sample::select(vec![
        ".", ".a", ".a.b", "$", "$.l", "1", "-3", "0x1F", "1.5", "1e6", "'x'", "true", "nil", "\"s\\n\"", "`raw`",
        "\"%v\"",
    ])
    .prop_map(str::to_owned);
    if depth == 0 {
        return leaf.boxed();
    }
    let parenthesized = pipeline(depth - 1).prop_map(|pipeline| format!("({pipeline})"));
    let chained = pipeline(depth - 1).prop_map(|pipeline| format!("({pipeline}).a.b"));
    prop_oneof![4 => leaf, 1 => parenthesized, 1 => chained].boxed()
}

fn parsed(text: &str) -> Option<Templates> {
    let mut templates = Templates::new("gotpl", table());
    templates.parse("t", text).ok().map(|()| templates)
}

fn executed(templates: &Templates) -> Result<Vec<u8>, String> {
    let data = serde_json::json!({"a": {"b": "deep"}, "l": [1, "two", null], "m": {"k": 1}});
    let mut context = Context::default();
    context.limits.steps = Some(2_000);
    context.limits.depth = 20;
    State::new(templates, &mut context).execute("t", Value::from_json(&data)).map_err(|error| {
        // Positions move when comments and trimmed space are gone.
        error.message().to_owned()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_nodes_print_parses_to_the_same_nodes(text in template()) {
        if let Some(templates) = parsed(&text) {
            let printed = templates.text("t").unwrap();
            // Text that held a brace before a comment may run into one.
            if let Some(again) = parsed(&printed) {
                prop_assert_eq!(again.text("t").unwrap(), printed);
                prop_assert_eq!(executed(&again), executed(&templates));
            } else {
                prop_assert!(text.contains("{{/*") || text.contains('{'), "{} printed as {}", text, printed);
            }
        }
    }

    #[test]
    fn rendering_is_a_pure_function(text in template()) {
        if let Some(templates) = parsed(&text) {
            prop_assert_eq!(executed(&templates), executed(&templates));
        }
    }

    #[test]
    fn most_generated_templates_have_the_shape_of_a_template(text in template()) {
        // Undefined variables aside, the grammar above gives templates.
        let mut templates = Templates::new("gotpl", table());
        if let Err(error) = templates.parse("t", &text) {
            let message = error.message().to_owned();
            prop_assert!(!message.contains("unexpected EOF"), "{}: {}", text, message);
        }
    }

    #[test]
    fn no_text_makes_the_engine_panic(text in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut templates = Templates::new("gotpl", table());
        if templates.parse("t", &text).is_ok() {
            let _ = executed(&templates);
        }
    }

    #[test]
    fn no_action_makes_the_engine_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "{{", "}}", "{{-", " -}}", "if", "range", "with", "end", "else", "define", "\"t\"", "template", "block",
                "break", "continue", "$x", ":=", "=", ",", "|", "(", ")", ".", ".a", "nil", "1", "'", "\"", "`", "/*", "*/",
                " ", " ", " ", "\n", "print", "index", "printf", "%", "é", "\u{0}",
            ]),
            0..40,
        )
    ) {
        let text = words.concat();
        let mut templates = Templates::new("gotpl", table());
        match templates.parse("t", &text) {
            Ok(()) => { let _ = executed(&templates).map_err(|error| error.len()); }
            Err(error) => { let _ = (error.excerpt(), error.helm("t"), error.to_string()); }
        }
    }

    #[test]
    fn no_format_makes_the_engine_panic(format in "[%#+ 0-9.*\\[\\]vTtdsqxXeEfFgGbcoOUpwz\u{e9}-]{0,24}", number in any::<i64>(), float in any::<f64>(), text in ".{0,8}") {
        let values = [
            Value::Int(number), Value::Float(float), Value::from(text), Value::Nil, Value::Bool(true),
            Value::list(vec![Value::Nil, Value::Float(1.5)]), Value::map([("k", Value::Int64(number))]),
        ];
        let _ = bowline::template::format::sprintf(format.as_bytes(), &values);
    }

    #[test]
    fn quoting_and_shortest_floats_can_be_read_back(text in prop::collection::vec(any::<u8>(), 0..20), float in any::<f64>()) {
        use bowline::template::format::{format_float, parse_float, quote};
        prop_assume!(float.is_finite());
        for form in ['e', 'f', 'g', 'x'] {
            prop_assert_eq!(parse_float(&format_float(float, form, None)), Some(float));
        }
        let mut templates = Templates::new("gotpl", table());
        templates.parse("t", format!("{{{{ {} }}}}", quote(&text))).unwrap();
        prop_assert_eq!(executed(&templates), Ok(text));
    }
}
