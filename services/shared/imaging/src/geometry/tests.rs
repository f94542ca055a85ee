use heliograph_types::ThumbnailMethod::{self, Crop, Scale};
use proptest::prelude::*;

use super::*;

const PRESETS: [(u32, u32, ThumbnailMethod); 5] =
    [(32, 32, Crop), (96, 96, Crop), (320, 240, Scale), (640, 480, Scale), (800, 600, Scale)];

fn spec(width: u32, height: u32, method: ThumbnailMethod) -> ThumbnailSpec {
    ThumbnailSpec { width, height, method, animated: false }
}

fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}

#[test]
fn the_presets_have_the_sizes_that_clients_expect() {
    let table = [
        ((4000, 3000), [(32, 32), (96, 96), (320, 240), (640, 480), (800, 600)]),
        ((3000, 4000), [(32, 32), (96, 96), (180, 240), (360, 480), (450, 600)]),
        ((1920, 1080), [(32, 32), (96, 96), (320, 180), (640, 360), (800, 450)]),
        ((1000, 1), [(32, 1), (96, 1), (320, 1), (640, 1), (800, 1)]),
        ((1, 1000), [(1, 32), (1, 96), (1, 240), (1, 480), (1, 600)]),
        ((1, 1), [(1, 1); 5]),
        ((32, 32), [(32, 32); 5]),
        ((20, 10), [(20, 10); 5]),
        ((50, 20), [(32, 20), (50, 20), (50, 20), (50, 20), (50, 20)]),
        ((800, 600), [(32, 32), (96, 96), (320, 240), (640, 480), (800, 600)]),
        ((801, 600), [(32, 32), (96, 96), (320, 240), (640, 479), (800, 599)]),
        ((100, 5000), [(32, 32), (96, 96), (5, 240), (10, 480), (12, 600)]),
    ];
    for ((width, height), outcomes) in table {
        for ((preset_width, preset_height, method), (out_width, out_height)) in PRESETS.into_iter().zip(outcomes) {
            let plan = plan(size(width, height), &spec(preset_width, preset_height, method));

            let asked = format!("{width}x{height} as {preset_width}x{preset_height} {method}");
            assert_eq!(plan.size, size(out_width, out_height), "{asked}");
        }
    }
}

#[test]
fn a_crop_takes_the_middle_between_pixels() {
    let cut = plan(size(1000, 333), &spec(100, 100, Crop));

    assert_eq!(cut.area, Area { left: 333.5, top: 0.0, width: 333.0, height: 333.0 });
    assert_eq!(plan(size(333, 1000), &spec(100, 100, Crop)), cut.transposed());
}

#[test]
fn a_crop_that_would_have_to_grow_only_cuts_whole_pixels() {
    let cut = plan(size(101, 40), &spec(50, 60, Crop));

    assert_eq!(cut.size, size(50, 40));
    assert_eq!(cut.area, Area { left: 25.0, top: 0.0, width: 50.0, height: 40.0 });
    assert!(!cut.resampled);
}

#[test]
fn the_whole_picture_at_the_scale_of_the_thumbnail_is_known() {
    let crop = plan(size(4000, 3000), &spec(96, 96, Crop));
    let scale = plan(size(4000, 3000), &spec(320, 240, Scale));

    assert_eq!(crop.least_decoded(size(4000, 3000)), size(128, 96));
    assert_eq!(scale.least_decoded(size(4000, 3000)), size(320, 240));
}

#[test]
fn a_smaller_decoded_picture_is_cut_at_the_same_place() {
    let full = plan(size(4000, 3000), &spec(96, 96, Crop));

    let small = full.for_decoded(size(4000, 3000), size(500, 375));

    assert_eq!(small.area, Area { left: 62.5, top: 0.0, width: 375.0, height: 375.0 });
    assert_eq!(small.size, full.size);
}

/// The rule of the protocol reference, in floating point: an independent second opinion.
fn expected_size(source: Size, spec: &ThumbnailSpec) -> (f64, f64) {
    let (width, height) = (f64::from(source.width), f64::from(source.height));
    let across = f64::from(spec.width) / width;
    let down = f64::from(spec.height) / height;
    match spec.method {
        Scale => {
            let ratio = across.min(down).min(1.0);
            ((width * ratio).round().max(1.0), (height * ratio).round().max(1.0))
        }
        Crop if across >= 1.0 && down >= 1.0 => (width, height),
        Crop => {
            let ratio = across.max(down).min(1.0);
            let covered = ((width * ratio).round(), (height * ratio).round());
            (covered.0.min(spec.width.into()), covered.1.min(spec.height.into()))
        }
    }
}

fn check(source: Size, spec: &ThumbnailSpec) {
    let plan = plan(source, spec);
    let (width, height) = expected_size(source, spec);
    let told = format!("{source:?} as {spec}: {plan:?}");

    // Exactly between two pixels floating point may fall either way.
    assert!((f64::from(plan.size.width) - width).abs() <= 1.0, "{told}, expected {width}x{height}");
    assert!((f64::from(plan.size.height) - height).abs() <= 1.0, "{told}, expected {width}x{height}");
    assert!(plan.size.width >= 1 && plan.size.height >= 1, "{told}");
    assert!(plan.size.width <= source.width.min(spec.width).max(1), "{told}");
    assert!(plan.size.height <= source.height.min(spec.height).max(1), "{told}");
    let Area { left, top, width, height } = plan.area;
    assert!(left >= 0.0 && top >= 0.0 && width > 0.0 && height > 0.0, "{told}");
    assert!(left + width <= f64::from(source.width) && top + height <= f64::from(source.height), "{told}");
    let off_centre = (f64::from(source.width) - width) / 2.0 - left;
    assert!((0.0..=0.5).contains(&off_centre), "{told}");
    if spec.method == Scale {
        assert_eq!((width, height), (f64::from(source.width), f64::from(source.height)), "{told}");
    }
    if !plan.resampled {
        assert_eq!((width, height), (f64::from(plan.size.width), f64::from(plan.size.height)), "{told}");
    }
}

#[test]
fn every_small_picture_in_every_small_box_follows_the_rule() {
    for width in 1..=12 {
        for height in 1..=12 {
            for box_width in 1..=14 {
                for box_height in 1..=14 {
                    check(size(width, height), &spec(box_width, box_height, Scale));
                    check(size(width, height), &spec(box_width, box_height, Crop));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_picture_in_any_box_follows_the_rule(
        width in 1_u32..70_000, height in 1_u32..70_000,
        box_width in 1_u32..40_000, box_height in 1_u32..40_000, crop: bool,
    ) {
        check(size(width, height), &spec(box_width, box_height, if crop { Crop } else { Scale }));
    }
}
