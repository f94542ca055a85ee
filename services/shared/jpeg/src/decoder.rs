//! The reader that others use.

use std::io::BufRead;

use crate::{
    bands::{Band, Bands},
    error::Error,
    frame::{Frame, Process},
    header::{self, END_OF_IMAGE, Header, Prelude, START_OF_SCAN},
    idct::Scaling,
    input::Input,
    layout::Layout,
    limits::Limits,
    planes::{Plane, Planes},
    progressive::{Progressive, Source},
    restarts::{McuCount, Restarts},
    scale::{BlockSize, Chroma, Scale},
    scan::Scan,
    sequential,
};

/// Reads one JPEG: first its header, then its samples.
pub struct Decoder<R> {
    input: Input<R>,
    limits: Limits,
    prelude: Prelude,
}

/// How well decoding went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether all samples that were wanted could be made of what the file has. If not, it is cut
    /// off or damaged, and some of them are a guess or a middle gray.
    ///
    /// Nothing is read behind the last coefficient that is wanted: what is missing there goes unseen.
    pub is_complete: bool,
    /// How many MCUs of a hundred were there, at least as a first guess: of what is not, all samples are
    /// a middle gray.
    pub percent: u8,
}

impl<R: BufRead> Decoder<R> {
    /// Reads the header of a file, up to its first scan.
    pub fn new(reader: R, limits: Limits) -> Result<Self, Error> {
        let mut input = Input::new(reader);
        let prelude = header::read(&mut input, &limits)?;
        Ok(Self { input, limits, prelude })
    }

    /// What the file says of itself.
    pub const fn header(&self) -> &Header {
        &self.prelude.header
    }

    /// The size of each plane that decoding makes, in the order of the components.
    pub fn plane_sizes(&self, scale: Scale, chroma: Chroma) -> Vec<(u32, u32)> {
        self.layouts(scale, chroma).iter().map(|layout| layout.plane).collect()
    }

    /// The memory that decoding takes, without what the caller keeps of it.
    pub fn memory_bytes(&self, scale: Scale, chroma: Chroma) -> u64 {
        memory_bytes(&self.prelude.frame, &self.layouts(scale, chroma))
    }

    /// Decodes the picture and hands over its samples in bands, each row of each component
    /// once, those of one component from the top down. How the components take turns is up
    /// to the file: they come one after the other if it has a scan for each.
    pub fn decode(self, scale: Scale, chroma: Chroma, mut out: impl FnMut(Band<'_>)) -> Result<Outcome, Error> {
        self.prelude.frame.check_mcu()?;
        let layouts = self.layouts(scale, chroma);
        let bytes = memory_bytes(&self.prelude.frame, &layouts);
        if bytes > self.limits.memory_bytes {
            return Err(Error::TooMuchMemory { bytes, most: self.limits.memory_bytes });
        }
        let Self { input, limits, prelude } = self;
        let bands = Bands::new(&mut out);
        let mut work = Work { input, most_scans: limits.scans, prelude, layouts, bands, count: McuCount::default() };
        let is_complete = match work.prelude.frame.process {
            Process::Sequential => work.decode_sequential()?,
            Process::Progressive => work.decode_progressive()?,
        };
        Ok(Outcome { is_complete, percent: work.count.percent() })
    }

    /// Decodes the picture and keeps all of it.
    pub fn decode_planes(self, scale: Scale, chroma: Chroma) -> Result<(Planes, Outcome), Error> {
        let color = self.prelude.header.color;
        let layouts = self.layouts(scale, chroma);
        let mut planes: Vec<Plane> =
            layouts.iter().map(|layout| Plane::new(layout.plane, layout.covered(&self.prelude.frame))).collect();
        let outcome = self.decode(scale, chroma, |band| planes[band.component].take(&band))?;
        Ok((Planes { color, planes }, outcome))
    }

    fn layouts(&self, scale: Scale, chroma: Chroma) -> Vec<Layout> {
        let frame = &self.prelude.frame;
        let layout = |(index, component): (usize, &_)| {
            let is_color = self.prelude.header.color.has_chroma() && matches!(index, 1 | 2);
            Layout::new(frame, *component, BlockSize::of(component, frame, scale, is_color, chroma))
        };
        frame.components.iter().enumerate().map(layout).collect()
    }
}

fn memory_bytes(frame: &Frame, layouts: &[Layout]) -> u64 {
    /// Tables, and the window of coded bytes.
    const FIXED: u64 = 512 << 10;
    let rows = layouts.iter().map(|layout| {
        let slots = layout.row_slots() as u64 * u64::from(layout.component.down) * size_of::<i16>() as u64;
        slots + layout.row_samples() as u64
    });
    let kept = match frame.process {
        Process::Sequential => 0,
        Process::Progressive => layouts.iter().map(|layout| Progressive::memory_bytes(frame, layout)).sum(),
    };
    FIXED + rows.sum::<u64>() + kept
}

/// Decoding, in progress.
struct Work<'o, R> {
    input: Input<R>,
    prelude: Prelude,
    layouts: Vec<Layout>,
    most_scans: u32,
    bands: Bands<'o>,
    count: McuCount,
}

/// What a scan brought.
struct Progress {
    /// Whether all of it was there and well.
    is_well: bool,
    /// Whether further scans are wanted.
    wants_more: bool,
}

impl<R: BufRead> Work<'_, R> {
    /// Answers whether all was there and well.
    fn decode_sequential(&mut self) -> Result<bool, Error> {
        let mut is_done = vec![false; self.layouts.len()];
        let mut is_complete = self.decode_scans(|work, scan| {
            if scan.members.iter().any(|member| is_done[member.component]) {
                // A second scan of the same: the rows are on their way already.
                return Ok(Progress { is_well: false, wants_more: false });
            }
            let is_well = work.decode_sequential_scan(scan)?;
            scan.members.iter().for_each(|member| is_done[member.component] = true);
            Ok(Progress { is_well, wants_more: is_done.contains(&false) })
        })?;
        for (component, layout) in self.layouts.iter().enumerate().filter(|(component, _)| !is_done[*component]) {
            self.bands.put_nothing(component, layout);
            is_complete = false;
        }
        Ok(is_complete)
    }

    /// After an error other than that of the source, no row is on its way.
    fn decode_sequential_scan(&mut self, scan: &Scan) -> Result<bool, Error> {
        let Self { input, prelude, layouts, bands, count, .. } = self;
        let Prelude { frame, tables, restart_interval, .. } = prelude;
        let parts = sequential::build_parts(scan, layouts, tables)?;
        let mut pass = sequential::Pass::new(frame, layouts, parts, Restarts::every(*restart_interval));
        let is_well = pass.run(input, bands)?;
        count.add(pass.count());
        Ok(is_well)
    }

    /// Answers whether all was there and well.
    fn decode_progressive(&mut self) -> Result<bool, Error> {
        let mut coefficients = Progressive::new(&self.prelude.frame, &self.layouts);
        let is_complete = self.decode_scans(|work, scan| {
            let Prelude { frame, tables, restart_interval, .. } = &mut work.prelude;
            let source = Source::new(&mut work.input, Restarts::every(*restart_interval));
            let is_well = coefficients.decode_scan(source, frame, scan, &work.layouts, tables)?;
            Ok(Progress { is_well, wants_more: !coefficients.has_all(&work.layouts) })
        })?;
        self.count = coefficients.count();
        coefficients.put(&self.layouts, &mut self.bands);
        Ok(is_complete && coefficients.has_dc())
    }

    /// Decodes scan after scan, as long as more are wanted; answers whether all were there
    /// and well. Only the first one must be, at least its header.
    fn decode_scans(
        &mut self,
        mut decode: impl FnMut(&mut Self, &Scan) -> Result<Progress, Error>,
    ) -> Result<bool, Error> {
        let mut is_complete = true;
        for number in 0..self.most_scans {
            let scan = if number == 0 { self.read_scan().map(Some) } else { self.find_scan() };
            let progress = match scan {
                Ok(Some(scan)) => decode(self, &scan),
                Ok(None) => return Ok(is_complete),
                Err(error) => Err(error),
            };
            match progress {
                Ok(progress) => {
                    is_complete &= progress.is_well;
                    if !progress.wants_more {
                        return Ok(is_complete);
                    }
                }
                Err(error) if number == 0 || matches!(error, Error::Source(_)) => return Err(error),
                Err(_) => return Ok(false),
            }
        }
        Ok(false)
    }

    /// The next scan; none at the end of the image.
    fn find_scan(&mut self) -> Result<Option<Scan>, Error> {
        loop {
            match self.input.next_marker()?.ok_or(Error::CutOff)? {
                END_OF_IMAGE => return Ok(None),
                START_OF_SCAN => return self.read_scan().map(Some),
                0x01 | 0xd0..=0xd8 => {}
                marker if header::is_frame(marker) => return Err(Error::SecondFrame),
                marker => {
                    let content = self.input.segment()?;
                    let Prelude { tables, restart_interval, .. } = &mut self.prelude;
                    header::take_tables(marker, &content, tables, restart_interval)?;
                }
            }
        }
    }

    /// Reads the header of the scan whose marker was read.
    fn read_scan(&mut self) -> Result<Scan, Error> {
        let content = self.input.segment()?;
        let scan = Scan::read(&content, &self.prelude.frame)?;
        for member in &scan.members {
            let layout = &mut self.layouts[member.component];
            if layout.scaling.is_none() {
                let quantisation = self.prelude.tables.quantisation(layout.component.quantisation)?;
                layout.scaling = Some(Scaling::new(layout.size, quantisation));
            }
        }
        Ok(scan)
    }
}
