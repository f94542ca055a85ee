//! The header of a scan.

use crate::{
    error::Error,
    frame::{Component, Frame, Process},
};

/// A component in a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its place in the frame.
    pub(crate) component: usize,
    pub(crate) dc_table: u8,
    pub(crate) ac_table: u8,
}

/// What a scan header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) members: Vec<Member>,
    /// First and last coefficient, in zigzag.
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// Bits that earlier scans left open, and that this one does: successive approximation.
    pub(crate) high: u32,
    pub(crate) low: u32,
}

impl Scan {
    /// Reads the content of a scan header.
    pub(crate) fn read(content: &[u8], frame: &Frame) -> Result<Self, Error> {
        const MALFORMED: Error = Error::Malformed("scan header");
        let (count, rest) = content.split_first().ok_or(MALFORMED)?;
        let (entries, rest) = rest.split_at_checked(usize::from(*count) * 2).ok_or(MALFORMED)?;
        let &[first, last, approximation] = rest else { return Err(MALFORMED) };
        let members: Vec<_> =
            entries.as_chunks().0.iter().map(|entry| Member::read(*entry, frame)).collect::<Result<_, _>>()?;
        let is_repeated = |index: usize| members[..index].iter().any(|m| m.component == members[index].component);
        if members.is_empty() || (0..members.len()).any(is_repeated) {
            return Err(MALFORMED);
        }
        let (first, last) = (first.into(), last.into());
        let scan =
            Self { members, first, last, high: u32::from(approximation >> 4), low: u32::from(approximation & 15) };
        match frame.process {
            // Some encoders write nonsense here that other readers overlook.
            Process::Sequential => Ok(Self { first: 0, last: 63, high: 0, low: 0, ..scan }),
            Process::Progressive if scan.is_possible() => Ok(scan),
            Process::Progressive => Err(MALFORMED),
        }
    }

    /// Blocks of a component in an MCU of this scan, across and down.
    pub(crate) fn blocks_in_mcu(&self, component: &Component) -> (u32, u32) {
        if self.members.len() > 1 { (component.across, component.down) } else { (1, 1) }
    }

    /// Whether a progressive file may have such a scan.
    fn is_possible(&self) -> bool {
        let band = if self.first == 0 { self.last == 0 } else { self.members.len() == 1 };
        let order = self.first <= self.last && self.last <= 63;
        band && order && self.low <= 13 && (self.high == 0 || self.high == self.low + 1)
    }
}

impl Member {
    fn read([id, tables]: [u8; 2], frame: &Frame) -> Result<Self, Error> {
        let component = frame.components.iter().position(|component| component.id == id);
        let (dc_table, ac_table) = (tables >> 4, tables & 15);
        match component {
            Some(component) if dc_table < 4 && ac_table < 4 => Ok(Self { component, dc_table, ac_table }),
            _ => Err(Error::Malformed("scan header")),
        }
    }
}
