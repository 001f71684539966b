//! A small repeatable number generator for invented data. Not cryptographic: whoever sees a few outputs can tell the rest.

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a counter with a mixing function, so that any stream can start anywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number from `low` to `high`, both included. The bias is far below one in a million for the small ranges used here.
    pub(super) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high.saturating_sub(low).saturating_add(1))
    }

    pub(super) const fn percent(&mut self, share: u64) -> bool {
        self.next() % 100 < share
    }

    /// A number in [0, 1).
    pub(super) const fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of `from`; the default where there is none.
    pub(super) fn pick<T: Copy + Default>(&mut self, from: &[T]) -> T {
        let index = self.next() % (from.len() as u64).max(1);
        usize::try_from(index)
            .ok()
            .and_then(|index| from.get(index))
            .copied()
            .unwrap_or_default()
    }

    /// A day from the first year to the last, `YYYY-MM-DD`; never after the 28th, so that every month has it.
    pub(super) fn date(&mut self, first_year: u64, last_year: u64) -> String {
        format!(
            "{}-{:02}-{:02}",
            self.between(first_year, last_year),
            self.between(1, 12),
            self.between(1, 28)
        )
    }

    /// 128 bits in lower-case hexadecimal.
    pub(super) fn hex(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }

    pub(super) fn uuid(&mut self) -> uuid::Uuid {
        let wide = u128::from(self.next()) << 64 | u128::from(self.next());
        uuid::Builder::from_random_bytes(wide.to_be_bytes()).into_uuid()
    }
}

/// A bijection of 64-bit numbers in which every output bit depends on every input bit.
pub(super) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the published SplitMix64 for seed 1234567.
    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut rng = Rng::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821_u64,
        ];
        assert_eq!(expected.map(|_| rng.next()), expected);
    }

    #[test]
    fn picking_from_nothing_gives_the_default_instead_of_a_panic() {
        assert_eq!(Rng::new(1).pick::<u8>(&[]), 0);
        assert_eq!(Rng::new(1).between(7, 7), 7);
    }
}
