//! A picture that is as hard to decode as a photo.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// Soft shapes with the noise of a sensor: as hard to decode as a photo.
pub(crate) fn photo(width: u16, height: u16, quality: u8, progressive: bool) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut samples = Vec::with_capacity(usize::from(width) * usize::from(height) * 3);
    for y in 0..height {
        for x in 0..width {
            for phase in [0.0, 1.1, 2.3] {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                let shape = (f32::from(x) / 97.0 + phase).sin() * (f32::from(y) / 61.0).cos()
                    + (f32::from(x) / 7.0).sin() / 5.0;
                samples.push(to_sample(shape * 90.0 + 128.0, state));
            }
        }
    }
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_progressive(progressive);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    if let Err(error) = encoder.encode(&samples, width, height, ColorType::Rgb) {
        eprintln!("{error}");
    }
    file
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
fn to_sample(value: f32, noise: u32) -> u8 {
    (value + f32::from((noise >> 28) as u8)).clamp(0.0, 255.0) as u8
}
