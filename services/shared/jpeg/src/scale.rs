//! How much smaller a picture is decoded, and what that means for each component.

use crate::frame::{BLOCK, Component, Frame};

/// How much smaller a picture is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scale {
    /// 1/8. Only DC coefficients are decoded: the mean of each block.
    Eighth,
    /// 1/4
    Quarter,
    /// 3/8
    ThreeEighths,
    /// 1/2
    Half,
    /// 3/4
    ThreeQuarters,
    /// As it is.
    Full,
}

/// How finely color is decoded where a file has brightness and color in separate components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Chroma {
    /// As finely as brightness, as far as the file has it: what is subsampled in the file is
    /// decoded at a larger scale, so that 4:2:0 at 1/2 needs no upsampling.
    #[default]
    Matched,
    /// Half as finely, in each direction: enough for what will be stored as 4:2:0.
    Halved,
}

impl Scale {
    /// All scales, from the smallest to the largest.
    pub const ALL: [Self; 6] =
        [Self::Eighth, Self::Quarter, Self::ThreeEighths, Self::Half, Self::ThreeQuarters, Self::Full];

    /// Samples that a block of eight by eight becomes, in each direction.
    pub const fn eighths(self) -> u32 {
        match self {
            Self::Eighth => 1,
            Self::Quarter => 2,
            Self::ThreeEighths => 3,
            Self::Half => 4,
            Self::ThreeQuarters => 6,
            Self::Full => 8,
        }
    }

    /// The smallest scale at which the picture is still by a fifth larger than `wanted`, in
    /// both directions, or the full one: with so much left, a picture that is resampled from it is
    /// as good as one resampled from the full picture.
    pub fn for_target(full: (u32, u32), wanted: (u32, u32)) -> Self {
        let enough = |scale: &Self, full: u32, wanted: u32| {
            u64::from(full) * u64::from(scale.eighths()) * 5 >= u64::from(wanted) * 8 * 6
        };
        let suits = |scale: &Self| enough(scale, full.0, wanted.0) && enough(scale, full.1, wanted.1);
        Self::ALL.into_iter().find(suits).unwrap_or(Self::Full)
    }
}

/// Samples that a block becomes. Each is one of 1, 2, 3, 4, 6, 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockSize {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl BlockSize {
    /// That of a component; `is_color` says that the wish for chroma counts.
    pub(crate) fn of(component: &Component, frame: &Frame, scale: Scale, is_color: bool, chroma: Chroma) -> Self {
        let (most_across, most_down) = frame.most_factors();
        let halved = u32::from(is_color && chroma == Chroma::Halved) + 1;
        let side = |most: u32, factor: u32| {
            let wanted = (scale.eighths() * most).div_ceil(factor * halved);
            // The next one that there is.
            [1, 2, 3, 4, 6].into_iter().find(|side| *side >= wanted).unwrap_or(BLOCK)
        };
        Self { width: side(most_across, component.across), height: side(most_down, component.down) }
    }

    pub(crate) const fn samples(self) -> usize {
        (self.width * self.height) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Process;

    fn chroma_block(luma: (u32, u32), scale: Scale, chroma: Chroma) -> (u32, u32) {
        let component = |across, down| Component { id: 0, across, down, quantisation: 0 };
        let components = vec![component(luma.0, luma.1), component(1, 1), component(1, 1)];
        let frame = Frame { process: Process::Sequential, width: 100, height: 100, components };
        let size = BlockSize::of(&frame.components[1], &frame, scale, true, chroma);
        (size.width, size.height)
    }

    #[test]
    fn color_is_as_fine_as_brightness_where_the_file_has_it() {
        assert_eq!(chroma_block((2, 2), Scale::Half, Chroma::Matched), (8, 8));
        assert_eq!(chroma_block((2, 1), Scale::Eighth, Chroma::Matched), (2, 1));
        assert_eq!(chroma_block((1, 2), Scale::Quarter, Chroma::Matched), (2, 4));
        assert_eq!(chroma_block((4, 1), Scale::Half, Chroma::Matched), (8, 4));
        assert_eq!(chroma_block((3, 1), Scale::Eighth, Chroma::Matched), (3, 1));
        assert_eq!(chroma_block((1, 1), Scale::Full, Chroma::Matched), (8, 8));
    }

    #[test]
    fn halved_color_of_a_subsampled_file_takes_the_scale_of_brightness() {
        assert_eq!(chroma_block((2, 2), Scale::Half, Chroma::Halved), (4, 4));
        assert_eq!(chroma_block((2, 1), Scale::Quarter, Chroma::Halved), (2, 1));
        assert_eq!(chroma_block((1, 1), Scale::Eighth, Chroma::Halved), (1, 1));
        assert_eq!(chroma_block((1, 1), Scale::Half, Chroma::Halved), (2, 2));
    }

    #[test]
    fn a_fifth_more_than_wanted_is_left_for_the_resampling() {
        assert_eq!(Scale::for_target((4032, 3024), (320, 240)), Scale::Eighth);
        assert_eq!(Scale::for_target((4032, 3024), (640, 480)), Scale::Quarter);
        assert_eq!(Scale::for_target((4032, 3024), (421, 315)), Scale::Quarter);
        assert_eq!(Scale::for_target((960, 960), (100, 100)), Scale::Eighth);
        assert_eq!(Scale::for_target((959, 960), (100, 100)), Scale::Quarter);
        assert_eq!(Scale::for_target((1632, 1224), (800, 600)), Scale::ThreeQuarters);
        assert_eq!(Scale::for_target((100, 100), (100, 100)), Scale::Full);
        assert_eq!(Scale::for_target((65_535, 65_535), (65_535, 1)), Scale::Full);
    }
}
