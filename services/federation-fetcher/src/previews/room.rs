//! Who may have how many previews made at once: one user, one site, and all.
//!
//! A site that is slow, or a user who has found many of them, holds a share of the room and
//! leaves the rest to others.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use heliograph_matrix::PreviewsConfig;
use heliograph_types::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::visit::Wish;

/// The room of one instance.
#[derive(Debug)]
pub(crate) struct Room {
    all: Arc<Semaphore>,
    users: Shares<UserId>,
    sites: Shares<String>,
}

/// A place in it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _all: OwnedSemaphorePermit,
    _of_user: Held<UserId>,
    _of_site: Held<String>,
}

/// How much of the room everybody holds.
#[derive(Debug, Clone)]
struct Shares<K> {
    most: usize,
    held: Arc<Mutex<HashMap<K, usize>>>,
}

#[derive(Debug)]
struct Held<K: Eq + Hash> {
    shares: Shares<K>,
    key: K,
}

impl Room {
    pub(crate) fn new(config: &PreviewsConfig) -> Self {
        let all = Arc::new(Semaphore::new(config.max_at_once.get().min(Semaphore::MAX_PERMITS)));
        let (users, sites) = (Shares::new(config.max_per_user.get()), Shares::new(config.max_per_site.get()));
        Self { all, users, sites }
    }

    /// A place for this wish, or the limit that is reached.
    pub(crate) fn enter(&self, wish: &Wish) -> Result<Place, &'static str> {
        let site = wish.url.host_str().unwrap_or_default().trim_end_matches('.').to_owned();
        let of_user = self.users.hold(wish.user.clone()).ok_or("max_previews_per_user")?;
        let of_site = self.sites.hold(site).ok_or("max_previews_per_site")?;
        let all = Arc::clone(&self.all).try_acquire_owned().map_err(|_| "max_previews")?;
        Ok(Place { _all: all, _of_user: of_user, _of_site: of_site })
    }
}

impl<K: Eq + Hash + Clone> Shares<K> {
    fn new(most: usize) -> Self {
        Self { most, held: Arc::default() }
    }

    fn hold(&self, key: K) -> Option<Held<K>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.get(&key).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        held.insert(key.clone(), count + 1);
        Some(Held { shares: self.clone(), key })
    }
}

impl<K: Eq + Hash> Drop for Held<K> {
    fn drop(&mut self) {
        let mut held = self.shares.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(&self.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use heliograph_preview::Languages;

    use super::*;

    fn wish(user: &str, url: &str) -> Wish {
        let tenant = "us.example".parse().unwrap();
        let user = format!("@{user}:us.example").parse().unwrap();
        Wish { tenant, url: url.parse().unwrap(), languages: Languages::default(), user }
    }

    fn room(all: usize, user: usize, site: usize) -> Room {
        let [max_at_once, max_per_user, max_per_site] = [all, user, site].map(|most| most.try_into().unwrap());
        Room::new(&PreviewsConfig { max_at_once, max_per_user, max_per_site, ..PreviewsConfig::default() })
    }

    #[test]
    fn nobody_holds_more_than_his_share() {
        let room = room(4, 2, 3);

        let mut places: Vec<_> = ["https://a.example/1", "https://b.example/"]
            .iter()
            .map(|url| room.enter(&wish("ada", url)).unwrap())
            .collect();
        assert_eq!(room.enter(&wish("ada", "https://c.example/")).unwrap_err(), "max_previews_per_user");
        for url in ["https://a.example./2", "http://a.example:8080/3"] {
            places.push(room.enter(&wish("bob", url)).unwrap());
        }
        assert_eq!(room.enter(&wish("eve", "https://a.example/4")).unwrap_err(), "max_previews_per_site");
        assert_eq!(room.enter(&wish("eve", "https://d.example/")).unwrap_err(), "max_previews");
    }

    #[test]
    fn who_leaves_makes_room_and_is_forgotten() {
        let room = room(4, 1, 1);

        for _ in 0..3 {
            let place = room.enter(&wish("ada", "https://a.example/")).unwrap();
            assert!(room.enter(&wish("ada", "https://b.example/")).is_err());
            drop(place);
        }
        assert!(room.users.held.lock().unwrap().is_empty() && room.sites.held.lock().unwrap().is_empty());
        assert_eq!(room.all.available_permits(), 4);
    }
}
