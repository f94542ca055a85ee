//! What is counted of one method on one route. Metrics are looked up once, not at each request.

use std::{cell::RefCell, collections::HashMap, fmt, rc::Rc, sync::Arc, time::Duration};

use actix_web::http::StatusCode;
use metrics::{Counter, Histogram, SharedString};

/// One method on one route.
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    pub(super) route: Arc<str>,
    /// Both, as traces name it.
    pub(super) name: String,
    /// Which segment of the path is `{media_id}`.
    pub(super) media_id_at: Option<usize>,
    /// And which is `{server_name}`.
    pub(super) server_name_at: Option<usize>,
    seconds: Histogram,
    /// A few: a list is searched as fast as a map.
    answers: RefCell<Vec<(StatusCode, Counter)>>,
}

impl Endpoint {
    pub(super) fn new(method: &'static str, route: Arc<str>) -> Self {
        let labels = [("method", SharedString::const_str(method)), ("route", Arc::clone(&route).into())];
        let seconds = metrics::histogram!("heliograph_http_request_seconds", &labels);
        let place_of = |name: &str| route.split('/').position(|segment| segment == name);
        Self {
            method,
            name: format!("{method} {route}"),
            media_id_at: place_of("{media_id}"),
            server_name_at: place_of("{server_name}"),
            route,
            seconds,
            answers: RefCell::default(),
        }
    }

    /// A request was answered.
    pub(super) fn count(&self, status: StatusCode, elapsed: Duration) {
        self.seconds.record(elapsed.as_secs_f64());
        let mut answers = self.answers.borrow_mut();
        if let Some((_, count)) = answers.iter().find(|(known, _)| *known == status) {
            return count.increment(1);
        }
        let labels = [
            ("method", SharedString::const_str(self.method)),
            ("route", Arc::clone(&self.route).into()),
            ("status", status.as_str().to_owned().into()),
        ];
        let count = metrics::counter!("heliograph_http_requests_total", &labels);
        count.increment(1);
        answers.push((status, count));
    }
}

/// All that have been asked. There are as many as routes have methods.
#[derive(Default)]
pub(super) struct Endpoints(RefCell<HashMap<Name, Rc<Endpoint>>>);

/// Method and route.
type Name = (&'static str, Arc<str>);

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.borrow().keys()).finish()
    }
}

impl Endpoints {
    pub(super) fn get(&self, method: &'static str, route: Arc<str>) -> Rc<Endpoint> {
        let mut known = self.0.borrow_mut();
        let endpoint = known.entry((method, Arc::clone(&route)));
        Rc::clone(endpoint.or_insert_with(|| Rc::new(Endpoint::new(method, route))))
    }
}
