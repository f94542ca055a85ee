//! Prints the processor time per thumbnail for the five sizes that clients ask for, and for all of them at once.
//!
//! `cargo run --release -p heliograph-imaging --example measure [FILE..]`; without files, pictures as noisy as
//! photos are made.

#[path = "../../jpeg/examples/support/measuring.rs"]
mod measuring;
#[path = "../../jpeg/examples/support/photo.rs"]
mod photo;

use std::time::Duration;

use bytes::Bytes;
use heliograph_imaging::{Done, Job, Quality, Rules, Scratch, Wanted, work};
use heliograph_types::{
    ThumbnailFormat,
    ThumbnailMethod::{self, Crop, Scale},
    ThumbnailSpec,
};
use measuring::Clock;
use photo::photo;

const PRESETS: [(u32, u32, ThumbnailMethod); 5] =
    [(32, 32, Crop), (96, 96, Crop), (320, 240, Scale), (640, 480, Scale), (800, 600, Scale)];
const ROUNDS: usize = 5;
/// The system's clock has large steps: each round takes many of them.
const ROUND: Duration = Duration::from_millis(200);
const QUALITY: u8 = 89;

fn main() -> std::io::Result<()> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    for path in &paths {
        measure_all(path, &std::fs::read(path)?.into());
    }
    if paths.is_empty() {
        for (name, width, height) in [("2 MP", 1632, 1224), ("12 MP", 4032, 3024)] {
            measure_all(&format!("{name} baseline"), &photo(width, height, QUALITY, false).into());
            measure_all(&format!("{name} progressive"), &photo(width, height, QUALITY, true).into());
        }
    }
    Ok(())
}

fn measure_all(name: &str, file: &Bytes) {
    println!("{name}, {} kB", file.len() / 1000);
    let wanted = PRESETS.map(|(width, height, method)| Wanted {
        spec: ThumbnailSpec { width, height, method, animated: false },
        format: ThumbnailFormat::Usual,
    });
    for one in wanted {
        measure(&one.spec.to_string(), file, vec![one], false);
    }
    measure("all", file, wanted.to_vec(), false);
    measure("all, described", file, wanted.to_vec(), true);
}

fn measure(name: &str, file: &Bytes, wanted: Vec<Wanted>, describe: bool) {
    let job = Job { wanted, describe, rules: Rules::default(), quality: Quality::default() };
    let mut scratch = Scratch::default();
    let Ok(done) = work(&mut scratch, file, &job) else { return println!("  {name}: refused") };
    let mut times: Vec<f64> = (0..ROUNDS).map(|_| round(&mut scratch, file, &job)).collect();
    times.sort_by(f64::total_cmp);
    let median = times.get(ROUNDS / 2).copied().unwrap_or(f64::NAN);
    println!("  {name:<14} {median:>8.2} ms {:>8} bytes", bytes(&done));
}

/// Per job, in milliseconds.
fn round(scratch: &mut Scratch, file: &Bytes, job: &Job) -> f64 {
    let started = Clock::now();
    let mut count = 0;
    while started.elapsed() < ROUND {
        let _ = std::hint::black_box(work(scratch, file, job));
        count += 1;
    }
    started.elapsed().as_secs_f64() * 1e3 / f64::from(count)
}

fn bytes(done: &Done) -> usize {
    done.thumbnails.iter().map(|made| made.image.len()).sum()
}
