//! Random choices that a seed repeats.

/// A stream of numbers decided by its seed.
#[derive(Debug, Clone, Copy)]
pub struct Dice(u64);

impl Dice {
    /// The stream of this seed; neighbouring seeds give streams unlike each other.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, any.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number from zero to below `limit`.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    /// One of these.
    ///
    /// # Panics
    /// Where there is none.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).expect("it is below a length")]
    }

    /// Another stream, for another task.
    #[must_use]
    pub const fn split(&mut self) -> Self {
        Self(self.roll())
    }
}
