//! What is in a file beside coded bits.

use super::{codes::Codes, quantisation::Quantisation};

const APP0: u8 = 0xe0;
const QUANTISATION: u8 = 0xdb;
const BASELINE_FRAME: u8 = 0xc0;
const HUFFMAN: u8 = 0xc4;
const START_OF_SCAN: u8 = 0xda;
/// JFIF 1.1, square pixels, no thumbnail.
const JFIF: &[u8] = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0";

/// What the header says of a component.
pub(super) struct FrameComponent {
    pub(super) across: u8,
    pub(super) down: u8,
    pub(super) is_color: bool,
}

impl FrameComponent {
    const fn table(&self) -> u8 {
        self.is_color as u8
    }
}

/// Everything up to the first coded bit.
pub(super) fn begin(
    width: u32,
    height: u32,
    components: impl Iterator<Item = FrameComponent>,
    quantisation: &[&Quantisation],
    codes: &Codes,
) -> Vec<u8> {
    let components: Vec<(u8, FrameComponent)> = (1..).zip(components).collect();
    let count = components.len() as u8;
    let mut file = vec![0xff, 0xd8];
    put_segment(&mut file, APP0, JFIF);
    for (index, quantisation) in (0..).zip(quantisation) {
        put_segment(&mut file, QUANTISATION, &[&[index][..], &quantisation.in_zigzag()].concat());
    }

    let [_, _, height_high, height_low] = height.to_be_bytes();
    let [_, _, width_high, width_low] = width.to_be_bytes();
    let mut frame = vec![8, height_high, height_low, width_high, width_low, count];
    for (id, component) in &components {
        frame.extend([*id, component.across << 4 | component.down, component.table()]);
    }
    put_segment(&mut file, BASELINE_FRAME, &frame);

    // DC and AC of brightness, then of color.
    for (index, table) in (0_u8..).zip(&codes.tables) {
        let head = [(index & 1) << 4 | index >> 1];
        put_segment(&mut file, HUFFMAN, &[&head[..], &table.counts, &table.symbols].concat());
    }

    let mut scan = vec![count];
    for (id, component) in &components {
        scan.extend([*id, component.table() << 4 | component.table()]);
    }
    scan.extend([0, 63, 0]);
    put_segment(&mut file, START_OF_SCAN, &scan);
    file
}

/// What follows the last coded bit.
pub(super) fn end(file: &mut Vec<u8>) {
    file.extend([0xff, 0xd9]);
}

/// All of ours are far shorter than a segment may be.
fn put_segment(file: &mut Vec<u8>, marker: u8, content: &[u8]) {
    let length = (content.len() + 2) as u16;
    file.extend([0xff, marker]);
    file.extend(length.to_be_bytes());
    file.extend(content);
}
