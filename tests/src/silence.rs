//! Places that nobody may connect to.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{eventually, free_port};

/// Listeners that count who comes.
#[derive(Debug)]
pub struct Silence {
    port: u16,
    places: Vec<(SocketAddr, Arc<AtomicUsize>)>,
    _tasks: JoinSet<()>,
}

impl Silence {
    /// Listens at these addresses, with the same port.
    pub async fn at(addresses: &[IpAddr]) -> Self {
        let (port, mut tasks, mut places) = (free_port(), JoinSet::new(), Vec::new());
        for address in addresses {
            let place = SocketAddr::new(*address, port);
            let (listener, count) = (TcpListener::bind(place).await.unwrap(), Arc::<AtomicUsize>::default());
            places.push((place, Arc::clone(&count)));
            tasks.spawn(async move {
                while listener.accept().await.is_ok() {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { port, places, _tasks: tasks }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many have connected to any of the places.
    pub fn visits(&self) -> usize {
        self.places.iter().map(|(_, count)| count.load(Ordering::SeqCst)).sum()
    }

    /// Fails if anybody has connected. Connects to each place itself first, so that it is
    /// certain that this would have been noticed: connections are accepted in their order.
    pub async fn was_kept(&self) {
        for (place, count) in &self.places {
            TcpStream::connect(place).await.unwrap();
            let visits = eventually("a listener notices a visit", async || {
                Some(count.load(Ordering::SeqCst)).filter(|visits| *visits > 0)
            })
            .await;
            assert_eq!(visits, 1, "somebody has connected to {place}");
        }
    }
}
