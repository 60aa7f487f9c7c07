//! Finds the binaries that `make tools` builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// Returns the path of a tool: from `KUBEBUILDER_ASSETS`, `BOWLINE_TOOLS_DIR`, or `.tools/bin` of the repository.
///
/// # Errors
/// It is in none of them. A test that needs it fails with this text: it never passes by being skipped.
#[expect(
    clippy::disallowed_methods,
    reason = "test support has no command line that could tell it where the tools are"
)]
pub(crate) fn find(name: &str) -> Result<PathBuf> {
    let folders = [
        std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from),
        std::env::var_os("BOWLINE_TOOLS_DIR").map(PathBuf::from),
        Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin")),
    ];
    for folder in folders.into_iter().flatten() {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!("{name} is not built\nhint: run `make tools` once")
}

/// Returns a command for a tool with an empty home: no settings or caches of the user are read or written.
pub(crate) fn command(name: &str, home: &Path) -> Result<Command> {
    let mut command = Command::new(find(name)?);
    command.env("HOME", home).env_remove("KUBECONFIG").env_remove("XDG_CACHE_HOME").env_remove("XDG_CONFIG_HOME");
    Ok(command)
}
