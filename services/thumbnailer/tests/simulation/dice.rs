//! What is thrown: which pictures come, which are asked for, and what each takes.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{DEADLY, POISON};

/// Half of all pictures take less.
const MEDIAN: Duration = Duration::from_millis(150);
const MOST: Duration = Duration::from_secs(5);

/// Dice, whose seed is printed.
pub(crate) struct Dice {
    seed: u64,
    random: StdRng,
    pictures: u64,
}

impl Dice {
    pub(crate) fn throw() -> Self {
        let seed = rand::random();
        println!("seed {seed}");
        Self { seed, random: StdRng::seed_from_u64(seed), pictures: 0 }
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    /// True once in `count` times.
    pub(crate) fn one_of(&mut self, count: u32) -> bool {
        self.random.random_ratio(1, count)
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.random.random_range(0..count)
    }

    /// The next picture. What it begins with says how the work on it ends.
    pub(crate) fn new_picture(&mut self) -> String {
        self.pictures += 1;
        let kind = match self.pictures {
            number if number % DEADLY == 0 => "deadly",
            number if number % POISON == 0 => "poison",
            _ => "fine",
        };
        format!("{kind}:mxc://example.org/{}", self.pictures)
    }

    /// One that is asked for: the newest twice as often as the one before it, three times as often
    /// as the one before that, and so on (Zipf's law).
    pub(crate) fn picture<'a>(&mut self, pictures: &'a [String]) -> &'a str {
        let count = u32::try_from(pictures.len()).unwrap();
        let rank = (f64::from(count).ln() * self.random.random::<f64>()).exp();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and the number of pictures"
        )]
        let rank = (rank as usize).clamp(1, pictures.len());
        &pictures[pictures.len() - rank]
    }
}

/// What a picture takes: the same however often it is tried. Most take little, some much
/// (logarithms are normal: the sum of twelve).
pub(crate) fn cost(seed: u64, picture: &str) -> Duration {
    let number = picture.bytes().fold(seed, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let mut random = StdRng::seed_from_u64(number);
    let normal = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
    MEDIAN.mul_f64(normal.exp()).min(MOST)
}
