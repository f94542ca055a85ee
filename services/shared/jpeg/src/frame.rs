//! The frame: size, components, and how they are laid out in MCUs.

use crate::error::{Error, Unsupported};

/// Side of a block, in samples.
pub(crate) const BLOCK: u32 = 8;
/// The standard's limit for one MCU of several components.
const MOST_BLOCKS_IN_MCU: u32 = 10;

/// How a frame is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    /// Baseline and extended sequential.
    Sequential,
    Progressive,
}

/// One component of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Component {
    pub(crate) id: u8,
    /// Sampling factors: blocks in an MCU.
    pub(crate) across: u32,
    pub(crate) down: u32,
    pub(crate) quantisation: u8,
}

/// What a frame header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) process: Process,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) components: Vec<Component>,
}

impl Frame {
    /// Reads the content of a frame header.
    pub(crate) fn read(marker: u8, content: &[u8]) -> Result<Self, Error> {
        let process = match marker {
            0xc0 | 0xc1 => Process::Sequential,
            0xc2 => Process::Progressive,
            0xc3 => return Err(Unsupported::Lossless.into()),
            0xc5..=0xc7 | 0xcd..=0xcf => return Err(Unsupported::Hierarchical.into()),
            _ => return Err(Unsupported::Arithmetic.into()),
        };
        let Some((&[precision, h1, h0, w1, w0, count], rest)) = content.split_first_chunk() else {
            return Err(Error::Malformed("frame header"));
        };
        let (height, width) = (u16::from_be_bytes([h1, h0]).into(), u16::from_be_bytes([w1, w0]).into());
        if precision != 8 {
            return Err(Unsupported::Precision(precision).into());
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(Unsupported::Components(count).into());
        }
        if height == 0 {
            return Err(Unsupported::LinesLater.into());
        }
        if width == 0 || rest.len() != usize::from(count) * 3 {
            return Err(Error::Malformed("frame header"));
        }
        let components = rest.as_chunks().0.iter().map(|entry| Component::read(*entry)).collect::<Result<_, _>>()?;
        Self { process, width, height, components }.checked()
    }

    fn checked(mut self) -> Result<Self, Error> {
        // A single component is never interleaved: its factors mean nothing.
        if let [only] = &mut *self.components {
            (only.across, only.down) = (1, 1);
        }
        let ids = self.components.iter().map(|component| component.id);
        if ids.enumerate().any(|(index, id)| self.components[..index].iter().any(|earlier| earlier.id == id)) {
            return Err(Error::Malformed("frame header"));
        }
        Ok(self)
    }

    /// Refuses what can be described, but not decoded.
    pub(crate) fn check_mcu(&self) -> Result<(), Error> {
        let blocks = self.components.iter().map(|component| component.across * component.down).sum::<u32>();
        if blocks > MOST_BLOCKS_IN_MCU { Err(Unsupported::LargeMcu.into()) } else { Ok(()) }
    }

    /// The most blocks across and down that a component has in an MCU.
    pub(crate) fn most_factors(&self) -> (u32, u32) {
        let most = |factor: fn(&Component) -> u32| self.components.iter().map(factor).max().unwrap_or(1);
        (most(|component| component.across), most(|component| component.down))
    }

    /// MCUs across and down, where components are interleaved.
    pub(crate) fn mcus(&self) -> (u32, u32) {
        let (across, down) = self.most_factors();
        (self.width.div_ceil(BLOCK * across), self.height.div_ceil(BLOCK * down))
    }

    /// Blocks of a component that hold a part of the picture, across and down.
    pub(crate) fn blocks(&self, component: &Component) -> (u32, u32) {
        let (across, down) = self.most_factors();
        let blocks = |side: u32, factor: u32, most: u32| (side * factor).div_ceil(BLOCK * most);
        (blocks(self.width, component.across, across), blocks(self.height, component.down, down))
    }
}

impl Component {
    fn read([id, factors, quantisation]: [u8; 3]) -> Result<Self, Error> {
        let (across, down) = (u32::from(factors >> 4), u32::from(factors & 15));
        if !(1..=4).contains(&across) || !(1..=4).contains(&down) || quantisation > 3 {
            return Err(Error::Malformed("frame header"));
        }
        Ok(Self { id, across, down, quantisation })
    }
}
