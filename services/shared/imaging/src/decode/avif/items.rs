//! The pictures of a file, and where they are (ISO 14496-12 and 23008-12).

use std::borrow::Cow;

use super::{
    boxes::{Fields, boxes, find},
    properties::{Property, read_properties},
};
use crate::{error::RenderError, geometry::Size};

/// For a profile, and for as many tiles as there may be.
const MOST_BYTES: usize = 8 << 20;
const MOST_ITEMS: usize = 1024;
const MOST_PIECES: u16 = 256;
const MOST_TILES: u32 = 256;

/// What a file says of its pictures.
pub(super) struct Meta<'f> {
    file: &'f [u8],
    /// Data that is kept among the descriptions.
    near: &'f [u8],
    primary: u32,
    kinds: Vec<(u32, [u8; 4])>,
    places: Vec<Place>,
    references: Vec<Reference>,
    properties: Vec<Property<'f>>,
    /// Of each item, its properties by number, the first one being 1.
    owned: Vec<(u32, Vec<u16>)>,
}

/// Where an item is.
struct Place {
    item: u32,
    is_near: bool,
    /// Where each piece begins and how long it is; 0 is all that is left.
    pieces: Vec<(u64, u64)>,
}

struct Reference {
    kind: [u8; 4],
    from: u32,
    to: Vec<u32>,
}

/// One picture of a file.
#[derive(Clone, Copy)]
pub(super) struct Item<'m> {
    meta: &'m Meta<'m>,
    id: u32,
}

/// How tiles make a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) columns: u32,
    pub(super) rows: u32,
    pub(super) size: Size,
}

fn broken() -> RenderError {
    RenderError::broken("no header")
}

impl<'f> Meta<'f> {
    pub(super) fn read(file: &'f [u8]) -> Result<Self, RenderError> {
        let content = find(file, *b"meta").filter(|content| content.len() <= MOST_BYTES).ok_or_else(broken)?;
        Self::parse(file, content).ok_or_else(broken)
    }

    fn parse(file: &'f [u8], content: &'f [u8]) -> Option<Self> {
        let mut content = Fields(content);
        content.version()?;
        let content = content.0;
        let described = find(content, *b"iprp")?;
        Some(Self {
            file,
            near: find(content, *b"idat").unwrap_or_default(),
            primary: read_primary(find(content, *b"pitm")?)?,
            kinds: read_kinds(find(content, *b"iinf")?)?,
            places: read_places(find(content, *b"iloc")?)?,
            references: find(content, *b"iref").map_or(Some(Vec::new()), read_references)?,
            properties: read_properties(find(described, *b"ipco")?),
            owned: read_owned(find(described, *b"ipma")?)?,
        })
    }

    /// The picture that the file is for.
    pub(super) fn primary(&self) -> Result<Item<'_>, RenderError> {
        self.item(self.primary).ok_or_else(broken)
    }

    fn item(&self, id: u32) -> Option<Item<'_>> {
        self.kinds.iter().any(|(item, _)| *item == id).then_some(Item { meta: self, id })
    }

    /// The picture that says how opaque `item` is.
    pub(super) fn alpha_of(&self, item: &Item<'_>) -> Option<Item<'_>> {
        let belongs = |reference: &&Reference| reference.kind == *b"auxl" && reference.to.contains(&item.id);
        let candidates = self.references.iter().filter(belongs).filter_map(|reference| self.item(reference.from));
        candidates.into_iter().find(|item| item.properties().any(|property| *property == Property::IsAlpha))
    }

    /// Whether the colors of `item` are multiplied by its alpha already.
    pub(super) fn is_premultiplied(&self, item: &Item<'_>) -> bool {
        self.references.iter().any(|reference| reference.kind == *b"prem" && reference.from == item.id)
    }

    /// The parts of `item`, row by row.
    pub(super) fn tiles_of(&self, item: &Item<'_>, count: u32) -> Result<Vec<Item<'_>>, RenderError> {
        let reference = self.references.iter().find(|found| found.kind == *b"dimg" && found.from == item.id);
        let ids = reference.map(|reference| &*reference.to).unwrap_or_default();
        let tiles: Vec<_> = ids.iter().filter_map(|id| self.item(*id)).filter(|tile| !tile.is_grid()).collect();
        if u32::try_from(tiles.len()) != Ok(count) || count > MOST_TILES {
            return Err(RenderError::broken("another number of tiles than the grid has"));
        }
        Ok(tiles)
    }
}

impl<'m> Item<'m> {
    pub(super) fn properties(&self) -> impl Iterator<Item = &'m Property<'m>> + use<'m> {
        let meta = self.meta;
        let owned = meta.owned.iter().find(|(item, _)| *item == self.id).map(|(_, numbers)| &**numbers);
        let numbers = owned.unwrap_or_default().iter();
        numbers.filter_map(|number| meta.properties.get(usize::from(*number).checked_sub(1)?))
    }

    /// For properties that a picture made of tiles has only there.
    pub(super) fn first_tile(&self) -> Option<Self> {
        let reference = self.meta.references.iter().find(|found| found.kind == *b"dimg" && found.from == self.id)?;
        self.meta.item(*reference.to.first()?)
    }

    fn is_grid(&self) -> bool {
        self.meta.kinds.contains(&(self.id, *b"grid"))
    }

    /// How its tiles lie, if it has some.
    pub(super) fn grid(&self) -> Result<Option<Grid>, RenderError> {
        if !self.is_grid() {
            return Ok(None);
        }
        read_grid(&self.data()?).map(Some).ok_or_else(|| RenderError::broken("a grid that cannot be read"))
    }

    /// What is coded; all of it must be there, as rav1d ends the process where its data ends.
    pub(super) fn data(&self) -> Result<Cow<'m, [u8]>, RenderError> {
        let missing = || RenderError::broken("a picture that is not there");
        let place = self.meta.places.iter().find(|place| place.item == self.id).ok_or_else(missing)?;
        let storage = if place.is_near { self.meta.near } else { self.meta.file };
        let piece = |(from, length): &(u64, u64)| {
            let rest = storage.get(usize::try_from(*from).ok()?..)?;
            if *length == 0 { Some(rest) } else { rest.get(..usize::try_from(*length).ok()?) }
        };
        if let [only] = &*place.pieces {
            return piece(only).filter(|data| !data.is_empty()).map(Cow::Borrowed).ok_or_else(missing);
        }
        let mut data = Vec::new();
        for part in place.pieces.iter().map(piece) {
            let part = part.ok_or_else(missing)?;
            // Pieces may lie over each other: together they cannot be more than there is.
            if data.len() + part.len() > storage.len() {
                return Err(missing());
            }
            data.extend_from_slice(part);
        }
        if data.is_empty() { Err(missing()) } else { Ok(data.into()) }
    }
}

fn read_primary(content: &[u8]) -> Option<u32> {
    let mut fields = Fields(content);
    let (version, _) = fields.version()?;
    fields.id(version > 0)
}

fn read_kinds(content: &[u8]) -> Option<Vec<(u32, [u8; 4])>> {
    let mut fields = Fields(content);
    let (version, _) = fields.version()?;
    fields.id(version > 0)?;
    let entries = boxes(fields.0).filter(|entry| entry.name == *b"infe").take(MOST_ITEMS);
    entries.map(|entry| read_kind(entry.content)).collect()
}

fn read_kind(content: &[u8]) -> Option<(u32, [u8; 4])> {
    let mut fields = Fields(content);
    let (version, _) = fields.version()?;
    let item = fields.id(version > 2)?;
    let _protection = fields.u16()?;
    Some((item, fields.name()?))
}

fn read_places(content: &[u8]) -> Option<Vec<Place>> {
    let mut fields = Fields(content);
    let (version, _) = fields.version()?;
    let (sizes, more_sizes) = (fields.u8()?, fields.u8()?);
    let count = fields.id(version > 1)? as usize;
    (count <= MOST_ITEMS).then_some(())?;
    (0..count)
        .map(|_| {
            let item = fields.id(version > 1)?;
            let method = if version > 0 { fields.u16()? & 0xf } else { 0 };
            let _file = fields.u16()?;
            let base = fields.sized(more_sizes >> 4)?;
            let piece_count = fields.u16().filter(|count| *count <= MOST_PIECES)?;
            let mut piece = || {
                let _index = if version > 0 { fields.sized(more_sizes & 0xf)? } else { 0 };
                let from = base.checked_add(fields.sized(sizes >> 4)?)?;
                Some((from, fields.sized(sizes & 0xf)?))
            };
            let pieces = (0..piece_count).map(|_| piece()).collect::<Option<_>>()?;
            // The third method, parts of other items, is for what is no picture.
            Some(Place { item, is_near: method == 1, pieces: if method > 1 { Vec::new() } else { pieces } })
        })
        .collect()
}

fn read_references(content: &[u8]) -> Option<Vec<Reference>> {
    let mut fields = Fields(content);
    let (version, _) = fields.version()?;
    let is_long = version > 0;
    boxes(fields.0)
        .take(MOST_ITEMS)
        .map(|reference| {
            let mut fields = Fields(reference.content);
            let from = fields.id(is_long)?;
            let count = fields.u16()?;
            let to = (0..count).map(|_| fields.id(is_long)).collect::<Option<_>>()?;
            Some(Reference { kind: reference.name, from, to })
        })
        .collect()
}

fn read_owned(content: &[u8]) -> Option<Vec<(u32, Vec<u16>)>> {
    let mut fields = Fields(content);
    let (version, flags) = fields.version()?;
    let count = fields.u32()? as usize;
    (count <= MOST_ITEMS).then_some(())?;
    let is_wide = flags & 1 != 0;
    (0..count)
        .map(|_| {
            let item = fields.id(version > 0)?;
            let count = fields.u8()?;
            // The first bit says that who does not know the property should not show the picture.
            let mut number =
                || if is_wide { fields.u16().map(|n| n & 0x7fff) } else { fields.u8().map(|n| (n & 0x7f).into()) };
            Some((item, (0..count).map(|_| number()).collect::<Option<_>>()?))
        })
        .collect()
}

fn read_grid(data: &[u8]) -> Option<Grid> {
    let mut fields = Fields(data);
    let (_version, flags) = (fields.u8()?, fields.u8()?);
    let (rows, columns) = (u32::from(fields.u8()?) + 1, u32::from(fields.u8()?) + 1);
    let mut side = || fields.id(flags & 1 != 0);
    Some(Grid { columns, rows, size: Size { width: side()?, height: side()? } })
}
