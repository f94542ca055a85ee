//! Prints the processor time to decode a picture at each scale, beside that of zune-jpeg,
//! which always decodes all of it.
//!
//! `cargo run --release -p heliograph-jpeg --example compare [FILE..]`; without files,
//! pictures as noisy as photos are made.

use std::{
    hint::black_box,
    io::Cursor,
    time::{Duration, Instant},
};

use heliograph_jpeg::{Chroma, Decoder, Limits, Scale};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

const ROUNDS: usize = 5;
/// The system's clock has large steps: each round takes many of them.
const ROUND: Duration = Duration::from_millis(200);

fn main() -> std::io::Result<()> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    for path in &paths {
        measure(path, &std::fs::read(path)?);
    }
    if paths.is_empty() {
        for (name, width, height) in [("2 MP", 1632, 1224), ("12 MP", 4032, 3024)] {
            measure(&format!("{name} baseline"), &photo(width, height, false));
            measure(&format!("{name} progressive"), &photo(width, height, true));
        }
    }
    Ok(())
}

fn measure(name: &str, file: &[u8]) {
    println!("{name}, {} kB", file.len() / 1000);
    for scale in Scale::ALL {
        let halved = median(|| decode(file, scale, Chroma::Halved));
        let matched = median(|| decode(file, scale, Chroma::Matched));
        println!("  {:<14} {halved:>8.2} ms, {matched:>8.2} ms with color as fine", format!("{scale:?}"));
    }
    println!("  {:<14} {:>8.2} ms", "zune-jpeg", median(|| decode_by_zune(file)));
}

/// Per call, in milliseconds.
fn median(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Clock::now();
            let mut calls = 0;
            while started.elapsed() < ROUND {
                work();
                calls += 1;
            }
            started.elapsed().as_secs_f64() * 1e3 / f64::from(calls)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
}

fn decode(file: &[u8], scale: Scale, chroma: Chroma) {
    let decoded = Decoder::new(Cursor::new(file), Limits::default())
        .and_then(|decoder| decoder.decode_planes(scale, chroma))
        .map_err(|error| eprintln!("{error}"));
    let _ = black_box(decoded);
}

fn decode_by_zune(file: &[u8]) {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::YCbCr);
    let decoded = JpegDecoder::new_with_options(ZCursor::new(file), options).decode();
    let _ = black_box(decoded.map_err(|error| eprintln!("{error}")));
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
fn photo(width: u16, height: u16, progressive: bool) -> Vec<u8> {
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
    let mut encoder = Encoder::new(&mut file, 90);
    encoder.set_progressive(progressive);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    if let Err(error) = encoder.encode(&samples, width, height, ColorType::Rgb) {
        eprintln!("{error}");
    }
    file
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
fn to_sample(value: f32, noise: u32) -> u8 {
    (value + f32::from((noise >> 28) as u8)).clamp(0.0, 255.0) as u8
}
