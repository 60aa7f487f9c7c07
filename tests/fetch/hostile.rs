//! Servers that mislead, flood, cut off and stall us.

use std::time::Duration;

use bowline::fetch::{Access, Credentials, Error, Place, Plaintext, Trusted, Wanted};
use bowline::net::{self, Secret, Timeouts, Trust};
use tempfile::TempDir;

use super::{access, bring, fetcher, list, reached, repository, wanted};
use crate::common::charts::packed;
use crate::common::files::{FileServer, Reply};
use crate::common::http::Certificate;

fn told() -> Credentials {
    Credentials::Basic { username: "me".to_owned(), password: Secret::given("canary") }
}

#[test]
fn no_other_server_is_told_the_password() {
    let (server, elsewhere) = (FileServer::start(), FileServer::start());
    let archive = packed("web", "1.0.0");
    let absolute = format!("{}/web.tgz", elsewhere.url());
    server.put("/index.yaml", list(&[("web", "1.0.0", &absolute, &archive)]));
    elsewhere.put("/web.tgz", archive.clone());
    let access = access().credentials(told(), Trusted::Home);
    bring(&server, "", "web", "", &access).unwrap();
    assert!(server.requests().iter().all(|seen| seen.authorization().is_some()));
    assert_eq!(
        elsewhere.requests().iter().map(|seen| seen.authorization().map(str::to_owned)).collect::<Vec<_>>(),
        [None]
    );

    // A redirect, of the list and of the archive.
    server.put("/index.yaml", list(&[("web", "1.0.0", "web.tgz", &archive)]));
    server.answer("/web.tgz", [Reply::Redirect(absolute)]);
    bring(&server, "", "web", "", &access).unwrap();
    elsewhere.put("/index.yaml", list(&[("web", "1.0.0", "web.tgz", &archive)]));
    server.answer("/index.yaml", [Reply::Redirect(format!("{}/index.yaml", elsewhere.url()))]);
    bring(&server, "", "web", "", &access).unwrap();
    let seen = elsewhere.requests();
    assert!(seen.len() == 3 && seen.iter().all(|seen| seen.authorization().is_none()), "{seen:?}");
    server.requests();

    // Only whoever says so passes it on.
    let open = super::access().credentials(told(), Trusted::Everybody);
    bring(&server, "", "web", "", &open).unwrap();
    assert!(elsewhere.requests().iter().all(|seen| seen.authorization().is_some()));
}

#[test]
fn nobody_leads_us_where_only_we_can_go() {
    let server = FileServer::start();
    let access = access().credentials(told(), Trusted::Home);
    let archive = packed("web", "1.0.0");
    for (target, reason) in [
        ("http://169.254.169.254/latest/meta-data", "network link"),
        ("https://169.254.169.254/", "network link"),
        ("https://[fe80::1]/", "network link"),
        ("https://[fd00:ec2::254]/", "network link"),
        ("https://0.0.0.0/", "network link"),
        ("https://[::ffff:169.254.169.254]/", "network link"),
        ("http://192.0.2.1/", "neither encrypts"),
        ("file:///etc/passwd", "not HTTP"),
    ] {
        server.answer("/index.yaml", [Reply::Redirect(target.to_owned())]);
        let error = bring(&server, "", "web", "", &access).unwrap_err();
        assert!(error.to_string().contains(reason), "{target}: {error}");
        server.answer(
            "/index.yaml",
            [Reply::Status("200 OK", vec![], list(&[("web", "1.0.0", target, &archive)]).into())],
        );
        let error = bring(&server, "", "web", "", &access).unwrap_err();
        assert!(error.to_string().contains(reason), "{target}: {error}");
    }
    // The address itself may not be the metadata service either, unless its host is allowed by name.
    let cache = TempDir::new().unwrap();
    let metadata = || Place::in_repository("https://169.254.169.254/charts", "web").unwrap();
    let error = fetcher(cache.path()).fetch(&wanted(metadata(), "", &access)).unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }) && error.hint().unwrap().contains("--allow-host"), "{error}");

    server.answer("/index.yaml", [Reply::Redirect(format!("{}/index.yaml", server.url()))]);
    let error = bring(&server, "", "web", "", &access).unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
    server.answer("/index.yaml", [Reply::Status("302 Found", vec![], Vec::new())]);
    let error = bring(&server, "", "web", "", &access).unwrap_err();
    assert!(error.to_string().contains("leads nowhere"), "{error}");
}

#[test]
fn a_foreign_server_does_not_lead_home() {
    // The proxy plays the foreign server, and must not be asked for what stands here.
    let proxy = FileServer::start();
    let secret = FileServer::start();
    let through = net::Settings { proxy: Some(Secret::given(format!("http://{}", proxy.address()))), ..reached() };
    let access = Access::new(through).plaintext(Plaintext::Anywhere);
    for target in [secret.url(), "http://10.0.0.1/".to_owned(), "http://[::1]:1/".to_owned()] {
        proxy.answer("/index.yaml", [Reply::Redirect(target.clone())]);
        let cache = TempDir::new().unwrap();
        let place = Place::in_repository("http://charts.example.invalid", "web").unwrap();
        let error = fetcher(cache.path()).fetch(&wanted(place, "", &access)).unwrap_err();
        assert!(matches!(error, Error::Forbidden { .. }), "{target}: {error}");
    }
    assert!(secret.requests().is_empty() && proxy.requests().len() == 3);
}

#[test]
fn encryption_is_not_given_up_on_the_way() {
    let (certificate, folder) = (Certificate::new(), TempDir::new().unwrap());
    let (tls, plain) = (FileServer::serve(Some(certificate.server(None))), FileServer::start());
    tls.answer("/index.yaml", [Reply::Redirect(format!("{}/index.yaml", plain.url()))]);
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, &certificate.certificate).unwrap();
    let access = Access::new(net::Settings { trust: Trust::File(file), ..reached() }).plaintext(Plaintext::Anywhere);
    let error = bring(&tls, "", "web", "", &access).unwrap_err();
    assert!(error.to_string().contains("no longer be encrypted"), "{error}");
    assert!(plain.requests().is_empty());
}

#[test]
fn floods_end_at_the_limit() {
    let server = repository(&["1.0.0"]);
    let access = access();
    let too_big = |error: Error| assert!(matches!(error, Error::TooBig { limit: 1_048_576, .. }), "{error}");
    server.answer("/charts/index.yaml", [Reply::Endless]);
    too_big(bring(&server, "/charts", "web", "", &access).unwrap_err());
    // An announced gigabyte is not even begun.
    let announced = vec![("Content-Length", (1u64 << 30).to_string())];
    server.answer("/charts/index.yaml", [Reply::Status("200 OK", announced, Vec::new())]);
    assert!(bring(&server, "/charts", "web", "", &access).is_err());
    // A packed gigabyte of blanks fits into the limit, and what it unpacks to does not.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b' '), 64 << 20), &mut gzip).unwrap();
    let packed = gzip.finish().unwrap();
    assert!(packed.len() < 1 << 20);
    let headers = vec![("Content-Encoding", "gzip".to_owned())];
    server.answer("/charts/index.yaml", [Reply::Status("200 OK", headers, packed)]);
    too_big(bring(&server, "/charts", "web", "", &access).unwrap_err());

    let server = repository(&["1.0.0"]);
    server.answer("/charts/web-1.0.0.tgz", [Reply::Endless]);
    too_big(bring(&server, "/charts", "web", "", &access).unwrap_err());
}

#[test]
fn what_comes_broken_is_told_apart() {
    let server = repository(&["1.0.0"]);
    let access = access();
    let archive = "/charts/web-1.0.0.tgz";
    let bring = || bring(&server, "/charts", "web", "", &access).map(|_| ()).unwrap_err();
    let status = |status: &'static str| [Reply::Status(status, vec![], b"canary".to_vec())];

    server.answer(archive, [Reply::Cut(100)]);
    let error = bring();
    assert!(matches!(&error, Error::Unreachable { message, .. } if message == "the answer ends early"), "{error}");
    assert!(error.is_passing());
    server.answer(archive, status("404 Not Found"));
    assert!(matches!(bring(), Error::Missing { .. }));
    server.answer(archive, status("403 Forbidden"));
    assert!(matches!(bring(), Error::Refused { .. }));
    server.answer(archive, status("418 Teapot"));
    assert!(matches!(bring(), Error::BadAnswer { .. }));
    server.answer(archive, [Reply::Status("200 OK", vec![], packed("web", "1.0.1"))]);
    let error = bring();
    assert!(matches!(error, Error::WrongDigest { .. }) && error.hint().unwrap().contains("replaced"), "{error}");
    server.answer(archive, [Reply::Status("200 OK", vec![], b"<html>log in</html>".to_vec())]);
    assert!(bring().to_string().contains("a web page, not a packed chart"));
    server.answer("/charts/index.yaml", [Reply::Status("200 OK", vec![], b"<html>log in</html>".to_vec())]);
    assert!(matches!(bring(), Error::BadIndex { .. }));
    server.answer("/charts/index.yaml", [Reply::Status("200 OK", vec![], b"apiVersion: v1".to_vec())]);
    assert!(matches!(bring(), Error::NoChart { .. }));
}

#[test]
fn a_truncated_archive_without_a_digest_is_no_chart() {
    let server = FileServer::start();
    let archive = packed("web", "1.0.0");
    server.put("/web.tgz", &archive[..archive.len() / 2]);
    let (cache, access) = (TempDir::new().unwrap(), access());
    let place = Place::address(&format!("{}/web.tgz?token=canary", server.url())).unwrap();
    let error = fetcher(cache.path()).fetch(&wanted(place.clone(), "", &access)).unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }) && !error.to_string().contains("canary"), "{error}");
    server.put("/web.tgz", archive);
    let digest = Some(format!("sha256:{}", "0".repeat(64)));
    let error = fetcher(cache.path()).fetch(&Wanted { digest, ..wanted(place, "", &access) }).unwrap_err();
    assert!(matches!(error, Error::WrongDigest { .. }), "{error}");
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    let server = repository(&["1.0.0"]);
    let trouble = || Reply::Status("503 Service Unavailable", vec![], Vec::new());
    let fine =
        |path: &str, body: Vec<u8>| server.answer(path, [trouble(), trouble(), Reply::Status("200 OK", vec![], body)]);
    fine("/charts/web-1.0.0.tgz", packed("web", "1.0.0"));
    bring(&server, "/charts", "web", "", &access()).unwrap();
    assert_eq!(server.paths().len(), 4);
    server.answer("/charts/index.yaml", [trouble()]);
    let error = bring(&server, "/charts", "web", "", &access()).unwrap_err();
    assert!(error.to_string().contains("the server answers 503"), "{error}");
    assert_eq!(server.paths().len(), 3, "it is not asked for ever");
}

#[test]
fn a_silent_server_is_not_waited_for_without_end() {
    let server = repository(&["1.0.0"]);
    server.answer("/charts/index.yaml", [Reply::Silence]);
    let timeouts = Timeouts { silence: Duration::from_millis(300), ..Timeouts::standard() };
    let access = Access::new(net::Settings { timeouts, ..reached() });
    let error = bring(&server, "/charts", "web", "", &access).unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }) && error.is_passing(), "{error}");
}

#[test]
fn plaintext_to_another_host_must_be_allowed() {
    let (cache, access) = (TempDir::new().unwrap(), access());
    let place = Place::in_repository("http://192.0.2.1/charts", "web").unwrap();
    let error = fetcher(cache.path()).fetch(&wanted(place, "", &access)).unwrap_err();
    assert!(matches!(error, Error::Plaintext(_)) && error.hint().unwrap().contains("--plain-http"), "{error}");
}
