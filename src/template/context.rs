//! What a run may use of the world, handed in so that a run can be repeated: random, clock, lookups, limits.

use rand::{RngCore, SeedableRng, rngs::StdRng};

use super::value::Value;

/// The surroundings of a run.
pub struct Context {
    /// What a missing map key gives.
    pub missing_key: MissingKey,
    /// Where `randAlphaNum`, `genCA`, `uuidv4` and their like draw from.
    pub random: Box<dyn Random>,
    /// What time `now` says it is.
    pub clock: Box<dyn Clock>,
    /// What `lookup` finds.
    pub lookup: Box<dyn Lookup>,
    /// Whether `required` and `fail` let pass, as in Helm's lint.
    pub lint: bool,
    /// What a run may cost.
    pub limits: Limits,
    /// Asked now and then whether the time is up; a run that takes longer ends with an error.
    pub expired: Option<Box<dyn Fn() -> bool>>,
}

impl Default for Context {
    /// No lookups, the clock at the Unix epoch, random from seed 0, and a missing key is `<no value>`.
    fn default() -> Self {
        Context {
            missing_key: MissingKey::Default,
            random: Box::new(Seeded::new(0)),
            clock: Box::new(Moment::default()),
            lookup: Box::new(()),
            lint: false,
            limits: Limits::default(),
            expired: None,
        }
    }
}

/// What the field of a map gives when there is no such key: Go's option `missingkey`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// `default` or `invalid`: no value, whose fields are no value either.
    #[default]
    Default,
    /// `zero`: the zero value of the map's element type. What Helm sets: fields of nil are an error then.
    Zero,
    /// `error`: execution stops. Helm's `--strict`.
    Error,
}

/// What a run may cost; beyond it, it ends with an error.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Nested `include`s of one name.
    pub includes: usize,
    /// Nested `template` actions and includes of any name.
    pub depth: usize,
    /// Nodes and loop turns that are executed.
    pub steps: Option<u64>,
    /// Bytes that are written, those of includes counted again each time they are passed on.
    pub output: Option<usize>,
}

impl Default for Limits {
    /// Go's and Helm's own limits, on depth only.
    fn default() -> Self {
        Limits { includes: 1_000, depth: 100_000, steps: None, output: None }
    }
}

/// A source of random bytes.
pub trait Random {
    /// Fills the buffer.
    fn fill(&mut self, buffer: &mut [u8]);
}

/// Random bytes that follow from a seed.
#[derive(Debug)]
pub struct Seeded(StdRng);

impl Seeded {
    /// The bytes of a seed.
    pub fn new(seed: u64) -> Self {
        Seeded(StdRng::seed_from_u64(seed))
    }

    /// The bytes of a long seed, which is as good as random when the seed is.
    pub fn from_bytes(seed: [u8; 32]) -> Self {
        Seeded(StdRng::from_seed(seed))
    }
}

impl Random for Seeded {
    fn fill(&mut self, buffer: &mut [u8]) {
        self.0.fill_bytes(buffer);
    }
}

/// A point in time, since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// A clock with a zone.
pub trait Clock {
    /// What time it is.
    fn now(&self) -> Moment;

    /// The zone that `Local` means, as an IANA name.
    fn zone(&self) -> &str {
        "UTC"
    }
}

/// A clock that stands still.
impl Clock for Moment {
    fn now(&self) -> Moment {
        *self
    }
}

/// Reads from a cluster for the function `lookup`.
pub trait Lookup {
    /// One object, or a list of them when the name is empty; an empty map when there is none.
    ///
    /// # Errors
    /// The reason in Helm's words, when the cluster could not answer.
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, String>;
}

/// No cluster: nothing is ever found.
impl Lookup for () {
    fn lookup(&self, _: &str, _: &str, _: &str, _: &str) -> Result<Value, String> {
        Ok(Value::map::<&str>([]))
    }
}
