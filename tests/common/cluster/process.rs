//! Child processes that never outlive whoever started them.
//!
//! Each program runs under `supervise.sh`, which ends it when the pipe to us closes: by [`Process::kill`], by drop, or
//! by the kernel when this process dies in whatever way. Start at [`Process::start`].

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const SUPERVISE: &str = include_str!("supervise.sh");

/// One supervised program. Dropping it ends the program at once.
pub(crate) struct Process {
    base: PathBuf,
    supervisor: Child,
    pid: u32,
}

impl Process {
    /// Starts a program whose files (`NAME.log`, `NAME.pid`, `NAME.exit`) lie in `folder`.
    ///
    /// `command` says what to run, with which arguments and environment; its own pipes are not used.
    pub(crate) fn start(folder: &Path, name: &str, command: &Command) -> Result<Process> {
        let base = folder.join(name);
        let exit = base.with_file_name(format!("{name}.exit"));
        if exit.exists() {
            fs::remove_file(&exit)?;
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", SUPERVISE, "supervise.sh"]).arg(&base).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            shell.current_dir(directory);
        }
        let supervisor = spawn(&mut shell).with_context(|| format!("{name} could not be started"))?;
        let mut process = Process { base, supervisor, pid: 0 };
        let deadline = Instant::now() + Duration::from_secs(30);
        while process.pid == 0 {
            if let Some(pid) = process.read("pid").and_then(|text| text.parse().ok()) {
                process.pid = pid;
            } else if process.exit_status().is_some() || Instant::now() > deadline {
                bail!("{name} could not be started: {}", process.log_tail());
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(process)
    }

    /// The program's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Everything the program has written so far, both outputs together.
    pub(crate) fn log(&self) -> String {
        self.read("log").unwrap_or_default()
    }

    /// The last lines of the log, for messages.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// The exit status as a shell counts it (128 + signal when killed); `None` while it runs.
    pub(crate) fn exit_status(&self) -> Option<i32> {
        self.read("exit")?.parse().ok()
    }

    /// Ends the program at once and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(crate) fn signal(&mut self, name: &str) {
        let line = format!("{name}\n");
        let stdin = self.supervisor.stdin.as_mut().expect("the supervisor listens until the process is ended");
        stdin.write_all(line.as_bytes()).expect("the supervisor runs");
    }

    /// Asks the program to end (SIGTERM) and returns its exit status; after `patience` it is killed.
    pub(crate) fn terminate(&mut self, patience: Duration) -> Option<i32> {
        if let Some(stdin) = self.supervisor.stdin.as_mut() {
            let _ = stdin.write_all(b"TERM\n");
        }
        let deadline = Instant::now() + patience;
        while self.exit_status().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let status = self.exit_status();
        self.kill();
        status
    }

    fn read(&self, extension: &str) -> Option<String> {
        let name = self.base.file_name()?.to_str()?;
        let bytes = fs::read(self.base.with_file_name(format!("{name}.{extension}"))).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A temporary folder that is removed after the last [`Process`] in it has ended, also when we are killed.
pub(crate) struct Folder {
    path: PathBuf,
    janitor: Child,
}

impl Folder {
    /// Makes the folder.
    pub(crate) fn new(prefix: &str) -> Result<Folder> {
        let path = tempfile::Builder::new().prefix(prefix).tempdir().context("no temporary folder")?.keep();
        let mut shell = Command::new("sh");
        shell.args(["-c", SUPERVISE, "supervise.sh", "--folder"]).arg(&path);
        let janitor = spawn(&mut shell).context("sh could not be started")?;
        Ok(Folder { path, janitor })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// Starts a supervisor in a process group of its own, so that Ctrl-C reaches us only, with no output that would keep a
/// pipe of ours open.
fn spawn(shell: &mut Command) -> std::io::Result<Child> {
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()
}
