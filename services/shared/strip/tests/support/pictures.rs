//! Pictures with metadata, for tests.

use jpeg_encoder::{ColorType, Encoder};

/// What no stripped file contains.
pub(crate) const SECRET: &[u8] = b"N 52.5200 E 13.4050";

/// EXIF with an orientation and, in a second directory, the secret.
pub(crate) fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x02".to_vec();
    tiff.extend([1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    tiff.extend([0x88, 0x25, 0, 4, 0, 0, 0, 1, 0, 0, 0, 38]);
    tiff.extend([0; 4]);
    tiff.extend(SECRET);
    tiff
}

/// A segment of a JPEG.
pub(crate) fn segment(marker: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], length.as_slice(), &content].concat()
}

fn pixels(width: u16, height: u16) -> Vec<u8> {
    let sample = |at: usize| u8::try_from(at * 37 % 251).unwrap();
    (0..usize::from(width) * usize::from(height) * 3).map(sample).collect()
}

/// A JPEG with all metadata that there is, and the same without any.
pub(crate) fn jpeg(orientation: u8, progressive: bool) -> (Vec<u8>, Vec<u8>) {
    let (width, height) = (41, 23);
    let mut plain = Vec::new();
    let mut encoder = Encoder::new(&mut plain, 90);
    encoder.set_progressive(progressive);
    encoder.set_restart_interval(3);
    encoder.encode(&pixels(width, height), width, height, ColorType::Rgb).unwrap();
    let front = [
        segment(0xe0, &[b"JFXX\0\x10", SECRET]),
        segment(0xe1, &[b"Exif\0\0", &exif(orientation)]),
        segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", SECRET]),
        segment(0xe1, &[b"Exif\0\0", &exif(3)]),
        segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", &[7; 300]]),
        segment(0xe2, &[b"MPF\0", SECRET]),
        segment(0xed, &[b"Photoshop 3.0\0", SECRET]),
        segment(0xef, &[SECRET]),
        segment(0xfe, &[SECRET]),
    ];
    // After JFIF's own segment of 18 bytes, and before the end.
    let (head, rest) = plain.split_at(20);
    let (data, end) = rest.split_at(rest.len() - 2);
    let between = segment(0xfe, &[SECRET]);
    let file = [head, &front.concat(), data, &between, end, b"....ftypmp42", SECRET].concat();
    (file, plain)
}

/// A chunk of a PNG.
pub(crate) fn chunk(name: [u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let named = [name.as_slice(), &content.concat()].concat();
    let length = u32::try_from(named.len() - 4).unwrap().to_be_bytes();
    [&length, named.as_slice(), &crc32fast::hash(&named).to_be_bytes()].concat()
}

/// A PNG with all metadata that there is, and the same without any.
pub(crate) fn png(orientation: u8) -> (Vec<u8>, Vec<u8>) {
    let mut plain = Vec::new();
    let mut encoder = png::Encoder::new(&mut plain, 41, 23);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_source_gamma(png::ScaledFloat::new(0.5));
    encoder.write_header().unwrap().write_image_data(&pixels(41, 23)).unwrap();
    let front = [
        chunk(*b"tEXt", &[b"Comment\0", SECRET]),
        chunk(*b"zTXt", &[b"Raw profile type exif\0\0", SECRET]),
        chunk(*b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", SECRET]),
        chunk(*b"tIME", &[&[7, 0xe8, 2, 3, 4, 5, 6]]),
        chunk(*b"eXIf", &[&exif(orientation)]),
        chunk(*b"eXIf", &[&exif(3)]),
        chunk(*b"caBX", &[SECRET]),
    ];
    // After IHDR.
    let (head, rest) = plain.split_at(33);
    let file = [head, &front.concat(), rest, SECRET].concat();
    (file, plain)
}

/// A chunk of a WebP.
pub(crate) fn riff(name: [u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    let padding = vec![0; content.len() % 2];
    [name.as_slice(), &length, &content, &padding].concat()
}

/// A WebP with all metadata that there is.
pub(crate) fn webp(orientation: u8) -> Vec<u8> {
    let mut plain = Vec::new();
    let encoder = image_webp::WebPEncoder::new(&mut plain);
    encoder.encode(&pixels(41, 23), 41, 23, image_webp::ColorType::Rgb8).unwrap();
    let chunks = [
        riff(*b"VP8X", &[&[0b0010_1100, 0, 0, 0, 40, 0, 0, 22, 0, 0]]),
        riff(*b"ICCP", &[&[7; 301]]),
        riff(*b"MINE", &[SECRET]),
        plain[12..].to_vec(),
        riff(*b"EXIF", &[&exif(orientation)]),
        riff(*b"XMP ", &[SECRET]),
    ];
    let body = [b"WEBP".as_slice(), &chunks.concat()].concat();
    [riff(*b"RIFF", &[&body]), SECRET.to_vec()].concat()
}
