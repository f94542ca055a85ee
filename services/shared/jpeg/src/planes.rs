//! A decoded picture, held in memory.

use crate::{bands::Band, header::Color};

/// The samples of one component.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Samples across.
    pub width: u32,
    /// Samples down.
    pub height: u32,
    /// How much of the plane the picture covers, across and down: up to one sample less than
    /// there are, as the last ones may reach beyond its edges.
    pub covered: (f64, f64),
    /// Row by row, without gaps.
    pub samples: Vec<u8>,
}

/// The samples of a picture, a plane per component. The planes may differ in size.
#[derive(Debug, Clone, PartialEq)]
pub struct Planes {
    /// What the components are.
    pub color: Color,
    /// In the order of the components.
    pub planes: Vec<Plane>,
}

impl Plane {
    pub(crate) fn new((width, height): (u32, u32), covered: (f64, f64)) -> Self {
        Self { width, height, covered, samples: Vec::new() }
    }

    /// Takes rows, which come in order.
    pub(crate) fn take(&mut self, band: &Band<'_>) {
        if self.samples.is_empty() {
            self.samples.reserve_exact(self.width as usize * self.height as usize);
        }
        for row in band.rows() {
            self.samples.extend_from_slice(row);
        }
    }
}
