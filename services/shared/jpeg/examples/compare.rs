//! Prints the processor time to decode a picture at each scale, beside that of zune-jpeg,
//! which always decodes all of it.
//!
//! `cargo run --release -p heliograph-jpeg --example compare [FILE..]`; without files,
//! pictures as noisy as photos are made.

#[path = "support/measuring.rs"]
mod measuring;

use std::{hint::black_box, io::Cursor, time::Duration};

use heliograph_jpeg::{Chroma, Decoder, Limits, Scale};
use measuring::{Clock, photo};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

const ROUNDS: usize = 5;
const QUALITY: u8 = 90;
/// The system's clock has large steps: each round takes many of them.
const ROUND: Duration = Duration::from_millis(200);

fn main() -> std::io::Result<()> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    for path in &paths {
        measure(path, &std::fs::read(path)?);
    }
    if paths.is_empty() {
        for (name, width, height) in [("2 MP", 1632, 1224), ("12 MP", 4032, 3024)] {
            measure(&format!("{name} baseline"), &photo(width, height, QUALITY, false));
            measure(&format!("{name} progressive"), &photo(width, height, QUALITY, true));
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
