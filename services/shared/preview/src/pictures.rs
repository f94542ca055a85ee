//! Pictures on a page that names none.

use crate::{
    facts::Found,
    tag::{Attribute, Tag},
};

/// Sides of a picture that is no tracker, in pixels,
const VISIBLE: u32 = 10;
/// of one that is more than a button,
const USEFUL: u32 = 48;
/// and of one that is likely to be worth a look.
const GOOD: u32 = 100;

/// The best of each sort.
#[derive(Debug, Default)]
pub(crate) struct Pictures {
    good: Option<Found>,
    /// The largest of those whose size is said, and its area.
    sized: Option<(u64, Found)>,
    of_unknown_size: Option<Found>,
    /// Buttons, and what stands aside.
    aside: Option<Found>,
}

impl Pictures {
    pub(crate) fn offer(&mut self, tag: &Tag, is_aside: bool) {
        let (width, height) = (tag.pixels(Attribute::Width), tag.pixels(Attribute::Height));
        let is_tiny = [width, height].into_iter().flatten().any(|side| side <= VISIBLE);
        let Some(found) = find_source(tag).filter(|_| !is_tiny) else { return };
        let Some((width, height)) = width.zip(height).filter(|(width, height)| *width.min(height) >= USEFUL) else {
            let is_aside = is_aside || width.is_some() && height.is_some();
            let place = if is_aside { &mut self.aside } else { &mut self.of_unknown_size };
            place.get_or_insert(found);
            return;
        };
        if width.min(height) >= GOOD && !is_aside {
            self.good.get_or_insert(found);
            return;
        }
        let area = u64::from(width) * u64::from(height);
        if self.sized.as_ref().is_none_or(|(largest, _)| area > *largest) {
            self.sized = Some((area, found));
        }
    }

    pub(crate) fn offer_poster(&mut self, tag: &Tag) {
        let poster = tag.get(Attribute::Poster).and_then(|url| Found::new(&url, None));
        self.good = self.good.take().or(poster);
    }

    pub(crate) fn has_good(&self) -> bool {
        self.good.is_some()
    }

    /// The best first.
    pub(crate) fn finish(self) -> Vec<Found> {
        let sized = self.sized.map(|(_, found)| found);
        let mut pictures: Vec<_> = [self.good, sized, self.of_unknown_size, self.aside].into_iter().flatten().collect();
        pictures.dedup_by(|a, b| a.url == b.url);
        pictures
    }
}

/// Where the picture is: pages that load it late name it elsewhere.
fn find_source(tag: &Tag) -> Option<Found> {
    let alt = tag.get(Attribute::Alt);
    let srcset = tag.get(Attribute::Srcset);
    let first = srcset.as_deref().and_then(|set| set.split_ascii_whitespace().next());
    let first = first.map(|url| url.trim_end_matches(','));
    let (late, usual) = (tag.get(Attribute::DataSrc), tag.get(Attribute::Src));
    let urls = [late.as_deref(), usual.as_deref(), first];
    urls.into_iter().flatten().find_map(|url| Found::new(url, alt.as_deref()))
}
