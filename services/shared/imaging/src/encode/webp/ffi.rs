//! libwebp's writer, made safe to call.
#![expect(unsafe_code, reason = "libwebp is C; every call and what it relies on is in this file")]

use std::{ffi::c_int, mem::MaybeUninit, ptr::NonNull, slice};

use libwebp_sys::{
    WEBP_MAX_DIMENSION, WebPAnimEncoder, WebPAnimEncoderAdd, WebPAnimEncoderAssemble, WebPAnimEncoderDelete,
    WebPAnimEncoderNewInternal, WebPAnimEncoderOptions, WebPAnimEncoderOptionsInitInternal, WebPConfig, WebPData,
    WebPDataClear, WebPEncode, WebPGetMuxABIVersion, WebPMemoryWrite, WebPMemoryWriter, WebPMemoryWriterClear,
    WebPMemoryWriterInit, WebPPicture, WebPPictureFree, WebPPictureImportRGB, WebPPictureImportRGBA,
};

use super::{Colors, METHOD};
use crate::{error::RenderError, geometry::Size};

/// A picture that stands still.
pub(super) fn encode(colors: &Colors<'_>, size: Size, quality: u8) -> Result<Vec<u8>, RenderError> {
    let config = config(quality)?;
    let mut picture = ImportedPicture::new(colors, size, Import::Planes)?;
    let mut output = Output::new();
    picture.0.writer = Some(WebPMemoryWrite);
    picture.0.custom_ptr = (&raw mut output.0).cast();
    // SAFETY: the picture is whole and ours, and so is the writer that it points to, of the kind that
    // `WebPMemoryWrite` asks for.
    if unsafe { WebPEncode(&raw const config, &raw mut picture.0) } == 0 {
        return Err(RenderError::broken(format!("libwebp: {:?}", picture.0.error_code)));
    }
    Ok(output.to_vec())
}

fn config(quality: u8) -> Result<WebPConfig, RenderError> {
    let mut config = WebPConfig::new().map_err(|()| another_version())?;
    config.quality = f32::from(quality.min(100));
    config.method = METHOD;
    Ok(config)
}

fn another_version() -> RenderError {
    RenderError::broken("another version of libwebp")
}

fn lengths(size: Size) -> Result<(c_int, c_int), RenderError> {
    let checked = |side: u32| match c_int::try_from(side) {
        Ok(length) if (1..=WEBP_MAX_DIMENSION.cast_signed()).contains(&length) => Ok(length),
        _ => Err(RenderError::broken("too long a side for WebP")),
    };
    Ok((checked(size.width)?, checked(size.height)?))
}

/// What libwebp makes of pixels.
#[derive(Clone, Copy)]
enum Import {
    /// What a lossy picture needs.
    Planes,
    /// What the writer of animations compares.
    Pixels,
}

/// Pixels in memory of libwebp.
struct ImportedPicture(WebPPicture);

impl ImportedPicture {
    fn new(colors: &Colors<'_>, size: Size, import: Import) -> Result<Self, RenderError> {
        let (width, height) = lengths(size)?;
        let (samples, channels): (_, c_int) = match colors {
            Colors::Rgb(samples) => (samples, 3),
            Colors::Rgba(samples) => (samples, 4),
        };
        if samples.len() as u64 != size.pixels() * u64::from(channels.unsigned_abs()) {
            return Err(RenderError::broken("pixels that do not fit their size"));
        }
        let mut picture = Self(WebPPicture::new().map_err(|()| another_version())?);
        picture.0.use_argb = c_int::from(matches!(import, Import::Pixels));
        (picture.0.width, picture.0.height) = (width, height);
        let stride = width * channels;
        // SAFETY: the samples are as many as the size asks for, and are only read. What libwebp allocates
        // is freed with the picture.
        let is_imported = unsafe {
            match colors {
                Colors::Rgb(samples) => WebPPictureImportRGB(&raw mut picture.0, samples.as_ptr(), stride),
                Colors::Rgba(samples) => WebPPictureImportRGBA(&raw mut picture.0, samples.as_ptr(), stride),
            }
        };
        if is_imported == 0 {
            return Err(RenderError::broken(format!("libwebp: {:?}", picture.0.error_code)));
        }
        Ok(picture)
    }
}

impl Drop for ImportedPicture {
    fn drop(&mut self) {
        // SAFETY: the picture was initialized, and owns what it points to.
        unsafe { WebPPictureFree(&raw mut self.0) }
    }
}

/// A file in memory of libwebp.
struct Output(WebPMemoryWriter);

impl Output {
    fn new() -> Self {
        let mut writer = MaybeUninit::uninit();
        // SAFETY: libwebp sets all of it.
        Self(unsafe {
            WebPMemoryWriterInit(writer.as_mut_ptr());
            writer.assume_init()
        })
    }

    fn to_vec(&self) -> Vec<u8> {
        // SAFETY: the writer says where its bytes are, and how many.
        unsafe { copied(self.0.mem, self.0.size) }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: the writer was initialized, and owns what it points to.
        unsafe { WebPMemoryWriterClear(&raw mut self.0) }
    }
}

/// # Safety
///
/// `bytes` must be null, or point to as many bytes as `length` says.
unsafe fn copied(bytes: *const u8, length: usize) -> Vec<u8> {
    if bytes.is_null() {
        return Vec::new();
    }
    // SAFETY: our caller vouches for it.
    unsafe { slice::from_raw_parts(bytes, length) }.to_vec()
}

/// Writes an animation.
///
/// # Invariants
///
/// `encoder` is alive.
pub(super) struct AnimationEncoder {
    encoder: NonNull<WebPAnimEncoder>,
    config: WebPConfig,
    size: Size,
}

impl AnimationEncoder {
    pub(super) fn new(size: Size, plays: u16, quality: u8) -> Result<Self, RenderError> {
        let (width, height) = lengths(size)?;
        let version = WebPGetMuxABIVersion();
        let mut options = MaybeUninit::<WebPAnimEncoderOptions>::zeroed();
        // SAFETY: zeros are options, and libwebp sets all that matter.
        let mut options = unsafe {
            if WebPAnimEncoderOptionsInitInternal(options.as_mut_ptr(), version) == 0 {
                return Err(another_version());
            }
            options.assume_init()
        };
        options.anim_params.loop_count = plays.into();
        // No picture is written twice to see which way is smaller.
        options.minimize_size = 0;
        options.kmax = NO_KEY_FRAMES;
        // SAFETY: the options are ours, and are copied.
        let encoder = unsafe { WebPAnimEncoderNewInternal(width, height, &raw const options, version) };
        let encoder = NonNull::new(encoder).ok_or_else(|| RenderError::broken("libwebp: no room"))?;
        Ok(Self { encoder, config: config(quality)?, size })
    }

    /// Adds a picture that is shown from this millisecond on.
    pub(super) fn add(&mut self, colors: &Colors<'_>, from_ms: c_int) -> Result<(), RenderError> {
        let mut picture = ImportedPicture::new(colors, self.size, Import::Pixels)?;
        // SAFETY: the encoder is alive; the picture is whole and ours, and is copied.
        let is_added =
            unsafe { WebPAnimEncoderAdd(self.encoder.as_ptr(), &raw mut picture.0, from_ms, &raw const self.config) };
        if is_added == 0 { Err(RenderError::broken("libwebp: a picture cannot be added")) } else { Ok(()) }
    }

    /// Ends the last picture, and puts the file together.
    pub(super) fn finish(&mut self, end_ms: c_int) -> Result<Vec<u8>, RenderError> {
        let mut file = WebPData::default();
        // SAFETY: the encoder is alive. No picture means the end. What it assembles, we own and free.
        let assembled = unsafe {
            let is_ended = WebPAnimEncoderAdd(self.encoder.as_ptr(), std::ptr::null_mut(), end_ms, std::ptr::null());
            (is_ended != 0 && WebPAnimEncoderAssemble(self.encoder.as_ptr(), &raw mut file) != 0).then(|| {
                let assembled = copied(file.bytes, file.size);
                WebPDataClear(&mut file);
                assembled
            })
        };
        assembled.ok_or_else(|| RenderError::broken("libwebp: the animation cannot be put together"))
    }
}

impl Drop for AnimationEncoder {
    fn drop(&mut self) {
        // SAFETY: the encoder is alive, and nobody uses it after this.
        unsafe { WebPAnimEncoderDelete(self.encoder.as_ptr()) }
    }
}

/// A thumbnail is played from its beginning: there is nothing to seek.
const NO_KEY_FRAMES: c_int = 0;
