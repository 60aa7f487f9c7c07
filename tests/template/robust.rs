//! Hostile templates end with an error, in bounded time and memory.

use std::cell::Cell;
use std::rc::Rc;

use bowline::template::{Context, Limits, State, Templates, Value, on_large_stack};

use super::table;

fn run(text: &str, limits: Limits) -> Result<Vec<u8>, String> {
    on_large_stack(|| run_here(text, limits))
}

fn run_here(text: &str, limits: Limits) -> Result<Vec<u8>, String> {
    let mut templates = Templates::new("gotpl", table());
    templates.parse("t", text).map_err(|error| error.to_string())?;
    let mut context = Context { limits, ..Context::default() };
    let data = Value::from_json(&serde_json::json!({"a": "b"}));
    State::new(&templates, &mut context).execute("t", data).map_err(|error| error.to_string())
}

fn steps(count: u64) -> Limits {
    Limits { steps: Some(count), ..Limits::default() }
}

#[test]
fn endless_loops_end_at_the_limit_of_steps() {
    let error = run("{{ range 1000000000000 }}{{ end }}", steps(10_000)).unwrap_err();
    assert_eq!(error, "template: t:1:9: executing \"t\" at <1000000000000>: exceeded the limit of 10000 steps");
}

#[test]
fn endless_output_ends_at_the_limit_of_bytes() {
    let limits = Limits { output: Some(100_000), ..Limits::default() };
    let error = run("{{ range 1000000000 }}xxxxxxxxxxxxxxxx{{ end }}", limits).unwrap_err();
    assert!(error.ends_with("exceeded the limit of 100000 bytes of output"), "{error}");
}

#[test]
fn endless_work_ends_at_the_deadline() {
    let mut templates = Templates::new("gotpl", table());
    templates.parse("t", "{{ range 1000000000000 }}{{ end }}").unwrap();
    let questions = Rc::new(Cell::new(0));
    let asked = questions.clone();
    let expired = move || {
        asked.set(asked.get() + 1);
        asked.get() == 3
    };
    let mut context = Context { expired: Some(Box::new(expired)), ..Context::default() };
    let error = State::new(&templates, &mut context).execute("t", Value::Nil).unwrap_err();
    assert_eq!(error.message(), "exceeded the time limit");
    assert_eq!(questions.get(), 3);
}

#[test]
fn templates_that_call_themselves_end_at_the_limit_of_depth() {
    let limits = Limits { depth: 5_000, ..Limits::default() };
    let error = run("{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}", limits).unwrap_err();
    assert!(error.ends_with("exceeded maximum template depth (5000)"), "{error}");
}

#[test]
fn a_small_stack_is_an_error_and_no_overflow() {
    let text = "{{ define \"r\" }}{{ with . }}{{ print (include \"r\" .) }}{{ end }}{{ end }}{{ include \"r\" . }}";
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || run_here(text, Limits::default()));
    let error = thread.unwrap().join().unwrap().unwrap_err();
    assert!(error.contains("exceeded maximum template depth") || error.contains("nested reference name"), "{error}");
}

#[test]
fn tpl_inside_tpl_ends() {
    let text = "{{ define \"r\" }}{{ tpl \"{{ include `r` . }}\" . }}{{ end }}{{ include \"r\" . }}";
    let error = run(text, Limits::default()).unwrap_err();
    assert!(error.contains("nested reference name: r"), "{}", &error[error.len() - 200..]);
}

#[test]
fn deep_parentheses_are_parsed_or_refused() {
    let nested = |depth: usize| format!("{{{{ {}1{} }}}}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(run(&nested(1_500), Limits::default()), Ok(b"1".to_vec()));
    let error = run_here(&nested(100_000), Limits::default()).unwrap_err();
    assert!(error.contains("max expression depth exceeded"), "{error}");
}

#[test]
fn deep_actions_are_parsed_or_refused() {
    let nested = |depth: usize| format!("{}x{}", "{{ if true }}".repeat(depth), "{{ end }}".repeat(depth));
    assert_eq!(run(&nested(1_500), Limits::default()), Ok(b"x".to_vec()));
    let error = run_here(&nested(100_000), Limits::default()).unwrap_err();
    assert!(error.contains("max expression depth exceeded"), "{error}");
    let chain = format!("{{{{ if false }}}}{}{{{{ end }}}}", "{{ else if false }}".repeat(1_500));
    assert_eq!(run(&chain, Limits::default()), Ok(Vec::new()));
}

#[test]
fn maps_that_hold_themselves_are_not_printed_for_ever() {
    let error = run("{{ $d := dict }}{{ set $d \"self\" $d }}{{ $d }}", Limits::default()).unwrap_err();
    assert!(error.ends_with("value is nested too deeply to be printed"), "{error}");
    let error = run("{{ $d := dict }}{{ set $d \"self\" $d }}{{ printf \"%v\" $d }}", Limits::default()).unwrap_err();
    assert!(error.ends_with("error calling printf: value is nested too deeply to be printed"), "{error}");
}

#[test]
fn values_nested_very_deep_are_let_go_without_overflow() {
    let text = "{{ $d := dict }}{{ range 200000 }}{{ $d = dict \"a\" $d }}{{ end }}{{ len $d }}";
    assert_eq!(run_here(text, Limits::default()), Ok(b"1".to_vec()));
    let text = "{{ $d := list }}{{ range 200000 }}{{ $d = list $d }}{{ end }}{{ len $d }}";
    assert_eq!(run_here(text, Limits::default()), Ok(b"1".to_vec()));
}

#[test]
fn a_map_may_be_written_while_it_is_walked() {
    let text = "{{ $d := dict \"a\" 1 \"b\" 2 }}{{ range $k, $v := $d }}{{ set $d (print $k $k) $v }}{{ end }}{{ $d }}";
    assert_eq!(run(text, Limits::default()), Ok(b"map[a:1 aa:1 b:2 bb:2]".to_vec()));
}

#[test]
fn huge_widths_are_bounded() {
    assert_eq!(run("{{ printf \"%1000000d\" 1 | len }}", Limits::default()), Ok(b"1000000".to_vec()));
    assert_eq!(run("{{ printf \"%.1000000f\" 1.5 | len }}", Limits::default()), Ok(b"1000002".to_vec()));
    assert_eq!(run("{{ printf \"%.1000000e\" 1.5 | len }}", Limits::default()), Ok(b"1000006".to_vec()));
    assert_eq!(run("{{ printf \"%.1000000x\" 1.5 | len }}", Limits::default()), Ok(b"1000008".to_vec()));
}

#[test]
fn trees_are_shared_between_threads() {
    let mut templates = Templates::new("gotpl", table());
    templates.parse("t", "{{ range .l }}{{ . }}{{ end }}").unwrap();
    let outputs: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let data = Value::from_json(&serde_json::json!({"l": [1, 2, 3]}));
                    State::new(&templates, &mut Context::default()).execute("t", data).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outputs, vec![b"123".to_vec(); 4]);
}

mod shown {
    //! What people and charts get to see of an error.

    use super::*;

    fn error_of(files: &[(&str, &str)]) -> bowline::template::Error {
        let mut templates = Templates::new("gotpl", table());
        for (name, text) in files {
            if let Err(error) = templates.parse(name, text) {
                return error;
            }
        }
        let mut context = Context { missing_key: bowline::template::MissingKey::Zero, ..Context::default() };
        let data = Value::from_json(&serde_json::json!({"Values": {"a": {}}}));
        State::new(&templates, &mut context).execute(files[0].0, data).unwrap_err()
    }

    #[test]
    fn an_include_is_shown_as_helm_does() {
        let files = [
            ("web/templates/a.yaml", "kind: A\n{{ include \"web.labels\" . }}"),
            ("web/templates/_b.tpl", "{{ define \"web.labels\" }}\napp: {{ .Values.a.b.c }}\n{{ end }}"),
        ];
        let error = error_of(&files);
        insta::assert_snapshot!(error.helm("web/templates/a.yaml"), @r#"
        web/templates/a.yaml:2:3
          executing "web/templates/a.yaml" at <include "web.labels" .>:
            error calling include:
        web/templates/_b.tpl:2:15
          executing "web.labels" at <.Values.a.b.c>:
            nil pointer evaluating interface {}.c
        "#);
        insta::assert_snapshot!(error.excerpt(), @r#"
          --> web/templates/_b.tpl:2:15
            |
          1 | {{ define "web.labels" }}
          2 | app: {{ .Values.a.b.c }}
            |                ^^^^^^
          included from web/templates/a.yaml:2:3: include "web.labels" .
          hint: .Values.a.b is not set: give it a value, or guard it with `with`
        "#);
    }

    #[test]
    fn a_missing_template_is_shown_as_helm_does() {
        let error = error_of(&[("e/a.yaml", "\n  {{ include \"e.nope\" . }}")]);
        insta::assert_snapshot!(error.helm("e/a.yaml"), @r#"
        e/a.yaml:2:5
          executing "e/a.yaml" at <include "e.nope" .>:
            error calling include:
        template: no template "e.nope" associated with template "gotpl"
        "#);
        let error = error_of(&[("e/a.yaml", "\n  {{ template \"e.nope\" . }}")]);
        insta::assert_snapshot!(error.helm("e/a.yaml"), @r#"
        e/a.yaml:2:14
          executing "e/a.yaml" at <{{template "e.nope" .}}>:
            template "e.nope" not defined
        "#);
    }

    #[test]
    fn a_function_that_fails_is_shown_as_go_does() {
        let error = error_of(&[("e/a.yaml", "{{ index .Values.a 7 }}")]);
        insta::assert_snapshot!(error.helm("e/a.yaml"), @r#"template: e/a.yaml:1:3: executing "e/a.yaml" at <index .Values.a 7>: error calling index: value has type int; should be string"#);
    }

    #[test]
    fn a_parse_error_is_shown_as_helm_does() {
        let error = error_of(&[("e/a.yaml", "a\n{{ includ \"x\" }}")]);
        insta::assert_snapshot!(error.helm("e/a.yaml"), @r#"parse error at (e/a.yaml:2): function "includ" not defined"#);
        insta::assert_snapshot!(error.excerpt(), @r#"
          --> e/a.yaml:2
            |
          1 | a
          2 | {{ includ "x" }}
            | ^^^^^^^^^^^^^^^^
          hint: did you mean `include`?
        "#);
    }

    #[test]
    fn what_fail_says_is_shown_alone() {
        assert_eq!(bowline::template::Failure::said("words").to_string(), "HELM_ERR_STARTwordsHELM_ERR_END");
    }
}
