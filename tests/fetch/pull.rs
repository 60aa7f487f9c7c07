//! `pull`, `push`, `search` and `template` with charts from elsewhere, beside Helm.

use serde_json::{Value, json};

use super::{list, repository};
use crate::common::charts::{Home, packed};
use crate::common::files::{FileServer, Reply};
use crate::common::registry::{PASSWORD, Registry, USER};

/// A home whose repositories file names this server's `/charts` as `demo`, for both programs.
fn home_with(server: &FileServer) -> Home {
    let home = Home::new();
    home.helm(&["repo", "add", "demo", &format!("{}/charts", server.url())]).done();
    home
}

/// The paths of all files below a folder of the home.
fn files(home: &Home, folder: &str) -> Vec<String> {
    let root = home.path().join(folder);
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn charts_are_pulled_as_helm_pulls_them() {
    let server = repository(&["1.0.0", "1.2.0", "2.0.0-rc.1"]);
    server.put("/charts/web-1.2.0.tgz.prov", "signed");
    let home = home_with(&server);
    let url = format!("{}/charts", server.url());
    let archive = format!("{url}/web-1.0.0.tgz");
    for (number, arguments) in [
        vec!["demo/web"],
        vec!["demo/web", "--version", "~1.0"],
        vec!["demo/web", "--devel"],
        vec!["web", "--repo", &url],
        vec![archive.as_str()],
        vec!["demo/web", "--prov"],
        vec!["demo/web", "--untar"],
        vec!["demo/web", "--untar", "--untardir", "below"],
    ]
    .into_iter()
    .enumerate()
    {
        let (ours, helms) = (format!("ours-{number}"), format!("helms-{number}"));
        for folder in [&ours, &helms] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
        home.bowline(&[&["pull", "-d", &ours], arguments.as_slice()].concat()).done();
        home.helm(&[&["pull", "-d", &helms], arguments.as_slice()].concat()).done();
        let names = files(&home, &ours);
        assert_eq!(names, files(&home, &helms), "{arguments:?}");
        assert!(!names.is_empty());
        for name in names {
            assert_eq!(home.read(&format!("{ours}/{name}")), home.read(&format!("{helms}/{name}")), "{name}");
        }
    }
    let again = home.bowline(&["pull", "-d", "ours-6", "demo/web", "--untar"]).refused();
    assert!(
        again.contains("failed to untar: a file or directory with the name ours-6/./web already exists"),
        "{again}"
    );
}

#[test]
fn what_cannot_be_pulled_says_what_helps() {
    let server = repository(&["1.0.0"]);
    let home = home_with(&server);
    let refused = |arguments: &[&str]| home.bowline(&[&["pull"], arguments].concat()).refused();
    let error = refused(&["demo/wbe"]);
    assert!(error.contains("has no chart \"wbe\" (did you mean: web)"), "{error}");
    let error = refused(&["dmo/web"]);
    assert!(
        error.contains("no repository is called \"dmo\" (there are: demo)") && error.contains("hint: add it"),
        "{error}"
    );
    let error = refused(&["web"]);
    assert!(error.contains("path \"web\" not found") && error.contains("hint: give a folder"), "{error}");
    let error = refused(&["demo/web", "--version", "^3"]);
    assert!(error.contains("has no version in ^3 (nearest are: 1.0.0)"), "{error}");
    let error = refused(&["https://me:canary@example.org/web.tgz"]);
    assert!(error.contains("credentials do not belong into an address") && !error.contains("canary"), "{error}");
    let error = refused(&["demo/web", "--username", "me"]);
    assert!(error.contains("--username needs a password"), "{error}");
    assert_eq!(files(&home, "."), [""; 0], "nothing is left behind");
    server.answer("/charts/web-1.0.0.tgz", [Reply::Status("200 OK", vec![], packed("web", "1.0.1"))]);
    assert!(refused(&["demo/web"]).contains("has digest sha256:"));
    assert_eq!(files(&home, "."), [""; 0], "nothing is left behind");
}

#[test]
fn charts_go_to_a_registry_and_come_back() {
    let (registry, home) = (Registry::with_password(), Home::new());
    let folder = format!("{}/team/charts", registry.url());
    home.write("web-1.0.0+b.tgz", packed("web", "1.0.0+b"));
    let login = ["--username", USER, "--password-stdin"];
    let push = |home: &Home, arguments: &[&str]| {
        home.bowline_with(&[&["push", "web-1.0.0+b.tgz", &folder], arguments].concat(), PASSWORD.as_bytes())
    };
    let error = push(&home, &[]).refused();
    assert!(error.contains("the server refused access: 401") && error.contains("hint: log in"), "{error}");
    let pushed = push(&home, &login).done();
    let name = format!("{}/team/charts/web:1.0.0_b", registry.address());
    assert!(pushed.stdout.starts_with(&format!("Pushed: {name}\nDigest: sha256:")), "{}", pushed.stdout);

    // Helm logs in, and both programs find the login.
    let arguments = ["registry", "login", registry.address(), "-u", USER, "--password-stdin", "--plain-http"];
    home.helm_with(&arguments, PASSWORD.as_bytes()).done();
    let helms = home.helm(&["push", "web-1.0.0+b.tgz", &folder, "--plain-http"]).done();
    let reference = format!("{folder}/web");
    for (program, plain) in [("ours", &[][..]), ("helms", &["--plain-http"])] {
        std::fs::create_dir(home.path().join(program)).unwrap();
        let arguments = [&["pull", &reference, "--version", ">=1", "-d", program], plain].concat();
        let ran = if program == "ours" { home.bowline(&arguments) } else { home.helm(&arguments) }.done();
        assert_eq!(home.read(&format!("{program}/web-1.0.0+b.tgz")), packed("web", "1.0.0+b"));
        let told = if ran.stdout.is_empty() { ran.stderr } else { ran.stdout };
        assert!(told.starts_with(&format!("Pulled: {name}\nDigest: sha256:")), "{program}: {told}");
    }
    assert!(helms.stdout.contains("Pushed: ") || helms.stderr.contains("Pushed: "));

    let refused = |arguments: &[&str]| home.bowline(arguments).refused();
    assert!(refused(&["push", "web-1.0.0+b.tgz", "https://example.org"]).contains("is no registry"));
    assert!(refused(&["push", "ours", &folder]).contains("ours: is a folder"));
    assert!(refused(&["push", "none.tgz", &folder]).contains("none.tgz: cannot be read"));
}

#[test]
fn charts_from_elsewhere_are_rendered_as_helm_renders_them() {
    let server = repository(&["1.0.0", "1.2.0"]);
    let (home, registry) = (home_with(&server), Registry::shared());
    home.write("web.tgz", packed("web", "1.1.0"));
    home.bowline(&["push", "web.tgz", &format!("{}/rendered", registry.url())]).done();
    let url = format!("{}/charts", server.url());
    let (archive, reference) = (format!("{url}/web-1.0.0.tgz"), format!("{}/rendered/web", registry.url()));
    for arguments in [
        vec!["demo/web"],
        vec!["web", "--repo", &url, "--version", "1.0.0"],
        vec![&archive],
        vec![&reference, "--version", "^1", "--plain-http"],
    ] {
        let arguments = [&["template", "r"], arguments.as_slice()].concat();
        let ours = home.bowline(&arguments).done();
        let helms = home.helm(&arguments).done();
        let helms = helms.stdout.split_once("---\n").unwrap().1;
        assert_eq!(ours.stdout, format!("---\n{helms}"), "{arguments:?}");
    }
}

#[test]
fn charts_are_searched_as_helm_searches_them() {
    let server = FileServer::start();
    let text = r#"
apiVersion: v1
entries:
  web:
  - {apiVersion: v2, name: web, version: 1.0.0, appVersion: "1.16", description: "A web server: <nginx> & more", keywords: [http, proxy], urls: [a]}
  - {apiVersion: v2, name: web, version: 1.10.0, description: "A web server", urls: [a]}
  - {apiVersion: v2, name: web, version: 2.0.0-rc.1, description: "A web server", urls: [a]}
  webby: [{apiVersion: v2, name: webby, version: 0.1.0, description: "Long: a description that goes on and on until it is too wide", urls: [a]}]
  proxy: [{apiVersion: v2, name: proxy, version: 0.2.0, urls: [a]}]
  early: [{apiVersion: v2, name: early, version: 1.0.0-alpha, description: "Not released", urls: [a]}]
"#;
    server.put("/charts/index.yaml", text);
    let home = home_with(&server);
    for words in [
        &[][..],
        &["web"],
        &["WEB server"],
        &["web", "server"],
        &["proxy"],
        &["none"],
        &["-r", "^w.b\\b"],
        &["-r", "[px]+roxy"],
    ] {
        for more in [
            &[][..],
            &["-l"],
            &["--devel"],
            &["--version", "^1"],
            &["-l", "--version", "<2"],
            &["--max-col-width", "20"],
        ] {
            for form in [&[][..], &["-o", "json"], &["-o", "yaml"]] {
                let arguments = [&["search", "repo"], words, more, form].concat();
                let helms = home.helm(&arguments).done();
                assert_eq!(home.bowline(&arguments).done().stdout, helms.stdout, "{arguments:?}");
            }
        }
    }
    assert_eq!(home.bowline(&["search", "repo", "none", "--fail-on-no-result"]).refused(), "error: no results found\n");
    let error = home.bowline(&["search", "repo", "-r", "[a"]).refused();
    assert!(error.contains("missing closing ]"), "{error}");

    home.write("lists/index.yaml", text);
    let found = home.bowline(&["search", "index", "lists/index.yaml", "webby", "-o", "json"]).done().json();
    assert_eq!(found[0]["name"], "lists/webby");
    let url = format!("{}/charts", server.url());
    let found = home.bowline(&["search", "repo", "--repo", &url, "proxy", "-o", "json"]).done().json();
    assert_eq!(found.as_array().map(Vec::len), Some(2), "{found}");
    // A repository that is away does not hide the others.
    server.put("/other/index.yaml", list(&[]));
    home.helm(&["repo", "add", "away", &format!("{}/other", server.url())]).done();
    server.answer("/other/index.yaml", [Reply::Status("404 Not Found", vec![], Vec::new())]);
    let ran = home.bowline(&["search", "repo", "proxy", "-o", "json"]).done();
    assert!(ran.stderr.contains("warning: repository away: ") && ran.json() != Value::Null && ran.json() != json!([]));
}
