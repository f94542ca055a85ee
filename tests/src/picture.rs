//! Pictures and bytes to send.

use jpeg_encoder::{ColorType, Encoder};

/// A JPEG of this size, soft like a photograph.
pub fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let pixels: Vec<u8> = (0..u32::from(height))
        .flat_map(|y| (0..u32::from(width)).flat_map(move |x| [x / 8, y / 8, (x + y) / 16]))
        .map(|level| u8::try_from(level % 256).unwrap())
        .collect();
    let mut file = Vec::new();
    Encoder::new(&mut file, 85).encode(&pixels, width, height, ColorType::Rgb).unwrap();
    file
}

/// Width and height of a JPEG, from its frame header.
pub fn jpeg_size(file: &[u8]) -> Option<(u16, u16)> {
    let mut rest = file.strip_prefix(b"\xff\xd8")?;
    loop {
        let [0xff, marker, high, low, ..] = *rest else { return None };
        if matches!(marker, 0xc0..=0xc2) {
            let number = |at: usize| Some(u16::from_be_bytes(rest.get(at..at + 2)?.try_into().ok()?));
            return Some((number(7)?, number(5)?));
        }
        rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..)?;
    }
}

/// A JPEG that says how it is to be turned (EXIF, 1 to 8).
pub fn turned_jpeg(width: u16, height: u16, orientation: u8) -> Vec<u8> {
    // One directory with one entry: tag 0x0112, a short.
    let exif =
        [b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(), &[orientation, 0, 0, 0, 0, 0, 0, 0]]
            .concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let plain = jpeg(width, height);
    [&plain[..2], b"\xff\xe1", &length, &exif, &plain[2..]].concat()
}

/// A PNG of this size.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    png_of(width, height, 2, |x, y| vec![x / 4, y / 4, (x + y) / 8])
}

/// A PNG of this size whose left side is transparent.
pub fn veiled_png(width: u32, height: u32) -> Vec<u8> {
    png_of(width, height, 6, |x, y| vec![x / 4, y / 4, (x + y) / 8, if x < width / 2 { 0 } else { 255 }])
}

fn png_of(width: u32, height: u32, color: u8, pixel: impl Fn(u32, u32) -> Vec<u32>) -> Vec<u8> {
    let mut lines = Vec::new();
    for y in 0..height {
        lines.push(0);
        lines.extend((0..width).flat_map(|x| pixel(x, y)).map(|level| u8::try_from(level % 256).unwrap()));
    }
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, color, 0, 0, 0]);
    let chunks = [png_chunk(*b"IHDR", &header), png_chunk(*b"IDAT", &stored(&lines)), png_chunk(*b"IEND", &[])];
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunks.concat()].concat()
}

/// An animated PNG of this size with two pictures.
pub fn animated_png(width: u32, height: u32) -> Vec<u8> {
    let still = png(width, height);
    let (header, rest) = still.split_at(33);
    let control = |sequence: u32| {
        let sides = [sequence, width, height, 0, 0].map(u32::to_be_bytes).concat();
        png_chunk(*b"fcTL", &[&sides, [0, 1, 0, 10, 0, 0].as_slice()].concat())
    };
    let (pixels, end) = rest.split_at(rest.len() - 12);
    let others = png_of(width, height, 2, |x, y| vec![255 - y % 256, x / 2, 128]);
    let others = &others[33..others.len() - 12];
    let second = [&2_u32.to_be_bytes(), &others[8..others.len() - 4]].concat();
    let animation = png_chunk(*b"acTL", &[2_u32, 0].map(u32::to_be_bytes).concat());
    [header, &animation, &control(0), pixels, &control(1), &png_chunk(*b"fdAT", &second), end].concat()
}

/// Width and height of a PNG.
pub fn png_size(file: &[u8]) -> Option<(u32, u32)> {
    let sides = file.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(8..16)?;
    let number = |at: usize| u32::from_be_bytes(sides[at..at + 4].try_into().unwrap());
    Some((number(0), number(4)))
}

fn png_chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), content].concat();
    let mut check = u32::MAX;
    for byte in &body {
        check ^= u32::from(*byte);
        for _ in 0..8 {
            check = if check & 1 == 1 { check >> 1 ^ 0xedb8_8320 } else { check >> 1 };
        }
    }
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length, body.as_slice(), &(!check).to_be_bytes()].concat()
}

/// As zlib, not compressed.
fn stored(content: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let blocks = content.chunks(65_535);
    let last = blocks.len() - 1;
    for (place, block) in blocks.enumerate() {
        let length = u16::try_from(block.len()).unwrap();
        stream.push(u8::from(place == last));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    let (low, high) = content.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    stream.extend((high << 16 | low).to_be_bytes());
    stream
}

/// A GIF of this size that moves if it has several frames.
pub fn gif(width: u16, height: u16, frames: u8) -> Vec<u8> {
    let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
    let palette: Vec<u8> = (0..128).flat_map(|level| [level * 2, 255 - level, level]).collect();
    // 128 colours; each code has exactly eight bits if the table is cleared often enough.
    let mut file = [b"GIF89a".as_slice(), &sides, &[0xf6, 0, 0], &palette].concat();
    for frame in 0..frames {
        let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height))
            .map(|at| u8::try_from((at + usize::from(frame) * 40) % 128).unwrap())
            .collect();
        let mut codes: Vec<u8> = pixels.chunks(100).flat_map(|run| [&[0x80], run].concat()).collect();
        codes.push(0x81);
        file.extend(b"\x21\xf9\x04\x04\x0a\x00\x00\x00");
        file.extend([&[0x2c, 0, 0, 0, 0], sides.as_slice(), &[0, 7]].concat());
        for block in codes.chunks(255) {
            file.push(u8::try_from(block.len()).unwrap());
            file.extend(block);
        }
        file.push(0);
    }
    file.push(0x3b);
    file
}

/// Bytes that nothing can shorten, the same for the same seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(step());
    }
    bytes.truncate(length);
    bytes
}
