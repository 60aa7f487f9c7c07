//! Odd trees: links, submodules, names, sizes.

use bowline::source::{Error, ReadError};
use tempfile::TempDir;

use super::{config, main_branch, moved, open, paths, text};
use crate::common::git::TestRepo;

#[test]
fn links_of_a_commit_are_followed_inside_its_tree_only() {
    let repo = TestRepo::new();
    let change = repo.change("links").file("base/web.yaml", "web").file("secret", "s");
    let change = change.link("dev/web.yaml", "../base/web.yaml").link("prod", "base").link("dev/out", "/etc/passwd");
    change.link("dev/up", "../../../etc/passwd").link("dev/loop", "loop").link("dev/dangling", "nowhere").commit();
    let cache = TempDir::new().unwrap();
    let (checkout, _) = moved(open(config(&repo.url(), main_branch()), cache.path()).fetch());
    assert_eq!(text(&checkout, "dev/web.yaml"), "web");
    assert_eq!(text(&checkout, "prod/web.yaml"), "web");
    assert!(checkout.entry("dev/web.yaml").unwrap().link);
    assert_eq!(checkout.entry("dev/web.yaml").unwrap().oid, checkout.entry("base/web.yaml").unwrap().oid);
    assert!(matches!(checkout.read("dev/out"), Err(ReadError::Outside { .. })));
    assert!(matches!(checkout.read("dev/up"), Err(ReadError::Outside { .. })));
    assert!(matches!(checkout.read("dev/loop"), Err(ReadError::Loop { .. })));
    assert!(matches!(checkout.read("dev/dangling"), Err(ReadError::Missing { .. })));
    assert!(matches!(checkout.read("dev/../secret"), Err(ReadError::Malformed { .. })));

    let mut narrow = config(&repo.url(), main_branch());
    (narrow.name, narrow.path) = ("narrow".to_owned(), "dev".to_owned());
    let (checkout, _) = moved(open(narrow, cache.path()).fetch());
    assert!(matches!(checkout.read("web.yaml"), Err(ReadError::Outside { .. })), "the path is a border for links");
}

#[test]
fn a_link_has_the_identity_of_what_it_leads_to_also_when_that_changes() {
    let repo = TestRepo::new();
    repo.change("first").file("base/a", "1").link("dev/a", "../base/a").commit();
    let cache = TempDir::new().unwrap();
    let mut source = open(config(&repo.url(), main_branch()), cache.path());
    let (first, _) = moved(source.fetch());
    repo.commit("second", &[("base/a", "2")]);
    let (second, _) = moved(source.fetch());
    assert_eq!(text(&second, "dev/a"), "2");
    assert_ne!(first.entry("dev/a").unwrap().oid, second.entry("dev/a").unwrap().oid);
    repo.change("third").remove("base/a").commit();
    let (third, _) = moved(source.fetch());
    assert_ne!(second.entry("dev/a").unwrap().oid, third.entry("dev/a").unwrap().oid);
    assert!(third.read("dev/a").is_err());
}

#[test]
fn submodules_filters_and_large_file_pointers_are_left_alone() {
    let repo = TestRepo::new();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    let change = repo.change("odd").file(".gitattributes", "* filter=evil text eol=crlf\n").file("a.yaml", "a: 1\n");
    let change = change.file(".gitmodules", "[submodule \"m\"]\n\tpath = m\n\turl = file:///etc\n").submodule("m");
    change.file("large.bin", pointer).executable("run.sh", "#!/bin/sh\n").commit();
    let cache = TempDir::new().unwrap();
    let (checkout, _) = moved(open(config(&repo.url(), main_branch()), cache.path()).fetch());
    assert_eq!(text(&checkout, "a.yaml"), "a: 1\n");
    assert_eq!(text(&checkout, "large.bin"), pointer);
    assert!(checkout.entry("run.sh").unwrap().executable);
    let notes: Vec<String> = checkout.notes().iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["m: is a submodule, which is not read"]);
    assert!(checkout.problems().is_empty());
}

#[test]
fn names_that_cannot_be_read_are_problems_of_their_own() {
    let repo = TestRepo::new();
    let change =
        repo.change("names").file("good.yaml", "1").file("Good.yaml", "2").entry(b"bad\xff.yaml", "100644", b"3");
    change.file("new\nline", "4").file("back\\slash", "5").commit();
    let cache = TempDir::new().unwrap();
    let (checkout, _) = moved(open(config(&repo.url(), main_branch()), cache.path()).fetch());
    assert_eq!(paths(&checkout), ["Good.yaml", "good.yaml"]);
    let shown: Vec<String> = checkout.problems().iter().map(|problem| problem.to_string()).collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown.iter().any(|text| text.contains("not UTF-8")), "{shown:?}");
    assert!(shown.iter().any(|text| text.starts_with("new\\nline: cannot be read")), "{shown:?}");
    assert_eq!(checkout.notes()[0].to_string(), "good.yaml: differs from Good.yaml in upper and lower case only");
}

#[test]
fn a_tree_that_names_its_parent_is_not_read() {
    let repo = TestRepo::new();
    let blob = repo.object("blob", b"x");
    let raw: Vec<u8> =
        (0..blob.len()).step_by(2).map(|at| u8::from_str_radix(&blob[at..at + 2], 16).unwrap()).collect();
    let entry = |name: &[u8]| [b"100644 ".as_slice(), name, b"\0", raw.as_slice()].concat();
    let tree = repo.object("tree", &[entry(b".."), entry(b"../../etc/x"), entry(b"a")].concat());
    repo.commit_tree(&tree, None, "evil", "main");
    let cache = TempDir::new().unwrap();
    let mut source = open(config(&repo.url(), main_branch()), cache.path());
    match source.fetch() {
        Ok(fetched) => {
            let (checkout, _) = moved(Ok(fetched));
            assert_eq!(paths(&checkout), ["a"]);
            assert_eq!(checkout.problems().len(), 2);
        }
        Err(error) => assert!(matches!(error, Error::BadAnswer { .. } | Error::Unreachable { .. }), "{error}"),
    }
}

#[test]
fn a_large_file_is_an_error_of_its_own() {
    let repo = TestRepo::new();
    repo.change("large").file("large.yaml", vec![b'x'; (1 << 20) + 1]).file("small.yaml", "1").commit();
    let cache = TempDir::new().unwrap();
    let (checkout, _) = moved(open(config(&repo.url(), main_branch()), cache.path()).fetch());
    assert_eq!(text(&checkout, "small.yaml"), "1");
    let error = checkout.read("large.yaml").unwrap_err().to_string();
    assert!(error.starts_with("large.yaml: 1048577 bytes, more than the 1048576"), "{error}");
}

#[test]
fn too_many_files_and_too_large_a_fetch_are_errors() {
    let repo = TestRepo::with(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let cache = TempDir::new().unwrap();
    let mut few = config(&repo.url(), main_branch());
    few.limits.files = 2;
    let error = open(few, cache.path()).fetch().unwrap_err();
    assert_eq!(error.to_string(), "files below the source's path: more than the limit of 2");
}

#[test]
fn reading_from_many_threads_works() {
    let files: Vec<(String, String)> = (0..200).map(|n| (format!("d{}/f{n}", n % 7), n.to_string())).collect();
    let repo = TestRepo::new();
    files.iter().fold(repo.change("many"), |change, (path, text)| change.file(path, text)).commit();
    let cache = TempDir::new().unwrap();
    let (checkout, _) = moved(open(config(&repo.url(), main_branch()), cache.path()).fetch());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| files.iter().for_each(|(path, content)| assert_eq!(text(&checkout, path), *content)));
        }
    });
}
