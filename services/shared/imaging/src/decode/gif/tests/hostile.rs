//! Files that mean no good, and files that came to harm.

use super::*;

fn specimen() -> Vec<u8> {
    let indices: Vec<u8> = (0..20 * 20).map(|at| byte(at * 13) % 4).collect();
    let interlaced = gif::Frame { interlaced: true, ..frame(2, 2, 10, &indices[..100]) };
    let own = gif::Frame { palette: Some(vec![7; 12]), transparent: Some(1), ..frame(5, 5, 20, &indices) };
    file_with(20, 20, &[frame(0, 0, 20, &indices), interlaced, own], Some(Repeat::Infinite))
}

/// What comes before the blocks: a canvas of that size, and two colors.
fn head(width: u16, height: u16) -> Vec<u8> {
    let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
    [b"GIF89a", &sides[..], &[0x80, 0, 0], &[9, 9, 9, 200, 0, 0]].concat()
}

/// A picture of that size with these coded bytes.
fn image(width: u16, height: u16, data: &[u8]) -> Vec<u8> {
    let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
    [&[0x2c, 0, 0, 0, 0], &sides[..], &[0, 2], &[byte(u32::try_from(data.len()).unwrap())], data, &[0]].concat()
}

/// One pixel: clear, color 1, end.
const PIXEL: [u8; 2] = [0x4c, 0x01];

#[test]
fn no_length_of_a_cut_off_file_is_a_danger() {
    let whole = specimen();
    let shown: Vec<bool> = (0..=whole.len())
        .map(|length| {
            let cut = &whole[..length];
            let Ok((header, picture)) = read(cut) else { return false };
            assert_eq!(picture.samples.len(), 20 * 20 * 4);
            assert_eq!(canvases(cut).len(), header.frames as usize);
            true
        })
        .collect();

    let first = shown.iter().position(|shown| *shown).unwrap();
    assert!(shown[first..].iter().all(|shown| *shown), "what is longer shows no less");
    assert!(first < whole.len() / 3, "a part of the first picture is shown: {first} of {}", whole.len());
}

#[test]
fn rows_before_a_fault_are_shown_and_the_rest_is_transparent() {
    let whole = specimen();
    let pixels = still(&whole);
    let data = whole.windows(5).position(|bytes| bytes == [0x2c, 0, 0, 0, 0]).unwrap() + 11;

    let cut = still(&whole[..data + usize::from(whole[data]) / 2]);

    let same = cut.iter().zip(&pixels).take_while(|(a, b)| a == b).count();
    assert!((20..400).contains(&same) && same % 20 == 0, "{same}");
    assert!(cut[same..].iter().all(|pixel| *pixel == NONE));
}

#[test]
fn the_first_picture_that_can_be_read_is_the_still() {
    let bad = image(1, 1, &[0xff; 9]);
    let good = image(1, 1, &PIXEL);
    let with = |bad_ones: usize| [head(1, 1), bad.repeat(bad_ones), good.clone()].concat();

    assert_eq!(still(&with(0)), [RED]);
    assert_eq!(still(&with(3)), [RED]);
    assert!(matches!(read(&with(1000)), Err(RenderError::Broken(_))), "not all are tried");
}

#[test]
fn what_has_no_picture_is_broken() {
    let no_colors = [b"GIF89a\x01\0\x01\0\0\0\0", &image(1, 1, &PIXEL)[..]].concat();
    let odd_bits = [12, 255, 0].map(|bits| {
        let mut image = image(1, 1, &PIXEL);
        image[10] = bits;
        [head(1, 1), image].concat()
    });
    let empty = [head(1, 1), image(0, 0, &PIXEL), image(0, 9, &PIXEL), b";".to_vec()].concat();
    let files = [b"GIF89a".to_vec(), b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(), head(1, 1), no_colors, empty];
    for file in files.iter().chain(&odd_bits) {
        assert!(matches!(read(file), Err(RenderError::Broken(_))), "{file:?}");
    }
}

#[test]
fn a_million_pictures_stand_still() {
    let file = [head(1, 1), image(1, 1, &PIXEL).repeat(1_000_000)].concat();

    let header = Header::read(&file, &Rules::default()).unwrap();

    assert_eq!((header.frames, header.duration_ms), (1, 0));
    assert_eq!(still(&file[..1 << 20]), [RED]);
}

#[test]
fn a_million_pieces_of_nothing_are_walked_over() {
    let comments = [b"\x21\xfe".repeat(1_000_000), vec![0]].concat();
    let endless = [b"\x21\xfe".to_vec(), [255; 256].repeat(10_000)].concat();
    let zeros = vec![0; 1_000_000];
    let sizeless = image(0, 0, &PIXEL).repeat(1_000_000);
    for blocks in [comments, zeros, sizeless] {
        let before = [head(1, 1), blocks.clone(), image(1, 1, &PIXEL)].concat();
        let after = [head(1, 1), image(1, 1, &PIXEL), blocks].concat();

        assert_eq!(still(&after), [RED]);
        if let Ok((_, picture)) = read(&before) {
            assert_eq!(picture.samples, RED);
        }
    }
    assert!(matches!(read(&[head(1, 1), endless].concat()), Err(RenderError::Broken(_))));
}

#[test]
fn a_picture_far_larger_than_the_canvas_is_not_unpacked() {
    let huge = [head(1, 1), image(u16::MAX, u16::MAX, &PIXEL), image(1, 1, &PIXEL)].concat();

    assert_eq!(still(&huge), [RED]);
    assert_eq!(Header::read(&huge, &ANY).unwrap().size, Size { width: 1, height: 1 });
}

#[test]
fn a_canvas_of_too_many_pixels_is_refused_by_its_header() {
    let file = [head(u16::MAX, u16::MAX), image(1, 1, &PIXEL)].concat();

    let refusal = Header::read(&file, &Rules::default()).unwrap_err();

    assert_eq!(refusal, RenderError::TooManyPixels { pixels: 65_535 * 65_535, most: Rules::default().most_pixels });
}
