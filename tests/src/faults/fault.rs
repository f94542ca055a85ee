//! What goes wrong.

use std::{sync::Arc, time::Duration};

use super::{
    clock::{Clock, Shift},
    cluster::Cluster,
    instance::Role,
    load::Clients,
    rivals,
    rolling::{self, replace},
    scale::Scale,
};

const SLOW: Duration = Duration::from_secs(2);
/// Within one answer of the store, and within one body that is written there.
const CUTS: std::ops::Range<u64> = 2_000..200_000;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// `kill -9` of one instance.
    Kill(Role),
    /// Redis is killed, and comes back empty.
    KillState,
    /// Redis forgets everything.
    FlushState,
    /// Redis is silent, and forgets nothing.
    PauseState,
    /// The master among the Redis servers is killed, and comes back as a follower.
    FailOver,
    /// The store answers everything with this.
    StoreAnswers(u16),
    /// The store waits before each answer.
    StoreSlow,
    /// Connections to the store break off.
    StoreCuts,
    /// The clock of one instance jumps.
    Clock(Role, Shift),
    /// The clock of Redis jumps.
    ClockOfState(Shift),
    /// No packet passes between two roles.
    Part(Role, Role),
    /// Two instances believe that they own one upload.
    Rivals,
    /// Every instance of every role is replaced, one after the other.
    Rolling,
}

/// What is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// What the fault needs, before anything is counted.
    Prepare,
    /// It begins.
    Strike,
    /// It ends.
    Heal,
}

impl Fault {
    /// Whether it lasts for some time; others are over when they have happened.
    pub(super) fn lasts(self) -> bool {
        !matches!(self, Self::FlushState | Self::Rivals | Self::Rolling)
    }

    /// Whether something is made ready for it.
    pub(super) fn has_preparation(self) -> bool {
        matches!(self, Self::Clock(..) | Self::ClockOfState(_))
    }

    /// Takes the phase.
    pub(super) async fn act(self, phase: Phase, cluster: &mut Cluster, clients: &Arc<Clients>, scale: &Scale) {
        match phase {
            Phase::Prepare => self.prepare(cluster, scale).await,
            Phase::Strike => self.strike(cluster, clients, scale).await,
            Phase::Heal => {
                self.heal(cluster).await;
                cluster.is_whole().await;
            }
        }
    }

    async fn prepare(self, cluster: &mut Cluster, scale: &Scale) {
        match self {
            Self::Clock(role, _) => {
                let clock = Clock::new(cluster.folder.path(), role.name());
                cluster.first(role).goes_by(Some(clock));
                replace(cluster, role, 0, scale).await;
            }
            Self::ClockOfState(_) => {
                let clock = Clock::new(cluster.folder.path(), "redis");
                cluster.state.servers[0].restart(Some(&clock)).await;
            }
            _ => {}
        }
    }

    async fn strike(self, cluster: &mut Cluster, clients: &Arc<Clients>, scale: &Scale) {
        match self {
            Self::Kill(role) => cluster.first(role).kill(),
            Self::KillState | Self::FailOver => cluster.state.servers[0].kill(),
            Self::FlushState => assert_eq!(cluster.state.servers[0].tell("FLUSHALL").await, "+OK\r\n"),
            Self::PauseState => cluster.state.servers[0].pause(),
            Self::StoreAnswers(status) => cluster.bucket.answers(Some(status)),
            Self::StoreSlow => cluster.bucket.slow(SLOW),
            Self::StoreCuts => cluster.gate.cut_after(Some(CUTS)),
            Self::Clock(role, shift) => Clock::new(cluster.folder.path(), role.name()).shift(shift),
            Self::ClockOfState(shift) => Clock::new(cluster.folder.path(), "redis").shift(shift),
            Self::Part(one, other) => cluster.part(one, other),
            Self::Rivals => rivals::meet(cluster, clients, scale).await,
            Self::Rolling => rolling::roll(cluster, clients, scale).await,
        }
    }

    async fn heal(self, cluster: &mut Cluster) {
        match self {
            Self::Kill(role) => {
                let killed = cluster.first(role);
                killed.launch();
                killed.is_ready().await;
            }
            Self::KillState | Self::FailOver => cluster.state.servers[0].restart(None).await,
            Self::PauseState => cluster.state.servers[0].go_on(),
            Self::StoreAnswers(_) => cluster.bucket.answers(None),
            Self::StoreSlow => cluster.bucket.slow(Duration::ZERO),
            Self::StoreCuts => cluster.gate.cut_after(None),
            Self::Clock(role, _) => Clock::new(cluster.folder.path(), role.name()).shift(0),
            Self::ClockOfState(_) => Clock::new(cluster.folder.path(), "redis").shift(0),
            Self::Part(..) => cluster.join(),
            Self::FlushState | Self::Rivals | Self::Rolling => {}
        }
    }
}
