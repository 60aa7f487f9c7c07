//! `bowline eval`: the template engine from the command line.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write as _;
use std::process::{Command, Stdio};

fn eval(text: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bowline"))
        .arg("eval")
        .arg("-")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn dot_is_the_data_with_float_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let data = file(&folder, "data.json", r#"{"name": "Ada", "n": 1000000, "none": null}"#);
    let text = "{{ .name }} {{ .n }} {{ printf \"%T\" .n }} {{ .none }} {{ .missing }}";
    let (code, out, _) = eval(text, &["--data", &data]);
    assert_eq!((code, out.as_str()), (Some(0), "Ada 1e+06 float64 <no value> <no value>"));
}

#[test]
fn other_files_define_templates() {
    let folder = tempfile::tempdir().unwrap();
    let helpers = file(&folder, "helpers.tpl", "{{ define \"greet\" }}Hello {{ . }}{{ end }}");
    let (code, out, _) = eval("{{ template \"greet\" \"you\" }}", &["--define", &helpers]);
    assert_eq!((code, out.as_str()), (Some(0), "Hello you"));
}

#[test]
fn an_error_has_the_words_of_go_and_the_line() {
    let (code, out, err) = eval("a\n{{ .x | printf \"%s\" | index 1 }}", &["--name", "web.yaml"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let words = "template: web.yaml:2:22: executing \"web.yaml\" at <index 1>: error calling index: can't index item of type int";
    assert!(err.contains(words), "{err}");
    assert!(err.contains("2 | {{ .x | printf"), "{err}");
    let (code, _, err) = eval("{{ nosuchfunction }}", &["--name", "web.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("template: web.yaml:1: function \"nosuchfunction\" not defined"), "{err}");
}

#[test]
fn bytes_come_out_as_they_are() {
    let (code, out, _) = eval("{{ \"\\x1b[1mbold\" }}", &[]);
    assert_eq!((code, out.as_str()), (Some(0), "\u{1b}[1mbold"));
}
