//! What is measured.

use std::{
    hint::black_box,
    num::NonZeroUsize,
    rc::Rc,
    sync::{Arc, LazyLock},
    time::Duration,
};

use futures_util::FutureExt;
use heliograph_api::testing::HotPath;
use heliograph_catalog::MediaRecord;
use heliograph_imaging::{Job, Quality, Rules, Scratch, Wanted, sample_picture, work};
use heliograph_jpeg::{Chroma, Decoder, Limits, Scale};
use heliograph_leases::EmbeddedState;
use heliograph_matrix::{
    Credentials, Homeserver, HomeserverConfig, KeyId, Presented, SignedRequest, SigningKey, TokenChecker, Whoami,
    WhoamiDeps, build_homeserver_client,
};
use heliograph_runtime::{LogFormat, Metrics, Telemetry, TelemetryConfig, wanted_range};
use heliograph_types::{
    ContentType, FileName, ManualClock, ServerName, ThumbnailFormat, ThumbnailMethod, ThumbnailSpec, Timestamp,
};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::homeserver;

/// One thing that is done again and again.
pub(crate) struct Piece {
    pub(crate) name: &'static str,
    times: u32,
    /// What does it, within a function of its name.
    within: fn(&mut dyn FnMut()),
    it: Box<dyn FnMut()>,
    pub(crate) counts_allocations: bool,
}

impl Piece {
    /// Does it as often as makes a good mean.
    pub(crate) fn repeat(mut self) {
        // What is done the first time only is not what it costs.
        (self.it)();
        for _ in 0..self.times {
            (self.within)(&mut *self.it);
        }
    }

    /// How often memory is taken for it, as long as nothing grows meanwhile.
    pub(crate) fn allocations(&mut self) -> u64 {
        (self.it)();
        let least = (0..5).map(|_| allocation_counter::measure(|| (self.it)()).count_total).min();
        least.unwrap_or_default()
    }
}

macro_rules! pieces {
    ($($name:ident, $times:literal $(, $counts:ident)?: $it:expr;)+) => {
        /// Their names.
        pub(crate) const FUNCTIONS: &[&str] = &[$(stringify!($name)),+];

        $(#[inline(never)]
        fn $name(it: &mut dyn FnMut()) {
            // No two of these functions are alike: else they could become one.
            black_box(stringify!($name));
            it();
        })+

        /// All of them, ready.
        pub(crate) fn all() -> Vec<Piece> {
            let world = World::new();
            vec![$({
                let make: fn(&World) -> Box<dyn FnMut()> = $it;
                let counts_allocations = [$(stringify!($counts))?].contains(&"allocations");
                Piece { name: stringify!($name), times: $times, within: $name, it: make(&world), counts_allocations }
            }),+]
        }
    };
}

pieces! {
    download_from_memory, 200, allocations: |world| world.ask("/_matrix/client/v1/media/download/ours.example/here");
    thumbnail_from_memory, 200, allocations: |world| {
        world.ask("/_matrix/client/v1/media/thumbnail/ours.example/here?width=320&height=240&method=scale")
    };
    not_modified, 200, allocations: |world| world.ask_again("/_matrix/client/v1/media/download/ours.example/here");
    token_from_memory, 500, allocations: World::look_up_token;
    range, 2000: |_| {
        Box::new(|| drop(black_box(wanted_range(black_box(Some("bytes=0-99, 200-299, -5")), black_box(10_000)))))
    };
    read_x_matrix, 1000: |_| {
        let header = signed().sign(&key());
        Box::new(move || drop(black_box(Credentials::parse(black_box(&header)).unwrap())))
    };
    verify_x_matrix, 20: |_| {
        let (public_key, signed) = (key().public_key(), signed());
        let credentials = Credentials::parse(&signed.sign(&key())).unwrap();
        Box::new(move || assert!(signed.is_signed_by(black_box(&public_key), &credentials.signature)))
    };
    canonical_json, 1000: |_| {
        let signed = signed();
        Box::new(move || drop(black_box(black_box(signed).to_json())))
    };
    write_record, 1000: |_| {
        let record = record();
        Box::new(move || drop(black_box(serde_json::to_vec(black_box(&record)).unwrap())))
    };
    read_record, 1000: |_| {
        let text = serde_json::to_vec(&record()).unwrap();
        Box::new(move || drop(black_box(serde_json::from_slice::<MediaRecord>(black_box(&text)).unwrap())))
    };
    decode_jpeg_at_an_eighth, 2: |_| {
        let picture = sample_picture();
        Box::new(move || {
            let decoder = Decoder::new(black_box(&picture[..]), Limits::default()).unwrap();
            drop(black_box(decoder.decode_planes(Scale::Eighth, Chroma::Matched).unwrap()));
        })
    };
    make_thumbnail, 2: |_| {
        let (picture, mut scratch) = (sample_picture(), Scratch::default());
        let spec = ThumbnailSpec { width: 320, height: 240, method: ThumbnailMethod::Scale, animated: false };
        let job = Job {
            wanted: vec![Wanted { spec, format: ThumbnailFormat::Usual }],
            describe: false,
            rules: Rules::default(),
            quality: Quality::default(),
        };
        Box::new(move || drop(black_box(work(&mut scratch, black_box(&picture), &job).unwrap())))
    };
}

/// What answers requests, as it does in the process of an operator.
struct World {
    runtime: &'static Runtime,
    hot: Rc<HotPath>,
    tokens: Arc<Whoami>,
}

impl World {
    fn new() -> Self {
        let runtime: &'static Runtime =
            Box::leak(Box::new(Builder::new_current_thread().enable_all().build().unwrap()));
        // Whatever is done is done within the runtime.
        std::mem::forget(runtime.enter());
        // Once per process: as lines for programs, which is what operators have.
        let config = TelemetryConfig { log_format: Some(LogFormat::Json), ..TelemetryConfig::default() };
        let _ = Telemetry::start(&config, "guard");
        let _ = Metrics::install("guard", "0");
        let tokens = Arc::new(whoami());
        runtime.block_on(tokens.check(&Presented::token(TOKEN))).unwrap();
        let hot = Rc::new(runtime.block_on(HotPath::open(tokens.clone())));
        Self { runtime, hot, tokens }
    }

    /// A request that has been made once: everything that it needs is in memory.
    fn ask(&self, path: &'static str) -> Box<dyn FnMut()> {
        let hot = Rc::clone(&self.hot);
        self.runtime.block_on(hot.warm(path, TOKEN));
        Box::new(move || assert_eq!(black_box(hot.ask(path, TOKEN, None)).status, 200))
    }

    /// The same of who has the answer already.
    fn ask_again(&self, path: &'static str) -> Box<dyn FnMut()> {
        let hot = Rc::clone(&self.hot);
        let etag = self.runtime.block_on(hot.warm(path, TOKEN));
        Box::new(move || assert_eq!(black_box(hot.ask(path, TOKEN, Some(&etag))).status, 304))
    }

    fn look_up_token(&self) -> Box<dyn FnMut()> {
        let tokens = Arc::clone(&self.tokens);
        let presented = Presented::token(TOKEN);
        Box::new(move || drop(black_box(tokens.check(black_box(&presented)).now_or_never().unwrap().unwrap())))
    }
}

/// As long as those of Synapse.
const TOKEN: &str = "syt_YWxpY2U_abcdefghijklmnopqrst_0abcde";

/// What asks a homeserver, once: time stands still.
fn whoami() -> Whoami {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1)));
    let config =
        HomeserverConfig { url: format!("http://{}", homeserver::start()).parse().ok(), ..HomeserverConfig::default() };
    let homeserver = Homeserver {
        server_name: "ours.example".parse().unwrap(),
        url: config.url.clone().unwrap(),
        client: build_homeserver_client(&config).unwrap(),
        token_ttl: Duration::from_mins(1),
        max_open_questions: NonZeroUsize::MIN,
        admin_token: None,
    };
    let deps = WhoamiDeps {
        max_remembered_tokens: NonZeroUsize::new(1000).unwrap(),
        state: Arc::new(EmbeddedState::in_memory(clock.clone()).unwrap()),
        clock,
        runtime: Handle::current(),
        tasks: TaskTracker::new(),
        shutdown: CancellationToken::new(),
    };
    Whoami::new(vec![homeserver], deps)
}

// === what other servers sign ===

fn key() -> SigningKey {
    SigningKey::new("ed25519:1".parse::<KeyId>().unwrap(), [7; 32])
}

static NAMES: LazyLock<[ServerName; 2]> =
    LazyLock::new(|| ["theirs.example", "ours.example"].map(|name| name.parse().unwrap()));

fn signed() -> SignedRequest<'static> {
    let [origin, destination] = &*NAMES;
    SignedRequest { method: "GET", target: "/_matrix/federation/v1/media/download/abcdefgh", origin, destination }
}

// === records ===

fn record() -> MediaRecord {
    MediaRecord {
        schema: MediaRecord::SCHEMA,
        mxc: "mxc://ours.example/GCmhgzMPRjqgpODLsNQzVuHZ".parse().unwrap(),
        content_type: ContentType::parse_or_octet_stream("image/jpeg"),
        sniffed_type: Some(ContentType::parse_or_octet_stream("image/jpeg")),
        size_bytes: 123_456,
        sha256: "ab".repeat(32),
        blob: "blobs/2026113002/ours.example/01JDXA3Z0Q8R7V5W4Y2M1K9PBC.GCmhgzMPRjqgpODLsNQzVuHZ".to_owned(),
        upload: Some("01JDXA3Z0Q8R7V5W4Y2M1K9PBC".to_owned()),
        direct: false,
        uploader: Some("@alice:ours.example".parse().unwrap()),
        file_name: FileName::new("holiday.jpg"),
        created_at: Timestamp::from_millis(1_700_000_000_000),
        quarantined: None,
        protected: false,
        deleted: None,
    }
}
