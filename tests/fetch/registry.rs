//! Charts in the real registry: what Helm pushes we bring, what we push Helm brings.

use bowline::chart;
use bowline::fetch::{
    Access, Credentials, Error, Fetched, Fetcher, Logins, Name, Parcel, Place, Pushed, Settings, Trusted, Wanted,
};
use bowline::net::Secret;
use tempfile::TempDir;

use super::{access, fetcher, settings, wanted};
use crate::common::charts::{Home, pack, packed, sha256};
use crate::common::files::{FileServer, Reply};
use crate::common::registry::{PASSWORD, Registry, USER};

fn bring(url: &str, version: &str, access: &Access) -> Result<Fetched, Error> {
    let cache = TempDir::new().unwrap();
    fetcher(cache.path()).fetch(&wanted(Place::address(url)?, version, access))
}

fn push(folder: &str, archive: &[u8], fetcher: &Fetcher, access: &Access) -> Result<Pushed, Error> {
    let chart = chart::read_archive(archive).unwrap();
    let created = "2026-01-02T03:04:05Z";
    fetcher.push(&Parcel { archive, metadata: chart.metadata(), provenance: None, created }, folder, access)
}

/// A fetcher that knows who we are in a registry, as Docker's file says it.
fn known(cache: &TempDir, registry: &str, login: &str) -> Fetcher {
    let file = cache.path().join("config.json");
    std::fs::write(&file, format!(r#"{{"auths": {{"{registry}": {login}}}}}"#)).unwrap();
    Fetcher::new(Settings { logins: Logins::new([file]), ..settings(cache.path()) })
}

#[test]
fn what_helm_pushes_is_brought() {
    let (registry, home, access) = (Registry::shared(), Home::new(), access());
    let folder = format!("{}/helms", registry.url());
    for version in ["1.0.0", "1.2.0+build.7", "1.10.0", "2.0.0-rc.1"] {
        home.write("web.tgz", packed("web", version));
        home.helm(&["push", "web.tgz", &folder, "--plain-http"]).done();
    }
    let web = format!("{folder}/web");
    for (range, expected) in [
        ("", "1.10.0"),
        ("^1.2 <1.10", "1.2.0+build.7"),
        ("1.2.0+build.7", "1.2.0+build.7"),
        (">0-0", "2.0.0-rc.1"),
        ("1.0.0", "1.0.0"),
    ] {
        let fetched = bring(&web, range, &access).unwrap();
        assert_eq!(fetched.chart.metadata().version, expected, "{range}");
        assert_eq!(fetched.digest, format!("sha256:{}", sha256(&packed("web", expected))));
        assert_eq!(fetched.from, format!("{web}:{expected}"));
        // By the digest of its manifest, with and without a tag.
        let manifest = fetched.manifest.unwrap();
        for url in [format!("{web}@{manifest}"), format!("{web}:{expected}@{manifest}")] {
            assert_eq!(bring(&url, "", &access).unwrap().digest, fetched.digest);
        }
        assert_eq!(bring(&format!("{web}:{expected}"), "", &access).unwrap().digest, fetched.digest);
    }
    let error = bring(&web, "^3", &access).unwrap_err().to_string();
    assert!(error.ends_with("has no version in ^3 (nearest are: 2.0.0-rc.1, 1.10.0, 1.2.0+build.7, 1.0.0)"), "{error}");
    let error = bring(&web, "1.0.7", &access).unwrap_err().to_string();
    assert!(error.contains("has no version in 1.0.7 (nearest are: "), "{error}");
    let error = bring(&format!("{folder}/none"), "", &access).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    let error = bring(&format!("{web}:1.0.0"), "2.0.0", &access).unwrap_err();
    assert!(matches!(error, Error::BadRange { .. }), "{error}");
    let digest = format!("sha256:{}", "0".repeat(64));
    assert!(matches!(bring(&format!("{web}@{digest}"), "", &access), Err(Error::Missing { .. })));
}

#[test]
fn what_we_push_helm_brings_and_would_have_pushed_alike() {
    let (registry, home) = (Registry::shared(), Home::new());
    let (cache, access) = (TempDir::new().unwrap(), access());
    let chart = r#"
apiVersion: v2
name: full
version: 1.0.0+build.7
description: "all of it: <b> & \u00e9"
home: https://example.org
sources: [https://example.org/src, https://example.org/more]
maintainers: [{name: Ada, email: ada@example.org}, {name: Bob}]
dependencies: [{name: db, version: ">=1 <2", repository: "", condition: db.on}]
annotations: {a/b: "1", org.opencontainers.image.version: "9", org.opencontainers.image.url: "https://own.example.org"}
"#;
    let archive = pack(&[("full/Chart.yaml".to_owned(), chart.to_owned())]);
    let path = home.write("full.tgz", &archive);
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_767_323_045);
    std::fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();

    let ours = push(&format!("{}/ours", registry.url()), &archive, &fetcher(cache.path()), &access).unwrap();
    assert_eq!(ours.name.to_string(), format!("{}/ours/full:1.0.0+build.7", registry.url()));
    let helms = home.helm(&["push", "full.tgz", &format!("{}/like-helm", registry.url()), "--plain-http"]).done();
    assert!(helms.stderr.contains(&ours.digest) || helms.stdout.contains(&ours.digest), "{ours:?}\n{helms:?}");

    home.helm(&["pull", &format!("{}/ours/full", registry.url()), "--version", "1.0.0+build.7", "--plain-http"]).done();
    assert_eq!(home.read("full-1.0.0+build.7.tgz"), archive);
    // A second time there is nothing to upload, and it is the same.
    let again = push(&format!("{}/ours/", registry.url()), &archive, &fetcher(cache.path()), &access).unwrap();
    assert_eq!(again, ours);
}

#[test]
fn provenance_comes_with_the_chart() {
    let (registry, home) = (Registry::shared(), Home::new());
    let (cache, access) = (TempDir::new().unwrap(), access());
    home.write("web.tgz", packed("web", "1.0.0"));
    home.write("web.tgz.prov", "signed");
    home.helm(&["push", "web.tgz", &format!("{}/signed", registry.url()), "--plain-http"]).done();
    let place = Place::address(&format!("{}/signed/web:1.0.0", registry.url())).unwrap();
    let fetch = |provenance| fetcher(cache.path()).fetch(&Wanted { provenance, ..wanted(place.clone(), "", &access) });
    assert_eq!(fetch(true).unwrap().provenance.as_deref(), Some(&b"signed"[..]));
    assert_eq!(fetch(false).unwrap().provenance, None);
}

#[test]
fn a_registry_behind_a_password_is_told_it() {
    let (registry, home) = (Registry::with_password(), Home::new());
    let cache = TempDir::new().unwrap();
    let user = |password: &str| {
        let credentials = Credentials::Basic { username: USER.to_owned(), password: Secret::given(password) };
        access().credentials(credentials, Trusted::Home)
    };
    push(&registry.url(), &packed("web", "1.0.0"), &fetcher(cache.path()), &user(PASSWORD)).unwrap();
    let url = format!("{}/web", registry.url());
    bring(&url, "", &user(PASSWORD)).unwrap();
    for wrong in [user("canary-wrong"), access()] {
        let error = bring(&url, "", &wrong).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("canary"), "{error:?}");
        let error = push(&registry.url(), &packed("web", "2.0.0"), &fetcher(cache.path()), &wrong).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
    }
    assert!(bring(&url, "", &access()).unwrap_err().hint().unwrap().contains("docker login"));

    // Helm's own login is read, and Docker's way to write it.
    let login = ["registry", "login", registry.address(), "-u", USER, "--password-stdin", "--plain-http"];
    home.helm_with(&login, PASSWORD.as_bytes()).done();
    let file = home.path().join("../.config/helm/registry/config.json");
    let fetcher = Fetcher::new(Settings { logins: Logins::new([file]), ..settings(cache.path()) });
    fetcher.fetch(&wanted(Place::address(&url).unwrap(), "", &access())).unwrap();
    // A file that leaves the password to a program says so where it matters.
    let file = home.write("config.json", format!(r#"{{"credHelpers": {{"{}": "cloud"}}}}"#, registry.address()));
    let fetcher = Fetcher::new(Settings { logins: Logins::new([file]), ..settings(cache.path()) });
    let error = fetcher.fetch(&wanted(Place::address(&url).unwrap(), "", &access())).unwrap_err();
    assert!(error.hint().unwrap().contains("docker-credential-cloud, which is not run"), "{error}");
}

#[test]
fn tokens_are_fetched_for_what_is_done_and_used_again() {
    let registry = Registry::with_tokens();
    let (cache, nobody) = (TempDir::new().unwrap(), access());
    let login = format!(r#"{{"username": "{USER}", "password": "{PASSWORD}"}}"#);
    let ours = known(&cache, registry.address(), &login);
    push(&registry.url(), &packed("web", "1.0.0"), &ours, &access()).unwrap();
    let seen = registry.token_requests();
    assert_eq!(seen.len(), 1, "one token for one chart: {seen:?}");
    assert!(seen[0].path.contains("scope=repository%3Aweb%3Apull%2Cpush") && seen[0].path.contains("service=registry"));

    // Reading needs a token too, which everybody gets; it is fetched once for all requests.
    for _ in 0..2 {
        let fetched = fetcher(TempDir::new().unwrap().path()).fetch(&wanted(
            Place::address(&format!("{}/web", registry.url())).unwrap(),
            "",
            &nobody,
        ));
        assert_eq!(fetched.unwrap().chart.name(), "web");
    }
    let seen = registry.token_requests();
    assert!(seen.len() == 1 && seen[0].authorization().is_none(), "{seen:?}");
    let error = push(&registry.url(), &packed("web", "2.0.0"), &fetcher(cache.path()), &nobody).unwrap_err();
    assert!(
        matches!(&error, Error::Refused { message, .. } if message.contains("DENIED") || message.contains("401")),
        "{error}"
    );

    let wrong = known(&cache, registry.address(), r#"{"username": "ada", "password": "canary"}"#);
    let error = push(&registry.url(), &packed("web", "2.0.0"), &wrong, &access()).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("canary"), "{error:?}");
}

#[test]
fn all_pages_of_the_tags_are_read() {
    let server = FileServer::start();
    let page = |tags: &str, next: Option<&str>| {
        let headers = next.map(|next| ("Link", format!("<{next}>; rel=\"next\""))).into_iter().collect();
        Reply::Status("200 OK", headers, format!(r#"{{"name": "web", "tags": {tags}}}"#).into())
    };
    let name = Name::parse(&format!("oci://{}/web", server.address())).unwrap();
    let (cache, access) = (TempDir::new().unwrap(), access());
    let versions = || fetcher(cache.path()).versions(&name, &access);
    let path = "/v2/web/tags/list";
    server.answer(
        path,
        [
            page(r#"["1.0.0", "latest", "1.2.0_b"]"#, Some("/v2/web/tags/list?last=1.2.0_b&n=1000")),
            page(r#"["1.10.0", "v2.0.0", "1.9"]"#, Some("?last=x")),
            page("null", None),
        ],
    );
    assert_eq!(versions().unwrap(), ["1.10.0", "1.2.0+b", "1.0.0"]);
    assert_eq!(
        server.paths(),
        ["/v2/web/tags/list?n=1000", "/v2/web/tags/list?last=1.2.0_b&n=1000", "/v2/web/tags/list?last=x"]
    );
    // Pages that go round in circles, or lead elsewhere, end.
    server.answer(path, [page(r#"["1.0.0"]"#, Some("/v2/web/tags/list"))]);
    assert_eq!(versions().unwrap(), ["1.0.0"]);
    assert_eq!(server.paths().len(), 2);
    server.answer(path, [page(r#"["1.0.0"]"#, Some("http://192.0.2.1/"))]);
    assert_eq!(versions().unwrap(), ["1.0.0"]);
    server.answer(path, [page("7", None)]);
    assert!(versions().unwrap_err().to_string().contains("no list of tags"));
}

#[test]
fn a_registry_that_lies_is_caught() {
    let server = FileServer::start();
    let archive = packed("web", "1.0.0");
    let (config, chart) =
        ("application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip");
    let part = |kind: &str, size: usize| {
        format!(r#"{{"mediaType": "{kind}", "digest": "sha256:{}", "size": {size}}}"#, sha256(&archive))
    };
    let manifest = |config: &str, kind: &str, size: usize| {
        format!(r#"{{"schemaVersion": 2, "config": {}, "layers": [{}]}}"#, part(config, 2), part(kind, size))
    };
    let blob = format!("/v2/web/blobs/sha256:{}", sha256(&archive));
    let put = |manifest: String| {
        let kind = vec![("Content-Type", "application/vnd.oci.image.manifest.v1+json".to_owned())];
        server.answer("/v2/web/manifests/1.0.0", [Reply::Status("200 OK", kind, manifest.into())]);
    };
    let access = access();
    let url = format!("oci://{}/web:1.0.0", server.address());
    let refused = || bring(&url, "", &access).unwrap_err().to_string();

    put(manifest(config, chart, archive.len()));
    server.put(&blob, archive.clone());
    bring(&url, "", &access).unwrap();
    server.put(&blob, packed("web", "1.0.1"));
    assert!(refused().contains("has digest sha256:") || refused().contains("more than the limit"), "{}", refused());
    server.answer(&blob, [Reply::Cut(10)]);
    assert!(refused().contains("ends early"), "{}", refused());
    server.answer(&blob, [Reply::Endless]);
    assert!(refused().contains("more than the limit"), "{}", refused());
    put(manifest(config, chart, 1 << 40));
    assert!(refused().contains("more than the limit"), "{}", refused());
    put(manifest(config, "application/vnd.oci.image.layer.v1.tar+gzip", 10));
    assert!(refused().contains("its manifest names no chart, only application/vnd.oci.image.layer"), "{}", refused());
    put(manifest("application/vnd.oci.image.config.v1+json", chart, 10));
    assert!(
        refused().contains("it is no chart: its configuration is of type application/vnd.oci.image"),
        "{}",
        refused()
    );
    put("{}".to_owned());
    assert!(refused().contains("no manifest"), "{}", refused());
    put(format!(
        r#"{{"schemaVersion": 2, "config": {}, "layers": [{{"mediaType": "{chart}", "digest": "md5:1", "size": 1}}]}}"#,
        part(config, 2)
    ));
    assert!(refused().contains("names a part by md5:1"), "{}", refused());
    // By digest, and another manifest comes.
    let digest = format!("sha256:{}", "0".repeat(64));
    server.put(&format!("/v2/web/manifests/{digest}"), manifest(config, chart, 10));
    let error = bring(&format!("oci://{}/web@{digest}", server.address()), "", &access).unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
}

#[test]
fn a_password_goes_to_no_server_that_the_registry_must_not_name() {
    let (server, elsewhere) = (FileServer::start(), FileServer::start());
    let credentials = Credentials::Basic { username: "me".to_owned(), password: Secret::given("canary") };
    let access = access().credentials(credentials, Trusted::Home);
    let demand = |realm: &str| {
        let challenge = vec![("WWW-Authenticate", format!("Bearer realm=\"{realm}\",service=\"s\""))];
        server.answer("/v2/web/manifests/1.0.0", [Reply::Status("401 Unauthorized", challenge, Vec::new())]);
    };
    let refused = || bring(&format!("oci://{}/web:1.0.0", server.address()), "", &access).unwrap_err().to_string();
    for (realm, reason) in [
        ("http://169.254.169.254/token", "network link"),
        ("http://192.0.2.1/token", "neither encrypts"),
        ("ftp://example.org/", "names no address"),
        ("https://canary@example.org/", "names no address"),
    ] {
        demand(realm);
        let error = refused();
        assert!(error.contains(reason) && !error.contains("canary"), "{realm}: {error}");
    }
    // A token server that sends us on is not followed with the password.
    demand(&format!("{}/token", elsewhere.url()));
    let third = FileServer::start();
    elsewhere.answer("/token", [Reply::Redirect(format!("{}/token", third.url()))]);
    assert!(refused().contains("not found"), "{}", refused());
    assert!(third.requests().iter().all(|seen| seen.authorization().is_none()));
    assert!(elsewhere.requests().iter().all(|seen| seen.authorization().is_some()));
}
