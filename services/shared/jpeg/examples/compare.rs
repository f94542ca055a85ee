//! Prints the processor time to decode a picture at each scale, beside that of zune-jpeg, which always decodes
//! all of it; and the time to encode it again, beside that of jpeg-encoder.
//!
//! `cargo run --release -p heliograph-jpeg --example compare [FILE..]`; without files,
//! pictures as noisy as photos are made.

#[path = "support/measuring.rs"]
mod measuring;
#[path = "support/photo.rs"]
mod photo;

use std::{hint::black_box, io::Cursor, time::Duration};

use heliograph_jpeg::{Chroma, Decoder, Encoder, Limits, Samples, Scale};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder as OtherEncoder, SamplingFactor};
use measuring::Clock;
use photo::photo;
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
    if let Err(error) = measure_encoding(file) {
        eprintln!("{error}");
    }
}

/// At half the size, which is more than most thumbnails have.
fn measure_encoding(file: &[u8]) -> Result<(), heliograph_jpeg::Error> {
    const QUALITY: u8 = 80;
    let decode = |chroma| Decoder::new(file, Limits::default())?.decode_planes(Scale::Half, chroma);
    let (halved, matched) = (decode(Chroma::Halved)?.0.planes, decode(Chroma::Matched)?.0.planes);
    let [luma, blue, red] = &*halved else { return Ok(()) };
    let (width, height) = (luma.width, luma.height);
    let mut encoder = Encoder::new(QUALITY);
    let mut bytes = 0;
    let ours = median(|| {
        let samples = Samples::Halved([&luma.samples, &blue.samples, &red.samples]);
        bytes = encoder.encode(width, height, samples).map_or(0, |file| black_box(file).len());
    });
    let pixels: Vec<u8> =
        (0..luma.samples.len()).flat_map(|index| [0, 1, 2].map(|plane: usize| matched[plane].samples[index])).collect();
    let mut other_bytes = 0;
    let mut theirs = |optimized: bool| {
        median(|| {
            let mut file = Vec::new();
            let mut encoder = OtherEncoder::new(&mut file, QUALITY);
            encoder.set_sampling_factor(SamplingFactor::F_2_2);
            encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
            encoder.set_optimized_huffman_tables(optimized);
            let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
            if let Err(error) = encoder.encode(&pixels, side(width), side(height), ColorType::Ycbcr) {
                eprintln!("{error}");
            }
            other_bytes = black_box(file).len();
        })
    };
    let (plain, optimized) = (theirs(false), theirs(true));
    println!("  Encoding {width}x{height}: {ours:.2} ms, {bytes} bytes");
    println!("  jpeg-encoder: {optimized:.2} ms, {other_bytes} bytes; {plain:.2} ms without its own tables");
    Ok(())
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
