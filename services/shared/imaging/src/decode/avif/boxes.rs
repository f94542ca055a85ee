//! The boxes of ISO's media files (14496-12), as slices of the file.

/// Numbers of a box, one after the other; none where it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'f>(pub(super) &'f [u8]);

impl<'f> Fields<'f> {
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'f [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// A name.
    pub(super) fn name(&mut self) -> Option<[u8; 4]> {
        self.array()
    }

    /// A number of up to eight bytes; of none, it is 0.
    pub(super) fn sized(&mut self, bytes: u8) -> Option<u64> {
        if bytes > 8 {
            return None;
        }
        let digits = self.bytes(bytes.into())?;
        Some(digits.iter().fold(0, |sum, digit| sum << 8 | u64::from(*digit)))
    }

    /// The number of an item: of two bytes, in later versions four.
    pub(super) fn id(&mut self, is_long: bool) -> Option<u32> {
        if is_long { self.u32() } else { self.u16().map(u32::from) }
    }

    /// Version and flags, which some boxes begin with.
    pub(super) fn version(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        Some((word.to_be_bytes()[0], word & 0x00ff_ffff))
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct IsoBox<'f> {
    pub(super) name: [u8; 4],
    pub(super) content: &'f [u8],
}

/// The boxes of a file, or of a box. One that is cut off is the last one.
pub(super) fn boxes(mut rest: &[u8]) -> impl Iterator<Item = IsoBox<'_>> {
    std::iter::from_fn(move || {
        let mut fields = Fields(rest);
        let (length, name) = (fields.u32()?, fields.name()?);
        let length = match length {
            0 => u64::MAX,
            1 => fields.sized(8)?,
            length => length.into(),
        };
        let header = rest.len() - fields.0.len();
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
        let content = rest.get(header..length)?;
        rest = &rest[length..];
        Some(IsoBox { name, content })
    })
}

pub(super) fn find(content: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    boxes(content).find(|found| found.name == name).map(|found| found.content)
}

/// Whether the first box names AVIF among the kinds that the file is of.
pub(super) fn is_avif(file: &[u8]) -> bool {
    /// Kinds that are looked at: files have a handful.
    const MOST_KINDS: usize = 32;
    let Some(first) = boxes(file).next().filter(|first| first.name == *b"ftyp") else { return false };
    let kinds = first.content.as_chunks::<4>().0;
    kinds.iter().take(MOST_KINDS).any(|kind| [*b"avif", *b"avis"].contains(kind))
}
