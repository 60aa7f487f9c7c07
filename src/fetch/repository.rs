//! Charts in repositories: a list, `index.yaml`, and archives at the addresses that it names.

use flate2::read::GzDecoder;
use http::StatusCode;
use http::header::{ACCEPT, ACCEPT_ENCODING, ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::cache::{Cache, Validators};
use super::error::Error;
use super::web::{Access, Call};
use crate::net::shown;

/// A list as it is now.
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    /// Tells two lists apart.
    pub(super) sha256: [u8; 32],
}

/// The address of a repository's list.
pub(super) fn list_address(repository: &Url) -> Url {
    below(repository, "index.yaml").unwrap_or_else(|| repository.clone())
}

/// An address that a list names, from that of its repository, whose query is kept: as Helm joins them.
pub(super) fn below(repository: &Url, reference: &str) -> Option<Url> {
    if let Ok(url) = Url::parse(reference) {
        return Some(url);
    }
    let mut base = repository.clone();
    base.set_path(&format!("{}/", repository.path().trim_end_matches('/')));
    base.set_query(None);
    base.set_fragment(None);
    let mut url = base.join(reference).ok()?;
    url.set_query(repository.query());
    Some(url)
}

/// Brings the list; the server is asked whether it changed, and sends it only then.
pub(super) fn list(access: &Access, repository: &Url, cache: Option<&Cache>, max_bytes: u64) -> Result<Text, Error> {
    let url = list_address(repository);
    let kept = cache.and_then(|cache| cache.list(url.as_str()));
    let mut call = Call::get(url.clone(), repository, max_bytes).header(ACCEPT_ENCODING, "gzip");
    call.authorization = access.credentials.header()?.map(|value| (value, repository.clone()));
    if let Some((validators, _)) = &kept {
        for (name, value) in [(IF_NONE_MATCH, &validators.etag), (IF_MODIFIED_SINCE, &validators.modified)] {
            if let Some(value) = value {
                call = call.header(name, value);
            }
        }
    }
    let answer = access.ask(&call)?;
    if let (StatusCode::NOT_MODIFIED, Some((_, bytes))) = (answer.status, kept) {
        return Ok(Text::of(bytes));
    }
    let answer = answer.success()?;
    let header = |name: HeaderName| answer.header(&name).map(str::to_owned);
    let validators = Validators { etag: header(ETAG), modified: header(LAST_MODIFIED) };
    if let Some(cache) = cache {
        cache.keep_list(url.as_str(), validators, &answer.body);
    }
    Ok(Text::of(answer.body))
}

impl Text {
    fn of(bytes: Vec<u8>) -> Self {
        Text { sha256: Sha256::digest(&bytes).into(), bytes }
    }
}

/// Brings an archive, or another file beside it.
pub(super) fn file(access: &Access, url: &Url, home: &Url, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let mut call =
        Call::get(url.clone(), home, max_bytes).header(ACCEPT, "application/gzip, application/octet-stream, */*");
    call.authorization = access.credentials.header()?.map(|value| (value, home.clone()));
    let answer = access.ask(&call)?.success()?;
    Ok(answer.body)
}

/// Whether bytes are packed at all; a web page in their place is told apart.
pub(super) fn check_packed(url: &Url, bytes: &[u8]) -> Result<(), Error> {
    if GzDecoder::new(bytes).header().is_some() {
        return Ok(());
    }
    let start = bytes.trim_ascii_start();
    let is_page = start.starts_with(b"<");
    let what = if is_page {
        "a web page, not a packed chart; check the address, or that no log-in page is in between"
    } else {
        "not a packed chart"
    };
    Err(Error::BadAnswer { url: shown(url), message: what.to_owned() })
}
