//! Which of its thumbnails a picture has: sizes as they are set, formats, and what moves.

use heliograph_imaging::Wanted as Drawn;
use heliograph_types::{
    ThumbnailFormat::{Avif, WebP},
    ThumbnailVariant,
};

use super::*;

/// Works as usual, but takes each file for as many pictures as it is told, says what it was to do,
/// and makes the usual still thumbnail whatever is wanted.
pub(super) struct Watched {
    threads: Threads,
    frames: u32,
    drawn: Mutex<Vec<Drawn>>,
    jobs: AtomicUsize,
}

impl Watched {
    pub(super) fn new(frames: u32) -> Arc<Self> {
        Arc::new(Self { threads: Threads::start(1), frames, drawn: Mutex::default(), jobs: AtomicUsize::new(0) })
    }

    /// Jobs since this was asked last.
    pub(super) fn take_jobs(&self) -> usize {
        self.jobs.swap(0, Ordering::SeqCst)
    }

    /// What was drawn since this was asked last.
    pub(super) fn take_drawn(&self) -> Vec<String> {
        let drawn = std::mem::take(&mut *self.drawn.lock().unwrap());
        drawn.into_iter().map(|Drawn { spec, format }| ThumbnailVariant { spec, format }.to_string()).collect()
    }
}

#[async_trait]
impl Bench for Watched {
    async fn look(&self, file: &PictureFile, rules: &Rules, flown: &Flown) -> Result<Header, Refusal> {
        Ok(Header { frames: self.frames, ..self.threads.look(file, rules, flown).await? })
    }

    async fn work(&self, file: &PictureFile, mut job: Job, cost: Cost, flown: &Flown) -> Result<Done, Refusal> {
        self.drawn.lock().unwrap().extend(&job.wanted);
        self.jobs.fetch_add(1, Ordering::SeqCst);
        for wanted in &mut job.wanted {
            wanted.format = Usual;
            wanted.spec.animated = false;
        }
        self.threads.work(file, job, cost, flown).await
    }
}

impl Room {
    async fn get(&self, variant: &str) -> Thumbnail {
        let ThumbnailVariant { spec, format } = variant.parse().unwrap();
        self.contract.render(Render { mxc: mxc("sun"), spec, format }).await.unwrap()
    }

    /// The last parts of the keys of all that is stored of pictures.
    pub(super) async fn stored(&self) -> Vec<String> {
        let stored: Vec<_> = self.deps.blobs.list(&Key::new("thumbs").unwrap()).collect().await;
        let name = |key: Key| key.as_str().rsplit('/').next().unwrap().to_owned();
        let mut names: Vec<_> = stored.into_iter().map(|listed| name(listed.unwrap().0)).collect();
        names.sort();
        names
    }
}

async fn open_sun(change: impl FnOnce(&mut ThumbnailsConfig), frames: u32) -> (Room, Arc<Watched>) {
    let watched = Watched::new(frames);
    let room = open_with(change, Some(Arc::clone(&watched) as _));
    room.add("sun", "image/jpeg", &sample_picture()).await;
    (room, watched)
}

#[actix::test]
async fn what_moves_is_another_than_the_still_one_and_made_once_in_whatever_format() {
    let (room, watched) = open_sun(|_| {}, 9).await;

    room.get("90x90-crop-animated").await;
    room.get("96x96-crop-animated.avif").await;
    room.get("96x96-crop").await;
    room.get("96x96-crop-animated.avif").await;

    assert_eq!(watched.take_drawn(), ["96x96-crop-animated", "96x96-crop"]);
    assert_eq!(room.stored().await, ["96x96-crop", "96x96-crop-animated", "96x96-crop-animated.avif"]);
}

#[actix::test]
async fn who_wants_what_stands_still_to_move_gets_the_still_one_and_nothing_is_made_twice() {
    let (room, watched) = open_sun(|_| {}, 1).await;

    let still = room.get("96x96-crop").await;
    let asked_to_move = room.get("96x96-crop-animated").await;
    let other_way_round = room.get("320x240-scale-animated").await;
    assert_eq!(watched.take_drawn(), ["96x96-crop", "320x240-scale"]);
    // Gone: what is stored answers, without a look at the picture.
    room.deps.blobs.delete(&Key::new("blobs/sun").unwrap()).await.unwrap();

    assert_eq!((&room.get("96x96-crop-animated").await, &still), (&asked_to_move, &still));
    assert_eq!(room.get("320x240-scale").await, other_way_round);
    assert_eq!(room.get("320x240-scale-animated").await, other_way_round);
    assert_eq!(watched.take_drawn(), [""; 0]);
}

#[actix::test]
async fn nothing_moves_if_that_is_switched_off() {
    let (room, watched) = open_sun(|config| config.animated = false, 9).await;

    room.get("96x96-crop-animated").await;

    assert_eq!(watched.take_drawn(), ["96x96-crop"]);
    assert_eq!(room.stored().await, ["96x96-crop"]);
}

#[actix::test]
async fn each_format_is_made_and_stored_for_itself() {
    let (room, watched) = open_sun(|_| {}, 1).await;

    for _ in 0..2 {
        for variant in ["90x90-crop", "90x90-crop.webp", "90x90-crop.avif"] {
            room.get(variant).await;
        }
    }

    assert_eq!(watched.take_drawn(), ["96x96-crop", "96x96-crop.webp", "96x96-crop.avif"]);
    assert_eq!(room.stored().await, ["96x96-crop", "96x96-crop.avif", "96x96-crop.webp"]);
}

#[actix::test]
async fn a_thumbnail_of_a_stranger_is_made_in_the_format_that_is_wanted() {
    let (room, watched) = open_sun(|_| {}, 1).await;
    let spec: ThumbnailSpec = "96x96-crop-animated".parse().unwrap();

    for format in [Usual, WebP, Avif] {
        room.contract.remake(Remake { image: sample_picture().into(), spec, format }).await.unwrap();
    }

    assert_eq!(watched.take_drawn(), ["96x96-crop", "96x96-crop.webp", "96x96-crop.avif"]);
    assert_eq!(room.stored().await, [""; 0]);
}

#[actix::test]
async fn sizes_are_those_that_are_set() {
    let sizes = |config: &mut ThumbnailsConfig| {
        config.boxes = vec!["100x100".parse().unwrap(), "200x150".parse().unwrap()];
        config.squares = vec![50];
    };
    let (room, _) = open_sun(sizes, 1).await;

    for variant in ["10x10-scale", "101x101-scale", "9000x9000-scale", "40x40-crop", "60x60-crop"] {
        room.get(variant).await;
    }

    assert_eq!(room.stored().await, ["100x100-scale", "200x150-scale", "50x50-crop"]);
}

#[actix::test]
async fn dynamic_sizes_are_made_and_stored_exactly() {
    let (room, _) = open_sun(|config| config.dynamic_sizes = true, 1).await;

    // The picture is 640x480: the last one cannot be as it was asked for, and is stored all the same.
    for (variant, size) in
        [("100x100-scale", (100, 75)), ("61x67-crop", (61, 67)), ("61x67-crop", (61, 67)), ("700x70-crop", (640, 70))]
    {
        let header = Header::read(&room.get(variant).await.image, &ANY).unwrap();
        assert_eq!((header.size.width, header.size.height), size, "{variant}");
    }

    assert_eq!(room.stored().await, ["100x100-scale", "61x67-crop", "700x70-crop"]);
}
