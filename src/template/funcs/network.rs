//! URLs and names of hosts.

use super::convert::{argument, text};
use super::{Failure, MAP, STRING};
use crate::template::exec::State;
use crate::template::url::Url;
use crate::template::value::Value;

type Result<T = Value> = std::result::Result<T, Failure>;

functions! { "network";
    "getHostByName"(STRING) = |_, _| Ok("".into()), "The empty text: rendering asks no name server, as Helm without `--enable-dns`.";
    "urlJoin"(MAP) = url_join, "Puts a URL together from the parts that `urlParse` gives.";
    "urlParse"(STRING) = url_parse, "Takes a URL apart: scheme, userinfo, host, hostname, path, query, fragment, opaque.";
}

fn url_parse(_: &mut State<'_>, a: &[Value]) -> Result {
    let url = Url::parse(&text(a, 0)).map_err(|error| Failure::new(format!("unable to parse url: {error}")))?;
    Ok(Value::map([
        ("scheme", Value::from(url.scheme.as_str())),
        ("host", url.host.as_str().into()),
        ("hostname", url.hostname().into()),
        ("path", url.path.as_str().into()),
        ("query", url.query.as_str().into()),
        ("opaque", url.opaque.as_str().into()),
        ("fragment", url.fragment.as_str().into()),
        ("userinfo", url.user.as_ref().map(ToString::to_string).unwrap_or_default().into()),
    ]))
}

fn url_join(_: &mut State<'_>, a: &[Value]) -> Result {
    let part = |name: &str| match argument(a, 0).as_map().and_then(|map| map.get(name.as_bytes())) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.to_str_lossy().into_owned()),
        Some(Value::Nil) => Err(Failure::new(super::convert::NIL_POINTER)),
        Some(other) => {
            let kind = other.kind().name();
            Err(Failure::new(format!("unable to parse {name} key, must be of type string, but {kind} found")))
        }
    };
    let mut url = Url {
        scheme: part("scheme")?,
        host: part("host")?,
        path: part("path")?,
        query: part("query")?,
        opaque: part("opaque")?,
        fragment: part("fragment")?,
        ..Url::default()
    };
    let user = part("userinfo")?;
    if !user.is_empty() {
        url.set_user(&user).map_err(|error| Failure::new(format!("unable to parse userinfo in dict: {error}")))?;
    }
    Ok(url.to_string().into())
}
