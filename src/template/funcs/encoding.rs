//! Base 64 and base 32, with Go's errors as text where it gives them as text.

use super::convert::bytes;
use super::{Failure, STRING};
use crate::template::exec::State;
use crate::template::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

type Result<T = Value> = std::result::Result<T, Failure>;

functions! { "encoding";
    "b32dec"(STRING) = b32dec, "Decodes base 32; the error as text if it is none.";
    "b32enc"(STRING) = |_, a| Ok(base32(bytes(a, 0)).into()), "Encodes as base 32.";
    "b64dec"(STRING) = b64dec, "Decodes base 64; the error as text if it is none.";
    "b64enc"(STRING) = |_, a| Ok(STANDARD.encode(bytes(a, 0)).into()), "Encodes as base 64.";
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn b64dec(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(match decode_base64(bytes(a, 0)) {
        Ok(decoded) => decoded.into(),
        Err(error) => error.into(),
    })
}

fn b32dec(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(match decode_base32(bytes(a, 0)) {
        Ok(decoded) => decoded.into(),
        Err(at) => format!("illegal base32 data at input byte {at}").into(),
    })
}

/// Decodes base 64 as Go does: line ends are skipped, padding is needed, left-over bits are not looked at.
pub(super) fn decode_base64(source: &[u8]) -> std::result::Result<Vec<u8>, String> {
    base64_quanta(source).map_err(|at| format!("illegal base64 data at input byte {at}"))
}

fn base64_quanta(source: &[u8]) -> std::result::Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(source.len() / 4 * 3 + 3);
    let mut at = 0;
    let next_visible = |mut at: usize| {
        while matches!(source.get(at), Some(b'\r' | b'\n')) {
            at += 1;
        }
        at
    };
    loop {
        let (mut bits, mut count) = (0u32, 0);
        while count < 4 {
            at = next_visible(at);
            let Some(byte) = source.get(at) else {
                return if count == 0 { Ok(out) } else { Err(at - count) };
            };
            at += 1;
            match sextet(*byte) {
                Some(value) => {
                    bits = bits << 6 | value;
                    count += 1;
                }
                None if *byte == b'=' && count >= 2 => {
                    at = end_of_padding(source, at, count, &next_visible)?;
                    let bytes = (bits << (6 * (4 - count))).to_be_bytes();
                    out.extend_from_slice(&bytes[1..count]);
                    return if at < source.len() { Err(at) } else { Ok(out) };
                }
                None => return Err(at - 1),
            }
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
}

/// Where the text goes on after the padding, of which the first sign has been read.
fn end_of_padding(
    source: &[u8],
    at: usize,
    count: usize,
    next: &dyn Fn(usize) -> usize,
) -> std::result::Result<usize, usize> {
    if count == 3 {
        return Ok(next(at));
    }
    let second = next(at);
    match source.get(second) {
        None => Err(source.len()),
        Some(b'=') => Ok(next(second + 1)),
        Some(_) => Err(second - 1),
    }
}

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

fn base32(source: &[u8]) -> String {
    let mut out = String::with_capacity(source.len().div_ceil(5) * 8);
    for chunk in source.chunks(5) {
        let mut bytes = [0u8; 8];
        bytes[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(bytes);
        let letters = (chunk.len() * 8).div_ceil(5);
        for at in 0..8 {
            let index = (bits >> (35 - 5 * at)) as usize & 31;
            out.push(if at < letters { char::from(BASE32[index]) } else { '=' });
        }
    }
    out
}

fn decode_base32(source: &[u8]) -> std::result::Result<Vec<u8>, usize> {
    let source: Vec<u8> = source.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let mut out = Vec::with_capacity(source.len() / 8 * 5 + 5);
    let mut at = 0;
    while at < source.len() {
        let (mut bits, mut count) = (0u64, 0usize);
        while count < 8 {
            let Some(&byte) = source.get(at) else { return Err(source.len() - count) };
            at += 1;
            let left = source.len() - at;
            if byte == b'=' && count >= 2 && left < 8 {
                if left + count < 7 {
                    return Err(source.len());
                }
                if let Some(wrong) = (0..7 - count).find(|k| source.get(at + k).is_some_and(|byte| *byte != b'=')) {
                    return Err((at + wrong).saturating_sub(1));
                }
                if matches!(count, 1 | 3 | 6) {
                    return Err(at - 1);
                }
                let bytes = (bits << (5 * (8 - count))).to_be_bytes();
                out.extend_from_slice(&bytes[3..3 + count * 5 / 8]);
                return Ok(out);
            }
            let Some(value) = BASE32.iter().position(|letter| *letter == byte) else { return Err(at - 1) };
            bits = bits << 5 | value as u64;
            count += 1;
        }
        out.extend_from_slice(&bits.to_be_bytes()[3..]);
    }
    Ok(out)
}
