//! Small pictures in all forms, held against what libjpeg-turbo makes of them.
//! `tests/golden/make.py` made them.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{collections::BTreeMap, fs, io::BufReader, path::PathBuf};

use heliograph_jpeg::{Chroma, Color, Decoder, Limits, Plane, Planes, Scale};

/// A picture, and the bytes of its planes: at 1/8, then in full.
struct Golden {
    file: Vec<u8>,
    expected: Vec<u8>,
}

fn goldens() -> BTreeMap<String, Golden> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let pictures = paths.filter(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    pictures
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let golden =
                Golden { file: fs::read(&path).unwrap(), expected: fs::read(path.with_extension("planes")).unwrap() };
            (name, golden)
        })
        .collect()
}

fn decode(file: &[u8], scale: Scale, chroma: Chroma) -> Planes {
    let decoder = Decoder::new(file, Limits::default()).unwrap();
    let sizes = decoder.plane_sizes(scale, chroma);
    let (planes, outcome) = decoder.decode_planes(scale, chroma).unwrap();
    assert!(outcome.is_complete);
    for (plane, size) in planes.planes.iter().zip(sizes) {
        assert_eq!((plane.width, plane.height), size);
        assert_eq!(plane.samples.len(), plane.width as usize * plane.height as usize);
    }
    planes
}

/// Takes the planes of one scale from the front of `expected`; `eighths` of `full`.
fn split_planes<'e>(expected: &mut &'e [u8], full: &[Plane], eighths: u32) -> Vec<(u32, u32, &'e [u8])> {
    let planes = full.iter().map(|plane| {
        let (width, height) = ((plane.width * eighths).div_ceil(8), (plane.height * eighths).div_ceil(8));
        let (samples, rest) = expected.split_at(width as usize * height as usize);
        *expected = rest;
        (width, height, samples)
    });
    planes.collect()
}

#[test]
fn an_eighth_is_the_same_as_that_of_libjpeg_turbo() {
    let mut compared = 0;
    for (name, golden) in goldens() {
        let full = decode(&golden.file, Scale::Full, Chroma::Matched);
        let expected = split_planes(&mut &*golden.expected, &full.planes, 1);

        for chroma in [Chroma::Halved, Chroma::Matched] {
            let eighth = decode(&golden.file, Scale::Eighth, chroma);
            for (index, (plane, (width, height, samples))) in eighth.planes.iter().zip(&expected).enumerate() {
                // What is subsampled more than that is decoded at a larger scale.
                if (plane.width, plane.height) == (*width, *height) {
                    assert!(plane.samples == *samples, "{name}, component {index}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 80, "{compared} planes");
}

#[test]
fn the_full_picture_differs_from_that_of_libjpeg_turbo_only_by_rounding() {
    for (name, golden) in goldens() {
        let full = decode(&golden.file, Scale::Full, Chroma::Matched);
        let mut expected = &*golden.expected;
        split_planes(&mut expected, &full.planes, 1);

        for (index, (plane, (_, _, samples))) in
            full.planes.iter().zip(split_planes(&mut expected, &full.planes, 8)).enumerate()
        {
            let differences = || plane.samples.iter().zip(samples).map(|(a, b)| a.abs_diff(*b));
            assert!(differences().all(|difference| difference <= 1), "{name}, component {index}");
            let equal = differences().filter(|difference| *difference == 0).count();
            assert!(equal * 10 >= samples.len() * 9, "{name}, component {index}: {equal} of {}", samples.len());
        }
        assert!(expected.is_empty(), "{name}");
    }
}

#[test]
fn however_the_bytes_arrive_the_picture_is_the_same() {
    for (name, golden) in goldens() {
        for scale in [Scale::Eighth, Scale::Half] {
            let whole = decode(&golden.file, scale, Chroma::Matched);
            for chunk in [1, 2, 7, 1000] {
                let reader = BufReader::with_capacity(chunk, &*golden.file);
                let decoder = Decoder::new(reader, Limits::default()).unwrap();

                let (planes, outcome) = decoder.decode_planes(scale, Chroma::Matched).unwrap();

                assert!(outcome.is_complete && planes == whole, "{name} in chunks of {chunk}");
            }
        }
    }
}

fn mean(plane: &Plane) -> f64 {
    let sum: f64 = plane.samples.iter().copied().map(f64::from).sum();
    sum / f64::from(plane.width * plane.height)
}

#[test]
fn each_scale_is_the_same_picture() {
    for (name, golden) in goldens() {
        let full = decode(&golden.file, Scale::Full, Chroma::Matched);
        for scale in Scale::ALL {
            for chroma in [Chroma::Matched, Chroma::Halved] {
                let scaled = decode(&golden.file, scale, chroma);
                for (full, scaled) in full.planes.iter().zip(&scaled.planes) {
                    // What is beyond the edges weighs more the smaller the picture is.
                    assert!((mean(full) - mean(scaled)).abs() < 16.0, "{name} at {scale:?}");
                    let (across, down) = scaled.covered;
                    assert!(across <= f64::from(scaled.width) && across > f64::from(scaled.width) - 1.0, "{name}");
                    assert!(down <= f64::from(scaled.height) && down > f64::from(scaled.height) - 1.0, "{name}");
                }
            }
        }
    }
}

#[test]
fn colors_are_told_as_libjpeg_understands_them() {
    let goldens = goldens();
    let color = |name: &str| Decoder::new(&*goldens[name].file, Limits::default()).unwrap().header().color;

    assert_eq!(color("420"), Color::YCbCr);
    assert_eq!(color("gray"), Color::Gray);
    assert_eq!(color("cmyk"), Color::Cmyk { inverted: true });
    assert_eq!(color("ycck"), Color::Ycck);
}

#[test]
fn a_progressive_file_is_the_same_as_a_sequential_one() {
    let (width, height) = (123_u16, 97_u16);
    let mut state = 9_u32;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    let mut samples: Vec<u8> = (0..usize::from(width) * usize::from(height) * 3).map(|_| noise()).collect();
    samples[10_000..20_000].fill(77);
    for sampling in [jpeg_encoder::SamplingFactor::F_2_2, jpeg_encoder::SamplingFactor::F_1_1] {
        let encode = |progressive: bool| {
            let mut file = Vec::new();
            let mut encoder = jpeg_encoder::Encoder::new(&mut file, 70);
            encoder.set_progressive(progressive);
            encoder.set_sampling_factor(sampling);
            encoder.encode(&samples, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
            file
        };
        let (sequential, progressive) = (encode(false), encode(true));
        for scale in Scale::ALL {
            for chroma in [Chroma::Halved, Chroma::Matched] {
                // Its coefficients are the same, only in another order.
                assert!(
                    decode(&progressive, scale, chroma) == decode(&sequential, scale, chroma),
                    "{scale:?}, {chroma:?}"
                );
            }
        }
    }
}
