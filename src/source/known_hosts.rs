//! Reads files in the format of OpenSSH's `known_hosts` and says whether a server's key is the known one.
//!
//! Plain names, `*` and `?` patterns, `!` exceptions, `[host]:port`, hashed names and `@revoked` lines mean what they
//! mean to OpenSSH. `@cert-authority` lines are passed over: libssh2 knows no host certificates.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What the known hosts say of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the key of this host.
    Known,
    /// No line names this host with a key of this type.
    Unknown,
    /// A line names this host with another key of this type, or revokes the key.
    Changed {
        /// Index of the text the line is in.
        text: usize,
        /// Its line, from 1.
        line: usize,
    },
}

/// The name of a host as known_hosts writes it.
pub(super) fn host_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// The type that a raw host key names itself, such as `ssh-ed25519`.
pub(super) fn key_type(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.split_first_chunk::<4>()?;
    let name = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    std::str::from_utf8(name).ok()
}

/// `SHA256:..` as `ssh-keygen -l` prints it.
pub(super) fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(key)))
}

/// Looks a raw host key up in the texts of known_hosts files.
pub(super) fn check(texts: &[String], host: &str, port: u16, key: &[u8]) -> Verdict {
    let name = host_name(host, port);
    let Some(key_type) = key_type(key) else { return Verdict::Unknown };
    let mut verdict = Verdict::Unknown;
    for (text, lines) in texts.iter().enumerate() {
        for (line, content) in lines.lines().enumerate() {
            let Some(entry) = Entry::read(content) else { continue };
            if entry.key_type != key_type || !entry.names(&name) {
                continue;
            }
            let is_same = entry.key == key;
            match (entry.is_revoked, is_same) {
                (true, true) => return Verdict::Changed { text, line: line + 1 },
                (false, true) => verdict = Verdict::Known,
                (false, false) if verdict == Verdict::Unknown => verdict = Verdict::Changed { text, line: line + 1 },
                _ => {}
            }
        }
    }
    verdict
}

struct Entry<'a> {
    is_revoked: bool,
    hosts: &'a str,
    key_type: &'a str,
    key: Vec<u8>,
}

impl<'a> Entry<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let mut hosts = words.next().filter(|word| !word.starts_with('#'))?;
        let is_revoked = hosts == "@revoked";
        if is_revoked {
            hosts = words.next()?;
        } else if hosts.starts_with('@') {
            return None;
        }
        let key_type = words.next()?;
        let key = STANDARD.decode(words.next()?).ok()?;
        Some(Entry { is_revoked, hosts, key_type, key })
    }

    fn names(&self, name: &str) -> bool {
        if let Some(hashed) = self.hosts.strip_prefix("|1|") {
            return is_hash_of(hashed, name);
        }
        let mut found = false;
        for pattern in self.hosts.split(',') {
            let (pattern, is_exception) = pattern.strip_prefix('!').map_or((pattern, false), |rest| (rest, true));
            if is_match(pattern.to_lowercase().as_bytes(), name.as_bytes()) {
                if is_exception {
                    return false;
                }
                found = true;
            }
        }
        found
    }
}

/// `salt|hash`, both in Base64: HMAC-SHA1 of the name under the salt.
fn is_hash_of(hashed: &str, name: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else { return false };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&salt) else { return false };
    mac.update(name.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

/// Matches `*` (any text) and `?` (any byte), without recursion.
fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while position < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, position));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[position] => {
                at += 1;
                position += 1;
            }
            _ => {
                let Some((star_at, from)) = star else { return false };
                star = Some((star_at, from + 1));
                at = star_at + 1;
                position = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> Vec<u8> {
        let mut key = vec![0, 0, 0, 11];
        key.extend_from_slice(b"ssh-ed25519");
        key.extend_from_slice(&[0, 0, 0, 32]);
        key.extend_from_slice(&[seed; 32]);
        key
    }

    fn verdict(text: &str, host: &str, port: u16) -> Verdict {
        let text = text.replace("KEY", &format!("ssh-ed25519 {}", STANDARD.encode(key(1))));
        let text = text.replace("OTHER", &format!("ssh-ed25519 {}", STANDARD.encode(key(2))));
        check(&[text], host, port, &key(1))
    }

    #[test]
    fn names_and_patterns_are_found() {
        assert_eq!(verdict("example.org KEY a comment", "example.org", 22), Verdict::Known);
        assert_eq!(verdict("example.org KEY", "Example.ORG", 22), Verdict::Known);
        assert_eq!(verdict("other,example.org KEY", "example.org", 22), Verdict::Known);
        assert_eq!(verdict("*.example.org KEY", "git.example.org", 22), Verdict::Known);
        assert_eq!(verdict("g?t.example.* KEY", "git.example.org", 22), Verdict::Known);
        assert_eq!(verdict("*.example.org,!git.example.org KEY", "git.example.org", 22), Verdict::Unknown);
        assert_eq!(verdict("# example.org KEY\n\nbroken line\nexample.org KEY", "example.org", 22), Verdict::Known);
        assert_eq!(verdict("", "example.org", 22), Verdict::Unknown);
        assert_eq!(verdict("@cert-authority example.org KEY", "example.org", 22), Verdict::Unknown);
    }

    #[test]
    fn a_port_is_part_of_the_name() {
        assert_eq!(verdict("[example.org]:2222 KEY", "example.org", 2222), Verdict::Known);
        assert_eq!(verdict("example.org KEY", "example.org", 2222), Verdict::Unknown);
        assert_eq!(verdict("[example.org]:2222 KEY", "example.org", 22), Verdict::Unknown);
    }

    #[test]
    fn another_key_is_told_with_its_line() {
        assert_eq!(verdict("a OTHER\nexample.org OTHER", "example.org", 22), Verdict::Changed { text: 0, line: 2 });
        assert_eq!(verdict("example.org OTHER\nexample.org KEY", "example.org", 22), Verdict::Known);
        assert_eq!(
            verdict("example.org KEY\n@revoked example.org KEY", "example.org", 22),
            Verdict::Changed { text: 0, line: 2 }
        );
        assert_eq!(verdict("@revoked * OTHER\nexample.org KEY", "example.org", 22), Verdict::Known);
        assert_eq!(verdict("example.org ecdsa-sha2-nistp256 AAAA", "example.org", 22), Verdict::Unknown);
    }

    #[test]
    fn hashed_names_are_found() {
        let salt = b"twenty bytes of salt";
        let mut mac = Hmac::<Sha1>::new_from_slice(salt).unwrap();
        mac.update(b"[example.org]:2222");
        let hash = STANDARD.encode(mac.finalize().into_bytes());
        let line = format!("|1|{}|{hash} KEY", STANDARD.encode(salt));
        assert_eq!(verdict(&line, "example.org", 2222), Verdict::Known);
        assert_eq!(verdict(&line, "example.org", 22), Verdict::Unknown);
    }
}
