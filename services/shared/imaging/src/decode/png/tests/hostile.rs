//! Files that mean no good, and files that came to harm.

use super::*;

#[test]
fn a_file_that_was_cut_off_shows_the_rows_that_came() {
    let samples = |channels: usize| -> Vec<u8> { (0..200).cycle().take(40 * 40 * channels).collect() };
    for (color, channels, rest) in [(GRAY, 1, 255), (RGB, 3, 255), (GRAY_ALPHA, 2, 0), (RGBA, 4, 0)] {
        let samples = samples(channels);
        let whole = file(&[header(40, 40, 8, color, false), chunk(*b"IDAT", &stored(&rows(&samples, 40 * channels)))]);

        let cut = picture(&whole[..whole.len() / 2]).samples;

        let same = cut.iter().zip(&samples).take_while(|(a, b)| a == b).count();
        assert!(same > samples.len() * 2 / 5, "{same} of {}", samples.len());
        assert!(cut[samples.len() * 3 / 5..].iter().all(|sample| *sample == rest), "the rest is empty");
    }
}

#[test]
fn an_interlaced_file_that_was_cut_off_shows_a_coarse_picture() {
    let whole = file(&[header(9, 9, 8, GRAY, true), chunk(*b"IDAT", &stored(&interlaced(9, 9)))]);
    let first_pass = 8 + 25 + 8 + 7 + 2 * 3;

    let cut = picture(&whole[..first_pass]).samples;

    let blocks = |x: u32, y: u32| value(x / 8 * 8, y / 8 * 8);
    let expected: Vec<u8> = (0..9).flat_map(|y| (0..9).map(move |x| blocks(x, y))).collect();
    assert_eq!(cut, expected);
}

#[test]
fn no_length_of_a_cut_off_file_is_a_danger() {
    let samples: Vec<u8> = (0..12 * 12 * 4).map(|at| byte(at * 11)).collect();
    let plain = [header(12, 12, 8, RGBA, false), chunk(*b"IDAT", &deflated(&rows(&samples, 48)))];
    let passes = [header(9, 9, 8, GRAY, true), chunk(*b"IDAT", &stored(&interlaced(9, 9)))];
    for whole in [file(&plain), file(&passes), animated::three_frames()] {
        let shown: Vec<bool> = (0..=whole.len())
            .map(|length| {
                let cut = &whole[..length];
                let Ok((header, picture)) = read(cut) else { return false };
                assert_eq!(picture.samples.len() as u64, header.size.pixels() * u64::from(header.channels));
                if let Ok(mut frames) = header.frames(&cut.to_vec()) {
                    while let Ok(Some(_)) = frames.next_frame() {}
                }
                true
            })
            .collect();

        let first = shown.iter().position(|shown| *shown).unwrap();
        assert!(shown[first..].iter().all(|shown| *shown), "what is longer shows no less");
        assert!(first < whole.len() - 20, "a part of it is shown");
    }
}

#[test]
fn a_wrong_checksum_harms_nothing() {
    let mut pixels = chunk(*b"IDAT", &deflated(&[0, 1, 2]));
    let last = pixels.len() - 1;
    pixels[last] ^= 0xff;

    assert_eq!(picture(&file(&[header(2, 1, 8, GRAY, false), pixels])).samples, [1, 2]);
}

#[test]
fn what_cannot_be_unpacked_is_broken() {
    let garbage = file(&[header(2, 1, 8, GRAY, false), chunk(*b"IDAT", b"not at all deflated")]);
    let no_palette = file(&[header(2, 1, 8, PALETTE, false), chunk(*b"IDAT", &deflated(&[0, 1, 2]))]);
    let no_pixels = file(&[header(2, 1, 8, GRAY, false)]);
    let odd = [(3, GRAY), (1, RGB), (16, PALETTE), (8, 1), (8, 5)];
    let odd =
        odd.map(|(depth, color)| file(&[header(2, 1, depth, color, false), chunk(*b"IDAT", &deflated(&[0; 20]))]));
    for file in [garbage, no_palette, no_pixels].iter().chain(&odd) {
        assert!(matches!(read(file), Err(RenderError::Broken(_))), "{:?}", read(file));
    }
}

#[test]
fn a_bomb_beside_the_pixels_is_left_out() {
    let bomb = [b"x\0\0", &deflated(&vec![0; 64 << 20])[..]].concat();
    assert!(bomb.len() < 1 << 20);
    for kind in [b"iCCP", b"zTXt", b"iTXt", b"eXIf"] {
        let chunks = [header(1, 1, 8, GRAY, false), chunk(*kind, &bomb), chunk(*b"IDAT", &deflated(&[0, 9]))];
        let file = file(&chunks);

        assert_eq!(picture(&file).samples, [9]);
        assert_eq!(profile_of(&file), None);
    }
}

#[test]
fn a_chunk_larger_than_all_others_is_not_looked_at() {
    let large = vec![1; 80 << 20];
    for kind in [b"iCCP", b"tEXt", b"eXIf", b"prVt", b"sPLT"] {
        let chunks = [header(1, 1, 8, GRAY, false), chunk(*kind, &large), chunk(*b"IDAT", &deflated(&[0, 9]))];

        assert_eq!(picture(&file(&chunks)).samples, [9]);
    }
}

#[test]
fn a_million_empty_chunks_are_walked_over() {
    let pixels = deflated(&[0, 9]);
    for kind in [b"tEXt", b"IDAT", b"fcTL", b"fdAT", b"acTL"] {
        let many = chunk(*kind, &[]).repeat(1_000_000);
        let (before, after) = ([header(1, 1, 8, GRAY, false), many.clone(), chunk(*b"IDAT", &pixels)], many);
        let before = file(&before);
        let after = file(&[header(1, 1, 8, GRAY, false), chunk(*b"IDAT", &pixels), after]);

        assert_eq!((picture(&before).samples, picture(&after).samples), (vec![9], vec![9]));
    }
}
