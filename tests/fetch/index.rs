//! `bowline index` writes the list that `helm repo index` writes.

use std::fs;
use std::path::Path;

use bowline::yaml;
use serde_json::{Value, json};

use crate::common::charts::{Home, pack, packed, sha256};

/// A folder with charts of several makes, one of them in a folder of its own, and files that are no charts.
fn folder(home: &Home, name: &str) {
    let full = r#"
apiVersion: v1
name: full
version: 1.0.0+build.7
appVersion: 1.16
kubeVersion: ">=1.20.0-0"
description: "all of it: <b> & \u00e9"
keywords: [a, "yes"]
home: https://example.org
sources: [https://example.org/src]
maintainers: [{name: Ada, email: ada@example.org, url: https://ada.example.org}]
icon: https://example.org/i.png
deprecated: true
annotations: {a/b: "1"}
dependencies: [{name: web, version: ^1, repository: "https://example.org", condition: web.on, tags: [x], import-values: [data, {child: a, parent: b}], alias: w}]
"#;
    let file = |path: &str| format!("{name}/{path}");
    home.write(&file("web-1.0.0.tgz"), packed("web", "1.0.0"));
    home.write(&file("web-1.10.0.tgz"), packed("web", "1.10.0"));
    home.write(&file("web-1.9.0-rc.1.tgz"), packed("web", "1.9.0-rc.1"));
    home.write(&file("below/db-0.1.0.tgz"), packed("db", "0.1.0"));
    home.write(&file("below/deeper/no-0.1.0.tgz"), packed("no", "0.1.0"));
    home.write(&file("full-1.0.0+build.7.tgz"), pack(&[("full/Chart.yaml".to_owned(), full.to_owned())]));
    home.write(&file("broken.tgz"), "no archive");
    home.write(&file("notes.txt"), "no chart");
}

/// The list in a folder, without the times of its making.
fn list(folder: &Path) -> Value {
    let text = fs::read(folder.join("index.yaml")).unwrap();
    let mut list = yaml::read(&text, &yaml::Options::helm()).unwrap();
    assert!(list["generated"].take().as_str().unwrap().starts_with("20"));
    for versions in list["entries"].as_object_mut().unwrap().values_mut() {
        for entry in versions.as_array_mut().unwrap() {
            assert!(entry["created"].as_str().is_some_and(|time| time.starts_with("20")), "{entry}");
            entry["created"].take();
        }
    }
    list
}

#[test]
fn a_list_is_what_helm_writes() {
    let home = Home::new();
    folder(&home, "ours");
    folder(&home, "helms");
    for more in [&[][..], &["--url", "https://charts.example.org/my charts/?a=b"], &["--json"]] {
        let ours = home.bowline(&[&["index", "ours"], more].concat()).done();
        assert!(ours.stderr.contains("warning: ours/broken.tgz is left out: "), "{}", ours.stderr);
        home.helm(&[&["repo", "index", "helms"], more].concat()).done();
        let (ours, helms) = (list(&home.path().join("ours")), list(&home.path().join("helms")));
        assert_eq!(ours, helms, "{more:?}");
        assert_eq!(ours["entries"]["web"][0]["version"], "1.10.0");
        assert_eq!(ours["entries"]["web"][0]["digest"], json!(sha256(&packed("web", "1.10.0"))));
    }
}

#[test]
fn a_list_takes_over_what_another_holds() {
    let home = Home::new();
    folder(&home, "ours");
    folder(&home, "helms");
    let old = r#"
apiVersion: v1
generated: "2020-01-01T00:00:00Z"
entries:
  web:
  - {apiVersion: v2, name: web, version: 0.9.0, urls: [old.tgz], created: "2020-01-01T00:00:00.5Z", digest: abc, engine: x}
  - {apiVersion: v2, name: web, version: 1.0.0, urls: [other.tgz], created: "2020-01-01T00:00:00Z", removed: true}
  gone:
  - {apiVersion: v1, name: gone, version: 0.1.0, urls: [], created: "2020-01-01T00:00:00Z"}
"#;
    home.write("old.yaml", old);
    home.bowline(&["index", "ours", "--merge", "old.yaml"]).done();
    home.helm(&["repo", "index", "helms", "--merge", "old.yaml"]).done();
    let (ours, helms) = (list(&home.path().join("ours")), list(&home.path().join("helms")));
    assert_eq!(ours, helms);
    assert_eq!(ours["entries"]["web"].as_array().unwrap().len(), 4);
    assert_eq!(ours["entries"]["web"][3]["engine"], "x");

    home.bowline(&["index", "ours", "--merge", "new.yaml"]).done();
    assert_eq!(yaml::read(&home.read("new.yaml"), &yaml::Options::helm()).unwrap()["entries"], json!({}));
    home.write("new.yaml", "neither: this");
    let refused = home.bowline(&["index", "ours", "--merge", "new.yaml"]).refused();
    assert!(refused.contains("new.yaml: is no list of charts: it has no apiVersion"), "{refused}");
    let refused = home.bowline(&["index", "nowhere"]).refused();
    assert!(refused.contains("nowhere: cannot be listed"), "{refused}");
}
