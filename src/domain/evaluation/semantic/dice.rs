//! Chance from a seed, the same on every machine (SplitMix64).

/// A source of chance.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Even in 0 to 1.
    pub(super) fn even(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of so many.
    pub(super) const fn below(&mut self, count: usize) -> usize {
        (self.bits() % count as u64) as usize
    }

    /// Whether something of this chance happens.
    pub(super) fn is(&mut self, chance: f64) -> bool {
        self.even() < chance
    }

    /// Normal, of mean 0 and deviation 1.
    pub(super) fn normal(&mut self) -> f64 {
        let (one, other) = (self.even().max(1e-12), self.even());
        (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos()
    }

    /// One of these, by their weights.
    pub(super) fn weighted<'a, T>(&mut self, of: &'a [(T, f64)]) -> Option<&'a T> {
        let mut left = self.even() * of.iter().map(|(_, weight)| weight).sum::<f64>();
        let found = of.iter().find(|(_, weight)| {
            left -= weight;
            left <= 0.0
        });
        found.or(of.last()).map(|(what, _)| what)
    }
}

/// A thing's own even number in 0 to 1: the same whenever it is asked for.
pub(super) fn own(thing: usize, aspect: u64) -> f64 {
    Dice::new((thing as u64).wrapping_mul(0x2545_f491_4f6c_dd1d) ^ aspect.wrapping_mul(0x9e37))
        .even()
}
