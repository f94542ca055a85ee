//! rav1d, made safe to call: it is Rust, but has only the functions that dav1d has for C.
#![expect(unsafe_code, reason = "the functions for C are all there are; every call and what it relies on is here")]

use std::{
    ffi::{c_int, c_uint},
    mem::MaybeUninit,
    ptr::NonNull,
    slice,
};

use rav1d::{
    include::dav1d::{
        data::Dav1dData,
        dav1d::{Dav1dContext, Dav1dLogger, Dav1dSettings},
        headers::{DAV1D_PIXEL_LAYOUT_I400, DAV1D_PIXEL_LAYOUT_I420, DAV1D_PIXEL_LAYOUT_I422},
        picture::Dav1dPicture,
    },
    src::lib::{
        dav1d_close, dav1d_data_create, dav1d_data_unref, dav1d_default_settings, dav1d_get_picture, dav1d_open,
        dav1d_picture_unref, dav1d_send_data,
    },
};

use super::{canvas, properties::Meaning};
use crate::{decode::ycbcr::Range, error::RenderError, geometry::Size};

/// "Ask again", of Linux.
const EAGAIN: c_int = 11;

fn broken(step: &str, code: c_int) -> RenderError {
    RenderError::broken(format!("rav1d: {step} failed with {code}"))
}

/// Decodes the first picture of `data`, unless it has more pixels than that.
pub(super) fn decode(data: &[u8], most_pixels: u64) -> Result<Coded, RenderError> {
    let decoder = Decoder::open(most_pixels)?;
    let mut input = Input::copy_of(data)?;
    // What is sent is taken at once or not at all; what is asked for then comes, or never.
    for _ in 0..MOST_ROUNDS {
        if !input.is_empty() {
            decoder.send(&mut input)?;
        }
        if let Some(picture) = decoder.picture()? {
            return Ok(picture);
        }
    }
    Err(RenderError::broken("no picture in it"))
}

/// Files of still pictures need one.
const MOST_ROUNDS: u32 = 64;

/// # Invariants
///
/// It is open, and nobody else has it.
struct Decoder(Option<Dav1dContext>);

impl Decoder {
    fn open(most_pixels: u64) -> Result<Self, RenderError> {
        let mut settings = MaybeUninit::<Dav1dSettings>::uninit();
        let mut decoder = Self(None);
        // SAFETY: rav1d sets all settings, before we read them; both places are ours.
        let opened = unsafe {
            dav1d_default_settings(NonNull::from(&mut settings).cast());
            let mut settings = settings.assume_init();
            settings.n_threads = 1;
            settings.max_frame_delay = 1;
            settings.apply_grain = 0;
            settings.all_layers = 0;
            // No limit would be 0.
            settings.frame_size_limit = c_uint::try_from(most_pixels.max(1)).unwrap_or(c_uint::MAX);
            // No function to be told of errors, and nothing to tell it.
            settings.logger = Dav1dLogger::new(None, None);
            dav1d_open(Some(NonNull::from(&mut decoder.0)), Some(NonNull::from(&mut settings)))
        };
        if opened.0 != 0 { Err(broken("opening", opened.0)) } else { Ok(decoder) }
    }

    /// Takes all, some or nothing of the input.
    fn send(&self, input: &mut Input) -> Result<(), RenderError> {
        // SAFETY: the decoder is open; the input is ours, and rav1d leaves in it what it has not taken.
        let sent = unsafe { dav1d_send_data(self.0, Some(NonNull::from(&mut input.0))) };
        if sent.0 != 0 && sent.0 != -EAGAIN { Err(broken("reading", sent.0)) } else { Ok(()) }
    }

    fn picture(&self) -> Result<Option<Coded>, RenderError> {
        let mut coded = Coded { picture: Dav1dPicture::default(), size: Size { width: 0, height: 0 } };
        // SAFETY: the decoder is open, and the picture is ours.
        let got = unsafe { dav1d_get_picture(self.0, Some(NonNull::from(&mut coded.picture))) };
        match got.0 {
            0 => {
                let side = |side: c_int| u32::try_from(side).map_err(|_| broken("measuring", side));
                coded.size = Size { width: side(coded.picture.p.w)?, height: side(coded.picture.p.h)? };
                Ok(Some(coded))
            }
            code if code == -EAGAIN => Ok(None),
            code => Err(broken("decoding", code)),
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: it is open, and nobody uses it after this.
        unsafe { dav1d_close(Some(NonNull::from(&mut self.0))) }
    }
}

/// Memory of rav1d that holds what is to be decoded.
struct Input(Dav1dData);

impl Input {
    fn copy_of(data: &[u8]) -> Result<Self, RenderError> {
        let mut input = Self(Dav1dData::default());
        // SAFETY: `input` is ours. What rav1d allocates has the length that was asked for, and nobody
        // else writes to it.
        unsafe {
            let memory = dav1d_data_create(Some(NonNull::from(&mut input.0)), data.len());
            let memory = NonNull::new(memory).ok_or_else(|| RenderError::broken("rav1d: no room"))?;
            slice::from_raw_parts_mut(memory.as_ptr(), data.len()).copy_from_slice(data);
        }
        Ok(input)
    }

    const fn is_empty(&self) -> bool {
        self.0.sz == 0
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // SAFETY: it is ours, and refers to memory of rav1d or to none.
        unsafe { dav1d_data_unref(Some(NonNull::from(&mut self.0))) }
    }
}

/// A decoded picture, in memory of rav1d.
///
/// # Invariants
///
/// `picture` is one that rav1d has handed out, or none; `size` is that of its first plane.
pub(super) struct Coded {
    picture: Dav1dPicture,
    size: Size,
}

impl Coded {
    fn bits(&self) -> u32 {
        self.picture.p.bpc.unsigned_abs()
    }

    /// The samples of a row, if it has that row, as they lie in memory.
    fn row<S: Sample>(&self, plane: usize, y: u32, length: usize) -> Option<&[S]> {
        let (across, down) = if plane == 0 { (1, 1) } else { canvas::Coded::sampling(self)? };
        let is_inside = y < self.size.height.div_ceil(down) && length <= self.size.width.div_ceil(across) as usize;
        let is_sample = (self.bits() > 8) == S::IS_DEEP;
        let start = self.picture.data.get(plane).copied().flatten().filter(|_| is_inside && is_sample)?;
        let offset = isize::try_from(y).ok()?.checked_mul(self.picture.stride[usize::from(plane > 0)])?;
        // SAFETY: rav1d's planes have as many rows as the size and the sampling ask for, a stride from
        // each other, in each of which there are at least as many samples: of two bytes and aligned
        // if the picture has more than 8 bits, of one otherwise. They stay until the picture is
        // dropped, and nobody writes to them any more.
        Some(unsafe { slice::from_raw_parts(start.as_ptr().byte_offset(offset).cast::<S>(), length) })
    }
}

/// What a plane consists of.
trait Sample {
    const IS_DEEP: bool;
}

impl Sample for u8 {
    const IS_DEEP: bool = false;
}

impl Sample for u16 {
    const IS_DEEP: bool = true;
}

impl canvas::Coded for Coded {
    fn size(&self) -> Size {
        self.size
    }

    fn sampling(&self) -> Option<canvas::Sampling> {
        match self.picture.p.layout {
            DAV1D_PIXEL_LAYOUT_I400 => None,
            DAV1D_PIXEL_LAYOUT_I420 => Some((2, 2)),
            DAV1D_PIXEL_LAYOUT_I422 => Some((2, 1)),
            _ => Some((1, 1)),
        }
    }

    fn meaning(&self) -> Meaning {
        const UNKNOWN: u32 = 2;
        // SAFETY: what the picture refers to is there as long as the picture, and is not written to.
        match self.picture.seq_hdr.map(|header| unsafe { header.as_ref() }) {
            Some(header) => Meaning {
                primaries: header.pri,
                transfer: header.trc,
                matrix: header.mtrx,
                range: if header.color_range == 0 { Range::Limited } else { Range::Full },
            },
            None => Meaning { primaries: UNKNOWN, transfer: UNKNOWN, matrix: UNKNOWN, range: Range::Limited },
        }
    }

    fn copy_row(&self, plane: usize, y: u32, to: &mut [u8]) {
        if let Some(row) = self.row::<u8>(plane, y, to.len()) {
            to.copy_from_slice(row);
        } else if let Some(row) = self.row::<u16>(plane, y, to.len()) {
            let surplus = self.bits() - 8;
            for (to, sample) in to.iter_mut().zip(row) {
                let rounded = (u32::from(*sample) + (1 << surplus >> 1)) >> surplus;
                *to = u8::try_from(rounded).unwrap_or(u8::MAX);
            }
        }
    }
}

impl Drop for Coded {
    fn drop(&mut self) {
        // SAFETY: it is a picture of rav1d or none, and nobody uses it after this.
        unsafe { dav1d_picture_unref(Some(NonNull::from(&mut self.picture))) }
    }
}
