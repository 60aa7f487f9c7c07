//! Chart repositories over HTTP: versions, validators, credentials, certificates.

use std::io::Write as _;
use std::time::Duration;

use bowline::chart::index::Keep;
use bowline::fetch::{Access, Credentials, Error, Fetched, Fetcher, Place, Settings, Trusted, Wanted};
use bowline::net::{self, Identity, Secret, Trust};
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::{access, basic, bring, fetcher, list, reached, repository, settings, wanted};
use crate::common::charts::{Home, packed, sha256};
use crate::common::files::{FileServer, Reply};
use crate::common::http::Certificate;

fn version(fetched: &Fetched) -> &str {
    &fetched.chart.metadata().version
}

#[test]
fn a_version_is_chosen_and_its_digest_told() {
    let server = repository(&["1.0.0", "1.2.0", "2.0.0-rc.1", "1.10.0"]);
    let access = access();
    for (range, expected) in [("", "1.10.0"), ("~1.2", "1.2.0"), (">0-0", "2.0.0-rc.1"), ("1.0.0", "1.0.0")] {
        let fetched = bring(&server, "/charts", "web", range, &access).unwrap();
        assert_eq!(version(&fetched), expected, "{range}");
        assert_eq!(fetched.digest, format!("sha256:{}", sha256(&packed("web", expected))));
        assert_eq!(fetched.from, format!("{}/charts/web-{expected}.tgz", server.url()));
        assert_eq!(fetched.warnings, [""; 0]);
    }
    let near = bring(&server, "/charts/", "web", "1.2", &access).unwrap();
    assert_eq!((version(&near), near.warnings.len()), ("1.2.0", 1));

    let error = bring(&server, "/charts", "web", "^3", &access).unwrap_err();
    assert!(
        error.to_string().ends_with("web: has no version in ^3 (nearest are: 2.0.0-rc.1, 1.10.0, 1.2.0, 1.0.0)"),
        "{error}"
    );
    let error = bring(&server, "/charts", "wbe", "", &access).unwrap_err();
    assert!(error.to_string().ends_with("/charts: has no chart \"wbe\" (did you mean: web)"), "{error}");
    let error = bring(&server, "/charts", "web", "x.y", &access).unwrap_err();
    assert!(matches!(&error, Error::BadRange { .. }) && error.hint().unwrap().contains("^1.2"), "{error}");
    let only_rc = repository(&["1.0.0-rc.1"]);
    let error = bring(&only_rc, "/charts", "web", "", &access).unwrap_err();
    assert!(error.hint().unwrap().contains(">0.0.0-0"), "{error}");
}

#[test]
fn a_list_comes_only_when_it_changed_and_an_archive_once() {
    let server = repository(&["1.0.0"]);
    let (cache, access) = (TempDir::new().unwrap(), access());
    let place = Place::in_repository(&format!("{}/charts", server.url()), "web").unwrap();
    for round in 0..3 {
        // A new process each time: what it knows is what was kept.
        let fetched = fetcher(cache.path()).fetch(&wanted(place.clone(), "", &access)).unwrap();
        assert_eq!(version(&fetched), "1.0.0");
        let seen = server.requests();
        let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
        let expected: &[&str] =
            if round == 0 { &["/charts/index.yaml", "/charts/web-1.0.0.tgz"] } else { &["/charts/index.yaml"] };
        assert_eq!(paths, expected);
        assert_eq!(seen[0].header("if-none-match").is_some(), round > 0);
    }
    // The list changes: it comes, and the new version with it.
    let changed = repository(&["1.0.0", "1.1.0"]);
    drop(changed);
    let archive = packed("web", "1.1.0");
    server.put("/charts/index.yaml", list(&[("web", "1.1.0", "web-1.1.0.tgz", &archive)]));
    server.put("/charts/web-1.1.0.tgz", archive);
    let fetched = fetcher(cache.path()).fetch(&wanted(place.clone(), "", &access)).unwrap();
    assert_eq!(version(&fetched), "1.1.0");
    assert_eq!(server.paths(), ["/charts/index.yaml", "/charts/web-1.1.0.tgz"]);

    // While a list is fresh, nothing is asked at all.
    let patient = Fetcher::new(Settings { fresh: Duration::from_secs(3600), ..settings(cache.path()) });
    for _ in 0..3 {
        patient.fetch(&wanted(place.clone(), "", &access)).unwrap();
    }
    assert_eq!(server.paths(), ["/charts/index.yaml"]);
    // A chart at an address whose digest is known is not asked for.
    let digest = format!("sha256:{}", sha256(&packed("web", "1.0.0")));
    let url = Place::address(&format!("{}/charts/web-1.0.0.tgz", server.url())).unwrap();
    let pinned = Wanted { digest: Some(digest), ..wanted(url, "", &access) };
    assert_eq!(version(&patient.fetch(&pinned).unwrap()), "1.0.0");
    assert_eq!(server.paths(), [""; 0]);
}

#[test]
fn lists_may_be_packed_for_the_way_and_archives_stay_as_they_are() {
    let server = repository(&["1.0.0"]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(list(&[("web", "1.0.0", "web-1.0.0.tgz", &packed("web", "1.0.0"))]).as_bytes()).unwrap();
    let headers = vec![("Content-Encoding", "gzip".to_owned())];
    let reply = |body: Vec<u8>| [Reply::Status("200 OK", headers.clone(), body)];
    server.answer("/charts/index.yaml", reply(gzip.finish().unwrap()));
    // Some servers say of an archive that it is packed for the way. Its digest is that of the packed bytes.
    server.answer("/charts/web-1.0.0.tgz", reply(packed("web", "1.0.0")));
    let fetched = bring(&server, "/charts", "web", "", &access()).unwrap();
    assert_eq!(fetched.archive.unwrap(), packed("web", "1.0.0"));
    let seen = server.requests();
    assert_eq!(seen[0].header("accept-encoding"), Some("gzip"));
    assert_eq!(seen[1].header("accept-encoding"), None);
}

#[test]
fn a_repository_is_told_who_we_are() {
    let server = repository(&["1.0.0"]);
    let with = |credentials| access().credentials(credentials, Trusted::Home);
    let user = |password| Credentials::Basic { username: "me".to_owned(), password: Secret::given(password) };
    server.demand(&basic("me", "canary"));
    bring(&server, "/charts", "web", "", &with(user("canary"))).unwrap();
    for wrong in [Credentials::None, user("canary2"), Credentials::Bearer(Secret::given("canary"))] {
        let error = bring(&server, "/charts", "web", "", &with(wrong)).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("canary"), "{error:?}");
    }
    server.demand("Bearer canary");
    let file = TempDir::new().unwrap();
    std::fs::write(file.path().join("token"), "canary\n").unwrap();
    bring(&server, "/charts", "web", "", &with(Credentials::Bearer(Secret::file(file.path().join("token"))))).unwrap();
}

#[test]
fn certificates_are_checked_both_ways() {
    let (server_side, ours, folder) = (Certificate::new(), Certificate::new(), TempDir::new().unwrap());
    let server = FileServer::serve(Some(server_side.server(Some(&ours))));
    let archive = packed("web", "1.0.0");
    server.put("/index.yaml", list(&[("web", "1.0.0", "web.tgz", &archive)]));
    server.put("/web.tgz", archive);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ca = Trust::File(file("ca.pem", &server_side.certificate));
    let identity = Identity { certificate: file("c.pem", &ours.certificate), key: file("k.pem", &ours.key) };
    let bring = |trust: Trust, identity: Option<Identity>| {
        let access = Access::new(net::Settings { trust, identity, ..reached() });
        bring(&server, "", "web", "", &access).map(|fetched| version(&fetched).to_owned())
    };
    assert_eq!(bring(ca.clone(), Some(identity.clone())).unwrap(), "1.0.0");
    assert_eq!(bring(Trust::Anybody, Some(identity.clone())).unwrap(), "1.0.0");
    assert!(matches!(bring(ca.clone(), None), Err(Error::Unreachable { .. })), "the server wants to see a certificate");
    let error = bring(Trust::System, Some(identity.clone())).unwrap_err().to_string();
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    let missing = Identity { key: folder.path().join("none.pem"), ..identity };
    let error = bring(ca, Some(missing)).unwrap_err().to_string();
    assert!(error.contains("none.pem: cannot be read"), "{error}");
}

#[test]
fn a_proxy_is_used() {
    // A plain HTTP proxy sees the whole address; this one serves what it is asked for itself.
    let proxy = repository(&["1.0.0"]);
    let through = net::Settings { proxy: Some(Secret::given(format!("http://{}", proxy.address()))), ..reached() };
    let access = Access::new(through).plaintext(bowline::fetch::Plaintext::Anywhere);
    let cache = TempDir::new().unwrap();
    let place = Place::in_repository("http://charts.example.invalid/charts", "web").unwrap();
    let fetched = fetcher(cache.path()).fetch(&wanted(place, "", &access)).unwrap();
    assert_eq!(version(&fetched), "1.0.0");
    assert_eq!(proxy.paths()[0], "http://charts.example.invalid/charts/index.yaml");
}

#[test]
fn charts_on_this_machine_have_a_digest_too() {
    let home = Home::new();
    let (cache, access) = (TempDir::new().unwrap(), access());
    let fetch = |name: &str, digest: Option<&str>| {
        let place = Place::Path(home.path().join(name));
        fetcher(cache.path()).fetch(&Wanted { digest: digest.map(str::to_owned), ..wanted(place, "", &access) })
    };
    home.write("web-1.0.0.tgz", packed("web", "1.0.0"));
    home.write("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n");
    let digest = fetch("web-1.0.0.tgz", None).unwrap().digest;
    assert_eq!(digest, format!("sha256:{}", sha256(&packed("web", "1.0.0"))));
    fetch("web-1.0.0.tgz", Some(&digest)).unwrap();
    let folder = fetch("web", None).unwrap();
    assert!(folder.archive.is_none() && folder.digest != digest);
    fetch("web", Some(&folder.digest)).unwrap();
    home.write("web/values.yaml", "a: 1\n");
    assert!(matches!(fetch("web", Some(&folder.digest)), Err(Error::WrongDigest { .. })));
    assert!(matches!(fetch("nothing", None), Err(Error::NoPath(_))));
}

#[test]
fn a_list_tells_its_charts() {
    let server = repository(&["1.0.0", "1.1.0"]);
    let (cache, access) = (TempDir::new().unwrap(), access());
    let url = format!("{}/charts", server.url()).parse().unwrap();
    let list = fetcher(cache.path()).list(&url, Keep::All, &access).unwrap();
    assert_eq!(list.index.names().collect::<Vec<_>>(), ["web"]);
    assert_eq!(list.index.entries["web"].len(), 2);
}
