use super::*;

/// A plane of one sample.
fn plane(sample: u8) -> Plane {
    Plane { width: 1, height: 1, covered: (1.0, 1.0), samples: vec![sample] }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn rounded(sample: f64) -> u8 {
    sample.round() as u8
}

/// By the formula of H.273, as it is printed.
fn coded([red, green, blue]: [u8; 3], matrix: Matrix, range: Range) -> [u8; 3] {
    let [red, green, blue] = [red, green, blue].map(|sample| f64::from(sample) / 255.0);
    let luma = matrix.red * red + matrix.green() * green + matrix.blue * blue;
    let cb = (blue - luma) / (2.0 * (1.0 - matrix.blue));
    let cr = (red - luma) / (2.0 * (1.0 - matrix.red));
    match range {
        Range::Full => [luma * 255.0, cb * 255.0 + 128.0, cr * 255.0 + 128.0],
        Range::Limited => [luma * 219.0 + 16.0, cb * 224.0 + 128.0, cr * 224.0 + 128.0],
    }
    .map(rounded)
}

const MATRICES: [Matrix; 5] = [Matrix::BT601, Matrix::BT709, Matrix::FCC, Matrix::SMPTE240, Matrix::BT2020];

#[test]
fn a_color_is_the_same_after_each_matrix_and_range() {
    let levels = [0, 1, 40, 128, 200, 254, 255];
    for matrix in MATRICES {
        for range in [Range::Full, Range::Limited] {
            for (red, (green, blue)) in levels
                .into_iter()
                .flat_map(|a| levels.map(move |b| (a, b)))
                .flat_map(|(a, b)| levels.map(|c| (a, (b, c))))
            {
                let [mut luma, mut cb, mut cr] = coded([red, green, blue], matrix, range).map(plane);

                make_jfif([&mut luma, &mut cb, &mut cr], matrix, range);

                let made = ycbcr_to_rgb([luma.samples[0], cb.samples[0], cr.samples[0]]);
                let close = made.into_iter().zip([red, green, blue]).all(|(a, b)| a.abs_diff(b) <= 4);
                assert!(close, "{made:?} was {:?} by {matrix:?}, {range:?}", [red, green, blue]);
            }
        }
    }
}

#[test]
fn samples_beyond_the_range_of_video_are_cut_off() {
    let mut samples = [0, 15, 16, 17, 126, 235, 236, 255];

    widen(&mut samples, Range::Limited);

    assert_eq!(samples, [0, 0, 0, 1, 128, 255, 255, 255]);
}

#[test]
fn full_range_in_the_matrix_of_jpeg_is_left_alone() {
    let all: Vec<u8> = (0..=255).collect();
    let mut planes = [(); 3].map(|()| Plane { width: 16, height: 16, covered: (16.0, 16.0), samples: all.clone() });

    let [luma, cb, cr] = &mut planes;
    make_jfif([luma, cb, cr], Matrix::BT601, Range::Full);

    assert!(planes.iter().all(|plane| plane.samples == all));
}

#[test]
fn halved_colors_shift_the_brightness_they_belong_to() {
    for (width, height, colors) in [(5, 3, (3, 2)), (5, 3, (3, 3)), (1, 1, (1, 1)), (4, 2, (4, 2))] {
        let sized = |(width, height): (u32, u32), sample| Plane {
            width,
            height,
            covered: (f64::from(width), f64::from(height)),
            samples: vec![sample; (width * height) as usize],
        };
        let [y, cb, cr] = coded([220, 30, 60], Matrix::BT709, Range::Full);
        let mut planes = [sized((width, height), y), sized(colors, cb), sized(colors, cr)];

        let [luma, cb, cr] = &mut planes;
        make_jfif([luma, cb, cr], Matrix::BT709, Range::Full);

        let expected = coded([220, 30, 60], Matrix::BT601, Range::Full);
        for (plane, expected) in planes.iter().zip(expected) {
            assert!(plane.samples.iter().all(|sample| sample.abs_diff(expected) <= 1), "{plane:?} {expected}");
        }
    }
}
