//! What is measured of each download. Whoever is served from memory takes some ten
//! microseconds: so figures are looked up once, and not by their names each time.

use std::{
    collections::HashMap,
    sync::OnceLock,
    time::{Duration, Instant},
};

use heliograph_types::ServerName;
use metrics::{Counter, Histogram, counter, histogram};

/// Where content came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// Memory.
    Hot,
    /// The store.
    Store,
    /// Its server, while it was fetched.
    Remote,
    /// A thumbnail that its server made.
    Origin,
    /// One of those that is kept.
    Kept,
    /// A thumbnail that was made for this very request.
    Rendered,
}

impl Via {
    const ALL: [Self; 6] = [Self::Hot, Self::Store, Self::Remote, Self::Origin, Self::Kept, Self::Rendered];

    const fn label(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Store => "store",
            Self::Remote => "remote",
            Self::Origin => "origin",
            Self::Kept => "kept",
            Self::Rendered => "rendered",
        }
    }
}

/// The phases of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Until it is known what the id means, and that the caller may have it.
    Record,
    /// From then until the first byte can be sent.
    FirstByte,
    /// From then until the last byte was taken. Of what is sent from memory nobody sees it.
    Rest,
}

/// The figures.
#[derive(Debug)]
pub(crate) struct Meters {
    phases: [OnceLock<Histogram>; 3],
    tenants: HashMap<ServerName, Delivered>,
    /// Of all other servers together: users choose them, so there is no bound to them.
    others: Delivered,
}

impl Meters {
    /// For these server names of ours.
    pub(crate) fn new(server_names: &[ServerName]) -> Self {
        let delivered = |name: &ServerName| (name.clone(), Delivered::new(name.to_string()));
        Self {
            phases: Default::default(),
            tenants: server_names.iter().map(delivered).collect(),
            others: Delivered::new("remote".to_owned()),
        }
    }

    /// Content of this server went out.
    pub(crate) fn delivered(&self, server_name: &ServerName, via: Via, bytes: u64) {
        let (times, counted) = self.of(server_name).get(via);
        times.increment(1);
        counted.increment(bytes);
    }

    /// The same while it goes out: its bytes are to be counted by what this returns.
    pub(crate) fn delivering(&self, server_name: &ServerName, via: Via) -> Counter {
        let (times, counted) = self.of(server_name).get(via);
        times.increment(1);
        counted.clone()
    }

    fn of(&self, server_name: &ServerName) -> &Delivered {
        self.tenants.get(server_name).unwrap_or(&self.others)
    }

    /// A phase of a download is over.
    pub(crate) fn took(&self, phase: Phase, span: Duration) {
        self.phase(phase).record(span);
    }

    /// Measures until it is dropped.
    pub(crate) fn until_dropped(&self, phase: Phase) -> UntilDropped {
        UntilDropped { histogram: self.phase(phase).clone(), begun: Instant::now() }
    }

    fn phase(&self, phase: Phase) -> &Histogram {
        let label = match phase {
            Phase::Record => "record",
            Phase::FirstByte => "first_byte",
            Phase::Rest => "rest",
        };
        self.phases[phase as usize].get_or_init(|| histogram!("heliograph_download_phase_seconds", "phase" => label))
    }
}

/// What went out of one tenant's media, or of others'.
#[derive(Debug)]
struct Delivered {
    tenant: String,
    by_source: [OnceLock<(Counter, Counter)>; Via::ALL.len()],
}

impl Delivered {
    fn new(tenant: String) -> Self {
        Self { tenant, by_source: Default::default() }
    }

    fn get(&self, via: Via) -> &(Counter, Counter) {
        self.by_source[via as usize].get_or_init(|| {
            let labels = [("source", via.label().to_owned()), ("tenant", self.tenant.clone())];
            (counter!("heliograph_delivered_total", &labels), counter!("heliograph_delivered_bytes_total", &labels))
        })
    }
}

/// See [`Meters::until_dropped`].
#[derive(Debug)]
pub(crate) struct UntilDropped {
    histogram: Histogram,
    begun: Instant,
}

impl Drop for UntilDropped {
    fn drop(&mut self) {
        self.histogram.record(self.begun.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn bytes_count_for_the_tenant_and_those_of_all_others_as_one() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let name = |text: &str| text.parse::<ServerName>().unwrap();
        metrics::with_local_recorder(&recorder, || {
            let meters = Meters::new(&[name("one.example"), name("two.example")]);

            meters.delivered(&name("one.example"), Via::Hot, 5);
            meters.delivered(&name("one.example"), Via::Hot, 6);
            meters.delivering(&name("far.example"), Via::Remote).increment(7);
            meters.delivered(&name("further.example"), Via::Remote, 8);
        });

        let text = recorder.handle().render();
        for line in [
            r#"heliograph_delivered_total{source="hot",tenant="one.example"} 2"#,
            r#"heliograph_delivered_bytes_total{source="hot",tenant="one.example"} 11"#,
            r#"heliograph_delivered_total{source="remote",tenant="remote"} 2"#,
            r#"heliograph_delivered_bytes_total{source="remote",tenant="remote"} 15"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in {text}");
        }
        assert!(!text.contains("far"), "{text}");
    }

    #[test]
    fn every_source_has_its_place() {
        assert_eq!(Via::ALL.map(|via| via as usize), [0, 1, 2, 3, 4, 5]);
    }
}
