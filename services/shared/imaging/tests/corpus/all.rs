//! Files that mean no good: bombs in every format, and honest files that came to harm. Made from
//! nothing but code, the same each time.

mod drawings;
mod gif;
mod jpeg;
mod modern;
mod others;
mod png;

use jpeg_encoder::SamplingFactor;

use super::photographs::photo;

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct Hostile {
    /// Also as the name of a file.
    pub(crate) name: String,
    pub(crate) file: Vec<u8>,
}

impl Hostile {
    fn new(name: impl Into<String>, file: Vec<u8>) -> Self {
        Self { name: name.into(), file }
    }
}

/// How large bombs are: this part of what people send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) usize);

impl Size {
    /// How often something is repeated.
    const fn many(self, full: usize) -> usize {
        full / self.0
    }
}

/// Files that ask for too much, or lie.
pub(crate) fn bombs(size: Size) -> Vec<Hostile> {
    [jpeg::bombs(size), png::bombs(size), gif::bombs(size), modern::bombs(size), others::bombs(), drawings::bombs(size)]
        .concat()
}

/// Honest files, one per format and way to code it.
pub(crate) fn seeds() -> Vec<Hostile> {
    let photo = photo(40, 32);
    let few = photo.clone().with_few_colors();
    let seeds = [
        ("baseline.jpg", photo.jpeg(SamplingFactor::F_2_2, false)),
        ("progressive.jpg", photo.jpeg(SamplingFactor::F_2_1, true)),
        ("cmyk.jpg", photo.cmyk_jpeg()),
        ("photo.png", photo.png(::png::BitDepth::Eight)),
        ("profile.png", png::with_profile(include_bytes!("../golden/profiles/press.icc"))),
        ("animated.png", png::animated(3)),
        ("animated.gif", few.gif(3)),
        ("photo.webp", photo.webp()),
        ("photo.avif", photo.avif()),
        ("photo.jxl", include_bytes!("../golden/photo.jxl").to_vec()),
        ("photo.bmp", photo.by_image(image::ImageFormat::Bmp)),
        ("photo.tiff", photo.by_image(image::ImageFormat::Tiff)),
        ("photo.ico", photo.by_image(image::ImageFormat::Ico)),
        ("drawing.svg", drawings::honest()),
    ];
    seeds.map(|(name, file)| Hostile::new(name, file)).into()
}

/// A file cut off after each percent of its length.
pub(crate) fn cuts(seed: &Hostile) -> impl Iterator<Item = Hostile> {
    (0..100).map(|percent| {
        let length = seed.file.len() * percent / 100;
        Hostile::new(format!("cut-{percent:02}-{}", seed.name), seed.file[..length].to_vec())
    })
}

/// A file with one bit turned, so often, spread over its length; more often near the start, where the
/// structure is.
pub(crate) fn flips(seed: &Hostile, count: usize) -> impl Iterator<Item = Hostile> {
    (0..count).map(move |round| {
        let length = seed.file.len();
        let at = if round % 2 == 0 { round * length / count } else { (round * 7) % length.min(256) };
        let mut file = seed.file.clone();
        file[at] ^= 1 << (round * 5 % 8);
        Hostile::new(format!("flip-{round:03}-{}", seed.name), file)
    })
}

/// Parts, one after the other.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
