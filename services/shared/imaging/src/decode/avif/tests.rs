use moxcms::ColorProfile;

use super::*;
use crate::{
    orientation::Orientation,
    testing::{ANY, BLUE, GREEN, RED, Seen, WHITE, alike, assert_quarters, golden},
};

const SIZE: Size = Size { width: 64, height: 48 };
const COLORS: [[u8; 3]; 4] = [RED, GREEN, BLUE, WHITE];

fn header(file: &[u8]) -> Header {
    Header::read(file, &ANY).unwrap()
}

fn seen(name: &str) -> Seen {
    Seen::open(&golden(&format!("{name}.avif")))
}

/// Brightness in the middle of the quarters, as BT.601 has it.
fn grays() -> [[u8; 3]; 4] {
    COLORS.map(|[r, g, b]| {
        let luma = (299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500) / 1000;
        [u8::try_from(luma).unwrap(); 3]
    })
}

#[test]
fn colors_survive_in_every_sampling_depth_and_range() {
    for sampling in ["400", "420", "422", "444"] {
        for bits in [8, 10, 12] {
            for range in ["full", "limited"] {
                let name = format!("{sampling}-{bits}-{range}");
                let seen = seen(&name);

                let is_gray = sampling == "400";
                assert_eq!(
                    (seen.size, seen.layout),
                    (SIZE, if is_gray { Layout::Gray } else { Layout::YCbCr }),
                    "{name}"
                );
                assert_quarters(&seen, if is_gray { grays() } else { COLORS });
                let header = header(&golden(&format!("{name}.avif")));
                assert_eq!((header.bits, header.channels), (bits, if is_gray { 1 } else { 3 }), "{name}");
            }
        }
    }
}

#[test]
fn colors_survive_in_every_matrix() {
    for matrix in ["bt709", "fcc", "smpte240", "bt2020"] {
        for range in ["full", "limited"] {
            assert_quarters(&seen(&format!("{matrix}-{range}")), COLORS);
        }
    }
    for name in ["identity", "identity-limited"] {
        let seen = seen(name);

        assert_eq!(seen.layout, Layout::Rgb);
        assert_quarters(&seen, COLORS);
    }
}

#[test]
fn a_code_for_colors_that_is_not_read_is_refused() {
    let file = golden("ycgco.avif");

    let decoded = header(&file).decode(&file, SIZE);

    assert!(matches!(decoded, Err(RenderError::Broken(_))), "{decoded:?}");
}

#[test]
fn sides_of_an_odd_length_are_whole() {
    let seen = seen("odd");

    assert_eq!(seen.size, Size { width: 37, height: 29 });
    assert_quarters(&seen, COLORS);
    assert!(alike(seen.rgb(36, 28), WHITE) && alike(seen.rgb(0, 28), BLUE), "up to the edge");
}

#[test]
fn alpha_is_kept_in_every_kind() {
    for name in ["alpha-420", "alpha-444", "alpha-10", "premultiplied", "alpha-400"] {
        let seen = seen(name);

        let is_gray = name == "alpha-400";
        assert_eq!(seen.layout, if is_gray { Layout::GrayAlpha } else { Layout::Rgba }, "{name}");
        let alpha = [(5, 5), (5, 40), (60, 5), (60, 40)].map(|(x, y)| *seen.raw(x, y).last().unwrap());
        assert!(alpha.into_iter().zip([128, 128, 255, 0]).all(|(a, b)| a.abs_diff(b) < 3), "{name}: {alpha:?}");
        let expected = if is_gray { grays() } else { COLORS };
        let quarters = seen.quarters();
        let visible = quarters.into_iter().zip(expected).take(3);
        assert!(visible.into_iter().all(|(a, b)| alike(a, b)), "{name}: {quarters:?}");
    }
}

#[test]
fn turns_and_mirrors_of_the_container_are_found() {
    let turns = [
        ("irot-1", Orientation::TurnLeft),
        ("irot-2", Orientation::UpsideDown),
        ("irot-3", Orientation::TurnRight),
        ("imir-0", Orientation::MirroredDown),
        ("imir-1", Orientation::MirroredAcross),
        ("irot-1-imir-0", Orientation::Transposed),
        ("irot-1-imir-1", Orientation::Transversed),
        ("odd", Orientation::Upright),
    ];
    for (name, orientation) in turns {
        assert_eq!(header(&golden(&format!("{name}.avif"))).orientation, orientation, "{name}");
    }
}

#[test]
fn what_is_cut_away_is_not_shown() {
    let seen = seen("clap");

    assert_eq!(seen.size, Size { width: 48, height: 40 });
    let edges = [(23, 15), (24, 15), (23, 16), (24, 16)].map(|(x, y)| seen.rgb(x, y));
    let middle = edges.into_iter().zip(COLORS);
    let farther = [(20, 12), (27, 12), (20, 19), (27, 19)].map(|(x, y)| seen.rgb(x, y));
    assert!(farther.into_iter().zip(COLORS).all(|(a, b)| alike(a, b)), "{farther:?}, {:?}", middle.collect::<Vec<_>>());
}

#[test]
fn a_cut_that_leaves_next_to_nothing_is_refused() {
    let mut file = golden("clap.avif");
    let at = file.windows(4).position(|name| name == b"clap").unwrap() + 4;
    file[at + 3] = 16; // its width

    assert!(matches!(Header::read(&file, &ANY), Err(RenderError::Broken(_))));
}

#[test]
fn tiles_become_one_picture() {
    let seen = seen("grid");

    assert_eq!(seen.size, Size { width: 160, height: 128 });
    assert_quarters(&seen, COLORS);
    for (x, y) in [(70, 5), (90, 5), (70, 120), (90, 120)] {
        let expected = COLORS[usize::from(x >= 80) + 2 * usize::from(y >= 64)];
        assert!(alike(seen.rgb(x, y), expected), "{x},{y}");
    }
}

#[test]
fn profiles_come_with_the_picture() {
    let icc = |name: &str| {
        let file = golden(&format!("{name}.avif"));
        header(&file).decode(&file, SIZE).unwrap().icc
    };

    assert_eq!(icc("420-8-full"), None);
    let embedded = ColorProfile::new_from_slice(&icc("p3").unwrap()).unwrap();
    let by_code = ColorProfile::new_from_slice(&icc("p3-nclx").unwrap()).unwrap();
    assert!((embedded.red_colorant.x - by_code.red_colorant.x).abs() < 0.002, "the primaries of Display P3");
    assert!((embedded.green_colorant.y - by_code.green_colorant.y).abs() < 0.002);
}

#[test]
fn of_a_sequence_the_picture_that_stands_for_it_is_shown() {
    let file = golden("moving.avif");

    assert_eq!(header(&file).frames, 1);
    assert_quarters(&Seen::open(&file), [RED; 4]);
}

#[test]
fn a_size_beyond_the_limit_is_refused_by_the_header() {
    let mut file = golden("420-8-full.avif");
    let at = file.windows(4).position(|name| name == b"ispe").unwrap() + 8;
    file[at..at + 8].fill(0xff);

    let refused = Header::read(&file, &Rules { most_pixels: 32_000_000, ..ANY });

    assert!(matches!(refused, Err(RenderError::TooManyPixels { .. })), "{refused:?}");
}

#[test]
fn a_size_that_is_not_that_of_the_picture_is_refused() {
    for (at, change) in [(11, 1), (11, 0xff), (15, 1)] {
        let mut file = golden("420-8-full.avif");
        let start = file.windows(4).position(|name| name == b"ispe").unwrap();
        file[start + at] ^= change;

        let header = header(&file);

        assert!(header.decode(&file, header.size).is_err(), "{:?}", header.size);
    }
}

#[test]
fn files_that_are_cut_off_or_described_wrongly_never_panic() {
    // What is coded is left alone: rav1d ends the process when that is damaged.
    for name in ["alpha-420", "grid", "clap", "moving"] {
        let file = golden(&format!("{name}.avif"));
        let cut = (0..file.len()).map(|length| file[..length].to_vec());
        let described = file.windows(4).rposition(|name| name == b"mdat").unwrap();
        let damaged = (0..described).map(|at| {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << (at % 8);
            damaged
        });
        for file in cut.chain(damaged) {
            let Ok(header) = Header::read(&file, &Rules { most_pixels: 1 << 20, ..ANY }) else { continue };
            if let Ok(decoded) = header.decode(&file, header.size) {
                assert_whole(&decoded);
            }
        }
    }
}

fn assert_whole(decoded: &Decoded) {
    match &decoded.pixels {
        Pixels::Picture(picture) => {
            assert_eq!(picture.samples.len() as u64, picture.size.pixels() * picture.layout.channels() as u64);
        }
        Pixels::Planes { planes, .. } => {
            assert!(planes.iter().all(|plane| plane.samples.len() == (plane.width * plane.height) as usize));
        }
    }
}
