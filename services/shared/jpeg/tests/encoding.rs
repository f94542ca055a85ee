//! What is written, read again: by our own reader, and by zune-jpeg.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use heliograph_jpeg::{Chroma, Color, Decoder, EncodeError, Encoder, Limits, Planes, Samples, Scale};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder as OtherEncoder, SamplingFactor};
use proptest::prelude::*;
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

/// Planes of a picture, color half as large.
struct Picture {
    width: u32,
    height: u32,
    planes: [Vec<u8>; 3],
}

impl Picture {
    /// `sample(component, x, y)`, with places as parts of the whole.
    fn paint(width: u32, height: u32, mut sample: impl FnMut(usize, f64, f64) -> f64) -> Self {
        let mut plane = |component, width: u32, height: u32| {
            let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
            let part = |place: u32, side: u32| (f64::from(place) + 0.5) / f64::from(side);
            places.map(|(x, y)| to_sample(sample(component, part(x, width), part(y, height)))).collect()
        };
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let planes = [plane(0, width, height), plane(1, half_width, half_height), plane(2, half_width, half_height)];
        Self { width, height, planes }
    }

    /// Soft shapes, edges, and noise.
    fn photo(width: u32, height: u32) -> Self {
        let mut state = 0x9e37_79b9_u32;
        Self::paint(width, height, |component, x, y| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let phase = [0.0, 1.1, 2.3][component];
            let shape = (x * 25.0 + phase).sin() * (y * 19.0).cos() + (x * y * 90.0).sin() / 3.0;
            let edge = if (x - 0.5).hypot(y - 0.4) % 0.2 < 0.07 { 40.0 } else { 0.0 };
            let noise = if component == 0 { f64::from(state >> 28) } else { 0.0 };
            shape * 60.0 + edge + noise + 110.0
        })
    }

    fn encode(&self, quality: u8) -> Vec<u8> {
        let [luma, blue, red] = &self.planes;
        Encoder::new(quality).encode(self.width, self.height, Samples::Halved([luma, blue, red])).unwrap()
    }

    /// By the other writer, which takes pixels.
    fn encode_by_other(&self, quality: u8) -> Vec<u8> {
        let (width, half) = (self.width as usize, self.width.div_ceil(2) as usize);
        let color_at = |index: usize| index / width / 2 * half + index % width / 2;
        let pixel =
            |(index, luma): (usize, &u8)| [*luma, self.planes[1][color_at(index)], self.planes[2][color_at(index)]];
        let pixels: Vec<u8> = self.planes[0].iter().enumerate().flat_map(pixel).collect();
        let mut file = Vec::new();
        let mut encoder = OtherEncoder::new(&mut file, quality);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
        encoder.set_optimized_huffman_tables(true);
        let (width, height) = (u16::try_from(self.width).unwrap(), u16::try_from(self.height).unwrap());
        encoder.encode(&pixels, width, height, ColorType::Ycbcr).unwrap();
        file
    }

    /// How much a file differs from this, per component.
    fn psnr(&self, file: &[u8]) -> Vec<f64> {
        self.planes.iter().zip(decode(file).planes).map(|(plane, read)| psnr(plane, &read.samples)).collect()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn to_sample(value: f64) -> u8 {
    value as u8
}

/// At the size of each plane.
fn decode(file: &[u8]) -> Planes {
    let decoder = Decoder::new(file, Limits { pixels: u64::MAX, ..Limits::default() }).unwrap();
    let (planes, outcome) = decoder.decode_planes(Scale::Full, Chroma::Halved).unwrap();
    assert!(outcome.is_complete);
    planes
}

/// Its size, and brightness alone.
fn decode_by_zune(file: &[u8]) -> ((usize, usize), Vec<u8>) {
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::Luma);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    let samples = decoder.decode().unwrap();
    (decoder.dimensions().unwrap(), samples)
}

fn psnr(expected: &[u8], found: &[u8]) -> f64 {
    assert_eq!(expected.len(), found.len());
    let squares = expected.iter().zip(found).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    let mean = squares.sum::<f64>() / f64::from(u32::try_from(expected.len()).unwrap());
    10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
}

#[test]
fn a_picture_survives_at_the_best_quality() {
    for (width, height) in [(64, 48), (61, 43), (16, 16), (17, 1), (1, 17), (8, 9), (1, 1), (2, 3)] {
        let picture = Picture::photo(width, height);

        let file = picture.encode(100);

        for (plane, read) in picture.planes.iter().zip(&decode(&file).planes) {
            let furthest = plane.iter().zip(&read.samples).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(furthest <= Some(2), "{width}x{height}: {furthest:?}");
        }
    }
}

#[test]
fn another_reader_sees_the_same() {
    for (width, height) in [(64, 48), (61, 43), (17, 1), (1, 17), (1, 1), (33, 70)] {
        for quality in [5, 50, 80, 100] {
            let file = Picture::photo(width, height).encode(quality);

            let (size, luma) = decode_by_zune(&file);

            let ours = &decode(&file).planes[0];
            assert_eq!(size, (width as usize, height as usize));
            let furthest = ours.samples.iter().zip(&luma).map(|(a, b)| a.abs_diff(*b)).max();
            // It transforms with integers, and rounds more often.
            assert!(furthest <= Some(4), "{width}x{height} at {quality}: {furthest:?}");
        }
    }
}

#[test]
fn as_good_as_the_files_of_another_writer_and_no_larger() {
    let picture = Picture::photo(400, 300);
    for quality in [10, 30, 50, 75, 80, 85, 95, 100] {
        let (ours, theirs) = (picture.encode(quality), picture.encode_by_other(quality));

        println!("{quality}: {} bytes, not {}", ours.len(), theirs.len());
        assert!(ours.len() * 100 <= theirs.len() * 101, "{quality}: {} bytes, not {}", ours.len(), theirs.len());
        for (ours, theirs) in picture.psnr(&ours).into_iter().zip(picture.psnr(&theirs)) {
            println!("  {ours:.3} dB, not {theirs:.3}");
            assert!(ours > theirs - 0.02, "{quality}: {ours:.3} dB, not {theirs:.3}");
        }
    }
}

#[test]
fn color_may_be_as_fine_as_brightness() {
    let planes = Picture::photo(40, 24).planes;
    let color = Picture::photo(80, 48).planes;

    let file = Encoder::new(100).encode(40, 24, Samples::Whole([&planes[0], &color[1], &color[2]])).unwrap();

    let decoder = Decoder::new(&*file, Limits::default()).unwrap();
    let read = decoder.decode_planes(Scale::Full, Chroma::Matched).unwrap().0;
    for (plane, read) in [&planes[0], &color[1], &color[2]].into_iter().zip(&read.planes) {
        assert_eq!((read.width, read.height), (40, 24));
        assert!(plane.iter().zip(&read.samples).all(|(a, b)| a.abs_diff(*b) <= 2));
    }
}

#[test]
fn gray_has_one_component() {
    let luma = Picture::photo(50, 30).planes.into_iter().next().unwrap();

    let file = Encoder::new(95).encode(50, 30, Samples::Gray(&luma)).unwrap();

    let read = decode(&file);
    assert_eq!((read.color, read.planes.len()), (Color::Gray, 1));
    assert!(psnr(&luma, &read.planes[0].samples) > 40.0);
    assert_eq!(decode_by_zune(&file).0, (50, 30));
}

#[test]
fn a_side_may_be_as_long_as_its_two_bytes_can_tell() {
    for (width, height) in [(65_535, 1), (1, 65_535), (65_535, 17)] {
        let picture = Picture::paint(width, height, |_, x, y| 100.0 + 50.0 * (x * 300.0).sin() + 20.0 * y);

        let read = decode(&picture.encode(90));

        assert_eq!((read.planes[0].width, read.planes[0].height), (width, height));
        assert!(psnr(&picture.planes[0], &read.planes[0].samples) > 35.0);
    }
}

#[test]
fn a_size_that_no_file_can_have_is_refused() {
    for (width, height) in [(0, 1), (1, 0), (65_536, 1), (1, 65_536), (u32::MAX, u32::MAX)] {
        let refused = Encoder::new(80).encode(width, height, Samples::Gray(&[]));

        assert_eq!(refused, Err(EncodeError::Size { width, height }));
    }
}

#[test]
fn planes_that_are_not_of_the_size_are_refused() {
    let (luma, color) = ([0; 15], [0; 6]);
    let refused = |samples| Encoder::new(80).encode(5, 3, samples).err();

    assert_eq!(refused(Samples::Halved([&luma, &color, &color])), None);
    assert_eq!(
        refused(Samples::Halved([&luma, &color, &color[1..]])),
        Some(EncodeError::Samples { component: 2, expected: 6, found: 5 })
    );
    assert_eq!(
        refused(Samples::Whole([&luma, &color, &luma])),
        Some(EncodeError::Samples { component: 1, expected: 15, found: 6 })
    );
    assert_eq!(refused(Samples::Gray(&color)), Some(EncodeError::Samples { component: 0, expected: 15, found: 6 }));
}

#[test]
fn a_writer_forgets_one_picture_before_the_next() {
    let (first, second) = (Picture::photo(70, 50), Picture::photo(31, 33));
    let mut encoder = Encoder::new(80);
    let mut encode = |picture: &Picture| {
        let [luma, blue, red] = &picture.planes;
        encoder.encode(picture.width, picture.height, Samples::Halved([luma, blue, red])).unwrap()
    };

    encode(&first);

    assert_eq!(encode(&second), second.encode(80));
}

#[test]
fn there_is_nothing_in_a_file_but_the_picture() {
    let file = Picture::photo(70, 50).encode(80);

    let mut markers = Vec::new();
    let mut at = 2;
    while file[at + 1] != 0xda {
        markers.push(file[at + 1]);
        at += 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
    }

    assert_eq!(markers, [0xe0, 0xdb, 0xdb, 0xc0, 0xc4, 0xc4, 0xc4, 0xc4]);
    assert!(file.ends_with(&[0xff, 0xd9]));
}

proptest! {
    #[test]
    fn whatever_is_written_can_be_read(
        width in 1_u32..70,
        height in 1_u32..70,
        quality in any::<u8>(),
        seed in any::<u32>(),
        contrast in 0_u32..=8,
    ) {
        // From one color to noise of black and white: the largest coefficients that there can be.
        let mut state = seed | 1;
        let picture = Picture::paint(width, height, |_, _, _| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            f64::from(state >> 24 >> (8 - contrast)) * f64::from(1 << (8 - contrast))
        });

        let file = picture.encode(quality);

        let read = decode(&file);
        let (size, luma) = decode_by_zune(&file);
        prop_assert_eq!((read.planes[0].width, read.planes[0].height), (width, height));
        prop_assert_eq!(size, (width as usize, height as usize));
        prop_assert_eq!(luma.len(), read.planes[0].samples.len());
        if quality >= 100 {
            for (plane, read) in picture.planes.iter().zip(&read.planes) {
                prop_assert!(plane.iter().zip(&read.samples).all(|(a, b)| a.abs_diff(*b) <= 3));
            }
        }
    }
}
