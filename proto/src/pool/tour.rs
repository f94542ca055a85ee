//! One call on its way from instance to instance.

use std::{future::Future, net::SocketAddr, sync::Arc};

use heliograph_types::LEAVING_HEADER;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Response, Status};

use super::{Instance, Pool, Route, Standing, fate::Fate, metrics};
use crate::{link::Connection, status::is_saturated};

/// So many tries a call has, whatever happens.
const MOST_TRIES: usize = 4;

/// Where a call was so far.
struct Tour<'a> {
    pool: &'a Pool,
    route: &'a Route,
    deadline: Instant,
    tried: Vec<SocketAddr>,
    tries: usize,
    has_looked_up: bool,
    has_broken: bool,
    /// What the first instance said that had no room.
    refusal: Option<Status>,
    last: Option<Status>,
}

impl Pool {
    /// Calls `method` with a connection to the instance that the route leads to, and to others as
    /// far as the route lets. The status is that of the last one.
    pub(crate) async fn call<M, T, F>(
        &self,
        route: &Route,
        message: M,
        method: impl Fn(Connection, M) -> F,
    ) -> Result<T, Status>
    where
        M: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut tour = Tour::new(self, route);
        while let Some(instance) = tour.next().await {
            let calling = timeout_at(tour.deadline, method(instance.connection(), message.clone()));
            let Ok(answer) = calling.await else {
                self.judge(&instance, Standing::fail);
                return Err(Status::deadline_exceeded(format!("{} does not answer in time", instance.name)));
            };
            if let Some(answer) = tour.judge(&instance, answer) {
                return answer.map(Response::into_inner);
            }
        }
        Err(tour.give_up())
    }
}

impl<'a> Tour<'a> {
    fn new(pool: &'a Pool, route: &'a Route) -> Self {
        let deadline = Instant::now() + route.patience.unwrap_or(pool.0.patience);
        Self {
            pool,
            route,
            deadline,
            tried: Vec::new(),
            tries: 0,
            has_looked_up: false,
            has_broken: false,
            refusal: None,
            last: None,
        }
    }

    /// The next instance to try. When all that are known have failed, the name may list others by
    /// now; and the first may be back, or another one behind its address.
    async fn next(&mut self) -> Option<Arc<Instance>> {
        if self.tries == MOST_TRIES {
            return None;
        }
        let mut next = self.pool.pick(self.route.key, &self.tried);
        if next.is_none() && self.refusal.is_none() && !self.has_looked_up {
            self.has_looked_up = true;
            // A name server that is silent costs the call no more than its time.
            let _ = timeout_at(self.deadline, self.pool.look_up_anew()).await;
            next = self.pool.pick(self.route.key, &self.tried);
            if next.is_none() {
                self.tried.clear();
                next = self.pool.pick(self.route.key, &self.tried);
            }
        }
        let next = next?;
        self.tries += 1;
        self.tried.push(next.address);
        Some(next)
    }

    /// The end of the call, unless another instance is to be tried.
    fn judge<T>(
        &mut self,
        instance: &Instance,
        answer: Result<Response<T>, Status>,
    ) -> Option<Result<Response<T>, Status>> {
        let fate = answer.as_ref().err().map_or(Fate::Answered, Fate::of);
        // Who leaves has perhaps nobody left to do it.
        let lacks_hands =
            is_leaving(&answer) && answer.as_ref().is_err_and(|status| status.code() == Code::Unavailable);
        let fate = if lacks_hands { Fate::Broken } else { fate };
        if fate == Fate::Answered {
            self.pool.judge(instance, if is_leaving(&answer) { Standing::leave } else { Standing::succeed });
        } else {
            self.pool.judge(instance, Standing::fail);
        }
        let status = match answer {
            Ok(answer) => return Some(Ok(answer)),
            Err(status) => status,
        };
        let goes_on = match fate {
            Fate::Answered => self.route.overflows && self.refusal.is_none() && is_saturated(&status),
            Fate::Unsent => true,
            Fate::Broken => self.route.is_repeatable && !std::mem::replace(&mut self.has_broken, true),
        };
        if !goes_on {
            // Who has room and refuses for another reason knows more than who has none.
            return Some(Err(if fate == Fate::Answered { status } else { self.refusal.take().unwrap_or(status) }));
        }
        let role = self.pool.0.role;
        tracing::debug!(role, instance = instance.name, ?fate, reason = status.message(), "a call goes on elsewhere");
        if fate == Fate::Answered {
            metrics::rerouted(role, "saturated");
            self.refusal = Some(status);
        } else {
            metrics::rerouted(role, "failed");
            self.last = Some(status);
        }
        None
    }

    fn give_up(self) -> Status {
        let unknown = || Status::unavailable(format!("no instance of {} is known", self.pool.0.role));
        self.refusal.or(self.last).unwrap_or_else(unknown)
    }
}

/// Whether the instance has said that it ends.
fn is_leaving<T>(answer: &Result<Response<T>, Status>) -> bool {
    let metadata = match answer {
        Ok(answer) => answer.metadata(),
        Err(status) => status.metadata(),
    };
    metadata.contains_key(LEAVING_HEADER)
}
