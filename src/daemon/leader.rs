//! Decides whether this process works or stands by: of all that follow the same cluster, the holder of one Lease works.
//!
//! ```text
//! stand-by   looks every retry period; takes the lease when nobody holds it, or when it was not renewed for its duration
//! leader     renews every retry period; when no renewal came through within the renew deadline, it is a stand-by again
//! stopping   gives the lease up after its last write
//! ```
//! The gate of all writes ([`Fence`]) closes by its own clock, whatever this task is doing. A stand-by keeps its watches,
//! its copy of the repository and what it renders, so that taking over costs a read of the records.
//!
//! Start at [`Election::run`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cluster;
use crate::cluster::fence::{Clock, Fence, Term};
use crate::cluster::lease::{Held, Lease};

/// How long a lease lasts and how often it is looked at. Each is shorter than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// After so long without a renewal another may take the lease.
    pub lease: Duration,
    /// After so long without a renewal the leader writes no more.
    pub renew: Duration,
    /// Between two renewals, and between two looks of a stand-by.
    pub retry: Duration,
}

/// What this process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It works.
    Leader,
    /// It keeps warm; the named one works, if anybody does.
    StandBy(String),
}

/// One candidate.
#[derive(Debug)]
pub struct Election {
    lease: Lease,
    fence: Arc<Fence>,
    times: Times,
}

/// A name that no other candidate has: the host's (in a cluster: the pod's), and some digits.
pub fn identity() -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{}_{}", rustix::system::uname().nodename().to_string_lossy(), &random[..8])
}

fn hint(error: &cluster::Error) -> &'static str {
    match error.refusal().map(|refusal| refusal.code) {
        Some(403) => {
            "grant get, create and patch on Leases in this namespace (see deploy/), or set leaderElection.enabled: false"
        }
        _ => "",
    }
}

/// How a time as leader ended.
enum End {
    /// The lease was lost, and why.
    Lost(String),
    /// The process stops; the lease is still held.
    Stopped(Box<Held>),
}

impl Election {
    /// A candidate for a lease.
    pub fn new(lease: Lease, times: Times) -> Self {
        Election { lease, fence: Arc::new(Fence::new(Clock::of_the_machine())), times }
    }

    /// The gate of all writes, which the candidate opens and closes.
    pub fn fence(&self) -> Arc<Fence> {
        self.fence.clone()
    }

    /// What it stands for.
    pub fn lease(&self) -> Lease {
        self.lease.clone()
    }

    /// Stands for election until `stop`, and tells of each change of role. A lease that is held then is given up.
    pub async fn run(self, roles: mpsc::UnboundedSender<Role>, stop: CancellationToken) {
        // Whoever listens has ended when it cannot be told: the program stops.
        let tell = |role: Role| drop(roles.send(role));
        loop {
            let Some((held, since)) = self.candidate(&tell, &stop).await else { return };
            self.open(&held, since);
            info!(lease = self.lease.place(), identity = self.lease.identity(), "leads");
            tell(Role::Leader);
            let end = self.lead(held, since, &stop).await;
            self.fence.close();
            match end {
                End::Lost(why) => {
                    warn!(lease = self.lease.place(), why, "leads no more: stands by");
                    tell(Role::StandBy(String::new()));
                }
                End::Stopped(held) => {
                    match self.lease.release(&held, self.times.renew).await {
                        Ok(()) => info!(lease = self.lease.place(), "gave the lease up"),
                        Err(error) => warn!(lease = self.lease.place(), %error, "the lease could not be given up"),
                    }
                    return;
                }
            }
        }
    }

    /// Stands by until the lease is taken: the lease, and when the request that took it was sent.
    async fn candidate(&self, tell: impl Fn(Role), stop: &CancellationToken) -> Option<(Held, Duration)> {
        let mut silence = Silence::default();
        let mut leader = None;
        let mut said = String::new();
        loop {
            let tried = tokio::select! {
                tried = self.try_to_take(&mut silence) => tried,
                () = stop.cancelled() => return None,
            };
            match tried {
                Ok(Taken::Ours(held, since)) => return Some((held, since)),
                Ok(Taken::Others(holder)) => {
                    if leader.as_ref() != Some(&holder) && !holder.is_empty() {
                        info!(lease = self.lease.place(), leader = holder, "stands by");
                        tell(Role::StandBy(holder.clone()));
                        leader = Some(holder);
                    }
                    said.clear();
                }
                Err(error) => {
                    let words = error.to_string();
                    if said != words {
                        let hint = hint(&error);
                        warn!(lease = self.lease.place(), error = words, hint, "the lease cannot be had; trying again");
                        said = words;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(self.pause()) => {},
            }
        }
    }

    async fn try_to_take(&self, silence: &mut Silence) -> Result<Taken, cluster::Error> {
        let at_most = self.times.renew;
        let seen = self.lease.look(at_most).await?;
        let now = self.fence.clock().now();
        // Lost and still ours: nobody took it meanwhile.
        let ours = |seen: &Held| seen.holder == self.lease.identity();
        if let Some(seen) = seen.as_ref().filter(|seen| !ours(seen) && !silence.is_over(seen, now)) {
            return Ok(Taken::Others(seen.holder.clone()));
        }
        let since = self.fence.clock().now();
        match self.lease.take(seen.as_ref(), self.times.lease, at_most).await {
            Ok(held) => Ok(Taken::Ours(held, since)),
            // Another candidate was faster: the next look tells who.
            Err(error) if error.refusal().is_some_and(|refusal| refusal.code == 409) => {
                Ok(Taken::Others(String::new()))
            }
            Err(error) => Err(error),
        }
    }

    /// Renews until the lease is lost or the process stops.
    async fn lead(&self, mut held: Held, mut since: Duration, stop: &CancellationToken) -> End {
        loop {
            tokio::select! {
                () = stop.cancelled() => return End::Stopped(Box::new(held)),
                () = tokio::time::sleep(self.times.retry) => {},
            }
            let now = self.fence.clock().now();
            let left = (since + self.times.renew).saturating_sub(now);
            if left.is_zero() {
                return End::Lost(format!("no renewal within {} seconds", self.times.renew.as_secs_f32()));
            }
            match self.lease.take(Some(&held), self.times.lease, left.min(self.times.renew / 2)).await {
                Ok(renewed) => {
                    since = now;
                    self.open(&renewed, since);
                    held = renewed;
                }
                Err(error) if error.is_not_found() => return End::Lost("somebody deleted the lease".to_owned()),
                Err(error) if error.refusal().is_some_and(|refusal| refusal.code == 409) => {
                    match self.lease.look(left.min(self.times.renew / 2)).await {
                        // Somebody wrote to the object, or an answer to our renewal was lost: it is ours all the same.
                        Ok(Some(seen)) if seen.holder == self.lease.identity() => held = seen,
                        Ok(Some(seen)) => return End::Lost(format!("{} took it", seen.holder)),
                        Ok(None) => return End::Lost("somebody deleted the lease".to_owned()),
                        Err(error) => warn!(lease = self.lease.place(), %error, "the lease could not be read"),
                    }
                }
                Err(error) => warn!(lease = self.lease.place(), %error, "the lease could not be renewed"),
            }
        }
    }

    fn open(&self, held: &Held, since: Duration) {
        let (may_send_until, ends) = (since + self.times.renew, since + self.times.lease);
        self.fence.open(Term { token: held.transitions, may_send_until, ends });
    }

    /// The retry period, and up to a fifth more: candidates do not all look in the same moment.
    fn pause(&self) -> Duration {
        self.times.retry.mul_f64(1.0 + rand::random::<f64>() / 5.0)
    }
}

/// An election that goes on beside everything else.
#[derive(Debug)]
pub struct Standing {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Standing {
    /// Stands for election, and tells each change of role. Without an election this process leads from the start.
    pub fn start(election: Option<Election>, roles: mpsc::UnboundedSender<Role>) -> Self {
        let stop = CancellationToken::new();
        let task = match election {
            Some(election) => Some(tokio::spawn(election.run(roles, stop.clone()))),
            None => {
                // Nobody listens any more: the program stops.
                let _ = roles.send(Role::Leader);
                None
            }
        };
        Standing { stop, task }
    }

    /// Ends it: the gate is closed, and a lease that is held is given up.
    pub async fn end(self) {
        self.stop.cancel();
        if let Some(task) = self.task {
            let _ = task.await;
        }
    }
}

enum Taken {
    Ours(Held, Duration),
    Others(String),
}

/// How long the holder of a lease has been silent, by our own clock: what it wrote about time is of its clock.
#[derive(Debug, Default)]
struct Silence {
    last: Option<(String, Duration)>,
}

impl Silence {
    /// Whether the lease may be taken: nobody holds it, or nothing was renewed for as long as its holder said.
    fn is_over(&mut self, held: &Held, now: Duration) -> bool {
        if held.holder.is_empty() {
            return true;
        }
        match &self.last {
            Some((version, since)) if *version == held.version => now.saturating_sub(*since) > held.duration,
            _ => {
                self.last = Some((held.version.clone(), now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(holder: &str, version: &str) -> Held {
        Held {
            holder: holder.to_owned(),
            duration: Duration::from_secs(15),
            transitions: 3,
            version: version.to_owned(),
            acquired: String::new(),
        }
    }

    #[test]
    fn a_lease_is_taken_when_its_holder_was_silent_for_its_duration_by_our_own_clock() {
        let mut silence = Silence::default();
        let story = [
            (1000, "7", false), // first seen: however long ago it was renewed
            (1014, "7", false),
            (1015, "8", false), // renewed
            (1030, "8", false),
            (1031, "8", true),
        ];
        for (now, version, is_over) in story {
            assert_eq!(silence.is_over(&held("other", version), Duration::from_secs(now)), is_over, "at {now}");
        }
    }

    #[test]
    fn a_lease_that_was_given_up_is_taken_at_once() {
        assert!(Silence::default().is_over(&held("", "7"), Duration::from_secs(1)));
    }
}
