//! The chart commands against Helm 4.3.1: every case here says what `baseline.sh` saw the real program say.
//!
//! A case is one file: a head with `run:` (the command line) and perhaps `env:` (a variable) and `pack:` (an archive, and
//! the folder it is made of), then files, each below a line `-- NAME --`. Beside it lie Helm's standard output (`.out`) and, where Helm fails,
//! its error (`.err`).

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

/// What a program said.
struct Said {
    out: String,
    /// The error, without the word before it; `None` when it succeeded.
    error: Option<String>,
    /// All that went to the standard error.
    words: String,
}

struct Case {
    name: String,
    run: Vec<String>,
    settings: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

impl Case {
    /// Reads a case and lays its files into a folder of its own.
    fn unpack(path: &Path) -> Case {
        let text = std::fs::read_to_string(path).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (mut head, mut file): (Vec<&str>, Option<(PathBuf, String)>) = (Vec::new(), None);
        let keep = |file: Option<(PathBuf, String)>| {
            let Some((path, text)) = file else { return };
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for line in text.split_inclusive('\n') {
            match line.trim_end().strip_prefix("-- ").and_then(|line| line.strip_suffix(" --")) {
                Some(name) => keep(file.replace((folder.path().join(name), String::new()))),
                None => match &mut file {
                    Some((_, text)) => text.push_str(line),
                    None => head.push(line.trim_end()),
                },
            }
        }
        keep(file);
        for archive in head.iter().filter_map(|line| line.strip_prefix("pack: ")) {
            let (archive, packed) = archive.split_once(' ').unwrap();
            pack(&folder.path().join(archive), &folder.path().join(packed));
        }
        let run = head.iter().find_map(|line| line.strip_prefix("run: ")).unwrap();
        let settings = head.iter().filter_map(|line| line.strip_prefix("env: ")?.split_once('='));
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Case { name: path.file_stem().unwrap().to_str().unwrap().to_owned(), run: words(run), settings, folder }
    }

    /// The archives in its folder, each with the hash of what is in it, uncompressed.
    fn archives(&self) -> BTreeSet<(String, String)> {
        let mut files = Vec::new();
        collect(self.folder.path(), &mut files);
        files.retain(|file| file.extension().is_some_and(|extension| extension == "tgz"));
        let sum = |file: &Path| {
            let mut tar = Vec::new();
            let _ = flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_end(&mut tar);
            hex::encode(Sha256::digest(&tar))
        };
        let name = |file: &Path| file.strip_prefix(self.folder.path()).unwrap().to_str().unwrap().to_owned();
        files.iter().map(|file| (name(file), sum(file))).collect()
    }

    /// What bowline says, and the archives that it made.
    fn run(&self) -> Said {
        let before = self.archives();
        let output = Command::new(env!("CARGO_BIN_EXE_bowline"))
            .args(&self.run)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.settings.clone())
            .output()
            .unwrap();
        let clean =
            |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(self.folder.path().to_str().unwrap(), "$PWD");
        let mut out = clean(output.stdout);
        for (name, sum) in self.archives().difference(&before) {
            out.push_str(&format!("./{name} {sum}\n"));
        }
        let words = clean(output.stderr);
        let at = words.find("error: ").map_or(0, |at| at + "error: ".len());
        Said { out, error: (!output.status.success()).then(|| words[at..].to_owned()), words }
    }
}

/// Splits a command line at blanks; single quotes hold words together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (index, part) in line.split('\'').enumerate() {
        for (nth, word) in part.split(if index % 2 == 0 { " " } else { "\0" }).enumerate() {
            if nth > 0 {
                words.push(String::new());
            }
            words.last_mut().unwrap().push_str(word);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Makes an archive of a folder, its files in the order of their names; the folder is taken away.
fn pack(archive: &Path, folder: &Path) {
    std::fs::create_dir_all(archive.parent().unwrap()).unwrap();
    let zipped = flate2::write::GzEncoder::new(std::fs::File::create(archive).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(zipped);
    let mut files = Vec::new();
    collect(folder, &mut files);
    files.sort();
    for file in &files {
        tar.append_path_with_name(file, file.strip_prefix(folder.parent().unwrap()).unwrap()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

/// The cases of an area, in the order of their names, each with what Helm said.
fn cases(area: &str) -> Vec<(Case, Said)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helm").join(area);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let said = |path: &Path| Said {
        out: std::fs::read_to_string(path.with_extension("out")).unwrap(),
        error: std::fs::read_to_string(path.with_extension("err")).ok().map(|text| text.replacen("Error: ", "", 1)),
        words: String::new(),
    };
    paths.iter().map(|path| (Case::unpack(path), said(path))).collect()
}

/// Runs all cases of an area; `judge` says what is wrong with one.
fn check(area: &str, at_least: usize, judge: impl Fn(&Case, &Said, &Said) -> Option<String>) {
    let cases = cases(area);
    assert!(cases.len() >= at_least, "only {} cases of {area}", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(case, helm)| judge(case, helm, &case.run()).map(|why| format!("== {area}/{}: {why}", case.name)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} cases differ from Helm:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The same bytes, the same outcome, and an error that begins with Helm's words.
fn same(_: &Case, helm: &Said, ours: &Said) -> Option<String> {
    let error_is_same = match (&helm.error, &ours.error) {
        (None, None) => true,
        (Some(helm), Some(ours)) => ours.starts_with(helm.trim_end()),
        _ => false,
    };
    let is_same = helm.out == ours.out && error_is_same;
    (!is_same).then(|| format!("\n--- helm\n{}{:?}\n--- bowline\n{}{:?}", helm.out, helm.error, ours.out, ours.error))
}

mod lint {
    use super::*;

    /// Where a case is named `more-..`, Helm stops before it has told all: what it tells comes in the same order.
    #[test]
    fn lint_says_what_helm_says() {
        check("lint", 90, |case, helm, ours| {
            if !case.name.starts_with("more-") {
                return same(case, helm, ours);
            }
            let mut rest = ours.out.lines();
            let missing = helm.out.lines().find(|wanted| !rest.any(|line| line == *wanted));
            missing.map(|line| format!("{line:?} is missing in\n{}", ours.out))
        });
    }
}

mod show {
    use super::*;

    #[test]
    fn show_prints_what_helm_prints() {
        check("show", 20, same);
    }
}

mod package {
    use super::*;

    #[test]
    fn packages_hold_what_helm_packs() {
        check("package", 15, same);
    }

    /// Helm's archives follow the times of files; ours never change.
    #[test]
    fn the_same_chart_gives_the_same_bytes() {
        let pack = || {
            let mut case = Case::unpack(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helm/package/lock.txt"));
            case.settings.clear();
            assert!(case.run().error.is_none());
            std::fs::read(case.folder.path().join("out/web-1.0.0.tgz")).unwrap()
        };
        assert_eq!(pack(), pack());
    }
}

mod goes_beyond_helm {
    //! What bowline adds to Helm's words.

    use super::*;

    fn case(path: &str) -> Case {
        Case::unpack(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helm").join(path))
    }

    fn words(path: &str) -> String {
        case(path).run().words
    }

    #[test]
    fn every_independent_failure_is_told_with_its_place() {
        insta::assert_snapshot!(case("lint/more-failures.txt").run().out, @r#"
        ==> Linting web
        [ERROR] templates/: web/templates/x.yaml:2:16
          executing "web/templates/x.yaml" at <.Values.a.b.c>:
            can't evaluate field b in type interface {}
        [ERROR] templates/: web/templates/w.yaml:2:9
          executing "web/templates/w.yaml" at <include "web.name" .>:
            error calling include:
        web/templates/_h.tpl:1:33
          executing "web.name" at <.Values.none.here>:
            nil pointer evaluating interface {}.here
        [WARNING] templates/good.yaml: object name does not conform to Kubernetes naming requirements: "G": metadata.name: Invalid value: "G": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        "#);
        insta::assert_snapshot!(words("lint/more-failures.txt"), @r#"
          --> web/templates/x.yaml:2:16
            |
          1 | kind: A
          2 | name: {{ .Values.a.b.c }}
            |                 ^^^^^^
          note: value a is a number, not a mapping
          --> web/templates/_h.tpl:1:33
            |
          1 | {{ define "web.name" }}{{ .Values.none.here }}{{ end }}
            |                                  ^^^^^^^^^^
          included from web/templates/w.yaml:2:9: include "web.name" .
          hint: .Values.none is not set: give it a value, or guard it with `with`
          note: value none is not set
          note: 1 more template fails for the same reason
          --> web/templates/good.yaml, line 1 of what it renders
        error: 1 chart(s) linted, 1 chart(s) failed
        "#);
    }

    #[test]
    fn every_file_that_does_not_parse_is_told() {
        insta::assert_snapshot!(case("lint/more-parse.txt").run().out, @r#"
        ==> Linting web
        [ERROR] templates/: parse error at (web/templates/x.yaml:2): missing value for if
        [ERROR] templates/: parse error at (web/templates/_h.tpl:1): function "nosuch" not defined
        [ERROR] templates/: web/templates/v.yaml:1:10
          executing "web/templates/v.yaml" at <.Values.a.b.c>:
            can't evaluate field b in type interface {}
        "#);
    }

    #[test]
    fn findings_have_lines() {
        insta::assert_snapshot!(words("lint/maintainers-url.txt"), @r#"
          --> web/Chart.yaml:6:3
        error: 1 chart(s) linted, 1 chart(s) failed
        "#);
        insta::assert_snapshot!(words("lint/not-yaml.txt"), @r#"
          --> rendered from templates/x.yaml, line 6 of the document
            4 | a: [
            5 | b: c
        >   6 | ---
            7 | kind: B
        error: 1 chart(s) linted, 1 chart(s) failed
        "#);
        insta::assert_snapshot!(words("lint/selector.txt"), @r#"
          --> web/templates/x.yaml, line 1 of what it renders
          --> web/templates/x.yaml, line 6 of what it renders
        error: 1 chart(s) linted, 1 chart(s) failed
        "#);
    }

    #[test]
    fn findings_come_as_json() {
        let mut case = case("lint/indent.txt");
        case.run.extend(["-o".to_owned(), "json".to_owned()]);
        insta::assert_snapshot!(case.run().out, @r#"
        [
          {
            "path": "web",
            "messages": [
              {
                "severity": "warning",
                "path": "templates/x.yaml",
                "message": "document starts with an illegal indent: \"  kind: ConfigMap\", which may cause parsing problems",
                "place": {
                  "file": "templates/x.yaml",
                  "line": 2,
                  "column": 1,
                  "rendered": true
                }
              }
            ]
          }
        ]
        "#);
    }
}
