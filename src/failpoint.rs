//! Points at which a test ends the process, to prove that the next start goes on from any of them.
//!
//! `BOWLINE_FAIL_AT=NAME[:N][=ACTION]` acts when the point NAME is passed for the Nth time (the first, when left out).
//! Only builds with debug assertions know it; in a release build [`reach`] is an empty function.
//!
//! Start at [`Point`]: a point that is added there does not compile until `tests/faults/points.rs` has a story for it.

use crate::error::Error;

macro_rules! points {
    ($($(#[doc = $doc:literal])* $point:ident = $name:literal,)*) => {
        /// Where the process can be ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point {
            $($(#[doc = $doc])* $point,)*
        }

        impl Point {
            /// All of them, in the order in which a commit passes them.
            pub const ALL: &[Point] = &[$(Point::$point,)*];

            /// The name that `BOWLINE_FAIL_AT` knows it by.
            pub fn name(self) -> &'static str {
                match self {
                    $(Point::$point => $name,)*
                }
            }
        }
    };
}

points! {
    /// The Git server has shown its references.
    SourceLooked = "source.looked",
    /// All pieces of a pack have come; it is not yet part of the local copy.
    SourcePack = "source.pack",
    /// The commit is in the local copy; no reference of ours names it.
    SourceFetched = "source.fetched",
    /// The tree was walked; the tip is still the old commit.
    SourceWalked = "source.walked",
    /// The tip has moved.
    SourceMoved = "source.moved",
    /// A fresh copy is complete; the damaged one is still in force.
    SourceSwapping = "source.swapping",
    /// The fresh copy is in force; the damaged one is still there.
    SourceSwapped = "source.swapped",
    /// All that is needed is in one new pack; the old packs are still there.
    SourceTidied = "source.tidied",
    /// A unit was looked at; nothing is recorded.
    ReconcileObserved = "reconcile.observed",
    /// A part of a large revision is recorded, the revision itself is not.
    RecordPart = "record.part",
    /// The new revision is recorded as planned; the old one is still called current.
    RecordPlanned = "record.planned",
    /// A part of a revision that is not kept any longer is gone.
    RecordTrimmed = "record.trimmed",
    /// The oldest revision is gone; two are called current.
    RecordSuperseding = "record.superseding",
    /// The old revision is no longer called current.
    RecordSuperseded = "record.superseded",
    /// The inventory of the same revision has grown.
    RecordGrown = "record.grown",
    /// An object is about to be written.
    ApplyWriting = "apply.writing",
    /// Predecessors have lost their claims on an object; it is not applied yet.
    ApplyAdopted = "apply.adopted",
    /// An object was written.
    ApplyWritten = "apply.written",
    /// All objects of a tier are written.
    ApplyTier = "apply.tier",
    /// The unit is applied and was waited for; nothing was deleted.
    ApplyWaited = "apply.waited",
    /// An object is about to be deleted.
    PruneDeleting = "prune.deleting",
    /// The server has taken a deletion.
    PruneDeleted = "prune.deleted",
    /// All is deleted; the record does not say so.
    PruneDone = "prune.done",
    /// The end of a revision is recorded.
    RecordFinished = "record.finished",
    /// One of the revisions of a unit that is gone was removed.
    RecordForgotten = "record.forgotten",
    /// Any write to the cluster is about to be sent.
    ClientSending = "client.sending",
    /// Any write to the cluster was answered.
    ClientAnswered = "client.answered",
}

/// Arms a point, as `BOWLINE_FAIL_AT` says. Called once, at the start.
///
/// # Errors
/// The text names no point, no number or no action.
#[cfg(debug_assertions)]
pub fn arm(text: &str) -> Result<(), Error> {
    let armed = armed::Armed::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        Error::new(format!("BOWLINE_FAIL_AT={text} cannot be read"))
            .hint(format!("write NAME[:N][=abort|panic|stop] with one of {}", names.join(", ")))
    })?;
    armed::arm(armed);
    Ok(())
}

/// Arms nothing: this build has no fail points.
///
/// # Errors
/// None.
#[cfg(not(debug_assertions))]
pub fn arm(_: &str) -> Result<(), Error> {
    Ok(())
}

/// The process has come to a point. Does nothing unless the point is armed.
#[inline]
pub fn reach(point: Point) {
    #[cfg(debug_assertions)]
    armed::reached(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Point;

    static ARMED: OnceLock<Armed> = OnceLock::new();

    pub(super) struct Armed {
        point: Point,
        /// How often the point is still passed by.
        left: AtomicU64,
        action: Action,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Action {
        /// As `kill -9`: nothing is finished or flushed.
        Abort,
        /// Only the task at work ends.
        Panic,
        /// The whole process stands still until it gets SIGCONT.
        Stop,
    }

    impl Armed {
        pub(super) fn parse(text: &str) -> Option<Self> {
            let (place, action) = text.split_once('=').unwrap_or((text, "abort"));
            let (name, number) = place.split_once(':').unwrap_or((place, "1"));
            let action = match action {
                "abort" => Action::Abort,
                "panic" => Action::Panic,
                "stop" => Action::Stop,
                _ => return None,
            };
            let point = Point::ALL.iter().copied().find(|point| point.name() == name)?;
            let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
            Some(Armed { point, left: AtomicU64::new(number), action })
        }

        /// Whether this was the pass that is meant.
        fn is_reached(&self, point: Point) -> bool {
            point == self.point
                && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) == Ok(1)
        }
    }

    pub(super) fn arm(armed: Armed) {
        // The first stays.
        let _ = ARMED.set(armed);
    }

    pub(super) fn reached(point: Point) {
        let Some(armed) = ARMED.get().filter(|armed| armed.is_reached(point)) else { return };
        tracing::warn!(point = point.name(), action = ?armed.action, "fail point");
        match armed.action {
            Action::Abort => std::process::abort(),
            Action::Panic => panic!("fail point {}", point.name()),
            Action::Stop => {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
                // The signal comes to all threads, to this one perhaps a moment later.
                std::thread::sleep(std::time::Duration::from_millis(500));
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_acts_once_at_its_number() {
            let armed = Armed::parse("apply.written:3=panic").unwrap();
            let passes: Vec<bool> = (0..5).map(|_| armed.is_reached(Point::ApplyWritten)).collect();
            assert_eq!(passes, [false, false, true, false, false]);
            assert!(!Armed::parse("apply.written").unwrap().is_reached(Point::ApplyWriting));
        }

        #[test]
        fn what_is_not_a_point_is_an_error() {
            for wrong in ["apply", "apply.written:0", "apply.written:x", "apply.written=explode", ""] {
                assert!(Armed::parse(wrong).is_none(), "{wrong}");
            }
        }
    }
}
