//! Prints the processor time per thumbnail for the five sizes that clients ask for.
//!
//! `cargo run --release -p heliograph-imaging --example measure`

#[path = "../../jpeg/examples/support/measuring.rs"]
mod measuring;

use std::time::Duration;

use bytes::Bytes;
use heliograph_imaging::{Job, Quality, Rules, Scratch, Wanted, work};
use heliograph_types::{
    ThumbnailFormat,
    ThumbnailMethod::{self, Crop, Scale},
    ThumbnailSpec,
};
use measuring::{Clock, photo};

const PRESETS: [(u32, u32, ThumbnailMethod); 5] =
    [(32, 32, Crop), (96, 96, Crop), (320, 240, Scale), (640, 480, Scale), (800, 600, Scale)];
const ROUNDS: usize = 5;
const QUALITY: u8 = 89;

fn main() {
    for (name, width, height) in [("2 MP", 1632, 1224), ("12 MP", 4032, 3024)] {
        for progressive in [false, true] {
            let file = Bytes::from(photo(width, height, QUALITY, progressive));
            let kind = if progressive { "progressive" } else { "baseline" };
            println!("{name} {kind}, {} kB", file.len() / 1000);
            for (width, height, method) in PRESETS {
                measure(&file, &ThumbnailSpec { width, height, method, animated: false });
            }
        }
    }
}

fn measure(file: &Bytes, spec: &ThumbnailSpec) {
    let wanted = vec![Wanted { spec: *spec, format: ThumbnailFormat::Usual }];
    let job = Job { wanted, describe: false, rules: Rules::default(), quality: Quality::default() };
    let mut scratch = Scratch::default();
    let mut times: Vec<(Duration, usize)> = (0..ROUNDS)
        .filter_map(|_| {
            let started = Clock::now();
            let thumbnail = work(&mut scratch, file, &job).ok()?;
            Some((started.elapsed(), thumbnail.thumbnails.first()?.image.len()))
        })
        .collect();
    times.sort();
    let Some((time, bytes)) = times.get(times.len() / 2) else { return println!("  {spec}: refused") };
    println!("  {:<14} {:>8.2} ms {:>8} bytes", spec.to_string(), time.as_secs_f64() * 1e3, bytes);
}
