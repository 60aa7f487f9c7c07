//! Go's template language: each line of `cases/*.txt` is a template, and `cases/*.golden` is what Go makes of it.
//!
//! In a case `↵` stands for a newline; `#!` lines set the data, the option `missingkey`, and further templates.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use bowline::template::funcs::{Function, Functions};
use bowline::template::{Context, MissingKey, State, Templates, Value, on_large_stack};

mod funcs;
mod functions;
mod properties;
mod robust;

/// What a case is run with.
#[derive(Clone)]
struct Setting {
    data: serde_json::Value,
    missing_key: MissingKey,
    defines: Vec<(String, String)>,
}

fn table() -> &'static Functions {
    static TABLE: std::sync::LazyLock<Functions> = std::sync::LazyLock::new(|| {
        let go: Vec<&'static Function> = Functions::go().iter().collect();
        assert_eq!(go.len(), 19);
        Functions::new(&[bowline::template::funcs::GO, functions::FUNCTIONS])
    });
    &TABLE
}

fn run(text: &str, setting: &Setting) -> Result<Vec<u8>, String> {
    let mut templates = Templates::new("gotpl", table());
    for (name, define) in &setting.defines {
        templates.parse(name, define).map_err(|error| error.to_string())?;
    }
    templates.parse("case", text).map_err(|error| error.to_string())?;
    let mut context = Context { missing_key: setting.missing_key, ..Context::default() };
    let data = Value::from_json(&setting.data);
    State::new(&templates, &mut context).execute("case", data).map_err(|error| error.to_string())
}

fn shown(outcome: Result<Vec<u8>, String>) -> String {
    match outcome.map(String::from_utf8) {
        Ok(Ok(text)) => format!("ok {}", serde_json::Value::from(text)),
        Ok(Err(bytes)) => {
            format!("ok hex {}", bytes.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        Err(message) => format!("err {}", serde_json::Value::from(message)),
    }
}

// JSON allows more than one spelling of a string.
fn normal(line: &str) -> String {
    match line.split_once(" \"") {
        Some((word, text)) => {
            let text: serde_json::Value = serde_json::from_str(&format!("\"{text}")).unwrap();
            format!("{word} {text}")
        }
        None => line.to_owned(),
    }
}

fn check(family: &str) {
    let path = folder().join(format!("{family}.txt"));
    let golden = fs::read_to_string(path.with_extension("golden")).unwrap();
    let mut golden = golden.lines().skip(1);
    let mut setting = Setting { data: serde_json::Value::Null, missing_key: MissingKey::Default, defines: Vec::new() };
    let (mut count, mut wrong) = (0, Vec::new());
    for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
        if let Some(directive) = line.strip_prefix("#! ") {
            direct(&mut setting, directive);
            continue;
        }
        if line.is_empty() {
            continue;
        }
        count += 1;
        let wanted = normal(golden.next().expect("a golden line for each case"));
        let got = shown(run(&line.replace('↵', "\n"), &setting));
        if got != wanted {
            wrong.push(format!("{family}.txt:{}: {line}\n  Go:   {wanted}\n  ours: {got}", number + 1));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn direct(setting: &mut Setting, directive: &str) {
    let (word, rest) = directive.split_once(' ').unwrap();
    match word {
        "data" => setting.data = serde_json::from_str(rest).unwrap(),
        "missing" => {
            setting.missing_key = match rest {
                "zero" => MissingKey::Zero,
                "error" => MissingKey::Error,
                _ => MissingKey::Default,
            };
        }
        "define" => {
            let (name, text) = rest.split_once(' ').unwrap();
            setting.defines.push((name.to_owned(), text.replace('↵', "\n")));
        }
        _ => panic!("unknown directive {word}"),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/template/cases")
}

#[test]
fn fields_and_methods_are_as_in_go() {
    check("fields");
}

#[test]
fn control_structures_are_as_in_go() {
    check("control");
}

#[test]
fn variables_and_their_scope_are_as_in_go() {
    check("variables");
}

#[test]
fn literals_are_as_in_go() {
    check("literals");
}

#[test]
fn syntax_and_its_errors_are_as_in_go() {
    check("syntax");
}

#[test]
fn builtin_functions_are_as_in_go() {
    check("builtins");
}

#[test]
fn comparisons_are_as_in_go() {
    check("compare");
}

#[test]
fn printing_is_as_in_go() {
    check("printf");
}

#[test]
fn every_family_of_cases_is_tested() {
    let mut families: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    families.sort();
    let tested = ["builtins", "compare", "control", "fields", "literals", "printf", "syntax", "variables"];
    assert_eq!(families, tested);
}

#[test]
fn includes_of_one_name_end_at_a_thousand() {
    let message = on_large_stack(|| {
        let mut templates = Templates::new("gotpl", table());
        templates.parse("case", "{{ define \"a\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}").unwrap();
        let mut context = Context::default();
        let error = State::new(&templates, &mut context).execute("case", Value::Nil).unwrap_err();
        error.to_string()
    });
    let end = "error calling include: rendering template has a nested reference name: a: unable to execute template";
    assert!(message.ends_with(end), "{}", &message[message.len() - 200..]);
    assert_eq!(message.matches("template: case:1:").count(), 1_002);
}
