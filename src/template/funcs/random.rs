//! Random numbers drawn from the run's context, so that a run can be repeated.

use crate::template::exec::State;

/// Random bytes.
pub(super) fn fill(state: &mut State<'_>, buffer: &mut [u8]) {
    state.context().random.fill(buffer);
}

/// A number below a limit, each as likely as the other; 0 for the limit 0.
pub(super) fn below(state: &mut State<'_>, limit: u64) -> u64 {
    if limit < 2 {
        return 0;
    }
    // Numbers above the last multiple of the limit would favour small results.
    let last = u64::MAX - u64::MAX % limit;
    loop {
        let mut bytes = [0; 8];
        fill(state, &mut bytes);
        let drawn = u64::from_le_bytes(bytes);
        if drawn < last {
            return drawn % limit;
        }
    }
}

/// The source of random of a run, for libraries that draw keys.
pub(super) struct Source<'s, 'r>(pub(super) &'s mut State<'r>);

impl rsa::rand_core::RngCore for Source<'_, '_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        fill(self.0, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        fill(self.0, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        fill(self.0, buffer);
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        fill(self.0, buffer);
        Ok(())
    }
}

// The context decides how good its random is: the system's unless a seed was asked for.
impl rsa::rand_core::CryptoRng for Source<'_, '_> {}
