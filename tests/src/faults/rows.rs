//! The rows of the table, and what each promises.

use std::time::Duration;

use heliograph_blobs::{open_store, testing::config_of};

use super::{
    clock::Shift,
    cluster::{Cluster, StateKind},
    course::Course,
    disk,
    fault::Fault,
    instance::Role,
    load::Clients,
    remains::find_remains,
    tally::Kind,
    verify::Verifier,
};
use crate::Client;

/// A fault, and which requests never fail because of it. What holds for every row, the top of the folder says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// `None`: the disk is full.
    pub(super) fault: Option<Fault>,
    pub(super) keeps: &'static [Kind],
    /// Whether it is left out of a short run, where one like it is enough.
    is_long: bool,
}

const HOUR: Shift = 3600;
const NOTHING: &[Kind] = &[];
/// What is stored.
const STORED: &[Kind] = &[Kind::Download, Kind::Thumbnail];
/// What is stored, and is to be.
const OURS: &[Kind] = &[Kind::Upload, Kind::Create, Kind::Download, Kind::Thumbnail, Kind::Delete];
/// All but thumbnails.
const CONTENT: &[Kind] = &[Kind::Upload, Kind::Create, Kind::Download, Kind::Remote, Kind::Delete];
const ALL: &[Kind] = &[Kind::Upload, Kind::Create, Kind::Download, Kind::Thumbnail, Kind::Remote, Kind::Delete];

const fn row(name: &'static str, fault: Fault, keeps: &'static [Kind]) -> Row {
    Row { name, fault: Some(fault), keeps, is_long: false }
}

const fn long(name: &'static str, fault: Fault, keeps: &'static [Kind]) -> Row {
    Row { is_long: true, ..row(name, fault, keeps) }
}

const CLUSTER: &[Row] = &[
    row("kill -9 of a front", Fault::Kill(Role::Api), NOTHING),
    row("kill -9 of an orchestrator", Fault::Kill(Role::Uploads), STORED),
    row("kill -9 of a thumbnailer", Fault::Kill(Role::Thumbnails), CONTENT),
    row("kill -9 of a fetcher", Fault::Kill(Role::Federation), OURS),
    row("Redis killed, comes back empty", Fault::KillState, STORED),
    row("Redis forgets everything (FLUSHALL)", Fault::FlushState, STORED),
    row("Redis paused", Fault::PauseState, STORED),
    row("store answers 500", Fault::StoreAnswers(500), NOTHING),
    long("store answers 503", Fault::StoreAnswers(503), NOTHING),
    row("store slow by 2 s", Fault::StoreSlow, OURS),
    row("store cut in mid-body", Fault::StoreCuts, NOTHING),
    row("clock of a front +1 h", Fault::Clock(Role::Api, HOUR), NOTHING),
    long("clock of a front -1 h", Fault::Clock(Role::Api, -HOUR), NOTHING),
    row("clock of an orchestrator +1 h", Fault::Clock(Role::Uploads, HOUR), STORED),
    long("clock of an orchestrator -1 h", Fault::Clock(Role::Uploads, -HOUR), STORED),
    row("clock of Redis +1 h", Fault::ClockOfState(HOUR), OURS),
    long("clock of Redis -1 h", Fault::ClockOfState(-HOUR), OURS),
    row("partition: fronts and orchestrators", Fault::Part(Role::Api, Role::Uploads), STORED),
    long("partition: fronts and thumbnailers", Fault::Part(Role::Api, Role::Thumbnails), CONTENT),
    row("partition: fronts and fetchers", Fault::Part(Role::Api, Role::Federation), OURS),
    long("partition: fetchers and orchestrators", Fault::Part(Role::Federation, Role::Uploads), OURS),
    row("two owners of one upload", Fault::Rivals, STORED),
    row("rolling update of every role", Fault::Rolling, ALL),
];

/// A bucket that decides, as Amazon's does: nothing but the lease is missing without Redis.
const DECIDING: &[Row] = &[
    long("Redis killed (store decides)", Fault::KillState, OURS),
    long("Redis paused (store decides)", Fault::PauseState, OURS),
    long("two owners of one upload (store decides)", Fault::Rivals, STORED),
];

const WATCHED: &[Row] = &[row("Redis fails over (sentinel)", Fault::FailOver, STORED)];

const DISK: &[Row] = &[Row { name: "disk full (one process)", fault: None, keeps: STORED, is_long: false }];

/// What rows stand on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rig {
    /// Two of each role.
    Cluster { rows: &'static [Row], state: StateKind, decides: bool },
    /// One process over a small disk.
    Disk,
}

/// All of them; the last one has most of the load.
pub(super) const RIGS: [Rig; 4] = [
    Rig::Disk,
    Rig::Cluster { rows: DECIDING, state: StateKind::Single, decides: true },
    Rig::Cluster { rows: WATCHED, state: StateKind::Sentinel, decides: false },
    Rig::Cluster { rows: CLUSTER, state: StateKind::Single, decides: false },
];

impl Rig {
    pub(super) fn rows(self, is_short: bool) -> Vec<Row> {
        let rows = match self {
            Self::Cluster { rows, .. } => rows,
            Self::Disk => DISK,
        };
        rows.iter().filter(|row| !(is_short && row.is_long)).copied().collect()
    }

    pub(super) async fn run(self, course: Course<'_>, rows: Vec<Row>) {
        match self {
            Self::Cluster { state, decides, .. } => run_cluster(course, rows, state, decides).await,
            Self::Disk => disk::run(course, rows).await,
        }
    }
}

async fn run_cluster(mut course: Course<'_>, rows: Vec<Row>, state: StateKind, decides: bool) {
    let (mut cluster, remote) = Cluster::start(state, decides).await;
    let client = Client::unpooled(cluster.balancer.address(), "alice-token");
    let clients = Clients::new(client, Some(remote), course.scale.largest);
    let config = config_of(cluster.bucket.settings());
    let store = open_store(&config, &[], cluster.folder.path()).await.unwrap();
    let verifier = Verifier::new(&clients, cluster.fronts(), store);
    let load = clients.start(course.scale.uploads_per_second, course.scale.downloads_per_second);
    course.warm_up(&clients).await;
    for row in &rows {
        let scale = course.scale;
        let fault = row.fault.unwrap();
        course.take(row, &verifier, async |phase| fault.act(phase, &mut cluster, &clients, scale).await).await;
    }
    if course.is_last {
        course.go_on_until_enough(&clients).await;
    }
    let silence = clients.running.write().await;
    drop(load);
    drop(silence);
    verifier.verify_all().await;
    course.end(&verifier);
    sweep(&mut cluster).await;
    course.remains(&find_remains(&verifier).await);
    course.doubt(&verifier).await;
}

/// Starts the orchestrators again, so that they take what is seconds old for remains. Nobody uploads any more.
async fn sweep(cluster: &mut Cluster) {
    for instance in cluster.of(Role::Uploads) {
        for (key, value) in [("max_duration", "2s"), ("staging_lifetime", "3s"), ("sweep_interval", "500ms")] {
            instance.set("uploads", key, value);
        }
        instance.end().await;
        instance.launch();
        instance.is_ready().await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
}
