//! Instances that share a store, a state and an orchestrator, each with a runtime of its own, so
//! that one can be killed as a process is.

use std::{collections::HashMap, net::TcpListener, sync::Arc, time::Duration};

use actix_rt::Arbiter;
use async_trait::async_trait;
use heliograph_leases::State;
use heliograph_proto::{FederationService, Fetch, FetchPeer, FollowError, Following, RemoteMedia, testing::serve_peer};
use heliograph_types::{Clock, Failure};
use tokio::{runtime::Runtime, sync::Notify};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::fixture::{Fixture, client_of, our_key, read_all, us};
use crate::{ClusterDeps, Deps, FederationFetcher};

/// How the others reach an instance.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Where it says.
    Known,
    /// Not at all.
    Unknown,
}

pub(super) struct Instance {
    pub(super) service: Arc<FederationFetcher>,
    pub(super) shutdown: CancellationToken,
    /// Told of everybody who has begun to follow a fetch here.
    pub(super) followed: Arc<Notify>,
    runtime: Option<Runtime>,
}

impl Fixture {
    /// One more instance, over the shared state.
    pub(super) fn instance(&self, reach: Reach) -> Instance {
        self.instance_over(State::clone(&self.state), reach)
    }

    pub(super) fn instance_over(&self, state: State, reach: Reach) -> Instance {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let shutdown = CancellationToken::new();
        let deps = Deps {
            blobs: Arc::clone(&self.blobs),
            catalog: Arc::clone(&self.catalog),
            uploads: self.uploads.clone(),
            state,
            previews: None,
            cluster: Some(ClusterDeps { url: Some(url).filter(|_| reach == Reach::Known) }),
            keys: HashMap::from([(us(), our_key())]),
            client: client_of(&self.config, &self.server),
            clock: self.clock.clone() as Arc<dyn Clock>,
            arbiters: vec![Arbiter::new().handle()],
            tasks: TaskTracker::new(),
            shutdown: shutdown.clone(),
        };
        let service = {
            let _inside = runtime.enter();
            FederationFetcher::start(self.config.clone(), deps)
        };
        let followed = Arc::new(Notify::new());
        let peer = Arc::new(Watched { service: Arc::clone(&service), followed: Arc::clone(&followed) });
        runtime.spawn(serve_peer(listener, peer));
        Instance { service, shutdown, followed, runtime: Some(runtime) }
    }

    pub(super) async fn fetch_at(&self, instance: &Instance, media_id: &str) -> Result<RemoteMedia, Failure> {
        self.fetch_at_within(instance, media_id, Duration::ZERO).await
    }

    pub(super) async fn fetch_at_within(
        &self,
        instance: &Instance,
        media_id: &str,
        timeout: Duration,
    ) -> Result<RemoteMedia, Failure> {
        instance.service.fetch(Fetch { tenant: us(), mxc: self.mxc(media_id), timeout, for_thumbnail: false }).await
    }

    pub(super) async fn read_at(&self, instance: &Instance, media_id: &str) -> Result<Vec<u8>, Failure> {
        read_all(self.fetch_at(instance, media_id).await?).await
    }
}

impl Instance {
    /// Its tasks and connections end where they are, and give back nothing.
    pub(super) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A runtime must not be waited for within another.
impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The service, as others follow it.
struct Watched {
    service: Arc<FederationFetcher>,
    followed: Arc<Notify>,
}

#[async_trait]
impl FetchPeer for Watched {
    async fn follow(&self, request: Fetch) -> Result<Following, FollowError> {
        let following = self.service.follow(request).await?;
        self.followed.notify_one();
        Ok(following)
    }
}
