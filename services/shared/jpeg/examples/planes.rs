//! Decodes what comes, for those that compare: `tests/differential.py` holds it against libjpeg-turbo.
//!
//! Standard input: pictures, each behind its length. Standard output: for each the number of planes, 0 if it
//! was refused or is incomplete; then, first at 1/8 and then in full, each plane: width, height, samples.
//! Numbers have 32 bits, the lowest first.

use std::io::{self, Read, Write};

use heliograph_jpeg::{Chroma, Decoder, Error, Limits, Plane, Scale};

/// The length of what nobody would compare.
const MOST_BYTES: u64 = 64 << 20;

fn main() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut length = [0; 4];
    while input.read_exact(&mut length).is_ok() {
        let mut file = Vec::new();
        input.by_ref().take(u64::from(u32::from_le_bytes(length)).min(MOST_BYTES)).read_to_end(&mut file)?;
        let planes = [Scale::Eighth, Scale::Full].map(|scale| decode(&file, scale));
        let [Ok(Some(eighth)), Ok(Some(full))] = planes else {
            output.write_all(&0_u32.to_le_bytes())?;
            output.flush()?;
            continue;
        };
        output.write_all(&u32::try_from(eighth.len()).unwrap_or(0).to_le_bytes())?;
        for plane in eighth.iter().chain(&full) {
            output.write_all(&plane.width.to_le_bytes())?;
            output.write_all(&plane.height.to_le_bytes())?;
            output.write_all(&plane.samples)?;
        }
        output.flush()?;
    }
    Ok(())
}

/// None if it is not complete.
fn decode(file: &[u8], scale: Scale) -> Result<Option<Vec<Plane>>, Error> {
    // In full each plane is as large as it is stored, at 1/8 as large as libjpeg has it.
    let chroma = if scale == Scale::Full { Chroma::Matched } else { Chroma::Halved };
    let (planes, outcome) = Decoder::new(file, Limits::default())?.decode_planes(scale, chroma)?;
    Ok(outcome.is_complete.then_some(planes.planes))
}
