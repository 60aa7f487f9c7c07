//! Charts for tests, and the two programs that read them: ours and Helm, each with an empty home.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::bowline::Ran;
use super::cluster;

/// The files of a small chart: one ConfigMap that says its version.
pub(crate) fn files(name: &str, version: &str) -> Vec<(String, String)> {
    let chart = format!("apiVersion: v2\nname: {name}\nversion: {version}\ndescription: The {name} chart\n");
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {version: {{ .Chart.Version | quote }}}\n";
    vec![
        (format!("{name}/Chart.yaml"), chart),
        (format!("{name}/values.yaml"), "size: 1\n".to_owned()),
        (format!("{name}/templates/config.yaml"), template.to_owned()),
    ]
}

/// A small chart, packed.
pub(crate) fn packed(name: &str, version: &str) -> Vec<u8> {
    pack(&files(name, version))
}

/// Files as a packed chart; the same files give the same bytes.
pub(crate) fn pack(files: &[(String, String)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes()).expect("memory can be written");
    }
    archive.into_inner().and_then(GzEncoder::finish).expect("memory can be written")
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A home for the two programs, with a work folder; nothing of the user is read or written.
pub(crate) struct Home(TempDir);

impl Home {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let home = Home(TempDir::new().expect("a temporary folder can be made"));
        fs::create_dir(home.path()).expect("a folder can be made");
        home
    }

    /// The work folder: both programs run in it.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("work")
    }

    /// Writes a file into the work folder.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder can be made");
        fs::write(&path, bytes).expect("a file can be written");
        path
    }

    /// Reads a file of the work folder.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Runs our binary.
    pub(crate) fn bowline(&self, arguments: &[&str]) -> Ran {
        self.bowline_with(arguments, b"")
    }

    /// Runs our binary with text on its standard input.
    pub(crate) fn bowline_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
        command.env_clear().env("PATH", "/usr/bin:/bin");
        self.run(command, arguments, input)
    }

    /// Runs Helm 4.
    #[track_caller]
    pub(crate) fn helm(&self, arguments: &[&str]) -> Ran {
        self.helm_with(arguments, b"")
    }

    /// Runs Helm 4 with text on its standard input.
    #[track_caller]
    pub(crate) fn helm_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let program = cluster::find("helm").unwrap_or_else(|error| panic!("{error}"));
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin");
        self.run(command, arguments, input)
    }

    fn run(&self, mut command: Command, arguments: &[&str], input: &[u8]) -> Ran {
        command.args(arguments).current_dir(self.path()).env("HOME", self.0.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        // A program that reads nothing closes its side early.
        let _ = child.stdin.take().expect("it is piped").write_all(input);
        Ran::of(child.wait_with_output().expect("the program can be waited for"))
    }
}
