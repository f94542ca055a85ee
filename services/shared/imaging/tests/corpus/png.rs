//! PNG and APNG.

use png::{BitDepth, ColorType, Encoder, Info};

use super::{Hostile, Size, joined};

pub(crate) fn bombs(size: Size) -> Vec<Hostile> {
    let zeros = vec![0_u8; size.many(64 << 20)];
    let text = "0".repeat(size.many(64 << 20));
    let bombs = [
        ("longest-sides.png", black(u32::MAX >> 1, u32::MAX >> 1, 0)),
        ("sides-of-65535.png", black(65_535, 65_535, 0)),
        ("one-row.png", black(1_000_000, 1, 0)),
        ("just-allowed-but-empty.png", black(2000, 2000, 0)),
        ("no-width.png", black(0, 5, 0)),
        ("rows-that-never-end.png", black(10, 10, size.many(40 << 20))),
        ("profile-bomb.png", with_profile(&zeros)),
        ("text-bomb.png", with(|encoder| encoder.add_ztxt_chunk("a".to_owned(), text.clone()).unwrap())),
        ("international-text-bomb.png", with(|encoder| encoder.add_itxt_chunk("a".to_owned(), text.clone()).unwrap())),
        ("plain-text.png", with(|encoder| encoder.add_text_chunk("a".to_owned(), text.clone()).unwrap())),
        ("a-million-chunks.png", with_chunks(&chunk(b"teXt", b"").repeat(size.many(1_000_000)))),
        ("chunk-of-four-gigabytes.png", with_chunks(b"\xff\xff\xff\xffIDAT")),
        ("wrong-checksum.png", wrong_checksum()),
        ("palette-that-is-not-there.png", joined(&[&header(9, 9, 3), &chunk(b"IDAT", &[0; 9])])),
        ("frames-by-the-billion.png", announcing(u32::MAX)),
        ("a-million-frames.png", many_frames(size.many(1_000_000))),
        ("frames-without-size.png", with_chunks(&frame_control(0, 0, 0))),
        ("frames-outside.png", with_chunks(&frame_control(u32::MAX, u32::MAX, u32::MAX))),
    ];
    bombs.map(|(name, file)| Hostile::new(name, file)).into()
}

pub(crate) fn with_profile(profile: &[u8]) -> Vec<u8> {
    let mut info = Info::with_size(16, 16);
    (info.color_type, info.bit_depth) = (ColorType::Rgb, BitDepth::Eight);
    info.icc_profile = Some(profile.to_vec().into());
    let mut file = Vec::new();
    let mut writer = Encoder::with_info(&mut file, info).unwrap().write_header().unwrap();
    writer.write_image_data(&[99; 16 * 16 * 3]).unwrap();
    writer.finish().unwrap();
    file
}

pub(crate) fn animated(frames: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 16, 16);
    encoder.set_color(ColorType::Rgba);
    encoder.set_animated(frames, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    for frame in 0..frames {
        writer.write_image_data(&vec![frame.to_le_bytes()[0]; 16 * 16 * 4]).unwrap();
    }
    writer.finish().unwrap();
    file
}

fn with(change: impl FnOnce(&mut Encoder<'_, &mut Vec<u8>>)) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 16, 16);
    encoder.set_color(ColorType::Rgb);
    change(&mut encoder);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[99; 16 * 16 * 3]).unwrap();
    writer.finish().unwrap();
    file
}

/// Between the header and the pixels.
fn with_chunks(chunks: &[u8]) -> Vec<u8> {
    let file = with(|_| {});
    joined(&[&file[..33], chunks, &file[33..]])
}

fn header(width: u32, height: u32, color: u8) -> Vec<u8> {
    let header = joined(&[&width.to_be_bytes(), &height.to_be_bytes(), &[8, color, 0, 0, 0]]);
    joined(&[b"\x89PNG\r\n\x1a\n", &chunk(b"IHDR", &header)])
}

/// A gray picture whose pixels are so many zeros, deflated.
fn black(width: u32, height: u32, zeros: usize) -> Vec<u8> {
    let side = u32::try_from(zeros.isqrt()).unwrap();
    let mut donor = Vec::new();
    let mut encoder = Encoder::new(&mut donor, side.max(1), side.max(1));
    encoder.set_color(ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![0; (side.max(1) as usize).pow(2)]).unwrap();
    writer.finish().unwrap();
    joined(&[&header(width, height, 0), &donor[33..]])
}

fn chunk(name: &[u8], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let checked = joined(&[name, content]);
    joined(&[&length, &checked, &crc32(&checked).to_be_bytes()])
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

fn wrong_checksum() -> Vec<u8> {
    let mut file = with(|_| {});
    file[29] ^= 1;
    file
}

fn frame_control(width: u32, height: u32, left: u32) -> Vec<u8> {
    let sides = [0, width, height, left, left].map(u32::to_be_bytes).concat();
    let animation = chunk(b"acTL", &[2_u32, 0].map(u32::to_be_bytes).concat());
    joined(&[&animation, &chunk(b"fcTL", &joined(&[&sides, &[0, 1, 0, 1, 0, 0]]))])
}

fn announcing(frames: u32) -> Vec<u8> {
    with_chunks(&chunk(b"acTL", &[frames, 0].map(u32::to_be_bytes).concat()))
}

fn many_frames(count: usize) -> Vec<u8> {
    let sides = [1, 16, 16, 0, 0].map(u32::to_be_bytes).concat();
    let frame = chunk(b"fcTL", &joined(&[&sides, &[0, 1, 0, 1, 0, 0]]));
    let count_of_frames = u32::try_from(count).unwrap();
    let animation = chunk(b"acTL", &[count_of_frames, 0].map(u32::to_be_bytes).concat());
    with_chunks(&joined(&[&animation, &frame.repeat(count)]))
}
