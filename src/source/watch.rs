//! Tells at once when something changed in a repository or folder of this machine.
//!
//! A hint like any other trigger: the fetch that follows looks for itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::RecursiveMode;
use notify_debouncer_full::{DebounceEventResult, DebouncedEvent, Debouncer, RecommendedCache, new_debouncer};

use super::address::{Address, Place};
use super::config::Config;
use super::error::Error;

/// Changes within this time are one.
const QUIET: Duration = Duration::from_millis(200);

/// Watches as long as it lives.
pub struct Watch {
    _debouncer: Debouncer<notify::RecommendedWatcher, RecommendedCache>,
}

/// Calls `changed` after changes of a source on this machine; `None` for a source elsewhere.
///
/// # Errors
/// The folder is not there, or the system gives no more watches.
pub fn watch(config: &Config, changed: impl Fn() + Send + 'static) -> Result<Option<Watch>, Error> {
    let Place::Local(path) = Address::parse(&config.url)?.place else { return Ok(None) };
    let failed =
        |error: notify::Error| Error::Folder { path: path.clone(), message: format!("cannot be watched: {error}") };
    let is_repository = super::is_repository(&path) || config.url.starts_with("file:");
    let report = move |result: DebounceEventResult| match result {
        Ok(events) if events.iter().any(|event| counts(event, is_repository)) => changed(),
        Ok(_) => {}
        // Watches were lost: what changed meanwhile is found by a look.
        Err(_) => changed(),
    };
    let mut debouncer = new_debouncer(QUIET, None, report).map_err(failed)?;
    if is_repository {
        for (folder, mode) in places(&path)? {
            debouncer.watch(&folder, mode).map_err(failed)?;
        }
    } else {
        debouncer.watch(path.join(&config.path), RecursiveMode::Recursive).map_err(failed)?;
    }
    Ok(Some(Watch { _debouncer: debouncer }))
}

/// Where a repository notes that a reference moved: `refs/`, and beside it `HEAD` and `packed-refs`.
fn places(path: &Path) -> Result<Vec<(PathBuf, RecursiveMode)>, Error> {
    let repository = git2::Repository::open(path)
        .map_err(|error| Error::Folder { path: path.to_owned(), message: error.message().to_owned() })?;
    let common = repository.commondir();
    Ok(vec![(common.to_owned(), RecursiveMode::NonRecursive), (common.join("refs"), RecursiveMode::Recursive)])
}

/// Reading changes nothing, Git's locks come before the change, and `.git` is no part of a plain folder.
fn counts(event: &DebouncedEvent, is_repository: bool) -> bool {
    let is_lock = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "lock");
    let is_git = |path: &PathBuf| !is_repository && path.components().any(|part| part.as_os_str() == ".git");
    !event.kind.is_access() && !event.paths.iter().all(|path| is_lock(path) || is_git(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{AccessKind, CreateKind, ModifyKind};
    use notify::{Event, EventKind};

    fn event(kind: EventKind, path: &str) -> DebouncedEvent {
        DebouncedEvent::new(Event::new(kind).add_path(PathBuf::from(path)), std::time::Instant::now())
    }

    #[test]
    fn reading_and_locks_are_no_change() {
        let created = EventKind::Create(CreateKind::File);
        assert!(counts(&event(created, "r/refs/heads/main"), true));
        assert!(counts(&event(EventKind::Modify(ModifyKind::Any), "f/a.yaml"), false));
        assert!(!counts(&event(EventKind::Access(AccessKind::Any), "f/a.yaml"), false));
        assert!(!counts(&event(created, "r/refs/heads/main.lock"), true));
        assert!(!counts(&event(created, "f/.git/index"), false));
    }
}
