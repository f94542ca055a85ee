//! Files that mean no good, and files that came to harm.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use heliograph_jpeg::{Chroma, Decoder, Error, Limits, Outcome, Planes, Scale, Unsupported};
use proptest::prelude::*;

fn goldens() -> BTreeMap<String, Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "jpg"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect()
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).with_extension("jpg")).unwrap()
}

fn decode_at(file: &[u8], scale: Scale, limits: Limits) -> Result<(Planes, Outcome), Error> {
    Decoder::new(file, limits)?.decode_planes(scale, Chroma::Matched)
}

/// Decodes, and checks what must be true of anything that comes out.
fn decode(file: &[u8], scale: Scale) -> Result<(Planes, Outcome), Error> {
    let limits = Limits { pixels: 1 << 20, ..Limits::default() };
    let sizes = Decoder::new(file, limits)?.plane_sizes(scale, Chroma::Matched);
    let (planes, outcome) = decode_at(file, scale, limits)?;
    assert_eq!(planes.planes.len(), sizes.len());
    for (plane, size) in planes.planes.iter().zip(sizes) {
        assert_eq!((plane.width, plane.height), size);
        assert_eq!(plane.samples.len(), size.0 as usize * size.1 as usize);
    }
    Ok((planes, outcome))
}

fn find(file: &[u8], marker: u8) -> usize {
    file.windows(2).position(|pair| pair == [0xff, marker]).unwrap()
}

/// A picture with another size in its frame header.
fn resized(mut file: Vec<u8>, width: u16, height: u16) -> Vec<u8> {
    let frame = [0xc0, 0xc1, 0xc2].into_iter().find(|marker| file.windows(2).any(|pair| pair == [0xff, *marker]));
    let at = find(&file, frame.unwrap()) + 5;
    file[at..at + 2].copy_from_slice(&height.to_be_bytes());
    file[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
    file
}

#[test]
fn a_file_that_is_cut_off_anywhere_gives_what_is_there_or_an_error() {
    for name in ["420", "gray", "restarts", "progressive", "separate-420"] {
        let file = golden(name);
        let first_scan = find(&file, 0xda);
        for length in 0..file.len() {
            let scale = Scale::ALL[length % Scale::ALL.len()];
            match decode(&file[..length], scale) {
                Ok((_, outcome)) => {
                    assert!(length > first_scan, "{name} cut after {length}");
                    // All may be there already: what is not wanted is not missed.
                    assert!(!outcome.is_complete || length * 3 > file.len(), "{name} cut after {length}");
                }
                Err(Error::CutOff | Error::NotJpeg) => assert!(length < first_scan + 20, "{name} cut after {length}"),
                Err(error) => panic!("{name} cut after {length}: {error}"),
            }
        }
    }
}

#[test]
fn what_is_left_of_a_file_is_the_same_as_in_the_whole() {
    for name in ["420", "444", "gray"] {
        let file = golden(name);
        let (whole, _) = decode(&file, Scale::Half).unwrap();
        let (half, outcome) =
            decode(&file[..find(&file, 0xda) + (file.len() - find(&file, 0xda)) / 2], Scale::Half).unwrap();

        assert!(!outcome.is_complete && (35..=65).contains(&outcome.percent), "{name}: {}", outcome.percent);
        let (whole, half) = (&whole.planes[0].samples, &half.planes[0].samples);
        let quarter = whole.len() / 4;
        assert_eq!(whole[..quarter], half[..quarter], "{name}");
        assert_eq!(half[half.len() - 5..], [128; 5], "{name}");
    }
}

#[test]
fn how_much_is_there_is_told() {
    for name in ["420", "progressive", "restarts-444", "separate-420"] {
        let file = golden(name);
        let first_scan = Decoder::new(&*file, Limits::default()).unwrap().header().first_scan_at;
        let first_scan = usize::try_from(first_scan).unwrap();
        assert_eq!(&file[first_scan..first_scan + 2], b"\xff\xda", "{name}");
        let percent = |length: usize| decode(&file[..length], Scale::Eighth).unwrap().1.percent;

        assert_eq!(percent(file.len()), 100, "{name}");
        assert!(percent(first_scan + 17) < 10, "{name}");
    }
}

#[test]
fn damage_ends_at_the_next_restart() {
    let file = golden("restarts-444");
    let whole = decode(&file, Scale::Eighth).unwrap().0;
    let (first, second) = (find(&file, 0xd0), find(&file, 0xd1));
    let mut harmed = file.clone();
    harmed[first + 8..second - 4].fill(0x55);

    let (planes, _) = decode(&harmed, Scale::Eighth).unwrap();

    let (whole, planes) = (&whole.planes[0], &planes.planes[0]);
    let width = whole.width as usize;
    assert_ne!(whole.samples[width..width * 2], planes.samples[width..width * 2]);
    assert_eq!(whole.samples[..width], planes.samples[..width]);
    assert_eq!(whole.samples[width * 2..], planes.samples[width * 2..]);
}

#[test]
fn a_pixel_bomb_is_refused_by_its_header() {
    let file = resized(golden("420"), 65_535, 65_535);

    let refused = Decoder::new(&*file, Limits::default()).err();

    let pixels = 65_535 * 65_535;
    assert!(matches!(refused, Some(Error::TooManyPixels { pixels: p, .. }) if p == pixels), "{refused:?}");
}

#[test]
fn the_pixel_limit_itself_is_allowed() {
    let file = golden("420");
    let decoder = |pixels| Decoder::new(&*file, Limits { pixels, ..Limits::default() });

    assert!(decoder(61 * 43).is_ok());
    assert!(matches!(decoder(61 * 43 - 1).err(), Some(Error::TooManyPixels { pixels: 2623, most: 2622 })));
}

#[test]
fn long_sides_cost_little_memory() {
    for (name, width, height) in [("420", 65_535, 100), ("420", 100, 65_535), ("444", 8064, 6048)] {
        let file = resized(golden(name), width, height);
        let decoder = Decoder::new(&*file, Limits::default()).unwrap();
        for scale in Scale::ALL {
            assert!(decoder.memory_bytes(scale, Chroma::Matched) < 16 << 20, "{name} {width}x{height}");
        }

        let mut rows = 0;
        let outcome = decoder.decode(Scale::Eighth, Chroma::Matched, |band| rows += band.rows().len()).unwrap();

        assert!(!outcome.is_complete && rows >= usize::from(height) / 8);
    }
}

#[test]
fn too_much_memory_is_refused_before_it_is_taken() {
    let file = resized(golden("progressive"), 4000, 3000);
    let decode = |memory_bytes| decode_at(&file, Scale::Full, Limits { memory_bytes, ..Limits::default() });
    let needed = Decoder::new(&*file, Limits::default()).unwrap().memory_bytes(Scale::Full, Chroma::Matched);

    assert!(decode(needed).is_ok());
    assert!(matches!(decode(needed - 1), Err(Error::TooMuchMemory { bytes, .. }) if bytes == needed));
}

#[test]
fn endless_scans_end_at_the_limit() {
    let mut file = golden("progressive");
    file.truncate(file.len() - 2);
    for _ in 0..100_000 {
        // Refinements of nothing, with tables that are defined anew each time.
        file.extend(b"\xff\xc4\0\x14\x10\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x00");
        file.extend(b"\xff\xda\0\x08\x01\x01\x00\x01\x3f\x10\x00");
    }
    let limits = |scans| Limits { scans, ..Limits::default() };

    let (_, outcome) = decode_at(&file, Scale::Full, limits(20)).unwrap();
    assert!(outcome.is_complete, "ten scans brought all, the others are not looked at");

    let (_, outcome) = decode_at(&file, Scale::Full, limits(3)).unwrap();
    assert!(!outcome.is_complete);
}

#[test]
fn what_is_left_to_others_is_said_to_be_so() {
    let with_frame = |marker: u8| {
        let mut file = golden("444");
        let at = find(&file, 0xc0);
        file[at + 1] = marker;
        file
    };
    let changed = |offset: usize, bytes: &[u8]| {
        let mut file = golden("444");
        let at = find(&file, 0xc0) + 4 + offset;
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let table = [
        (with_frame(0xc3), Unsupported::Lossless),
        (with_frame(0xc5), Unsupported::Hierarchical),
        (with_frame(0xc9), Unsupported::Arithmetic),
        (with_frame(0xca), Unsupported::Arithmetic),
        (changed(0, &[12]), Unsupported::Precision(12)),
        (changed(1, &[0, 0]), Unsupported::LinesLater),
        (changed(5, &[2]), Unsupported::Components(2)),
        (changed(7, &[0x44]), Unsupported::LargeMcu),
    ];
    for (file, expected) in table {
        match decode(&file, Scale::Full).err() {
            Some(Error::Unsupported(kind)) => assert_eq!(kind, expected),
            other => panic!("{expected:?}: {other:?}"),
        }
    }
}

#[test]
fn tables_of_zeros_give_gray() {
    let mut file = golden("gray");
    let at = find(&file, 0xdb) + 5;
    file[at..at + 64].fill(0);

    let (planes, outcome) = decode(&file, Scale::Full).unwrap();

    assert!(outcome.is_complete && planes.planes[0].samples.iter().all(|sample| *sample == 128));
}

#[test]
fn missing_tables_are_told() {
    let without = |marker: u8| {
        let mut file = golden("gray");
        while let Some(at) = file.windows(2).position(|pair| pair == [0xff, marker]) {
            // A comment in its place.
            file[at + 1] = 0xfe;
        }
        decode(&file, Scale::Half).unwrap_err()
    };

    assert!(matches!(without(0xdb), Error::NoQuantisationTable(0)));
    assert!(matches!(without(0xc4), Error::NoHuffmanTable(0)));
    assert!(matches!(without(0xc0), Error::NoFrame));
    assert!(matches!(without(0xda), Error::CutOff));
}

#[test]
fn each_row_comes_although_a_later_scan_lacks_its_table() {
    let mut file = golden("separate-420");
    let scans: Vec<usize> =
        file.windows(2).enumerate().filter(|(_, pair)| *pair == [0xff, 0xda]).map(|(at, _)| at).collect();
    // Tables 3 and 3 for the second scan.
    file[scans[1] + 6] = 0x33;

    let (planes, outcome) = decode(&file, Scale::Half).unwrap();

    assert!(!outcome.is_complete && planes.planes[1].samples.iter().all(|sample| *sample == 128));
    assert!(planes.planes[0].samples.iter().any(|sample| *sample != 128));
}

#[test]
fn a_color_profile_is_kept_whole_or_not_at_all() {
    let part = |number: u8, count: u8, content: &[u8]| {
        let mut segment = vec![0xff, 0xe2, 0, u8::try_from(content.len()).unwrap() + 16];
        segment.extend(b"ICC_PROFILE\0");
        segment.extend([number, count]);
        segment.extend(content);
        segment
    };
    let file = golden("420");
    let profile = |parts: &[Vec<u8>], icc_bytes| {
        let file = [&file[..2], &parts.concat(), &file[2..]].concat();
        let decoder = Decoder::new(&*file, Limits { icc_bytes, ..Limits::default() }).unwrap();
        decoder.header().icc_profile.clone()
    };
    let (one, two) = (part(1, 2, b"ab"), part(2, 2, b"c"));

    assert_eq!(profile(&[two.clone(), one.clone()], 3), Some(b"abc".to_vec()));
    assert_eq!(profile(&[two.clone(), one.clone()], 2), None);
    assert_eq!(profile(std::slice::from_ref(&one), 9), None);
    assert_eq!(profile(&[one.clone(), one], 9), None);
    assert_eq!(profile(&[], 9), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn harmed_files_are_refused_or_decoded(
        name in prop::sample::select(goldens().into_keys().collect::<Vec<_>>()),
        harm in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        scale in prop::sample::select(Scale::ALL.to_vec()),
    ) {
        let mut file = golden(&name);
        for (at, byte) in harm {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _ = decode(&file, scale);
    }

    #[test]
    fn any_bytes_are_refused_or_decoded(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&[b"\xff\xd8", &*bytes].concat(), Scale::Half);
        let coded = [&golden("420")[..find(&golden("420"), 0xda) + 14], &*bytes].concat();
        prop_assert!(decode(&coded, Scale::Full).is_ok());
    }
}
