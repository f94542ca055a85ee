use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    geometry::Size,
    resize::Scratch,
    testing::{Jpeg, Seen, byte, paint},
};

const ADOBE_RGB: &[u8] = include_bytes!("../../tests/golden/profiles/adobe-rgb.icc");
const DISPLAY_P3: &[u8] = include_bytes!("../../tests/golden/profiles/display-p3.icc");
const GRAY: &[u8] = include_bytes!("../../tests/golden/profiles/gray.icc");
const PRESS: &[u8] = include_bytes!("../../tests/golden/profiles/press.icc");
const SRGB: &[u8] = include_bytes!("../../tests/golden/profiles/srgb.icc");
const PROFILES: [(&str, &[u8]); 5] =
    [("adobe-rgb", ADOBE_RGB), ("display-p3", DISPLAY_P3), ("gray", GRAY), ("press", PRESS), ("srgb", SRGB)];
/// What Little CMS makes of colors, beside the profiles.
const EXPECTED: &str = include_str!("../../tests/golden/profiles/expected.txt");

fn pixel(layout: Layout, samples: &[u8]) -> Picture {
    let samples = samples.to_vec();
    Picture { size: Size { width: 1, height: 1 }, layout, samples }
}

fn converted(picture: Picture, profile: &[u8]) -> Picture {
    ToSrgb::default().convert(picture, Some(profile))
}

fn numbers(text: &str) -> Vec<u8> {
    text.split(',').map(|number| number.parse().unwrap()).collect()
}

fn alike(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 2)
}

/// The profile, the samples and what they must become, for each line of `EXPECTED`.
fn cases() -> impl Iterator<Item = (&'static [u8], Vec<u8>, Vec<u8>)> {
    EXPECTED.lines().map(|line| {
        let [name, stored, seen] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let profile = PROFILES.into_iter().find(|(known, _)| *known == name).unwrap().1;
        (profile, numbers(stored), numbers(seen))
    })
}

#[test]
fn colors_come_out_as_those_of_little_cms() {
    let mut to_srgb = ToSrgb::default();
    for (profile, stored, seen) in cases() {
        let layout = match stored.len() {
            1 => Layout::Gray,
            3 => Layout::Rgb,
            _ => Layout::Cmyk { inverted: false },
        };

        let picture = to_srgb.convert(pixel(layout, &stored), Some(profile));

        let rgb = if layout == Layout::Gray { vec![picture.samples[0]; 3] } else { picture.samples };
        assert!(alike(&rgb, &seen), "{stored:?} became {rgb:?} instead of {seen:?}");
    }
    assert_eq!(to_srgb.recent.len(), PROFILES.len());
}

#[test]
fn alpha_stays_what_it_was() {
    for (profile, stored, seen) in cases().filter(|(_, stored, _)| stored.len() < 4) {
        for alpha in [0, 1, 99, 255] {
            let layout = if stored.len() == 1 { Layout::GrayAlpha } else { Layout::Rgba };

            let picture = converted(pixel(layout, &[&stored[..], &[alpha]].concat()), profile);

            let (last, rest) = picture.samples.split_last().unwrap();
            assert_eq!((picture.layout, *last), (layout, alpha));
            assert!(alike(rest, &seen[..rest.len()]), "{stored:?} became {rest:?} instead of {seen:?}");
        }
    }
}

#[test]
fn ink_is_measured_however_it_is_coded() {
    for (_, stored, seen) in cases().filter(|(_, stored, _)| stored.len() == 4) {
        let absent: Vec<u8> = stored.iter().map(|ink| 255 - ink).collect();

        let picture = converted(pixel(Layout::Cmyk { inverted: true }, &absent), PRESS);

        assert!(picture.layout == Layout::Rgb && alike(&picture.samples, &seen), "{stored:?}: {:?}", picture.samples);
    }
    // Without color, the first three samples are the luma of the ink.
    let picture = converted(pixel(Layout::Ycck, &[150, 128, 128, 255 - 64]), PRESS);
    let expected = converted(pixel(Layout::Cmyk { inverted: false }, &[150, 150, 150, 64]), PRESS);
    assert_eq!(picture, expected);
}

#[test]
fn luma_and_chroma_become_light_first() {
    let luma = converted(pixel(Layout::YCbCr, &[76, 85, 255]), ADOBE_RGB);
    let light = converted(pixel(Layout::Rgb, &[254, 0, 0]), ADOBE_RGB);
    assert_eq!(luma, light);
}

#[test]
fn a_picture_in_srgb_is_not_touched() {
    for layout in [Layout::YCbCr, Layout::Rgb, Layout::Rgba] {
        let picture = pixel(layout, &[77, 99, 200, 13][..layout.channels()]);
        assert_eq!(converted(picture.clone(), SRGB), picture);
    }
}

#[test]
fn a_profile_for_other_pictures_counts_as_srgb() {
    let gray = pixel(Layout::Gray, &[60]);
    let color = pixel(Layout::Rgb, &[10, 200, 30]);
    let ink = pixel(Layout::Cmyk { inverted: false }, &[9, 90, 0, 60]);

    assert_eq!(converted(gray.clone(), ADOBE_RGB), gray);
    assert_eq!(converted(color.clone(), GRAY), color);
    assert_eq!(converted(color.clone(), PRESS), color);
    assert_eq!(converted(ink.clone(), DISPLAY_P3), ink.into_light());
}

#[test]
fn a_broken_profile_counts_as_srgb() {
    let mut random = StdRng::seed_from_u64(2026);
    let layouts = [Layout::Gray, Layout::Rgba, Layout::YCbCr, Layout::Cmyk { inverted: true }];
    for (name, profile) in PROFILES {
        for round in 0..120 {
            let mut harmed = profile.to_vec();
            for _ in 0..random.random_range(1..6) {
                // Most of a large profile is a table: the harm is to be where the structure is.
                let at = random.random_range(0..harmed.len().min(700));
                harmed[at] = random.random();
            }
            if round % 4 == 0 {
                harmed.truncate(random.random_range(0..harmed.len()));
            }
            for layout in layouts {
                let picture = pixel(layout, &[40, 80, 160, 200][..layout.channels()]);

                let picture = converted(picture, &harmed);

                assert_eq!(picture.samples.len(), picture.layout.channels(), "{name} {round}");
            }
        }
    }
    let picture = pixel(Layout::Rgb, &[10, 200, 30]);
    for harmed in [&[][..], &[0; 128], &ADOBE_RGB[..200], b"acsp"] {
        assert_eq!(converted(picture.clone(), harmed), picture);
    }
}

#[test]
fn a_huge_profile_is_not_looked_at() {
    let mut profile = ADOBE_RGB.to_vec();
    let picture = pixel(Layout::Rgb, &[200, 30, 30]);
    profile.resize(MOST_PROFILE_BYTES, 0);
    assert_ne!(converted(picture.clone(), &profile), picture);

    profile.push(0);

    assert_eq!(converted(picture.clone(), &profile), picture);
}

#[test]
fn only_the_last_profiles_are_kept() {
    let mut to_srgb = ToSrgb::default();
    for number in 0..40 {
        let mut profile = ADOBE_RGB.to_vec();
        profile.push(number);
        to_srgb.convert(pixel(Layout::Rgb, &[9; 3]), Some(&profile));
        to_srgb.convert(pixel(Layout::Rgb, &[9; 3]), Some(SRGB));
    }
    assert_eq!(to_srgb.recent.len(), 8);
}

/// The PNG reader of this crate hands over the same bytes.
#[test]
fn the_profile_in_a_png_says_what_its_colors_are() {
    let samples = paint(64, 64, |x, _| [200, byte(x), 30]);
    let mut info = png::Info::with_size(64, 64);
    (info.color_type, info.bit_depth) = (png::ColorType::Rgb, png::BitDepth::Eight);
    info.icc_profile = Some(ADOBE_RGB.into());
    let mut file = Vec::new();
    let mut writer = png::Encoder::with_info(&mut file, info).unwrap().write_header().unwrap();
    writer.write_image_data(&samples).unwrap();
    writer.finish().unwrap();

    let reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
    let profile = reader.info().icc_profile.clone().unwrap();
    let picture = Picture { size: Size { width: 64, height: 64 }, layout: Layout::Rgb, samples };
    let picture = converted(picture, &profile);

    assert!(alike(&picture.samples[..3], &converted(pixel(Layout::Rgb, &[200, 0, 30]), ADOBE_RGB).samples));
    assert!(picture.samples[0] > 220, "red is redder: {:?}", &picture.samples[..3]);
}

#[test]
fn a_job_without_a_profile_keeps_the_colors() {
    let file = Jpeg::new(64, 64, jpeg_encoder::ColorType::Rgb).encode(&paint(64, 64, |_, _| [200, 60, 30]));
    let seen = Seen::open(&file);
    let mut scratch = Scratch::default();
    let picture = scratch.colors.convert(pixel(Layout::YCbCr, seen.raw(9, 9)), None);
    assert_eq!(picture.samples, seen.raw(9, 9));
}
