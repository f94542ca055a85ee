//! Settings of the thumbnailer.

#[cfg(feature = "service")]
mod means;
mod renderers;

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use bytesize::ByteSize;
use heliograph_types::{Sizes, ThumbnailBox, ThumbnailFormat, ThumbnailSpec};

use self::renderers::is_pdf_renderer;
#[cfg(feature = "service")]
pub(crate) use self::renderers::{MUTOOL, is_called};

/// Without a setting: as the protocol reference advises.
const MOST_PIXELS: NonZeroU32 = NonZeroU32::new(32_000_000).unwrap();
const QUEUE_LIMIT: NonZeroUsize = NonZeroUsize::new(128).unwrap();
const PREMADE_QUEUE_LIMIT: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
const PREMADE_TRIES: NonZeroU32 = NonZeroU32::new(3).unwrap();
const MOST_FRAMES: NonZeroU32 = NonZeroU32::new(500).unwrap();
const MOST_ANIMATED_PIXELS: NonZeroU32 = NonZeroU32::new(100_000_000).unwrap();
/// Of thumbnails that are made of one picture at once.
const MOST_PREMADE: usize = 16;

const WORKER_JOBS: NonZeroU32 = NonZeroU32::new(500).unwrap();

heliograph_settings::choice! {
    /// How much is taken from worker processes.
    pub enum JailChoice {
        /// Everything, or there are none.
        Strict = "strict",
        /// What the system offers.
        Available = "available",
        /// Only memory and time.
        Off = "off",
    }
}

heliograph_settings::settings! {
    /// Thumbnails: how they are made, and how much that may cost. HEIC is not read: no decoder of
    /// it has a permissive licence but one that needs a newer libheif than Debian has.
    pub struct ThumbnailsConfig {
        /// Pictures that are worked on at once, each by a process of its own, which is started when it
        /// is needed; at most 1024. Without it, one per processor core. One that waits for work takes
        /// about 5 MiB.
        pub workers: Option<NonZeroUsize> = None,
        /// What is taken from the processes that work on pictures. `available`: whatever the
        /// system offers, and what it lacks is logged at start. `strict`: all of seccomp, landlock
        /// and no_new_privs, or we do not start. `off`: only memory and time are bounded: for
        /// systems that are in the way, never for pictures of strangers.
        pub jail: JailChoice = JailChoice::Available,
        /// Memory that all pictures in work may take together, as their headers let us estimate; the others wait
        /// for it. Small pictures pass large ones that wait, but not for ever. Without it, a quarter of
        /// the memory of the machine or of the container, but never less than `job_memory`. What is in buckets
        /// is kept in memory beside this while it is worked on: up to `max_source_size` for each of
        /// twice as many as there are `workers`.
        pub memory: Option<ByteSize> = None,
        /// Memory that one picture may take, no more than `memory`; of one that needs more no thumbnail is made
        /// (`M_TOO_LARGE`), and one that takes more than it seemed to costs its worker.
        pub job_memory: ByteSize = ByteSize::mib(512),
        /// Time on the processor that a picture may take at most; one that takes longer costs its worker, and
        /// no thumbnail is made of it for a while. Small ones have less: 4 seconds, and half a second for
        /// each megapixel.
        pub job_timeout: Duration = Duration::from_secs(20),
        /// Pictures that a process works on before it makes room for a new one.
        pub worker_jobs: NonZeroU32 = WORKER_JOBS,
        /// Thumbnails that may be waiting or in the making; more are refused with
        /// `M_LIMIT_EXCEEDED`. One that waits holds no picture in memory; if it is to be made of a
        /// thumbnail of another server, that one, with at most 4 MiB.
        pub queue_limit: NonZeroUsize = QUEUE_LIMIT,
        /// How long a request waits for its thumbnail; then it is refused with
        /// `M_LIMIT_EXCEEDED`.
        pub timeout: Duration = Duration::from_secs(30),
        /// The largest file that is opened; for a larger one the answer is `M_TOO_LARGE`.
        pub max_source_size: ByteSize = ByteSize::mib(64),
        /// The most pixels (width times height) that a picture may have; for one with more the
        /// answer is `M_TOO_LARGE`.
        pub max_pixels: NonZeroU32 = MOST_PIXELS,
        /// The path of ffmpeg, such as `/usr/bin/ffmpeg`, which makes pictures of films (the first good frame) and finds the cover of
        /// music. Without it, there are no thumbnails of those. It runs in a jail of its own, as far as the
        /// system offers one: without a network, other processes, and files but the one it works on, libraries and fonts. What it
        /// makes is worked on like any other picture. Our image has no such programs: it must be built upon for that.
        pub ffmpeg: Option<PathBuf> = None,
        /// The path of pdftoppm (of poppler) or mutool, such as `/usr/bin/pdftoppm`, which makes pictures of the first page of PDFs,
        /// likewise. Which of them it is, the name of the file tells.
        pub pdf_renderer: Option<PathBuf> = None,
        /// The largest file that is given to such a helper; for a larger one the answer is `M_TOO_LARGE`.
        /// Of one in a bucket a copy lies in the folder for temporary files (`TMPDIR`, else `/tmp`) meanwhile.
        pub max_helper_source_size: ByteSize = ByteSize::mib(512),
        /// Time that a helper may take, by the clock and on the processor; then it is ended, and there is no thumbnail.
        pub helper_timeout: Duration = Duration::from_secs(20),
        /// Memory that a helper may take, all of its address space. As many run at once as there are `workers`.
        pub helper_memory: ByteSize = ByteSize::gib(1),
        /// Quality of JPEG thumbnails, from 1 (small) to 100 (good).
        pub jpeg_quality: u8 = 80,
        /// Quality of WebP thumbnails, from 1 (small) to 100 (good).
        pub webp_quality: u8 = 80,
        /// Quality of AVIF thumbnails, from 1 (small) to 100 (good). Its numbers mean more than
        /// those of the others: 60 looks like 80 there.
        pub avif_quality: u8 = 60,
        /// Sizes that `scale` is made in, each around the one before it. A request gets the first
        /// that it fits into, or the last; so few thumbnails are stored of each picture. Must be the
        /// same for the roles `api` and `thumbnails`.
        pub boxes: Vec<ThumbnailBox> = Sizes::default().boxes,
        /// Sides of the squares that `crop` is made in, from the smallest. A request for a square gets
        /// the first that is as large; one for a larger square, or for another shape that is not in
        /// `boxes`, is made for its caller alone and not stored. Must be the same for the roles `api`
        /// and `thumbnails`.
        pub squares: Vec<u32> = Sizes::default().squares,
        /// Whether exactly the size that was asked for is made and stored, instead of those of
        /// `boxes` and `squares`. Whoever may read a picture can then fill the store with thumbnails
        /// of it. Must be the same for the roles `api` and `thumbnails`.
        pub dynamic_sizes: bool = false,
        /// Whether a picture that moves keeps doing so in thumbnails for which a client asks with
        /// `animated=true` (MSC2705); they are WebP then. `false` makes all of them stand still. Must
        /// be the same for the roles `api` and `thumbnails`.
        pub animated: bool = true,
        /// The most pictures that an animation may have; of one with more, the thumbnail stands
        /// still.
        pub max_frames: NonZeroU32 = MOST_FRAMES,
        /// The most pixels of all pictures of an animation together; of one with more, the thumbnail
        /// stands still.
        pub max_animated_pixels: NonZeroU32 = MOST_ANIMATED_PIXELS,
        /// Formats that a client gets if its `Accept` header names them, the best first: `"webp"`,
        /// `"avif"` (MSC4011). `image/*` and `*/*` name none. Without it thumbnails are JPEG and PNG
        /// alone, as the specification says. Each format is stored beside the usual one; AVIF takes
        /// many times longer to make. Must be the same for the roles `api` and `thumbnails`.
        pub formats: Vec<ThumbnailFormat> = Vec::new(),
        /// Thumbnails that are made of each picture when it has been uploaded, all from one look at
        /// it, such as `["32x32-crop", "96x96-crop", "320x240-scale", "640x480-scale",
        /// "800x600-scale"]`; at most 16. They must be ones that are stored. Without it thumbnails are
        /// made when somebody asks for them: many never are. Must be the same for the roles `api` and
        /// `thumbnails`.
        pub premade: Vec<ThumbnailSpec> = Vec::new(),
        /// Uploads whose `premade` thumbnails may be waiting to be made, in the whole cluster; those of
        /// more uploads are made when somebody asks for them. With `state.redis_url` they wait in Redis, and
        /// outlive those who make them: about 200 bytes for each, in the stream `queue:{thumbnails}` after
        /// `state.key_prefix`. Its length (`XLEN`) is the number of uploads that are not done, by which the
        /// role `thumbnails` can be scaled. The role `api` counts them.
        pub premade_queue_limit: NonZeroUsize = PREMADE_QUEUE_LIMIT,
        /// How often it is tried to make the `premade` thumbnails of an upload, if it fails otherwise than by
        /// the fault of the picture: the store does not answer, it takes longer than `timeout`, or the process
        /// ends. Then the upload is set aside with the reason
        /// (`/_heliograph/admin/v1/queues/thumbnails/aside`), and they are made when somebody asks for them.
        pub premade_tries: NonZeroU32 = PREMADE_TRIES,
        /// How long a process remembers that nothing can be made of a file, and does not try again.
        pub remember_refused: Duration = Duration::from_mins(5),
        /// How long all processes remember that a file made a decoder crash, or took too much of it.
        /// Whatever medium the same content is uploaded as, it is not tried again until then.
        pub remember_poison: Duration = Duration::from_hours(1),
        /// Whether thumbnails are made of SVG. A drawing is a small program: it is weighed before it is
        /// drawn, nothing outside the file is looked at, and text is only drawn in a font of ours. Still, each
        /// may need up to 192 MiB and some seconds.
        pub svg: bool = false,
    }
}

impl ThumbnailsConfig {
    /// How many new pictures may wait; none do if nothing is made of them.
    pub fn premade_queue(&self) -> Option<NonZeroUsize> {
        (!self.premade.is_empty()).then_some(self.premade_queue_limit)
    }

    /// Which thumbnails there are.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            boxes: self.boxes.clone(),
            squares: self.squares.clone(),
            dynamic: self.dynamic_sizes,
            animated: self.animated,
        }
    }

    /// What is wrong with the helpers, by field.
    fn helper_contradictions(&self) -> Vec<(&'static str, String)> {
        let helpers = [("ffmpeg", &self.ffmpeg), ("pdf_renderer", &self.pdf_renderer)];
        let named = helpers.into_iter().filter_map(|(key, program)| Some((key, program.as_ref()?)));
        let relative = named.filter(|(_, program)| !program.is_absolute());
        let mut found: Vec<_> = relative.map(|(key, _)| (key, "must be an absolute path".to_owned())).collect();
        if self.pdf_renderer.as_ref().is_some_and(|program| !is_pdf_renderer(program)) {
            found.push(("pdf_renderer", "must be pdftoppm or mutool: others are not known".to_owned()));
        }
        found
    }

    /// What does not go together, by field.
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = self.helper_contradictions();
        found.extend(check_boxes(&self.boxes).map(|message| ("boxes", message)));
        found.extend(check_squares(&self.squares).map(|message| ("squares", message)));
        found.extend(check_formats(&self.formats).map(|message| ("formats", message)));
        let sizes = self.sizes();
        let unstored = self.premade.iter().filter(|spec| sizes.stored_form(**spec) != Some(**spec));
        found.extend(unstored.map(|spec| ("premade", format!("{spec} would not be stored: it is in no other list"))));
        if self.premade.len() > MOST_PREMADE {
            found.push(("premade", format!("must be at most {MOST_PREMADE}, not {}", self.premade.len())));
        }
        found
    }
}

fn check_boxes(boxes: &[ThumbnailBox]) -> Option<String> {
    let most = ThumbnailSpec::MAX_SIDE;
    if boxes.is_empty() {
        return Some("must have at least one size".to_owned());
    }
    if let Some(large) = boxes.iter().find(|size| size.width > most || size.height > most) {
        return Some(format!("must not have sides longer than {most}, as {large} has"));
    }
    let wrong = boxes.windows(2).find(|pair| pair[0] == pair[1] || !pair[1].surrounds(pair[0]))?;
    Some(format!(
        "must go from small to large, each around the one before it: {} does not fit into {}",
        wrong[0], wrong[1]
    ))
}

fn check_squares(squares: &[u32]) -> Option<String> {
    let most = ThumbnailSpec::MAX_SIDE;
    if squares.is_empty() {
        return Some("must have at least one side".to_owned());
    }
    if let Some(side) = squares.iter().find(|side| !(1..=most).contains(*side)) {
        return Some(format!("must have sides from 1 to {most}, not {side}"));
    }
    let wrong = squares.windows(2).find(|pair| pair[0] >= pair[1])?;
    Some(format!("must go from small to large: {} comes before {}", wrong[0], wrong[1]))
}

fn check_formats(formats: &[ThumbnailFormat]) -> Option<String> {
    let twice = formats.iter().enumerate().find(|(index, format)| formats[..*index].contains(format))?;
    Some(format!("must have each format once, not {} twice", twice.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fields(change: impl FnOnce(&mut ThumbnailsConfig)) -> Vec<&'static str> {
        let mut config = ThumbnailsConfig::default();
        change(&mut config);
        config.contradictions().into_iter().map(|(field, _)| field).collect()
    }

    fn boxes(sizes: &[&str]) -> Vec<ThumbnailBox> {
        sizes.iter().map(|size| size.parse().unwrap()).collect()
    }

    #[test]
    fn sizes_go_from_small_to_large_within_bounds() {
        assert_eq!(fields(|_| {}), [""; 0]);
        for wrong in [&[][..], &["32769x1"], &["2x2", "1x3"], &["2x2", "2x2"], &["3x1", "2x2"]] {
            assert_eq!(fields(|config| config.boxes = boxes(wrong)), ["boxes"], "{wrong:?}");
        }
        assert_eq!(fields(|config| config.boxes = boxes(&["1x1", "1x2", "32768x32768"])), [""; 0]);
        for wrong in [&[][..], &[0], &[32_769], &[2, 1], &[2, 2]] {
            assert_eq!(fields(|config| config.squares = wrong.to_vec()), ["squares"], "{wrong:?}");
        }
    }

    #[test]
    fn what_is_made_beforehand_is_what_is_stored() {
        let premade = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        let fine = premade(&["32x32-crop", "96x96-crop-animated", "320x240-scale", "640x480-crop"]);

        assert_eq!(fields(|config| config.premade = fine), [""; 0]);
        for wrong in ["33x33-crop", "100x100-scale", "32768x1-crop"] {
            assert_eq!(fields(|config| config.premade = premade(&[wrong])), ["premade"], "{wrong}");
        }
        let still = |config: &mut ThumbnailsConfig| {
            config.animated = false;
            config.premade = premade(&["96x96-crop-animated"]);
        };
        assert_eq!(fields(still), ["premade"]);
        assert_eq!(fields(|config| config.premade = premade(&["32x32-crop"; 17])), ["premade"]);
    }

    #[test]
    fn a_format_is_offered_once() {
        use ThumbnailFormat::{Avif, WebP};

        assert_eq!(fields(|config| config.formats = vec![Avif, WebP]), [""; 0]);
        assert_eq!(fields(|config| config.formats = vec![WebP, WebP]), ["formats"]);
    }
}
