//! What templates may use of the world when a command renders them: the clock and random bytes.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use rand::TryRngCore as _;
use rand::rngs::OsRng;

use crate::chart::Options;
use crate::error::Error;
use crate::template::{Clock, Context, MissingKey, Moment, Random, Seeded};

/// Where random bytes and the time come from
#[derive(Debug, Clone, clap::Args)]
pub(super) struct World {
    /// Draw random values from this seed, so that a rendering can be repeated
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// Let the clock stand at this time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    now: Option<DateTime<Utc>>,
}

impl World {
    /// The surroundings of a rendering, with Helm's rule on missing keys.
    pub(super) fn context(&self) -> Result<Context, Error> {
        let random: Box<dyn Random> = match self.seed {
            Some(seed) => Box::new(Seeded::new(seed)),
            None => Box::new(system_random()?),
        };
        let clock: Box<dyn Clock> = match self.now {
            Some(now) => Box::new(Moment { seconds: now.timestamp(), nanoseconds: now.timestamp_subsec_nanos() }),
            None => Box::new(SystemClock),
        };
        Ok(Context { random, clock, missing_key: MissingKey::Zero, ..Context::default() })
    }
}

impl World {
    /// How a chart is rendered with it.
    pub(super) fn options(&self) -> Result<Options, Error> {
        let mut seed = [0; 32];
        match self.seed {
            Some(number) => seed[..8].copy_from_slice(&number.to_le_bytes()),
            None => fill_from_system(&mut seed)?,
        }
        let now = match self.now {
            Some(now) => Moment { seconds: now.timestamp(), nanoseconds: now.timestamp_subsec_nanos() },
            None => SystemClock.now(),
        };
        Ok(Options::new(seed, now))
    }
}

// A generator with a seed that nobody knows: keys that templates make of it are secrets.
fn system_random() -> Result<Seeded, Error> {
    let mut seed = [0; 32];
    fill_from_system(&mut seed)?;
    Ok(Seeded::from_bytes(seed))
}

fn fill_from_system(seed: &mut [u8; 32]) -> Result<(), Error> {
    OsRng.try_fill_bytes(seed).map_err(|error| Error::new("cannot read random bytes").because(error))
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { seconds: since.as_secs().cast_signed(), nanoseconds: since.subsec_nanos() }
    }
}
