//! The tables that segments define, and what is made of them when a scan needs them.

use std::rc::Rc;

use crate::{
    block::ZIGZAG,
    error::Error,
    huffman::{AcTable, DcTable, Definition},
};

const COUNT: usize = 4;
const DC: u8 = 0;
const AC: u8 = 1;

/// All tables as they are at some place in the file.
#[derive(Default)]
pub(crate) struct Tables {
    /// Row by row, not in zigzag.
    quantisation: [Option<[u16; 64]>; COUNT],
    dc: [Slot<DcTable>; COUNT],
    ac: [Slot<AcTable>; COUNT],
}

/// A definition; the table is only built when it is used, as a file may define many.
struct Slot<T> {
    definition: Option<Definition>,
    built: Option<Rc<T>>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { definition: None, built: None }
    }
}

impl<T> Slot<T> {
    fn define(&mut self, definition: Definition) {
        *self = Self { definition: Some(definition), built: None };
    }

    fn get(&mut self, build: fn(&Definition) -> T, index: u8) -> Result<Rc<T>, Error> {
        let definition = self.definition.as_ref().ok_or(Error::NoHuffmanTable(index))?;
        Ok(self.built.get_or_insert_with(|| Rc::new(build(definition))).clone())
    }
}

impl Tables {
    /// Takes what a DHT segment defines.
    pub(crate) fn define_huffman(&mut self, mut segment: &[u8]) -> Result<(), Error> {
        while let Some((head, rest)) = segment.split_first() {
            let (class, index) = (head >> 4, usize::from(head & 15));
            let (definition, rest) = Definition::read(rest, class == DC)?;
            match class {
                DC if index < COUNT => self.dc[index].define(definition),
                AC if index < COUNT => self.ac[index].define(definition),
                _ => return Err(Error::Malformed("Huffman table")),
            }
            segment = rest;
        }
        Ok(())
    }

    /// Takes what a DQT segment defines.
    pub(crate) fn define_quantisation(&mut self, mut segment: &[u8]) -> Result<(), Error> {
        const MALFORMED: Error = Error::Malformed("quantisation table");
        while let Some((head, rest)) = segment.split_first() {
            let (precision, index) = (head >> 4, usize::from(head & 15));
            let table = self.quantisation.get_mut(index).ok_or(MALFORMED)?;
            let (values, rest) = match precision {
                0 => rest.split_first_chunk::<64>().map(|(bytes, rest)| (bytes.map(u16::from), rest)),
                1 => rest.split_first_chunk::<128>().map(|(bytes, rest)| (wide(bytes), rest)),
                _ => None,
            }
            .ok_or(MALFORMED)?;
            let table = table.insert([0; 64]);
            for (place, value) in ZIGZAG.into_iter().zip(values) {
                table[usize::from(place)] = value;
            }
            segment = rest;
        }
        Ok(())
    }

    pub(crate) fn quantisation(&self, index: u8) -> Result<&[u16; 64], Error> {
        let table = self.quantisation.get(usize::from(index)).and_then(Option::as_ref);
        table.ok_or(Error::NoQuantisationTable(index))
    }

    pub(crate) fn dc(&mut self, index: u8) -> Result<Rc<DcTable>, Error> {
        self.dc[usize::from(index) % COUNT].get(DcTable::new, index)
    }

    pub(crate) fn ac(&mut self, index: u8) -> Result<Rc<AcTable>, Error> {
        self.ac[usize::from(index) % COUNT].get(AcTable::new, index)
    }
}

/// Values of 16 bits.
fn wide(bytes: &[u8; 128]) -> [u16; 64] {
    let mut values = [0; 64];
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
        *value = u16::from_be_bytes(*bytes);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn huffman_segment(head: u8, counts: &[u8], symbols: &[u8]) -> Vec<u8> {
        let mut segment = vec![head];
        segment.extend(counts);
        segment.resize(17, 0);
        segment.extend(symbols);
        segment
    }

    #[test]
    fn a_table_that_no_code_can_have_is_refused() {
        let refused = |segment: &[u8]| Tables::default().define_huffman(segment).is_err();

        assert!(refused(&huffman_segment(0, &[3], &[1, 2, 3])), "three codes of one bit");
        assert!(refused(&huffman_segment(0, &[1, 3], &[1, 2, 3, 4])), "three codes where one bit is left");
        assert!(refused(&huffman_segment(0, &[1], &[16])), "a DC difference of 16 bits");
        assert!(refused(&huffman_segment(4, &[1], &[1])), "a fifth table");
        assert!(refused(&huffman_segment(0x20, &[1], &[1])), "a third class");
        assert!(refused(&huffman_segment(0, &[2], &[1])), "a symbol that is missing");
        assert!(!refused(&huffman_segment(0, &[2], &[1, 2])));
    }

    #[test]
    fn quantisation_has_eight_or_sixteen_bits() {
        let mut tables = Tables::default();
        let mut segment = vec![0x12];
        segment.extend((0..64_u16).flat_map(|value| (value + 256).to_be_bytes()));
        segment.push(0x01);
        segment.extend(0..64);

        tables.define_quantisation(&segment).unwrap();

        assert_eq!(tables.quantisation(2).unwrap()[8], 256 + 2, "the third of the zigzag is below the first");
        assert_eq!(tables.quantisation(1).unwrap()[63], 63);
        assert!(matches!(tables.quantisation(0), Err(Error::NoQuantisationTable(0))));
        assert!(tables.define_quantisation(&segment[..100]).is_err());
    }
}
