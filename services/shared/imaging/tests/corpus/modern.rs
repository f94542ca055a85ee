//! WebP, AVIF and JPEG XL.

use super::{Hostile, Size, joined};
use crate::photographs::photo;

pub(crate) fn bombs(size: Size) -> Vec<Hostile> {
    [webp(size), avif(size), jxl(size)].concat()
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    let length = u32::try_from(chunks.len() + 4).unwrap().to_le_bytes();
    joined(&[b"RIFF", &length, b"WEBP", chunks])
}

fn riff_chunk(name: &[u8], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    joined(&[name, &length, content, &vec![0; content.len() % 2]])
}

fn webp(size: Size) -> Vec<Hostile> {
    /// Animated, with a profile.
    const FLAGS: [u8; 4] = [0x22, 0, 0, 0];
    let extended =
        |side: u32| riff_chunk(b"VP8X", &joined(&[&FLAGS, &side.to_le_bytes()[..3], &side.to_le_bytes()[..3]]));
    let animation = riff_chunk(b"ANIM", &[0; 6]);
    // All ones: lossless, 16383 pixels to each side.
    let lossless = riff_chunk(b"VP8L", &[0x2f, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0]);
    let frame = |side: u32| {
        riff_chunk(
            b"ANMF",
            &joined(&[&[0; 6], &side.to_le_bytes()[..3], &side.to_le_bytes()[..3], &[1, 0, 0, 0], &lossless]),
        )
    };
    let photo = photo(40, 32).webp();
    let lying = joined(&[b"RIFF\xff\xff\xff\xffWEBP", &photo[12..]]);
    let bombs = [
        ("longest-sides.webp", riff(&joined(&[&extended(0x00ff_ffff), &lossless]))),
        ("lossless-longest-sides.webp", riff(&lossless)),
        (
            "a-million-frames.webp",
            riff(&joined(&[&extended(3), &animation, &frame(3).repeat(size.many(1_000_000).min(200_000))])),
        ),
        ("frames-larger-than-the-canvas.webp", riff(&joined(&[&extended(3), &animation, &frame(0x00ff_ffff)]))),
        ("animated-without-frames.webp", riff(&joined(&[&extended(9), &animation]))),
        (
            "giant-profile.webp",
            riff(&joined(&[&extended(9), &riff_chunk(b"ICCP", &vec![0; size.many(64 << 20)]), &photo[12..]])),
        ),
        ("a-length-that-lies.webp", lying),
        ("a-chunk-that-lies.webp", riff(b"VP8 \xff\xff\xff\xff")),
        (
            "a-million-chunks.webp",
            riff(&joined(&[&extended(9), &riff_chunk(b"JUNK", b"").repeat(size.many(1_000_000)), &photo[12..]])),
        ),
    ];
    bombs.map(|(name, file)| Hostile::new(name, file)).into()
}

fn boxed(name: &[u8], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).unwrap().to_be_bytes();
    joined(&[&length, name, content])
}

fn avif(size: Size) -> Vec<Hostile> {
    let photo = photo(40, 32).avif();
    let brand = boxed(b"ftyp", b"avif\0\0\0\0avifmif1miaf");
    let nested = (0..size.many(4000)).fold(Vec::new(), |inner, _| boxed(b"meta", &joined(&[&[0; 4], &inner])));
    let properties =
        (0..size.many(60_000)).flat_map(|_| boxed(b"ispe", &[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]));
    let properties = boxed(b"iprp", &boxed(b"ipco", &properties.collect::<Vec<_>>()));
    let bombs = [
        ("longest-sides.avif", replaced(&photo, b"ispe", 4, &[0xff; 8])),
        ("sides-that-are-not-those-of-the-picture.avif", replaced(&photo, b"ispe", 4, &[0, 0, 7, 0xd0, 0, 0, 7, 0xd0])),
        ("items-that-lie-outside.avif", replaced(&photo, b"iloc", 12, &[0xff; 16])),
        ("a-box-as-long-as-it-likes.avif", replaced(&photo, b"mdat", 0, b"mdat")),
        ("a-box-of-64-bits.avif", joined(&[&brand, b"\0\0\0\x01meta\xff\xff\xff\xff\xff\xff\xff\xff"])),
        ("a-box-shorter-than-its-name.avif", joined(&[&brand, b"\0\0\0\x03meta"])),
        ("boxes-in-boxes.avif", joined(&[&brand, &nested])),
        ("many-properties.avif", joined(&[&brand, &boxed(b"meta", &joined(&[&[0; 4], &properties]))])),
        ("only-a-brand.avif", brand.clone()),
        ("no-picture.avif", joined(&[&photo[..photo.len() / 2], &vec![0; photo.len() / 2]])),
    ];
    bombs.map(|(name, file)| Hostile::new(name, file)).into()
}

/// With other bytes, so far behind a name.
fn replaced(file: &[u8], name: &[u8], behind: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    let at = file.windows(4).position(|window| window == name).unwrap() + 4 + behind;
    let end = (at + bytes.len()).min(file.len());
    file[at..end].copy_from_slice(&bytes[..end - at]);
    file
}

fn jxl(size: Size) -> Vec<Hostile> {
    let photo: &[u8] = include_bytes!("../golden/photo.jxl");
    let container: &[u8] = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl ";
    let bombs = [
        // All ones behind the signature: the longest sides that can be said.
        ("longest-sides.jxl", joined(&[b"\xff\x0a", &[0xff; 64]])),
        ("nothing-but-zeros.jxl", joined(&[b"\xff\x0a", &vec![0; size.many(4 << 20)]])),
        ("only-a-signature.jxl", b"\xff\x0a".to_vec()),
        ("only-a-container.jxl", container.to_vec()),
        ("a-box-that-lies.jxl", joined(&[container, b"\xff\xff\xff\xffjxlc", photo])),
        ("a-box-of-64-bits.jxl", joined(&[container, b"\0\0\0\x01jxlc\xff\xff\xff\xff\xff\xff\xff\xff", photo])),
        ("a-million-parts.jxl", joined(&[container, &boxed(b"jxlp", &[0; 4]).repeat(size.many(1_000_000))])),
        (
            "noise.jxl",
            joined(&[&photo[..40], &(0..20_000_u32).map(|at| ((at * at) >> 5).to_le_bytes()[0]).collect::<Vec<_>>()]),
        ),
    ];
    bombs.map(|(name, file)| Hostile::new(name, file)).into()
}
