//! Charts from elsewhere: lists, repositories, registries; and what Helm makes of what we write.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod hostile;
mod index;
mod pull;
mod registry;
mod repository;

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use bowline::fetch::{Access, Error, Fetched, Fetcher, Limits, Logins, Place, Settings, Wanted};
use bowline::net::{self, Timeouts};

use crate::common::charts::{packed, sha256};
use crate::common::files::FileServer;

/// A fetcher that keeps what it brings in a folder, and asks for lists each time.
fn fetcher(cache: &Path) -> Fetcher {
    Fetcher::new(settings(cache))
}

fn settings(cache: &Path) -> Settings {
    let limits = Limits { list_bytes: 1 << 20, archive_bytes: 1 << 20, ..Limits::default() };
    Settings { cache: Some(cache.to_owned()), logins: Logins::default(), limits, fresh: Duration::ZERO }
}

fn reached() -> net::Settings {
    let timeouts = Timeouts { silence: Duration::from_secs(30), ..Timeouts::standard() };
    net::Settings { timeouts, ..net::Settings::standard("bowline-test") }
}

fn access() -> Access {
    Access::new(reached())
}

fn wanted<'a>(place: Place, version: &str, access: &'a Access) -> Wanted<'a> {
    Wanted { place, version: version.to_owned(), digest: None, access, provenance: false }
}

/// Brings a chart of a repository with a fetcher of its own.
fn bring(server: &FileServer, path: &str, chart: &str, version: &str, access: &Access) -> Result<Fetched, Error> {
    let cache = tempfile::tempdir().unwrap();
    let place = Place::in_repository(&format!("{}{path}", server.url()), chart).unwrap();
    fetcher(cache.path()).fetch(&wanted(place, version, access))
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// A list of charts with one version each at an address.
fn list(entries: &[(&str, &str, &str, &[u8])]) -> String {
    let mut text = "apiVersion: v1\ngenerated: \"2026-01-01T00:00:00Z\"\nentries:\n".to_owned();
    for (name, version, url, archive) in entries {
        let digest = sha256(archive);
        text.push_str(&format!(
            "  {name}:\n  - {{apiVersion: v2, name: {name}, version: {version}, urls: [\"{url}\"], digest: {digest}}}\n"
        ));
    }
    text
}

/// A repository with some versions of the chart `web`, below `/charts`.
fn repository(versions: &[&str]) -> FileServer {
    let server = FileServer::start();
    let mut text = "apiVersion: v1\nentries:\n  web:\n".to_owned();
    for version in versions {
        let archive = packed("web", version);
        let digest = sha256(&archive);
        text.push_str(&format!(
            "  - {{apiVersion: v2, name: web, version: {version}, urls: [web-{version}.tgz], digest: {digest}}}\n"
        ));
        server.put(&format!("/charts/web-{version}.tgz"), archive);
    }
    server.put("/charts/index.yaml", text);
    server
}
