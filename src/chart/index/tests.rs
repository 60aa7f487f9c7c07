use super::*;

const LIST: &str = r#"
apiVersion: v1
generated: "2026-01-02T03:04:05.678Z"
annotations: {team: a}
serverInfo: {contextPath: /v1}
entries:
  web:
  - {apiVersion: v2, name: web, version: 1.2.0, urls: [web-1.2.0.tgz], created: "2026-01-01T00:00:00Z", digest: abc}
  - {apiVersion: v2, name: web, version: 1.10.0, urls: [web-1.10.0.tgz], appVersion: 1.16}
  -
  - {apiVersion: v2, name: web, version: not-a-version, urls: []}
  - {apiVersion: v2, name: ../web, version: 1.0.0}
  - {apiVersion: v2, name: web, version: 2.0.0-rc.1, urls: 7}
  - {name: web, version: 2.0.0-rc.2, urls: [x.tgz], dependencies: [{name: db}, {name: db}], unknown: 1}
  db:
  - {apiVersion: v2, name: db, version: 0.1.0, urls: [https://elsewhere.example.org/db.tgz]}
  empty: []
  nothing:
  wrong: 5
"#;

fn versions(index: &Index, name: &str) -> Vec<String> {
    index.entries[name].iter().map(|entry| entry.metadata.version.clone()).collect()
}

#[test]
fn bad_entries_cost_themselves_only() {
    let List { index, warnings } = read(LIST.as_bytes(), Keep::All, 1 << 20).unwrap();
    assert_eq!(versions(&index, "web"), ["2.0.0-rc.2", "1.10.0", "1.2.0"]);
    assert_eq!(versions(&index, "db"), ["0.1.0"]);
    assert_eq!(index.entries["web"][1].metadata.app_version, "1.16");
    assert_eq!(index.annotations["team"], "a");
    let expected = [
        "chart \"web\" is left out: it is empty",
        "chart \"web\" not-a-version is left out: validation: chart.metadata.version \"not-a-version\" is invalid",
        "chart \"web\" 1.0.0 is left out: validation: chart.metadata.name \"../web\" is invalid",
        "chart \"web\" 2.0.0-rc.1 is left out: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal \
         number into Go struct field ChartVersion.urls of type []string",
        "chart \"wrong\" is left out: its versions are no list",
    ];
    assert_eq!(warnings, expected);
}

#[test]
fn only_the_wanted_chart_is_kept() {
    for text in [LIST.to_owned(), as_json(LIST)] {
        let List { index, .. } = read(text.as_bytes(), Keep::Only("db"), 1 << 20).unwrap();
        assert_eq!(index.entries.keys().collect::<Vec<_>>(), ["db"]);
        let names: Vec<&str> = index.names().collect();
        assert_eq!(names, ["db", "empty", "nothing", "web", "wrong"]);
        assert_eq!(index.find("wbe", ""), Err(NotFound::Name(vec!["web".to_owned(), "db".to_owned()])));
    }
}

fn as_json(text: &str) -> String {
    let value = yaml::read(text.as_bytes(), &yaml::Options::helm()).unwrap();
    serde_json::to_string(&value).unwrap()
}

#[test]
fn json_and_yaml_are_read_alike() {
    let all = |text: &str| read(text.as_bytes(), Keep::All, 1 << 20).unwrap();
    let (yaml, json) = (all(LIST), all(&as_json(LIST)));
    assert_eq!(yaml.index, json.index);
    assert_eq!(yaml.warnings, json.warnings);
}

#[test]
fn what_is_no_list_is_refused() {
    let refused = |text: &str| read(text.as_bytes(), Keep::All, 1000).unwrap_err().to_string();
    assert_eq!(refused(""), "the list is empty");
    assert_eq!(refused("a: 1"), "it has no apiVersion; it is no list of charts");
    assert_eq!(refused("# nothing"), "it has no apiVersion; it is no list of charts");
    assert!(refused("<html>\n<p>\n</html>").contains("unmarshal"));
    assert!(refused("[1]").contains("unmarshal array"));
    assert!(
        refused(
            "apiVersion: v1
entries: [1]"
        )
        .contains("array into Go struct field IndexFile.entries")
    );
    assert_eq!(refused("apiVersion: v1\nentries: {a: [], a: []}"), "chart \"a\" is listed twice");
    assert_eq!(refused(r#"{"apiVersion": "v1", "entries": {"a": [], "a": []}}"#), "chart \"a\" is listed twice");
    assert!(refused(&" ".repeat(1001)).contains("more than the 1000 that are read"));
    assert!(refused("entries: {a: [&a [*a]]}").contains("contains itself"));
}

#[test]
fn a_version_is_found_as_helm_finds_it() {
    let List { index, .. } = read(LIST.as_bytes(), Keep::All, 1 << 20).unwrap();
    let found = |range: &str| index.find("web", range).map(|(entry, how)| (entry.metadata.version.clone(), how));
    assert_eq!(found(""), Ok(("1.10.0".to_owned(), Match::Wanted)));
    assert_eq!(found("^1.1"), Ok(("1.10.0".to_owned(), Match::Wanted)));
    assert_eq!(found("1.2.0"), Ok(("1.2.0".to_owned(), Match::Wanted)));
    assert_eq!(found("1.2"), Ok(("1.2.0".to_owned(), Match::Nearest)));
    assert_eq!(found("2.0.0-rc.2"), Ok(("2.0.0-rc.2".to_owned(), Match::Wanted)));
    assert_eq!(found("^3"), Err(NotFound::Version(["2.0.0-rc.2", "1.10.0", "1.2.0"].map(str::to_owned).to_vec())));
    assert!(matches!(found("one"), Err(NotFound::Range(_))));
    assert!(matches!(index.find("empty", ""), Err(NotFound::Name(_))));
}

#[test]
fn lists_are_merged_and_what_is_here_wins() {
    let List { index: old, .. } = read(LIST.as_bytes(), Keep::All, 1 << 20).unwrap();
    let mut index = Index::new("2026-05-05T00:00:00Z".to_owned());
    let metadata =
        Metadata { name: "web".into(), version: "1.2.0".into(), api_version: "v2".into(), ..Metadata::default() };
    index.add(metadata, "here.tgz".into(), "0123".into(), "2026-05-05T00:00:00Z".into());
    index.merge(old);
    index.sort();
    assert_eq!(versions(&index, "web"), ["2.0.0-rc.2", "1.10.0", "1.2.0"]);
    assert_eq!(index.entries["web"][2].urls, ["here.tgz"]);
    let again = read(index.to_yaml().as_bytes(), Keep::All, 1 << 20).unwrap();
    assert_eq!((again.index, again.warnings), (index.clone(), Vec::new()));
    assert_eq!(read(index.to_json().as_bytes(), Keep::All, 1 << 20).unwrap().index, index);
}

#[test]
fn a_digest_is_one_or_none() {
    let entry = |digest: &str| Entry { digest: digest.to_owned(), ..Entry::default() };
    let digits = "a".repeat(64);
    assert_eq!(entry(&digits).sha256(), Some(digits.as_str()));
    assert_eq!(entry(&format!("sha256:{digits}")).sha256(), Some(digits.as_str()));
    for none in ["", "abc", &"g".repeat(64)] {
        assert_eq!(entry(none).sha256(), None);
    }
}
