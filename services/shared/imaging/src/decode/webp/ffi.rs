//! libwebp's reader, made safe to call.
#![expect(unsafe_code, reason = "libwebp is C; every call and what it relies on is in this file")]

use std::{borrow::Cow, ffi::c_int, ptr::NonNull, slice};

use heliograph_jpeg::Plane;
use libwebp_sys::{
    VP8StatusCode, WEBP_CSP_MODE, WebPAnimDecoder, WebPAnimDecoderDelete, WebPAnimDecoderGetInfo,
    WebPAnimDecoderGetNext, WebPAnimDecoderHasMoreFrames, WebPAnimDecoderNew, WebPAnimInfo, WebPBitstreamFeatures,
    WebPData, WebPDecBuffer__bindgen_ty_1, WebPDecode, WebPDecoderConfig, WebPGetFeatures, WebPIDecode,
    WebPIDecodedArea, WebPIDelete, WebPIUpdate, WebPRGBABuffer, WebPYUVABuffer,
};

use crate::{error::RenderError, geometry::Size, picture::Layout};

/// What libwebp says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) size: Size,
    pub(super) has_alpha: bool,
    pub(super) is_animated: bool,
    pub(super) is_lossy: bool,
}

/// What libwebp counts as lossy.
const LOSSY: c_int = 1;

pub(super) fn features(file: &[u8]) -> Result<Features, RenderError> {
    let mut found =
        WebPBitstreamFeatures { width: 0, height: 0, has_alpha: 0, has_animation: 0, format: 0, pad: [0; 5] };
    // SAFETY: the pointer and the length are those of one slice, which is only read; `found` is ours.
    let status = unsafe { WebPGetFeatures(file.as_ptr(), file.len(), &raw mut found) };
    let side = |side: c_int| u32::try_from(side).map_err(|_| broken(status));
    if status != VP8StatusCode::VP8_STATUS_OK {
        return Err(broken(status));
    }
    Ok(Features {
        size: Size { width: side(found.width)?, height: side(found.height)? },
        has_alpha: found.has_alpha != 0,
        is_animated: found.has_animation != 0,
        is_lossy: found.format == LOSSY,
    })
}

fn broken(status: VP8StatusCode) -> RenderError {
    RenderError::broken(format!("libwebp: {status:?}"))
}

/// A lossy picture without alpha, as it is coded: Y, and Cb and Cr of half the size, in the range of
/// video. What is missing is gray.
pub(super) fn decode_planes(file: &[u8], size: Size) -> Result<[Plane; 3], RenderError> {
    let halved = Size { width: size.width.div_ceil(2), height: size.height.div_ceil(2) };
    let mut planes = [plane(size, size)?, plane(halved, size)?, plane(halved, size)?];
    let output = output_of(&mut planes, size)?;
    // SAFETY: `output` has the addresses, lengths and rows of the planes above, which nobody else
    // looks at until the decoder is done.
    if unsafe { decode_into(file, &output) }.is_ok() {
        return Ok(planes);
    }
    for plane in &mut planes {
        plane.samples.fill(GRAY);
    }
    let output = output_of(&mut planes, size)?;
    // SAFETY: as before.
    unsafe { decode_what_came(file, &output) }?;
    Ok(planes)
}

fn output_of([y, u, v]: &mut [Plane; 3], size: Size) -> Result<Output, RenderError> {
    let buffer = WebPYUVABuffer {
        y: y.samples.as_mut_ptr(),
        u: u.samples.as_mut_ptr(),
        v: v.samples.as_mut_ptr(),
        a: std::ptr::null_mut(),
        y_stride: to_int(y.width)?,
        u_stride: to_int(u.width)?,
        v_stride: to_int(v.width)?,
        a_stride: 0,
        y_size: y.samples.len(),
        u_size: u.samples.len(),
        v_size: v.samples.len(),
        a_size: 0,
    };
    Ok(Output { mode: WEBP_CSP_MODE::MODE_YUV, size, memory: WebPDecBuffer__bindgen_ty_1 { YUVA: buffer } })
}

/// What is not there.
const GRAY: u8 = 128;

fn plane(Size { width, height }: Size, full: Size) -> Result<Plane, RenderError> {
    let covered = |side: u32, full: u32| if side < full { f64::from(full) / 2.0 } else { f64::from(side) };
    Ok(Plane {
        width,
        height,
        covered: (covered(width, full.width), covered(height, full.height)),
        samples: vec![0; length(Size { width, height }, 1)?],
    })
}

/// Any picture that stands still, as pixels of `Rgb` or `Rgba`. What is missing is gray or transparent.
pub(super) fn decode_pixels(file: &[u8], size: Size, layout: Layout) -> Result<Vec<u8>, RenderError> {
    let (mode, missing) = match layout {
        Layout::Rgba => (WEBP_CSP_MODE::MODE_RGBA, 0),
        Layout::Rgb => (WEBP_CSP_MODE::MODE_RGB, GRAY),
        _ => return Err(RenderError::broken("pixels that WebP does not have")),
    };
    let channels = layout.channels();
    let mut samples = vec![0; length(size, channels)?];
    let stride = to_int(size.width)?.checked_mul(to_int(channels)?).ok_or_else(too_large)?;
    let output_of = |samples: &mut [u8]| {
        let buffer = WebPRGBABuffer { rgba: samples.as_mut_ptr(), stride, size: samples.len() };
        Output { mode, size, memory: WebPDecBuffer__bindgen_ty_1 { RGBA: buffer } }
    };
    let output = output_of(&mut samples);
    // SAFETY: `output` has the address, length and rows of `samples`, which nobody else looks at
    // until the decoder is done.
    if unsafe { decode_into(file, &output) }.is_err() {
        samples.fill(missing);
        let output = output_of(&mut samples);
        // SAFETY: as before.
        unsafe { decode_what_came(file, &output) }?;
    }
    Ok(samples)
}

/// Where a picture goes.
struct Output {
    mode: WEBP_CSP_MODE,
    size: Size,
    memory: WebPDecBuffer__bindgen_ty_1,
}

impl Output {
    fn config(&self) -> Result<WebPDecoderConfig, RenderError> {
        let mut config = WebPDecoderConfig::new().map_err(|()| RenderError::broken("another version of libwebp"))?;
        config.output.colorspace = self.mode;
        config.output.width = to_int(self.size.width)?;
        config.output.height = to_int(self.size.height)?;
        config.output.is_external_memory = 1;
        config.output.u = self.memory;
        Ok(config)
    }
}

/// Decodes the whole of a file.
///
/// # Safety
///
/// The memory of `output` must be there, be as large as it says, and be nobody else's meanwhile.
unsafe fn decode_into(file: &[u8], output: &Output) -> Result<(), RenderError> {
    let mut config = output.config()?;
    // SAFETY: the pointer and the length are those of one slice, which is only read. libwebp checks the
    // size of the picture and of its rows against the memory that our caller vouches for. All of it
    // being external, there is nothing to free.
    match unsafe { WebPDecode(file.as_ptr(), file.len(), &raw mut config) } {
        VP8StatusCode::VP8_STATUS_OK => Ok(()),
        status => Err(broken(status)),
    }
}

/// Decodes the rows that a file has, which may be cut off or damaged.
///
/// # Safety
///
/// As [`decode_into`].
unsafe fn decode_what_came(file: &[u8], output: &Output) -> Result<(), RenderError> {
    let mut config = output.config()?;
    // SAFETY: the pointer and the length are those of one slice. `config` outlives the decoder, which
    // keeps its address.
    let decoder = unsafe { WebPIDecode(file.as_ptr(), file.len(), &raw mut config) };
    let decoder = NonNull::new(decoder).ok_or_else(|| RenderError::broken("libwebp: no header"))?;
    let mut rows = 0;
    // SAFETY: the decoder is there until it is deleted, once. It reads one slice and writes to the memory
    // that our caller vouches for.
    let status = unsafe {
        let status = WebPIUpdate(decoder.as_ptr(), file.as_ptr(), file.len());
        let nowhere = std::ptr::null_mut;
        WebPIDecodedArea(decoder.as_ptr(), nowhere(), nowhere(), nowhere(), &raw mut rows);
        WebPIDelete(decoder.as_ptr());
        status
    };
    if rows > 0 { Ok(()) } else { Err(broken(status)) }
}

fn length(size: Size, channels: usize) -> Result<usize, RenderError> {
    usize::try_from(size.pixels()).ok().and_then(|pixels| pixels.checked_mul(channels)).ok_or_else(too_large)
}

fn to_int<N: TryInto<c_int>>(number: N) -> Result<c_int, RenderError> {
    number.try_into().map_err(|_| too_large())
}

fn too_large() -> RenderError {
    RenderError::broken("too large for WebP")
}

/// Draws the pictures of an animation, one over the other.
///
/// # Invariants
///
/// `decoder` is alive, and reads `_file`, which does not move.
pub(super) struct AnimationDecoder<'f> {
    decoder: NonNull<WebPAnimDecoder>,
    size: Size,
    _file: Cow<'f, [u8]>,
}

impl<'f> AnimationDecoder<'f> {
    /// Opens an animation whose canvas is as large as was checked.
    pub(super) fn open(file: Cow<'f, [u8]>, size: Size) -> Result<Self, RenderError> {
        let found = features(&file)?;
        if found.size != size {
            return Err(RenderError::broken("the header contradicts itself"));
        }
        let data = WebPData { bytes: file.as_ptr(), size: file.len() };
        // SAFETY: `data` is that of one slice, which is owned or borrowed by what we return, longer than
        // the decoder lives. The options may be missing: then pixels are RGBA, by one thread.
        let decoder = unsafe { WebPAnimDecoderNew(&raw const data, std::ptr::null()) };
        let decoder =
            NonNull::new(decoder).ok_or_else(|| RenderError::broken("libwebp: not an animation that can be read"))?;
        let opened = Self { decoder, size, _file: file };
        let mut canvas = WebPAnimInfo::default();
        // SAFETY: the decoder is alive, and `canvas` is ours.
        let is_known = unsafe { WebPAnimDecoderGetInfo(opened.decoder.as_ptr(), &raw mut canvas) };
        if is_known == 0 || (canvas.canvas_width, canvas.canvas_height) != (size.width, size.height) {
            return Err(RenderError::broken("the header contradicts itself"));
        }
        Ok(opened)
    }

    pub(super) const fn size(&self) -> Size {
        self.size
    }

    /// The canvas with the next picture on it, as RGBA, and when that one ends, in milliseconds.
    pub(super) fn next(&mut self) -> Option<Result<(Vec<u8>, u64), RenderError>> {
        // SAFETY: the decoder is alive.
        if unsafe { WebPAnimDecoderHasMoreFrames(self.decoder.as_ptr()) } == 0 {
            return None;
        }
        Some(self.draw_next())
    }

    fn draw_next(&mut self) -> Result<(Vec<u8>, u64), RenderError> {
        let mut canvas = std::ptr::null_mut();
        let mut ends_ms = 0;
        let canvas_length = length(self.size, Layout::Rgba.channels())?;
        // SAFETY: the decoder is alive, and both places are ours.
        let is_drawn = unsafe { WebPAnimDecoderGetNext(self.decoder.as_ptr(), &raw mut canvas, &raw mut ends_ms) } != 0;
        if !is_drawn || canvas.is_null() {
            return Err(RenderError::broken("libwebp: a picture of the animation cannot be read"));
        }
        // SAFETY: libwebp's canvas has four bytes for each pixel of the size that it has confirmed, and
        // stays as it is until the decoder is asked again, for which `self` is needed.
        let samples = unsafe { slice::from_raw_parts(canvas, canvas_length) }.to_vec();
        Ok((samples, u64::try_from(ends_ms).unwrap_or(0)))
    }
}

impl Drop for AnimationDecoder<'_> {
    fn drop(&mut self) {
        // SAFETY: the decoder is alive, and nobody uses it after this.
        unsafe { WebPAnimDecoderDelete(self.decoder.as_ptr()) }
    }
}
