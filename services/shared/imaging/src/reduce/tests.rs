//! Averages, computed by hand.

use super::*;

fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}

fn reduce(full: Size, layout: Layout, least: Size, rows: &[&[u8]]) -> Picture {
    let mut reducer = Reducer::new(full, layout, least);
    for row in rows {
        reducer.add(&mut row.to_vec()).unwrap();
    }
    reducer.finish()
}

#[test]
fn the_better_filter_has_half_of_each_side_left_to_do() {
    for full in (1..400).chain([4032, 30_000, 1_000_000]) {
        for least in [1, 2, 3, 7, 32, 96, 399].into_iter().filter(|least| *least <= full) {
            let small = reduced_size(size(full, full), size(least, least));

            assert!(small.width == full || small.width >= 2 * least, "{full} to {least}: {small:?}");
            assert!(full.div_ceil(small.width) <= MOST_IN_BOX * 2, "sums fit: {full} to {least}: {small:?}");
        }
    }
    assert_eq!(reduced_size(size(1632, 1224), size(96, 72)), size(204, 153));
    assert_eq!(reduced_size(size(399, 399), size(100, 100)), size(399, 399), "nothing to do");
}

#[test]
fn pixels_of_a_box_are_averaged() {
    let rows: [&[u8]; 4] = [&[0, 10, 200, 200], &[20, 10, 200, 201], &[255, 255, 0, 0], &[255, 255, 0, 1]];

    let picture = reduce(size(4, 4), Layout::Gray, size(1, 1), &rows);

    assert_eq!((picture.size, picture.samples), (size(2, 2), vec![10, 200, 255, 0]));
}

#[test]
fn boxes_that_do_not_fit_are_as_large_as_each_other_within_a_pixel() {
    let picture = reduce(size(7, 1), Layout::Gray, size(1, 1), &[&[1, 3, 10, 20, 0, 100, 200]]);

    assert_eq!((picture.size, picture.samples), (size(2, 1), vec![5, 80]));
}

#[test]
fn transparent_pixels_lend_no_color_to_their_box() {
    let white_beside_nothing: &[u8] = &[255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 0];

    let picture = reduce(size(4, 1), Layout::Rgba, size(1, 1), &[white_beside_nothing]);

    assert_eq!(picture.samples, [255, 255, 255, 128, 0, 0, 0, 0]);
    let gray = reduce(size(4, 1), Layout::GrayAlpha, size(1, 1), &[&[200, 255, 0, 0, 80, 255, 80, 255]]);
    assert_eq!(gray.samples, [200, 128, 80, 255]);
}

#[test]
fn what_never_comes_is_transparent_or_white() {
    let veiled = reduce(size(1, 3), Layout::GrayAlpha, size(1, 3), &[&[7, 9]]);
    let opaque = reduce(size(1, 12), Layout::Gray, size(1, 2), &[&[7], &[7], &[8], &[8], &[5]]);

    assert_eq!(veiled.samples, [7, 9, 0, 0, 0, 0]);
    assert_eq!((opaque.size, opaque.samples), (size(1, 4), vec![7, 7, 255, 255]));
}

#[test]
fn the_largest_boxes_of_the_brightest_pixels_do_not_overflow() {
    let full = size(385, 385);
    let picture = reduce(full, Layout::Rgb, size(1, 1), &vec![&[255_u8; 385 * 3][..]; 385]);

    assert_eq!(picture.size, size(3, 3));
    assert!(picture.samples.iter().all(|sample| *sample == 255));
    let veiled = reduce(full, Layout::Rgba, size(1, 1), &vec![&[255, 255, 255, 254].repeat(385)[..]; 385]);
    assert!(veiled.samples.as_chunks().0.iter().all(|pixel| *pixel == [255, 255, 255, 254]), "{:?}", veiled.samples);
}
