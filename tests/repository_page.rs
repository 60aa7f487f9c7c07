//! The page about repositories: every example on it loads without an error, and every field that is read is on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bowline::load;
use bowline::render::{self, Offline};
use bowline::source::{Checkout, Commit};

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/repository.md")).unwrap()
}

/// The page's examples as one repository.
fn examples(page: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for block in page.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let name =
            block.lines().next().unwrap().strip_prefix("# file: ").expect("an example begins with its file's name");
        assert!(files.insert(name.to_owned(), block.as_bytes().to_vec()).is_none(), "{name} is there twice");
    }
    files
}

#[test]
fn every_example_works_as_written() {
    let commit = Commit { id: "c0ffee".to_owned(), author: String::new(), message: String::new(), time: 0 };
    let checkout = Checkout::from_files("main", commit, examples(&page()));
    let desired = load::load(&checkout, &mut load::Cache::default());
    let rendered = render::render(&desired, &Offline::with_namespaces(["alice", "dev-a"]), "main");
    assert_eq!(rendered.problems, []);
    let problems: Vec<_> = rendered.units.values().flat_map(|unit| &unit.problems).collect();
    assert_eq!(problems, [] as [&bowline::unit::Problem; 0]);
    let units: Vec<String> = rendered.units.keys().map(ToString::to_string).collect();
    assert_eq!(units, ["main/-", "main/alice", "main/dev", "main/dev/shop", "main/dev-a"]);
}

/// What the loader knows where a field is unknown: it says so.
fn known_fields(file: &str, text: &str) -> Vec<String> {
    let commit = Commit { id: "c0ffee".to_owned(), author: String::new(), message: String::new(), time: 0 };
    let checkout = Checkout::from_files("main", commit, [(file.to_owned(), text.as_bytes().to_vec())].into());
    let desired = load::load(&checkout, &mut load::Cache::default());
    let known = desired.problems.iter().find_map(|problem| problem.hint.strip_prefix("known here: "));
    known.unwrap_or_else(|| panic!("{:?}", desired.problems)).split(", ").map(str::to_owned).collect()
}

#[test]
fn every_field_is_on_the_page() {
    let page = page();
    let list = |below: &str| {
        format!(
            "apiVersion: bowline.dev/v1\nkind: TemplateList\nmetadata: {{name: a}}\nspec: {{namespaces: [a], {below}}}\n"
        )
    };
    for (file, text) in [
        ("bowline.yaml", "zzzzzzzzzzzz: 1".to_owned()),
        ("bowline.yaml", "budget: {zzzzzzzzzzzz: 1}".to_owned()),
        ("bowline.yaml", "serviceAccount: {name: a, zzzzzzzzzzzz: 1}".to_owned()),
        ("bowline.yaml", "ignore: [{paths: [/a], zzzzzzzzzzzz: 1}]".to_owned()),
        ("bowline.yaml", "unit: {name: a, zzzzzzzzzzzz: 1}".to_owned()),
        ("list.yaml", list("templates: [], zzzzzzzzzzzz: 1")),
        ("list.yaml", list("templates: [{file: a, zzzzzzzzzzzz: 1}]")),
        ("list.yaml", list("templates: [{copyFrom: {namespace: a, kind: Secret, name: a, zzzzzzzzzzzz: 1}}]")),
        ("list.yaml", list("templates: [], selector: {zzzzzzzzzzzz: 1}")),
    ] {
        for field in known_fields(file, &text) {
            let shown = page.contains(&format!("`{field}`")) || page.contains(&format!("{field}:"));
            assert!(shown, "{field} of {text} is not on the page");
        }
    }
}
