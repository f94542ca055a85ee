//! Harms pictures and decodes them, to find a harm that makes the reader panic or take too
//! long. What is found is written beside the pictures. In between, random pictures are encoded, decoded and
//! compared.
//!
//! `cargo run --release -p heliograph-jpeg --example mutate [SECONDS] [SEED]`

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use heliograph_jpeg::{Chroma, Decoder, Encoder, Limits, Samples, Scale};

/// Far more than any picture of this size takes.
const TOO_LONG: Duration = Duration::from_secs(2);
const ROUNDS_PER_ENCODED: u64 = 20;
const INTERESTING: [u8; 12] = [0x00, 0x01, 0x7f, 0x80, 0xff, 0xd0, 0xd9, 0xda, 0xc2, 0xc4, 0xdb, 0xdd];

fn main() -> std::io::Result<()> {
    let number = |index: usize| std::env::args().nth(index).and_then(|argument| argument.parse::<u64>().ok());
    let seconds = number(1).unwrap_or(10);
    let seed = number(2).unwrap_or_else(|| u64::from(std::process::id()) << 16 | 1);
    println!("seed {seed}, {seconds} s");

    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let pictures = read_pictures(&folder)?;
    let mut dice = Dice(seed.max(1));
    let (started, mut count, mut decoded, mut found) = (Instant::now(), 0_u64, 0_u64, 0_u64);
    while started.elapsed() < Duration::from_secs(seconds) {
        let file = harmed(&pictures, &mut dice);
        let scale = Scale::ALL[dice.below(Scale::ALL.len())];
        let chroma = [Chroma::Matched, Chroma::Halved][dice.below(2)];
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| decode(&file, scale, chroma)));
        if outcome.is_err() || began.elapsed() > TOO_LONG {
            found += 1;
            let path = folder.join(format!("found-{seed}-{count}.jpg.harmed"));
            std::fs::write(&path, &file)?;
            println!("{} at {scale:?}, {chroma:?}", path.display());
        }
        decoded += u64::from(outcome.unwrap_or(false));
        count += 1;
        if count.is_multiple_of(ROUNDS_PER_ENCODED) {
            let before = dice.0;
            if !catch_unwind(AssertUnwindSafe(|| survives_encoding(&mut dice))).unwrap_or(false) {
                found += 1;
                println!("a picture of the dice at {before} is not encoded well");
            }
        }
    }
    println!("{count} files, {decoded} of them decoded, {found} found");
    std::process::exit(i32::from(found > 0));
}

fn read_pictures(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    paths.sort();
    paths.iter().map(std::fs::read).collect()
}

/// Whether anything came out.
fn decode(file: &[u8], scale: Scale, chroma: Chroma) -> bool {
    let limits = Limits { pixels: 1 << 22, memory_bytes: 64 << 20, ..Limits::default() };
    Decoder::new(file, limits).and_then(|decoder| decoder.decode_planes(scale, chroma)).is_ok()
}

/// Encodes a picture as random as it gets, and compares what is read of it.
fn survives_encoding(dice: &mut Dice) -> bool {
    let (width, height) = (1 + dice.below(100), 1 + dice.below(100));
    let (halved, contrast) = (dice.below(2) == 0, 1 + dice.below(255));
    let side = |side: usize| if halved { side.div_ceil(2) } else { side };
    let mut plane =
        |samples: usize| -> Vec<u8> { (0..samples).map(|_| dice.below(contrast).to_le_bytes()[0]).collect() };
    let color = side(width) * side(height);
    let planes = [plane(width * height), plane(color), plane(color)];
    let [luma, blue, red] = &planes;
    let samples = if halved { Samples::Halved([luma, blue, red]) } else { Samples::Whole([luma, blue, red]) };
    let (Ok(wide), Ok(high)) = (u32::try_from(width), u32::try_from(height)) else { return false };
    let quality = [1, 30, 80, 100][dice.below(4)];
    let Ok(file) = Encoder::new(quality).encode(wide, high, samples) else { return false };
    let decoder = Decoder::new(&*file, Limits::default());
    let Ok((result, outcome)) = decoder.and_then(|decoder| decoder.decode_planes(Scale::Full, Chroma::Matched)) else {
        return false;
    };
    let is_near = |(plane, read): (&Vec<u8>, &[u8])| {
        plane.len() == read.len() && (quality < 100 || plane.iter().zip(read).all(|(a, b)| a.abs_diff(*b) <= 3))
    };
    outcome.is_complete && planes.iter().zip(result.planes.iter().map(|plane| &*plane.samples)).all(is_near)
}

fn harmed(pictures: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut file = pictures[dice.below(pictures.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(file.len());
        let span = (1 + dice.below(24)).min(file.len() - at);
        match dice.below(8) {
            0 => file[at] ^= 1 << dice.below(8),
            1 => file[at] = INTERESTING[dice.below(INTERESTING.len())],
            2 => file[at] = dice.byte(),
            3 => file[at..at + span].fill_with(|| dice.byte()),
            4 => drop(file.drain(at..at + span)),
            5 => drop(file.splice(at..at, file[at..at + span].to_vec())),
            6 => {
                let other = &pictures[dice.below(pictures.len())];
                let from = dice.below(other.len());
                let to = (from + 4 * span).min(other.len());
                drop(file.splice(at..at, other[from..to].iter().copied()));
            }
            _ => file.truncate(at.max(4)),
        }
        if file.is_empty() {
            file.push(0xff);
        }
    }
    file
}

/// xorshift64*: the same throws for the same seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn byte(&mut self) -> u8 {
        self.throw().to_be_bytes()[0]
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from((self.throw() >> 16) % end).unwrap_or(0)
    }
}
