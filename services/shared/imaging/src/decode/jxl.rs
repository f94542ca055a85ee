//! JPEG XL, by jxl: bare and in its container, still and animated.
//!
//! What is cut off shows what came of the first picture.

use std::time::Duration;

use jxl::api::{
    Event, ExtraChannel, JxlBasicInfo, JxlColorProfile, JxlColorType, JxlDataFormat, JxlDecoder, JxlDecoderOptions,
    JxlOutputBuffer, JxlPixelFormat, ProfileLevel,
};

use super::{Decoded, Format, Header, Pixels, usable_profile};
use crate::{
    animation::{Frame, Frames},
    error::RenderError,
    geometry::Size,
    orientation::Orientation,
    picture::{Layout, Picture},
    rules::Rules,
    source::Source,
};

const BARE: &[u8] = b"\xff\x0a";
const CONTAINER: &[u8] = b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a";

pub(super) fn is_of(file: &[u8]) -> bool {
    file.starts_with(BARE) || file.starts_with(CONTAINER)
}

/// Reads the header; of an animation, those of its pictures as well.
pub(super) fn read_header(file: &[u8], rules: &Rules) -> Result<Header, RenderError> {
    let reader = Reader::open(file, Purpose::Look, most_samples(rules.most_pixels))?;
    let info = reader.info()?;
    let size = size_of(info)?;
    let channels = color_type(info, reader.profile()?, false).samples_per_pixel();
    let header = Header {
        bits: u8::try_from(info.bit_depth.bits_per_sample()).unwrap_or(u8::MAX),
        ..Header::still(Format::Jxl, size, u8::try_from(channels).unwrap_or(u8::MAX))
    };
    if info.animation.is_none() {
        let orientation = Orientation::from_exif(info.orientation as u8).unwrap_or_default();
        return Ok(Header { orientation, ..header });
    }
    // Those that move are turned by the decoder.
    let size = if info.orientation.is_transposing() { size.transposed() } else { size };
    let (frames, duration_ms) = reader.count_frames(rules.most_frames);
    let is_allowed =
        frames <= rules.most_frames && size.pixels().saturating_mul(frames.into()) <= rules.most_animated_pixels;
    Ok(Header { size, frames: if is_allowed { frames } else { 1 }, duration_ms, ..header })
}

/// Bytes of memory per pixel, at most: it decodes to numbers of four bytes.
pub(super) const fn bytes_per_pixel(header: &Header) -> u64 {
    let channels = header.channels as u64;
    channels * 4 * 2 + channels
}

pub(super) fn decode(file: &dyn Source, header: &Header) -> Result<Decoded, RenderError> {
    let purpose = if header.duration_ms > 0 || header.is_animated() { Purpose::Play } else { Purpose::Show };
    let mut reader = Reader::open(file.bytes(), purpose, most_samples(header.size.pixels()))?;
    if reader.seen_size()? != header.size {
        return Err(RenderError::broken("the header contradicts itself"));
    }
    let layout = reader.choose(false)?;
    let (samples, _) =
        reader.next_picture(header.size, layout)?.ok_or_else(|| RenderError::broken("no picture in it"))?;
    // Ink has a profile that is not for light.
    let icc = if matches!(layout, Layout::Cmyk { .. }) { None } else { reader.output_profile() };
    Ok(Decoded { pixels: Pixels::Picture(Picture { size: header.size, layout, samples }), icc })
}

pub(super) fn frames<'f>(file: &'f dyn Source, header: &Header) -> Result<Box<dyn Frames + 'f>, RenderError> {
    let mut reader = Reader::open(file.bytes(), Purpose::Play, most_samples(header.size.pixels()))?;
    if reader.seen_size()? != header.size || reader.choose(true)? != Layout::Rgba {
        return Err(RenderError::broken("the header contradicts itself"));
    }
    let loops = reader.info()?.animation.as_ref().map_or(1, |animation| animation.num_loops);
    Ok(Box::new(Animation { reader, size: header.size, plays: u16::try_from(loops).unwrap_or(0), has_begun: false }))
}

struct Animation<'f> {
    reader: Reader<'f>,
    size: Size,
    plays: u16,
    has_begun: bool,
}

impl Frames for Animation<'_> {
    fn next_frame(&mut self) -> Result<Option<Frame>, RenderError> {
        match self.reader.next_picture(self.size, Layout::Rgba) {
            Ok(Some((samples, lasts))) => {
                self.has_begun = true;
                let picture = Picture { size: self.size, layout: Layout::Rgba, samples };
                Ok(Some(Frame { picture, lasts }))
            }
            Ok(None) => Ok(None),
            // What is shown already can be kept.
            Err(_) if self.has_begun => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn plays(&self) -> u16 {
        self.plays
    }
}

/// Why a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// For its headers.
    Look,
    /// For its first picture, as it is stored.
    Show,
    /// For its pictures, turned upright.
    Play,
}

/// A file whose header has been read.
struct Reader<'f> {
    decoder: JxlDecoder,
    rest: &'f [u8],
    purpose: Purpose,
    is_over: bool,
}

/// Color, alpha, and what else may come with a picture.
fn most_samples(pixels: u64) -> usize {
    const MOST_CHANNELS: u64 = 8;
    usize::try_from(pixels.saturating_mul(MOST_CHANNELS)).unwrap_or(usize::MAX)
}

fn broken(error: &jxl::error::Error) -> RenderError {
    RenderError::broken(format!("jxl: {error}"))
}

fn no_header() -> RenderError {
    RenderError::broken("no header")
}

fn size_of(info: &JxlBasicInfo) -> Result<Size, RenderError> {
    let side = |side: usize| u32::try_from(side).map_err(|_| no_header());
    Ok(Size { width: side(info.size.0)?, height: side(info.size.1)? })
}

fn color_type(info: &JxlBasicInfo, profile: &JxlColorProfile, with_alpha: bool) -> JxlColorType {
    let has = |wanted: ExtraChannel| info.extra_channels.iter().any(|channel| channel.ec_type == wanted);
    if with_alpha {
        return JxlColorType::Rgba;
    }
    match (profile.channels(), has(ExtraChannel::Alpha)) {
        (1, false) => JxlColorType::Grayscale,
        (1, true) => JxlColorType::GrayscaleAlpha,
        _ if profile.is_cmyk() && has(ExtraChannel::Black) => JxlColorType::Cmyk,
        (_, false) => JxlColorType::Rgb,
        (_, true) => JxlColorType::Rgba,
    }
}

impl<'f> Reader<'f> {
    fn open(file: &'f [u8], purpose: Purpose, most_samples: usize) -> Result<Self, RenderError> {
        let mut options = JxlDecoderOptions::default();
        options.adjust_orientation = purpose == Purpose::Play;
        options.scan_frames_only = purpose == Purpose::Look;
        options.sample_limit = Some(most_samples);
        options.alpha_mode = jxl::api::AlphaMode::Unpremultiplied;
        options.max_profile_level = ProfileLevel::Main10;
        let mut reader = Self { decoder: JxlDecoder::new(options), rest: file, purpose, is_over: false };
        match reader.decoder.process(&mut reader.rest, None, None) {
            Ok(Event::BasicInfo) => Ok(reader),
            Ok(_) => Err(no_header()),
            Err(error) => Err(broken(&error)),
        }
    }

    fn info(&self) -> Result<&JxlBasicInfo, RenderError> {
        self.decoder.basic_info().ok_or_else(no_header)
    }

    fn profile(&self) -> Result<&JxlColorProfile, RenderError> {
        self.decoder.embedded_color_profile().ok_or_else(no_header)
    }

    /// The size of what it gives.
    fn seen_size(&self) -> Result<Size, RenderError> {
        size_of(self.info()?)
    }

    /// Pictures of an animation, as far as they are there and one more than may be, and how long
    /// they take.
    fn count_frames(mut self, most: u32) -> (u32, u64) {
        while let Ok(Event::FrameHeader | Event::FrameComplete { .. } | Event::BasicInfo) =
            self.decoder.process(&mut self.rest, None, None)
        {
            if self.decoder.scanned_frames().len() > most as usize {
                break;
            }
        }
        let frames = self.decoder.scanned_frames();
        let duration: f64 = frames.iter().map(|frame| frame.duration_ms).sum();
        (u32::try_from(frames.len()).unwrap_or(u32::MAX).max(1), whole(duration))
    }

    /// Sets what it gives, in 8 bits.
    fn choose(&mut self, with_alpha: bool) -> Result<Layout, RenderError> {
        let info = self.info()?;
        let color = color_type(info, self.profile()?, with_alpha);
        let extra_channel_format = vec![None; info.extra_channels.len()];
        let format = JxlPixelFormat {
            color_type: color,
            color_data_format: Some(JxlDataFormat::U8 { bit_depth: 8 }),
            extra_channel_format,
        };
        self.decoder.set_pixel_format(format).map_err(|error| broken(&error))?;
        Ok(match color {
            JxlColorType::Grayscale => Layout::Gray,
            JxlColorType::GrayscaleAlpha => Layout::GrayAlpha,
            // As Adobe has it: the largest value is paper.
            JxlColorType::Cmyk => Layout::Cmyk { inverted: true },
            JxlColorType::Rgba | JxlColorType::Bgra => Layout::Rgba,
            JxlColorType::Rgb | JxlColorType::Bgr => Layout::Rgb,
        })
    }

    fn output_profile(&self) -> Option<Vec<u8>> {
        let profile = self.decoder.output_color_profile()?;
        let is_gray = profile.channels() == 1;
        let srgb = JxlColorProfile::Simple(jxl::api::JxlColorEncoding::srgb(is_gray));
        if profile.same_color_encoding(&srgb) {
            return None;
        }
        usable_profile(&profile.try_as_icc()?)
    }

    /// The next picture and how long it is shown; none after the last one.
    fn next_picture(&mut self, size: Size, layout: Layout) -> Result<Option<(Vec<u8>, Duration)>, RenderError> {
        if self.is_over {
            return Ok(None);
        }
        loop {
            match self.decoder.process(&mut self.rest, None, None) {
                Ok(Event::FrameHeader) => break,
                Ok(Event::BasicInfo | Event::FrameComplete { .. }) => {}
                Ok(Event::Complete) => return Ok(None),
                Ok(Event::NeedMoreInput { .. }) => return Err(RenderError::broken("no picture in it")),
                Err(error) => return Err(broken(&error)),
            }
        }
        let duration_ms = self.decoder.frame_header().and_then(|frame| frame.duration).unwrap_or(0.0);
        let lasts = Duration::try_from_secs_f64(duration_ms / 1000.0).unwrap_or_default();
        let samples = self.draw(size, layout)?;
        Ok(Some((samples, lasts)))
    }

    fn draw(&mut self, size: Size, layout: Layout) -> Result<Vec<u8>, RenderError> {
        let too_large = || RenderError::broken("more pixels than there is room for");
        let stride = (size.width as usize).checked_mul(layout.channels()).ok_or_else(too_large)?;
        let rows = size.height as usize;
        let length = stride.checked_mul(rows).filter(|length| *length > 0).ok_or_else(too_large)?;
        let mut samples = vec![0; length];
        let output = JxlOutputBuffer::new_with_stride(&mut samples, rows, stride, stride);
        let damage = match self.decoder.process(&mut self.rest, Some(&mut [output]), None) {
            Ok(Event::FrameComplete { has_more_frames }) => {
                self.is_over = !has_more_frames;
                return Ok(samples);
            }
            Ok(_) => RenderError::broken("the picture is cut off"),
            Err(error) => return Err(broken(&error)),
        };
        // An animation ends before a picture that is not whole.
        self.is_over = true;
        if self.purpose == Purpose::Play {
            return Err(damage);
        }
        let output = JxlOutputBuffer::new_with_stride(&mut samples, rows, stride, stride);
        match self.decoder.flush_pixels(&mut [output], None) {
            Ok(true) => Ok(samples),
            Ok(false) | Err(_) => Err(damage),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests;
