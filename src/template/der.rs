//! DER: just what certificates and private keys are made of, and PEM around it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_ID: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// A tag with its content.
pub(crate) fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    if content.len() < 0x80 {
        out.push(content.len() as u8);
    } else {
        let length = content.len().to_be_bytes();
        let zeros = length.iter().take_while(|byte| **byte == 0).count();
        out.push(0x80 | (length.len() - zeros) as u8);
        out.extend_from_slice(&length[zeros..]);
    }
    out.extend_from_slice(content);
    out
}

/// A sequence of parts.
pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(SEQUENCE, &parts.concat())
}

/// A number that is not negative, from its big-endian bytes.
pub(crate) fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut content = bytes[zeros..].to_vec();
    if content.first().is_none_or(|byte| byte & 0x80 != 0) {
        content.insert(0, 0);
    }
    tagged(INTEGER, &content)
}

/// Whole bytes as a bit string.
pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    tagged(BIT_STRING, &[&[0], bytes].concat())
}

/// An object identifier.
pub(crate) fn object_id(numbers: &[u32]) -> Vec<u8> {
    let (head, tail) = numbers.split_at(numbers.len().min(2));
    let mut content = vec![head.iter().fold(0, |sum, number| sum * 40 + number) as u8];
    for number in tail {
        let groups = (0..5).rev().map(|at| (number >> (7 * at)) as u8 & 0x7f);
        let mut groups: Vec<u8> = groups.skip_while(|group| *group == 0).collect();
        if groups.is_empty() {
            groups.push(0);
        }
        let last = groups.len() - 1;
        groups[..last].iter_mut().for_each(|group| *group |= 0x80);
        content.extend(groups);
    }
    tagged(OBJECT_ID, &content)
}

/// One element of DER.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'d> {
    pub(crate) tag: u8,
    pub(crate) content: &'d [u8],
    /// Tag, length and content.
    pub(crate) whole: &'d [u8],
}

/// Takes the first element off.
pub(crate) fn take<'d>(data: &mut &'d [u8]) -> Option<Element<'d>> {
    let whole = *data;
    let (&tag, rest) = whole.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (bytes, after) = rest.split_at_checked(count)?;
        length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    *data = after;
    Some(Element { tag, content, whole: &whole[..whole.len() - after.len()] })
}

/// Takes the first element off if it has this tag.
pub(crate) fn expect<'d>(data: &mut &'d [u8], tag: u8) -> Option<Element<'d>> {
    let mut rest = *data;
    let element = take(&mut rest).filter(|element| element.tag == tag)?;
    *data = rest;
    Some(element)
}

/// DER as a block of PEM.
pub(crate) fn to_pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// Label and DER of the first block of PEM in a text.
pub(crate) fn from_pem(text: &str) -> Option<(&str, Vec<u8>)> {
    let mut rest = text;
    loop {
        let start = rest.find("-----BEGIN ")?;
        rest = &rest[start + "-----BEGIN ".len()..];
        let (label, body) = rest.split_once("-----")?;
        let Some(end) = body.find(&format!("-----END {label}-----")) else { continue };
        // Headers such as `Proc-Type: 4,ENCRYPTED` stand before an empty line.
        let lines = body[..end].lines().filter(|line| !line.contains(':'));
        let encoded: String = lines.flat_map(str::chars).filter(|c| !c.is_ascii_whitespace()).collect();
        if let Ok(der) = STANDARD.decode(encoded) {
            return Some((label, der));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_as_they_are_written() {
        let long = vec![7; 70_000];
        for content in [&b""[..], b"abc", &long[..200], &long] {
            let written = tagged(OCTET_STRING, content);
            let mut rest = &written[..];
            assert_eq!(expect(&mut rest, OCTET_STRING).unwrap().content, content);
            assert!(rest.is_empty());
        }
        assert_eq!(object_id(&[1, 2, 840, 113_549]), [6, 6, 42, 0x86, 0x48, 0x86, 0xf7, 0x0d]);
        assert_eq!(integer(&[0, 0x80]), [2, 2, 0, 0x80]);
        let pem = to_pem("X", &long[..100]);
        assert_eq!(from_pem(&pem).unwrap(), ("X", long[..100].to_vec()));
    }

    #[test]
    fn cut_off_data_is_no_element() {
        let written = tagged(SEQUENCE, &[1; 300]);
        for length in 0..written.len() {
            assert!(take(&mut &written[..length]).is_none());
        }
    }
}
