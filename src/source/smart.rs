//! Git's smart protocol as a client that fetches: pure texts and streams, no network.
//!
//! ```text
//! request  ls_refs(prefixes)            -> advertised references    version 2: one small request
//!          info/refs                    -> all references           version 0, for servers that know no other
//!          fetch(want, have, shallow)   -> shallow lines, then a pack in side band 1
//! ```
//! All that is known to be here is offered at once with `done`, so a fetch is one request in either version.

use std::io::{self, Read};

use git2::Oid;

use super::config::Reference;

const AGENT: &str = concat!("agent=bowline/", env!("CARGO_PKG_VERSION"));
/// Longest packet of the protocol, its length included.
const MAX_PACKET: usize = 65_520;
/// More references than any sane repository has.
const MAX_REFERENCES: usize = 2_000_000;

/// Why an answer is not a sound one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// Reading failed: the connection, not the protocol.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The bytes are not what the protocol says.
    #[error("{0}")]
    Form(String),
    /// The server reports an error in its own words.
    #[error("{0}")]
    Server(String),
}

fn form(message: impl Into<String>) -> Broken {
    Broken::Form(message.into())
}

/// One packet of the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// `0000`
    Flush,
    /// `0001`
    Delimiter,
    /// Anything longer.
    Data(Vec<u8>),
}

/// Reads packets; an end in the middle of one is an error.
pub(super) struct Packets<R> {
    reader: R,
}

impl<R: Read> Packets<R> {
    pub(super) fn new(reader: R) -> Self {
        Packets { reader }
    }

    /// The next packet; `None` at the end of the stream.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, Broken> {
        let mut length = [0; 4];
        let mut filled = 0;
        while filled < length.len() {
            match self.reader.read(&mut length[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(form("the answer ends inside a packet")),
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let length = std::str::from_utf8(&length).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let length = match length {
            Some(0) => return Ok(Some(Packet::Flush)),
            Some(1) => return Ok(Some(Packet::Delimiter)),
            Some(length @ 4..=MAX_PACKET) => length - 4,
            _ => return Err(form("the answer is not made of packets")),
        };
        let mut data = vec![0; length];
        self.reader.read_exact(&mut data).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => form("the answer ends inside a packet"),
            _ => Broken::Read(error),
        })?;
        if let Some(message) = data.strip_prefix(b"ERR ") {
            return Err(Broken::Server(words(message)));
        }
        Ok(Some(Packet::Data(data)))
    }

    /// The next packet as a line; `None` at a flush or the end.
    fn line(&mut self) -> Result<Option<String>, Broken> {
        match self.next()? {
            Some(Packet::Data(data)) => match String::from_utf8(data) {
                Ok(text) => Ok(Some(text.trim_end_matches('\n').to_owned())),
                Err(_) => Err(form("a line of the answer is not UTF-8")),
            },
            Some(Packet::Delimiter) => Err(form("a section ends where none began")),
            Some(Packet::Flush) | None => Ok(None),
        }
    }
}

/// A server's words, cut to one printable line.
pub(super) fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    text.trim().to_owned()
}

/// A reference as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advertised {
    pub(super) name: String,
    pub(super) id: Oid,
    /// What an annotated tag leads to.
    pub(super) peeled: Option<Oid>,
    /// Where a symbolic reference leads to.
    pub(super) target: Option<String>,
}

/// What a server says of itself when asked for version 2.
pub(super) enum Greeting {
    /// It speaks version 2 with these capabilities.
    Version2(Capabilities),
    /// It speaks version 0, and these are its references.
    Version0(Capabilities, Vec<Advertised>),
}

/// Capability words, such as `fetch=shallow filter` or `side-band-64k`.
#[derive(Debug, Clone, Default)]
pub(super) struct Capabilities(Vec<String>);

impl Capabilities {
    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|word| {
            let rest = word.strip_prefix(name)?;
            if rest.is_empty() { Some("") } else { rest.strip_prefix('=') }
        })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn check_format(&self) -> Result<(), Broken> {
        match self.value("object-format") {
            None | Some("sha1") => Ok(()),
            Some(other) => Err(form(format!("the repository names objects by {other}; only sha1 is read"))),
        }
    }
}

/// Reads the answer to `info/refs?service=git-upload-pack`.
pub(super) fn greeting(reader: impl Read) -> Result<Greeting, Broken> {
    let mut packets = Packets::new(reader);
    let mut first = packets.line()?.ok_or_else(|| form("the answer is empty"))?;
    if first.starts_with("# service=") {
        if first != "# service=git-upload-pack" {
            return Err(form("the server offers another service"));
        }
        if packets.line()?.is_some() {
            return Err(form("no flush after the service line"));
        }
        first = match packets.line()? {
            Some(line) => line,
            None => return Ok(Greeting::Version0(Capabilities::default(), Vec::new())),
        };
    }
    if first == "version 2" {
        let mut capabilities = Capabilities::default();
        while let Some(line) = packets.line()? {
            capabilities.0.push(line);
        }
        capabilities.check_format()?;
        if !capabilities.has("fetch") || !capabilities.has("ls-refs") {
            return Err(form("the server speaks version 2 without fetch"));
        }
        return Ok(Greeting::Version2(capabilities));
    }
    version0(&mut packets, first)
}

fn version0<R: Read>(packets: &mut Packets<R>, first: String) -> Result<Greeting, Broken> {
    let mut capabilities = Capabilities::default();
    let mut advertised: Vec<Advertised> = Vec::new();
    let mut next = if first == "version 1" { packets.line()? } else { Some(first) };
    let mut is_first = true;
    while let Some(line) = next {
        let line = match line.split_once('\0') {
            Some((line, words)) if is_first => {
                capabilities.0 = words.split_ascii_whitespace().map(str::to_owned).collect();
                line.to_owned()
            }
            _ => line,
        };
        is_first = false;
        if !line.starts_with("shallow ") {
            let (id, name) = line.split_once(' ').ok_or_else(|| form("a reference without a name"))?;
            let id = Oid::from_str(id).map_err(|_| form("a reference without an object id"))?;
            match (name.strip_suffix("^{}"), advertised.last_mut()) {
                (Some(tag), Some(last)) if last.name == tag => last.peeled = Some(id),
                (Some(_), _) => {}
                (None, _) => advertised.push(Advertised { name: name.to_owned(), id, peeled: None, target: None }),
            }
        }
        if advertised.len() > MAX_REFERENCES {
            return Err(form("more than two million references"));
        }
        next = packets.line()?;
    }
    capabilities.check_format()?;
    let symbolic = capabilities.0.iter().filter_map(|word| word.strip_prefix("symref=")?.split_once(':'));
    for (name, target) in symbolic.map(|(a, b)| (a.to_owned(), b.to_owned())).collect::<Vec<_>>() {
        if let Some(found) = advertised.iter_mut().find(|found| found.name == name) {
            found.target = Some(target);
        }
    }
    Ok(Greeting::Version0(capabilities, advertised))
}

/// The names a server is asked for when this reference is followed.
pub(super) fn prefixes(reference: &Reference) -> Vec<String> {
    match reference {
        Reference::Head => vec!["HEAD".to_owned()],
        Reference::Branch(name) => vec![format!("refs/heads/{name}")],
        Reference::Tag(name) => vec![format!("refs/tags/{name}")],
        Reference::Semver(_) => vec!["refs/tags/".to_owned()],
        Reference::Commit(_) => vec!["refs/heads/".to_owned(), "refs/tags/".to_owned()],
    }
}

fn packet(out: &mut Vec<u8>, line: &str) {
    out.extend_from_slice(format!("{:04x}{line}\n", line.len() + 5).as_bytes());
}

const FLUSH: &[u8] = b"0000";
const DELIMITER: &[u8] = b"0001";

/// The body of a version 2 request for references.
pub(super) fn ls_refs(capabilities: &Capabilities, prefixes: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    packet(&mut out, "command=ls-refs");
    command_words(&mut out, capabilities);
    out.extend_from_slice(DELIMITER);
    packet(&mut out, "peel");
    packet(&mut out, "symrefs");
    for prefix in prefixes {
        packet(&mut out, &format!("ref-prefix {prefix}"));
    }
    out.extend_from_slice(FLUSH);
    out
}

fn command_words(out: &mut Vec<u8>, capabilities: &Capabilities) {
    if capabilities.has("agent") {
        packet(out, AGENT);
    }
    if capabilities.has("object-format") {
        packet(out, "object-format=sha1");
    }
}

/// Reads the answer to [`ls_refs`].
pub(super) fn advertised(reader: impl Read) -> Result<Vec<Advertised>, Broken> {
    let mut packets = Packets::new(reader);
    let mut advertised = Vec::new();
    let mut ended = false;
    while !ended {
        match packets.next()? {
            Some(Packet::Data(line)) => advertised.extend(reference(&line)?),
            Some(Packet::Flush) => ended = true,
            Some(Packet::Delimiter) => return Err(form("a section ends where none began")),
            None => return Err(form("the list of references is cut")),
        }
        if advertised.len() > MAX_REFERENCES {
            return Err(form("more than two million references"));
        }
    }
    Ok(advertised)
}

/// One line of version 2: `id name[ symref-target:name][ peeled:id]`; `None` for a branch without a commit.
fn reference(line: &[u8]) -> Result<Option<Advertised>, Broken> {
    // A name that is not UTF-8 cannot be configured either, so a mark in it does no harm.
    let line = String::from_utf8_lossy(line);
    let mut words = line.trim_end_matches('\n').split(' ');
    let (Some(id), Some(name)) = (words.next(), words.next()) else { return Err(form("a reference without a name")) };
    if id == "unborn" {
        return Ok(None);
    }
    let id = Oid::from_str(id).map_err(|_| form("a reference without an object id"))?;
    let mut found = Advertised { name: name.to_owned(), id, peeled: None, target: None };
    for word in words {
        if let Some(id) = word.strip_prefix("peeled:") {
            found.peeled = Some(Oid::from_str(id).map_err(|_| form("a tag without an object id"))?);
        } else if let Some(target) = word.strip_prefix("symref-target:") {
            found.target = Some(target.to_owned());
        }
    }
    Ok(Some(found))
}

/// What is wanted of the server and what is here already.
#[derive(Debug, Default)]
pub(super) struct Wants {
    pub(super) want: Vec<Oid>,
    pub(super) have: Vec<Oid>,
    /// Commits here whose parents are not here.
    pub(super) shallow: Vec<Oid>,
    /// Commits to fetch from each wanted one.
    pub(super) depth: Option<u32>,
}

/// The body of a fetch in version 2.
pub(super) fn fetch2(capabilities: &Capabilities, wants: &Wants) -> Vec<u8> {
    let mut out = Vec::new();
    packet(&mut out, "command=fetch");
    command_words(&mut out, capabilities);
    out.extend_from_slice(DELIMITER);
    for word in ["thin-pack", "no-progress", "ofs-delta"] {
        packet(&mut out, word);
    }
    let can_shallow = capabilities.value("fetch").is_some_and(|words| words.split(' ').any(|word| word == "shallow"));
    shallow_lines(&mut out, wants, can_shallow);
    for id in &wants.want {
        packet(&mut out, &format!("want {id}"));
    }
    for id in &wants.have {
        packet(&mut out, &format!("have {id}"));
    }
    packet(&mut out, "done");
    out.extend_from_slice(FLUSH);
    out
}

/// The body of a fetch in version 0.
pub(super) fn fetch0(capabilities: &Capabilities, wants: &Wants) -> Result<Vec<u8>, Broken> {
    if !capabilities.has("side-band-64k") {
        return Err(form("the server is too old: it knows no side-band-64k"));
    }
    let offered = ["side-band-64k", "ofs-delta", "thin-pack", "no-progress"];
    let mut words: Vec<&str> = offered.into_iter().filter(|word| capabilities.has(word)).collect();
    if capabilities.has("agent") {
        words.push(AGENT);
    }
    let mut out = Vec::new();
    for (n, id) in wants.want.iter().enumerate() {
        let words = if n == 0 { format!(" {}", words.join(" ")) } else { String::new() };
        packet(&mut out, &format!("want {id}{words}"));
    }
    shallow_lines(&mut out, wants, capabilities.has("shallow"));
    out.extend_from_slice(FLUSH);
    for id in &wants.have {
        packet(&mut out, &format!("have {id}"));
    }
    packet(&mut out, "done");
    Ok(out)
}

fn shallow_lines(out: &mut Vec<u8>, wants: &Wants, can_shallow: bool) {
    if !can_shallow {
        return;
    }
    for id in &wants.shallow {
        packet(out, &format!("shallow {id}"));
    }
    if let Some(depth) = wants.depth {
        packet(out, &format!("deepen {depth}"));
    }
}

/// How the borders of a shallow copy move.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Borders {
    pub(super) shallow: Vec<Oid>,
    pub(super) unshallow: Vec<Oid>,
}

impl Borders {
    fn take(&mut self, line: &str) -> Result<bool, Broken> {
        let (list, id) = match line.split_once(' ') {
            Some(("shallow", id)) => (&mut self.shallow, id),
            Some(("unshallow", id)) => (&mut self.unshallow, id),
            _ => return Ok(false),
        };
        list.push(Oid::from_str(id).map_err(|_| form("a border without an object id"))?);
        Ok(true)
    }
}

/// Reads the answer to [`fetch2`] up to the pack.
pub(super) fn answer2<R: Read>(reader: R) -> Result<(Borders, SideBand<R>), Broken> {
    let mut packets = Packets::new(reader);
    let mut borders = Borders::default();
    loop {
        let section = packets.line()?.ok_or_else(|| form("the answer holds no pack"))?;
        if section == "packfile" {
            return Ok((borders, SideBand::new(packets, Vec::new())));
        }
        loop {
            match packets.next()? {
                Some(Packet::Data(line)) if section == "shallow-info" => {
                    borders.take(words(&line).as_str())?;
                }
                Some(Packet::Data(_)) => {}
                Some(Packet::Delimiter) => break,
                Some(Packet::Flush) | None => return Err(form("the answer holds no pack")),
            }
        }
    }
}

/// Reads the answer to [`fetch0`] up to the pack.
pub(super) fn answer0<R: Read>(reader: R) -> Result<(Borders, SideBand<R>), Broken> {
    let mut packets = Packets::new(reader);
    let mut borders = Borders::default();
    loop {
        match packets.next()? {
            Some(Packet::Data(data)) if data.first() == Some(&3) => return Err(Broken::Server(words(&data[1..]))),
            Some(Packet::Data(data)) if matches!(data.first(), Some(1 | 2)) => {
                return Ok((borders, SideBand::new(packets, data)));
            }
            Some(Packet::Data(data)) => {
                let line = words(&data);
                if !borders.take(&line)? && line != "NAK" && !line.starts_with("ACK ") {
                    return Err(form("the answer holds no pack"));
                }
            }
            Some(Packet::Flush) => {}
            Some(Packet::Delimiter) | None => return Err(form("the answer holds no pack")),
        }
    }
}

/// The pack inside an answer: band 1 is read, band 2 (progress) skipped, band 3 is the server's error.
pub(super) struct SideBand<R> {
    packets: Packets<R>,
    data: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> SideBand<R> {
    fn new(packets: Packets<R>, first: Vec<u8>) -> Self {
        let at = if first.first() == Some(&1) { 1 } else { first.len() };
        SideBand { packets, data: first, at, ended: false }
    }

    /// The next piece of the pack; `None` at its proper end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Broken> {
        while self.at >= self.data.len() && !self.ended {
            match self.packets.next()? {
                Some(Packet::Data(data)) => match data.first() {
                    Some(1) => (self.data, self.at) = (data, 1),
                    Some(2) => {}
                    Some(3) => return Err(Broken::Server(words(&data[1..]))),
                    _ => return Err(form("the pack is not in a side band")),
                },
                Some(Packet::Flush) => self.ended = true,
                Some(Packet::Delimiter) => return Err(form("a section ends inside the pack")),
                None => return Err(form("the pack is cut")),
            }
        }
        let piece = &self.data[self.at.min(self.data.len())..];
        self.at = self.data.len();
        Ok(if piece.is_empty() { None } else { Some(piece) })
    }
}
