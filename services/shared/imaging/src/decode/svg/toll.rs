//! What painting a drawing costs, by going through it as resvg will: patterns, masks and pictures are
//! painted anew wherever they are used, and each layer takes memory.

use resvg::{
    tiny_skia::Transform,
    usvg::{
        ClipPath, Group, Image, ImageKind, Mask, Node, Paint, Path, Pattern, Rect, Tree,
        filter::{Filter, Kind, Primitive},
        tiny_skia_path::PathSegment,
    },
};

use super::EMBEDDED;
use crate::{decode::Header, error::RenderError, geometry::Size};

/// Pixels that are painted, one over the other: some seconds.
const MOST_WORK: f64 = 5e8;
/// Pixels of all layers that exist at once.
const MOST_LAYERS: f64 = 8.0 * 1024.0 * 1024.0;
/// Of anything that is painted, however small. Keeps this walk short, too.
const LEAST_WORK: f64 = 200.0;
/// Layers reach over the canvas, to both sides.
const OVERHANG: f64 = 5.0;

/// Refuses a drawing that costs too much to paint on a canvas.
pub(super) fn check(tree: &Tree, to_canvas: Transform, canvas: Size) -> Result<(), RenderError> {
    let canvas = Canvas { width: f64::from(canvas.width), height: f64::from(canvas.height) };
    let mut toll = Toll { work: 0.0, layers: 0.0, largest: canvas.times(OVERHANG) };
    toll.group(tree.root(), to_canvas, canvas)
}

/// Pixels that can be painted on.
#[derive(Debug, Clone, Copy)]
struct Canvas {
    width: f64,
    height: f64,
}

impl Canvas {
    fn times(self, factor: f64) -> Self {
        Self { width: self.width * factor, height: self.height * factor }
    }

    fn pixels(self) -> f64 {
        self.width * self.height
    }

    /// As much of an area as fits on this.
    fn fit(self, area: Rect, transform: Transform) -> Self {
        let seen = area.transform(transform);
        let side = |side: Option<f32>, most: f64| side.map_or(most, |side| (f64::from(side) + 4.0).min(most));
        Self {
            width: side(seen.map(|seen| seen.width()), self.width),
            height: side(seen.map(|seen| seen.height()), self.height),
        }
    }
}

struct Toll {
    work: f64,
    layers: f64,
    /// Whatever a drawing says, no layer is larger.
    largest: Canvas,
}

impl Toll {
    fn pay(&mut self, work: f64) -> Result<(), RenderError> {
        self.work += work;
        // Also what is no number.
        if self.work <= MOST_WORK { Ok(()) } else { Err(RenderError::broken("a drawing that takes too long to paint")) }
    }

    /// With some pixels more than before.
    fn layer(
        &mut self,
        pixels: f64,
        painted: impl FnOnce(&mut Self) -> Result<(), RenderError>,
    ) -> Result<(), RenderError> {
        self.pay(pixels * 2.0)?;
        self.layers += pixels;
        if self.layers > MOST_LAYERS {
            return Err(RenderError::broken("a drawing with too many layers"));
        }
        painted(self)?;
        self.layers -= pixels;
        Ok(())
    }

    fn group(&mut self, group: &Group, transform: Transform, canvas: Canvas) -> Result<(), RenderError> {
        self.pay(LEAST_WORK)?;
        let transform = transform.pre_concat(group.transform());
        if !group.should_isolate() {
            return self.children(group, transform, canvas);
        }
        let layer = self.largest.fit(group.layer_bounding_box().to_rect(), transform);
        self.layer(layer.pixels(), |toll| {
            toll.children(group, transform, layer)?;
            group.filters().iter().try_for_each(|filter| toll.filter(filter, transform, layer))?;
            group.clip_path().map_or(Ok(()), |clip| toll.clip(clip, transform, layer))?;
            group.mask().map_or(Ok(()), |mask| toll.mask(mask, transform, layer))
        })
    }

    fn children(&mut self, group: &Group, transform: Transform, canvas: Canvas) -> Result<(), RenderError> {
        group.children().iter().try_for_each(|node| match node {
            Node::Group(group) => self.group(group, transform, canvas),
            Node::Path(path) => self.path(path, transform, canvas),
            Node::Image(image) => self.image(image, canvas),
            Node::Text(text) => self.group(text.flattened(), transform, canvas),
        })
    }

    /// Everything inside is painted on a layer, and that on another.
    fn clip(&mut self, clip: &ClipPath, transform: Transform, layer: Canvas) -> Result<(), RenderError> {
        self.layer(layer.pixels() * 2.0, |toll| {
            toll.clipping(clip.root(), transform.pre_concat(clip.transform()), layer)?;
            clip.clip_path().map_or(Ok(()), |clip| toll.clip(clip, transform, layer))
        })
    }

    fn clipping(&mut self, group: &Group, transform: Transform, layer: Canvas) -> Result<(), RenderError> {
        self.group(group, transform, layer)?;
        group.children().iter().try_for_each(|node| match node {
            Node::Group(inner) => match inner.clip_path() {
                // On a layer as large as the outer one, not as the group.
                Some(clip) => self.clip(clip, transform.pre_concat(inner.transform()), layer),
                None => Ok(()),
            },
            Node::Path(_) | Node::Image(_) | Node::Text(_) => Ok(()),
        })
    }

    fn mask(&mut self, mask: &Mask, transform: Transform, layer: Canvas) -> Result<(), RenderError> {
        self.layer(layer.pixels() * 2.0, |toll| {
            toll.group(mask.root(), transform, layer)?;
            mask.mask().map_or(Ok(()), |mask| toll.mask(mask, transform, layer))
        })
    }

    /// All results are kept to the end.
    fn filter(&mut self, filter: &Filter, transform: Transform, layer: Canvas) -> Result<(), RenderError> {
        let primitives = filter.primitives();
        let results = f64::from(u32::try_from(primitives.len()).unwrap_or(u32::MAX)) + 3.0;
        self.layer(layer.pixels() * results, |toll| {
            for primitive in primitives {
                toll.pay(layer.pixels() * work_per_pixel(primitive, transform, layer))?;
                if let Kind::Image(image) = primitive.kind() {
                    toll.layer(layer.pixels(), |toll| toll.group(image.root(), transform, layer))?;
                }
            }
            Ok(())
        })
    }

    fn path(&mut self, path: &Path, transform: Transform, canvas: Canvas) -> Result<(), RenderError> {
        let lines = LEAST_WORK + lines_of(path, transform, canvas);
        if let Some(fill) = path.fill() {
            self.pay(lines + canvas.fit(path.bounding_box(), transform).pixels())?;
            self.paint(fill.paint(), transform)?;
        }
        if let Some(stroke) = path.stroke() {
            /// Two sides, ends and joins.
            const SIDES: f64 = 4.0;
            let dashes = stroke.dasharray().map_or(0.0, |dashes| dashes_on(path, dashes));
            let area = canvas.fit(path.stroke_bounding_box(), transform).pixels();
            self.pay(SIDES * lines + area + dashes)?;
            self.paint(stroke.paint(), transform)?;
        }
        Ok(())
    }

    fn paint(&mut self, paint: &Paint, transform: Transform) -> Result<(), RenderError> {
        match paint {
            Paint::Pattern(pattern) => self.pattern(pattern, transform),
            Paint::Color(_) | Paint::LinearGradient(_) | Paint::RadialGradient(_) => Ok(()),
        }
    }

    /// One tile, which may be larger than the canvas.
    fn pattern(&mut self, pattern: &Pattern, transform: Transform) -> Result<(), RenderError> {
        let (across, down) = transform.pre_concat(pattern.transform()).get_scale();
        let rect = pattern.rect();
        let tile = Canvas {
            width: f64::from(rect.width()) * f64::from(across) + 1.0,
            height: f64::from(rect.height()) * f64::from(down) + 1.0,
        };
        self.layer(tile.pixels(), |toll| toll.group(pattern.root(), Transform::from_scale(across, down), tile))
    }

    /// It is decoded wherever it is shown.
    fn image(&mut self, image: &Image, canvas: Canvas) -> Result<(), RenderError> {
        /// And made smaller.
        const DECODING: f64 = 16.0;
        let file = match image.kind() {
            ImageKind::JPEG(file) | ImageKind::PNG(file) | ImageKind::GIF(file) | ImageKind::WEBP(file) => file,
            ImageKind::SVG(_) => return Err(RenderError::broken("a drawing in a drawing")),
        };
        let header = Header::read(file, &EMBEDDED)?;
        let pixels = f64::from(u32::try_from(header.size.pixels()).unwrap_or(u32::MAX));
        let bytes = f64::from(u32::try_from(file.len()).unwrap_or(u32::MAX));
        self.pay(canvas.pixels() + pixels * DECODING + bytes)?;
        // Once as it is stored, once as it is shown.
        self.layer(pixels * 2.0, |_| Ok(()))
    }
}

/// How often each pixel of a filter is touched.
fn work_per_pixel(primitive: &Primitive, transform: Transform, layer: Canvas) -> f64 {
    const COPY: f64 = 8.0;
    const BLUR: f64 = 40.0;
    const NOISE: f64 = 40.0;
    let (across, down) = transform.get_scale();
    let window = |radius: f32, scale: f32, side: f64| (2.0 * f64::from(radius) * f64::from(scale) + 3.0).min(side);
    COPY + match primitive.kind() {
        Kind::DropShadow(_) | Kind::GaussianBlur(_) | Kind::DiffuseLighting(_) | Kind::SpecularLighting(_) => BLUR,
        Kind::ConvolveMatrix(matrix) => f64::from(matrix.matrix().columns()) * f64::from(matrix.matrix().rows()) * 4.0,
        Kind::Morphology(shape) => {
            window(shape.radius_x().get(), across, layer.width) * window(shape.radius_y().get(), down, layer.height)
        }
        Kind::Turbulence(noise) => NOISE * (1.0 + f64::from(noise.num_octaves())),
        Kind::Merge(merge) => COPY * f64::from(u32::try_from(merge.inputs().len()).unwrap_or(u32::MAX)),
        _ => COPY,
    }
}

/// Rows that the lines of a path go through, each four times as fine as pixels.
fn lines_of(path: &Path, transform: Transform, canvas: Canvas) -> f64 {
    const ROWS_PER_PIXEL: f64 = 4.0;
    const OF_A_SEGMENT: f64 = 16.0;
    // The norm of what a way across or down becomes downwards.
    let scale = f64::from(transform.ky.abs() + transform.sy.abs());
    let lengths = segments_of(path).map(|length| (length * scale).min(canvas.height) * ROWS_PER_PIXEL + OF_A_SEGMENT);
    lengths.sum()
}

/// Dashes of a whole path, each with its share of work.
fn dashes_on(path: &Path, dashes: &[f32]) -> f64 {
    const OF_A_DASH: f64 = 100.0;
    let pattern: f64 = dashes.iter().copied().map(f64::from).sum();
    let count = f64::from(u32::try_from(dashes.len()).unwrap_or(u32::MAX));
    segments_of(path).sum::<f64>() / pattern * count * OF_A_DASH
}

/// How long the segments of a path are at most, in its own units.
fn segments_of(path: &Path) -> impl Iterator<Item = f64> {
    let (mut at, mut start) = ((0.0, 0.0), (0.0, 0.0));
    path.data().segments().map(move |segment| {
        let (points, count) = match segment {
            PathSegment::MoveTo(point) => {
                start = (f64::from(point.x), f64::from(point.y));
                at = start;
                return 0.0;
            }
            PathSegment::LineTo(a) => ([a; 3], 1),
            PathSegment::QuadTo(a, b) => ([a, b, b], 2),
            PathSegment::CubicTo(a, b, c) => ([a, b, c], 3),
            PathSegment::Close => {
                let length = (start.0 - at.0).hypot(start.1 - at.1);
                at = start;
                return length;
            }
        };
        points.iter().take(count).fold(0.0, |length, point| {
            let from = at;
            at = (f64::from(point.x), f64::from(point.y));
            length + (at.0 - from.0).hypot(at.1 - from.1)
        })
    })
}
