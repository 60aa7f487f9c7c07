//! Functions on paths with slashes. The `os` names are the same, as Helm runs on Unix.

use super::convert::bytes;
use super::{Failure, STRING};
use crate::template::exec::State;
use crate::template::value::Value;

type Result<T = Value> = std::result::Result<T, Failure>;

functions! { "paths";
    "base"(STRING) = base, "The last element of a path.";
    "clean"(STRING) = |_, a| Ok(clean(bytes(a, 0)).into()), "The shortest path that means the same.";
    "dir"(STRING) = dir, "All but the last element of a path.";
    "ext"(STRING) = ext, "The file name extension with its dot.";
    "isAbs"(STRING) = is_abs, "Whether a path starts at the root.";
    "osBase"(STRING) = base, "As `base`.";
    "osClean"(STRING) = |_, a| Ok(clean(bytes(a, 0)).into()), "As `clean`.";
    "osDir"(STRING) = dir, "As `dir`.";
    "osExt"(STRING) = ext, "As `ext`.";
    "osIsAbs"(STRING) = is_abs, "As `isAbs`.";
}

fn base(_: &mut State<'_>, a: &[Value]) -> Result {
    let path = bytes(a, 0);
    if path.is_empty() {
        return Ok(".".into());
    }
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    let start = path[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    Ok(Value::string(if end == 0 { b"/" } else { &path[start..end] }))
}

fn dir(_: &mut State<'_>, a: &[Value]) -> Result {
    let path = bytes(a, 0);
    let end = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    Ok(clean(&path[..end]).into())
}

fn ext(_: &mut State<'_>, a: &[Value]) -> Result {
    let path = bytes(a, 0);
    let start = path.iter().rposition(|byte| matches!(byte, b'.' | b'/')).filter(|at| path[*at] == b'.');
    Ok(Value::string(&path[start.unwrap_or(path.len())..]))
}

fn is_abs(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(bytes(a, 0).starts_with(b"/").into())
}

/// Go's `path.Clean`: one slash each, no `.`, and `..` taken together with what it leaves.
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut kept: Vec<&[u8]> = Vec::new();
    for element in path.split(|byte| *byte == b'/') {
        match element {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(last) if *last != b".." => {
                    kept.pop();
                }
                _ if rooted => {}
                _ => kept.push(element),
            },
            _ => kept.push(element),
        }
    }
    let joined = kept.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", &joined[..]].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}
