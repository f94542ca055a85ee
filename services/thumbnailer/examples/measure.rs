//! Prints the processor time per thumbnail for the five sizes that clients ask for.
//!
//! `cargo run --release -p heliograph-thumbnailer --example measure`

use std::time::{Duration, Instant};

use bytes::Bytes;
use heliograph_thumbnailer::{ThumbnailsConfig, render_here};
use heliograph_types::{
    ThumbnailMethod::{self, Crop, Scale},
    ThumbnailSpec,
};
use jpeg_encoder::{ColorType, Encoder};

const PRESETS: [(u32, u32, ThumbnailMethod); 5] =
    [(32, 32, Crop), (96, 96, Crop), (320, 240, Scale), (640, 480, Scale), (800, 600, Scale)];
const ROUNDS: usize = 5;

fn main() {
    for (name, width, height) in [("2 MP", 1632, 1224), ("12 MP", 4032, 3024)] {
        for progressive in [false, true] {
            let file = photo(width, height, progressive);
            let kind = if progressive { "progressive" } else { "baseline" };
            println!("{name} {kind}, {} kB", file.len() / 1000);
            for (width, height, method) in PRESETS {
                measure(&file, &ThumbnailSpec { width, height, method, animated: false });
            }
        }
    }
}

fn measure(file: &Bytes, spec: &ThumbnailSpec) {
    let config = ThumbnailsConfig::default();
    let mut times: Vec<(Duration, usize)> = (0..ROUNDS)
        .filter_map(|_| {
            let started = Clock::now();
            let thumbnail = render_here(file.clone(), spec, &config).ok()?;
            Some((started.elapsed(), thumbnail.image.len()))
        })
        .collect();
    times.sort();
    let Some((time, bytes)) = times.get(times.len() / 2) else { return println!("  {spec}: refused") };
    println!("  {:<14} {:>8.2} ms {:>8} bytes", spec.to_string(), time.as_secs_f64() * 1e3, bytes);
}

/// Time on the processor where the system tells it, else time on the wall.
enum Clock {
    Processor(Duration),
    Wall(Instant),
}

impl Clock {
    fn now() -> Self {
        processor_time().map_or_else(|| Self::Wall(Instant::now()), Self::Processor)
    }

    fn elapsed(&self) -> Duration {
        match self {
            Self::Processor(started) => processor_time().unwrap_or_default().saturating_sub(*started),
            Self::Wall(started) => started.elapsed(),
        }
    }
}

/// Of this thread.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Soft shapes with the noise of a sensor: as hard to decode as a photo.
fn photo(width: u16, height: u16, progressive: bool) -> Bytes {
    let mut state = 0x9e37_79b9_u32;
    let mut samples = Vec::with_capacity(usize::from(width) * usize::from(height) * 3);
    for y in 0..height {
        for x in 0..width {
            for phase in [0.0, 1.1, 2.3] {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                let shape = (f32::from(x) / 97.0 + phase).sin() * (f32::from(y) / 61.0).cos()
                    + (f32::from(x) / 7.0).sin() / 5.0;
                samples.push(to_sample(shape * 90.0 + 128.0, state));
            }
        }
    }
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 89);
    encoder.set_progressive(progressive);
    if let Err(error) = encoder.encode(&samples, width, height, ColorType::Rgb) {
        eprintln!("{error}");
    }
    file.into()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
fn to_sample(value: f32, noise: u32) -> u8 {
    (value + f32::from((noise >> 28) as u8)).clamp(0.0, 255.0) as u8
}
