//! What goes out of pictures, and what stays.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

#[path = "support/pictures.rs"]
mod pictures;

use std::io::Cursor;

use bytes::Bytes;
use heliograph_jpeg::find_orientation;
use heliograph_strip::{Kind, Report, Stripper};
use pictures::{SECRET, chunk, exif, jpeg, png, riff, segment, webp};
use proptest::prelude::*;

const ALL: &[Kind] = &[Kind::Jpeg, Kind::Png, Kind::WebP];

/// Strips a file that comes in these pieces.
fn strip_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Report) {
    let mut stripper = Stripper::new(ALL);
    let mut passed = Vec::new();
    for piece in pieces {
        stripper.push(Bytes::copy_from_slice(piece)).iter().for_each(|bytes| passed.extend_from_slice(bytes));
    }
    let (rest, report) = stripper.finish();
    passed.extend(rest.into_iter().flatten());
    (passed, report)
}

fn strip(file: &[u8]) -> (Vec<u8>, Report) {
    strip_pieces([file])
}

fn contains(file: &[u8], wanted: &[u8]) -> bool {
    file.windows(wanted.len()).any(|window| window == wanted)
}

/// The orientation in the first EXIF of a JPEG or PNG, by what stands in front of it.
fn orientation_after(file: &[u8], mark: &[u8]) -> Option<u8> {
    let at = file.windows(mark.len()).position(|window| window == mark)?;
    find_orientation(&file[at + mark.len()..])
}

fn jpeg_pixels(file: &[u8]) -> Vec<u8> {
    zune_jpeg::JpegDecoder::new(zune_core::bytestream::ZCursor::new(file)).decode().unwrap()
}

fn png_pixels(file: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    reader.finish().unwrap();
    pixels
}

fn webp_decoder(file: &[u8]) -> image_webp::WebPDecoder<Cursor<&[u8]>> {
    image_webp::WebPDecoder::new(Cursor::new(file)).unwrap()
}

fn webp_pixels(file: &[u8]) -> Vec<u8> {
    let mut decoder = webp_decoder(file);
    let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
    decoder.read_image(&mut pixels).unwrap();
    pixels
}

#[test]
fn of_a_jpeg_the_picture_its_profile_and_its_orientation_stay() {
    for (orientation, progressive) in [(1, false), (6, false), (8, true)] {
        let (file, plain) = jpeg(orientation, progressive);

        let (stripped, report) = strip(&file);

        assert!(!contains(&stripped, SECRET), "{orientation}");
        assert_eq!(jpeg_pixels(&stripped), jpeg_pixels(&file));
        assert!(contains(&stripped, &segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", &[7; 300]])));
        let kept = (orientation != 1).then_some(orientation);
        assert_eq!(orientation_after(&stripped, b"Exif\0\0"), kept);
        let profile_and_exif = 318 + if kept.is_some() { 36 } else { 0 };
        assert_eq!(stripped.len(), plain.len() + profile_and_exif, "nothing else stays");
        let removed_bytes = (file.len() - stripped.len()) as u64;
        assert_eq!(report, Report { kind: Some(Kind::Jpeg), removed_bytes, is_broken: false });
    }
}

#[test]
fn the_thumbnail_in_jfif_goes() {
    let (_, plain) = jpeg(1, false);
    let with_thumbnail = segment(0xe0, &[b"JFIF\0\x01\x02\x01\0\x48\0\x48\x02\x01", SECRET]);
    let file = [&plain[..2], &with_thumbnail, &plain[20..]].concat();

    let (stripped, _) = strip(&file);

    let without = segment(0xe0, &[b"JFIF\0\x01\x02\x01\0\x48\0\x48\0\0"]);
    assert_eq!(stripped, [&plain[..2], &without, &plain[20..]].concat());
}

#[test]
fn of_a_png_the_picture_its_gamma_and_its_orientation_stay() {
    for orientation in [1, 6] {
        let (file, plain) = png(orientation);

        let (stripped, report) = strip(&file);

        assert!(!contains(&stripped, SECRET));
        assert_eq!(png_pixels(&stripped), png_pixels(&file));
        assert_eq!(orientation_after(&stripped, b"eXIf"), (orientation != 1).then_some(orientation));
        let exif_bytes = if orientation == 1 { 0 } else { 38 };
        assert_eq!(stripped.len(), plain.len() + exif_bytes, "nothing else stays");
        assert!(contains(&stripped, b"gAMA"));
        assert_eq!((report.kind, report.is_broken), (Some(Kind::Png), false));
        assert_eq!(report.removed_bytes, (file.len() - stripped.len()) as u64);
    }
}

#[test]
fn of_a_webp_the_picture_its_profile_and_its_orientation_stay() {
    for orientation in [1, 6] {
        let file = webp(orientation);

        let (stripped, report) = strip(&file);

        assert!(!contains(&stripped, SECRET));
        assert_eq!(stripped.len(), file.len() - SECRET.len(), "what comes after the end goes, all else keeps its size");
        assert_eq!(webp_pixels(&stripped), webp_pixels(&file));
        let mut decoder = webp_decoder(&stripped);
        assert_eq!(decoder.icc_profile().unwrap(), Some(vec![7; 301]));
        assert_eq!(find_orientation(&decoder.exif_metadata().unwrap().unwrap()), Some(orientation));
        assert_eq!(decoder.xmp_metadata().unwrap(), None);
        assert_eq!(stripped[20], 0b0010_1000, "the flag of XMP is gone");
        assert_eq!((report.kind, report.is_broken), (Some(Kind::WebP), false));
        assert!(report.removed_bytes > 3 * SECRET.len() as u64);
    }
}

#[test]
fn exif_of_a_webp_that_has_no_room_for_an_orientation_is_blank() {
    let file = riff(*b"RIFF", &[b"WEBP", &riff(*b"EXIF", &[&exif(6)[..23]])]);

    let (stripped, _) = strip(&file);

    assert_eq!(stripped, riff(*b"RIFF", &[b"WEBP", &riff(*b"EXIF", &[&[0; 23]])]));
}

#[test]
fn exif_larger_than_any_is_looked_through_at_its_beginning() {
    let large = [exif(6), vec![b'x'; 300_000]].concat();
    let (_, plain) = png(1);
    let png = [&plain[..33], &chunk(*b"eXIf", &[&large]), &plain[33..]].concat();
    let webp = riff(*b"RIFF", &[b"WEBP", &riff(*b"EXIF", &[&large])]);

    let (png, webp) = (strip(&png).0, strip(&webp).0);

    assert_eq!((png.len(), orientation_after(&png, b"eXIf")), (plain.len() + 38, Some(6)));
    assert_eq!(find_orientation(&webp[20..]), Some(6));
    assert!(webp[20 + 26..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_picture_without_metadata_stays_as_it_is() {
    let plain_webp = riff(*b"RIFF", &[b"WEBP", &riff(*b"VP8L", &[b"\x2f pixels"])]);
    for file in [jpeg(1, false).1, png(1).1, plain_webp] {
        let (stripped, report) = strip(&file);

        assert_eq!(stripped, file);
        assert_eq!((report.removed_bytes, report.is_broken), (0, false));
    }
}

#[test]
fn what_was_not_asked_for_passes() {
    let (file, _) = jpeg(6, false);
    for kinds in [&[][..], &[Kind::Png, Kind::WebP]] {
        let mut stripper = Stripper::new(kinds);

        let passed = stripper.push(Bytes::from(file.clone()));

        assert_eq!(passed, [&file[..]]);
        let nothing = Report { kind: None, removed_bytes: 0, is_broken: false };
        assert_eq!(stripper.finish(), (None, nothing));
    }
    for file in [b"".as_slice(), b"\xff", b"\xff\xd8\xff", b"RIFF", b"encrypted, perhaps, who knows"] {
        assert_eq!(strip(file).0, file);
    }
}

#[test]
fn a_broken_file_stays_from_where_it_breaks() {
    let (start, comment) = (b"\xff\xd8".as_slice(), segment(0xfe, &[SECRET]));
    let (_, plain) = png(1);
    let text = chunk(*b"tEXt", &[SECRET]);

    for (begin, metadata, breach) in [
        (start, &comment, b"\xff\xe3\0\x01".as_slice()),
        (start, &comment, b"\xff\xd9"),
        (&plain[..33], &text, b"\x80\0\0\0tEXt"),
        (&plain[..33], &text, b"\0\0\0\x01t-Xt"),
    ] {
        let (stripped, report) = strip(&[begin, metadata, breach, SECRET].concat());

        assert_eq!(stripped, [begin, breach, SECRET].concat());
        assert_eq!((report.removed_bytes, report.is_broken), (metadata.len() as u64, true));
    }
    let (webp, report) = strip(b"RIFF\x08\0\0\0WEBPEXIFsomething");
    assert_eq!((webp.as_slice(), report.is_broken), (b"RIFF\x08\0\0\0WEBPEXIFsomething".as_slice(), true));
}

#[test]
fn a_file_that_ends_within_its_metadata_loses_what_is_there() {
    let (_, plain) = png(1);
    let comment = [b"\xff\xd8".as_slice(), &segment(0xe1, &[b"Exif\0\0", &exif(6)])].concat();
    let exif_chunk = [&plain[..33], &chunk(*b"eXIf", &[&exif(6)])].concat();
    let webp = riff(*b"RIFF", &[b"WEBP", &riff(*b"EXIF", &[&exif(6)])]);

    for (file, stays) in [(comment, 2), (exif_chunk, 33), (webp, 12)] {
        let (stripped, report) = strip(&file[..file.len() - 5]);

        assert_eq!(stripped, &file[..stays]);
        assert!(report.removed_bytes > 0);
    }
}

#[test]
fn a_file_may_end_anywhere() {
    for file in [jpeg(6, true).0, png(6).0, webp(6)] {
        for end in 0..file.len() {
            let (stripped, _) = strip(&file[..end]);

            assert!(stripped.len() <= end && !contains(&stripped, SECRET), "{end}");
        }
    }
}

#[test]
fn pieces_of_any_length_make_no_difference() {
    for file in [jpeg(6, true).0, png(6).0, webp(6)] {
        let whole = strip(&file);
        for length in [1, 2, 3, 5, 7, 11, 64, 255, 1000] {
            assert_eq!(strip_pieces(file.chunks(length)), whole, "{length}");
        }
        for at in 0..file.len() {
            let (front, back) = file.split_at(at);
            assert_eq!(strip_pieces([front, back]), whole, "{at}");
        }
    }
}

proptest! {
    /// Of hostile files too: each byte may be something else.
    #[test]
    fn neither_content_nor_pieces_do_harm(
        picture in 0..3,
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut file = match picture {
            0 => jpeg(6, true).0,
            1 => png(6).0,
            _ => webp(6),
        };
        for (at, byte) in damages {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(file.len())).chain([0, file.len()]).collect();
        cuts.sort_unstable();

        let (stripped, report) = strip_pieces(cuts.windows(2).map(|pair| &file[pair[0]..pair[1]]));

        prop_assert_eq!(&stripped, &strip(&file).0);
        prop_assert!(stripped.len() <= file.len());
        // What went is counted, and of a WebP what was overwritten as well.
        prop_assert!(report.removed_bytes >= (file.len() - stripped.len()) as u64);
    }

    #[test]
    fn noise_after_any_beginning_passes_the_same_in_any_pieces(
        beginning in prop::sample::select(vec![
            b"\xff\xd8\xff".as_slice(),
            b"\x89PNG\r\n\x1a\n\0\0\0\x01eXIf",
            b"RIFF\xff\xff\0\0WEBPEXIF",
        ]),
        noise in prop::collection::vec(prop::sample::select(vec![0, 1, 4, 0xff, 0xd8, 0xd9, 0xda, 0xe1, 0xfe]), 0..600),
        length in 1..80_usize,
    ) {
        let file = [beginning, noise.as_slice()].concat();

        let whole = strip(&file);

        prop_assert_eq!(&strip_pieces(file.chunks(length)), &whole);
        prop_assert!(whole.0.len() <= file.len());
    }
}
