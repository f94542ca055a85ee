//! What is wrong with the stores: with each of them, and between them.

use std::{collections::HashSet, time::Duration};

use heliograph_blobs::{Cloud, StorageConfig};

use super::{Found, Settings, key_of};

/// Every store with the name of its section, as keys are told.
fn all(settings: &Settings) -> impl Iterator<Item = (impl Fn(&str) -> String, &StorageConfig)> {
    let usual = (None, &settings.storage);
    let others = settings.stores.iter().enumerate().map(|(index, store)| (Some(index), &store.storage));
    std::iter::once(usual).chain(others).map(|(index, storage)| {
        let key = move |field: &str| match index {
            None => format!("storage.{field}"),
            Some(index) => key_of("store", index, field),
        };
        (key, storage)
    })
}

/// Settings of stores that do not go together, by key.
pub(super) fn contradictions(settings: &Settings) -> Found {
    let mut found = Found::new();
    for (field, message) in settings.storage.contradictions() {
        found.push((format!("storage.{field}"), message));
    }
    for (index, store) in settings.stores.iter().enumerate() {
        found.extend(
            store.contradictions().into_iter().map(|(field, message)| (key_of("store", index, field), message)),
        );
    }
    check_names(settings, &mut found);
    check_places(settings, &mut found);
    check_sizes(settings, &mut found);
    check_direct(settings, &mut found);
    found
}

fn check_names(settings: &Settings, found: &mut Found) {
    let mut names = HashSet::new();
    for (index, store) in settings.stores.iter().enumerate() {
        if let Some(name) = store.name.as_ref().filter(|name| !names.insert(*name)) {
            found.push((key_of("store", index, "name"), format!("{name} is the name of another store already")));
        }
    }
    if let Some(name) = settings.api.upload_store.as_ref().filter(|name| !names.contains(name)) {
        found.push(("api.upload_store".to_owned(), format!("there is no [[store]] with the name {name}")));
    }
}

/// What lies in one store and is named as of another would be removed there.
fn check_places(settings: &Settings, found: &mut Found) {
    let stores: Vec<_> = all(settings).collect();
    for (index, (key, store)) in stores.iter().enumerate().filter(|(_, (_, store))| store.url.is_some()) {
        let before = stores[..index].iter().find(|(_, before)| store.overlaps(before, &settings.data.folder));
        if let Some((before, _)) = before {
            found.push((key("url"), format!("is the place of another store already, see {}", before("url"))));
        }
    }
}

/// What we take in must go into a bucket.
fn check_sizes(settings: &Settings, found: &mut Found) {
    for (key, storage) in all(settings).filter(|(_, storage)| storage.bucket().is_some()) {
        let most = storage.most_blob_bytes();
        for (section, max) in [("uploads", settings.uploads.max_bytes), ("federation", settings.federation.max_bytes)] {
            if max.as_u64() > most {
                let message = format!("must be at most 10,000 times {} in a bucket, not {max}", key("part_size"));
                found.push((format!("{section}.max_bytes"), message));
            }
        }
    }
}

/// Clients put content only where a plain `PUT` will do.
fn check_direct(settings: &Settings, found: &mut Found) {
    let takes_puts = |storage: &StorageConfig| {
        storage.bucket().is_some_and(|bucket| matches!(bucket.cloud, Cloud::S3 | Cloud::Google))
    };
    if !settings.uploads.direct {
        return;
    }
    for (key, _) in all(settings).filter(|(_, storage)| !takes_puts(storage)) {
        let message = format!(
            "needs stores in s3:// or gs://, and {} says another: clients cannot put anything into a folder, and into \
             Azure only with a header that they do not send",
            key("url")
        );
        found.push(("uploads.direct".to_owned(), message));
    }
}

/// Spans that must not be zero, by key.
pub(super) fn spans(settings: &Settings) -> impl Iterator<Item = (String, Duration)> {
    all(settings).flat_map(|(key, storage)| {
        [(key("connect_timeout"), storage.connect_timeout), (key("read_timeout"), storage.read_timeout)]
    })
}

/// Files of stores that are named but cannot be used, by key.
pub(super) fn unusable_files(settings: &Settings) -> Found {
    let mut found = Found::new();
    for (key, storage) in all(settings) {
        found.extend(storage.unusable_files().into_iter().map(|(field, error)| (key(field), error)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Role;

    const EU: &str = "[[store]]\nname = \"eu\"\nurl = \"s3://media-eu\"\n";

    fn keys(file: &str, role: Role) -> Vec<String> {
        match Settings::load(file, [], &[], role) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(|problem| problem.key.clone()).collect(),
        }
    }

    fn found(file: &str) -> Vec<String> {
        keys(file, Role::Serve)
    }

    #[test]
    fn a_bucket_has_settings_of_its_own() {
        let with = |lines: &str| keys(&format!("[storage]\n{lines}"), Role::Serve);

        assert_eq!(with("region = \"x\""), ["storage.region"]);
        assert_eq!(with("url = \"s3://media\"\nregion = \"x\""), [""; 0]);
        assert_eq!(with("url = \"s3://media\"\naccess_key_id = \"x\""), ["storage.secret_access_key"]);
    }

    #[test]
    fn what_is_taken_in_fits_into_a_bucket() {
        let with = |lines: &str| keys(&format!("{lines}\n[storage]\nurl = \"s3://media\""), Role::Serve);

        assert_eq!(with("[uploads]\nmax_bytes = \"81 GiB\""), ["uploads.max_bytes"]);
        assert_eq!(with("[federation]\nmax_bytes = \"81 GiB\""), ["federation.max_bytes"]);
        assert_eq!(with("[uploads]\nmax_bytes = \"78 GiB\""), [""; 0]);
        assert_eq!(keys("[uploads]\nmax_bytes = \"81 GiB\"", Role::Serve), [""; 0]);
    }

    #[test]
    fn a_further_store_has_a_name_of_its_own_and_a_place_of_its_own() {
        let store = |name: &str, url: &str| format!("[[store]]\nname = \"{name}\"\nurl = \"{url}\"\n");
        let usual = "[storage]\nurl = \"s3://media\"\n";

        assert_eq!(found(EU), [""; 0]);
        assert_eq!(found(&format!("{EU}{EU}")), ["store[1].name", "store[1].url"]);
        assert_eq!(found("[[store]]"), ["store.name", "store.url"]);
        assert_eq!(found(&store("EU", "s3://media-eu")), ["store.name"]);
        assert_eq!(found(&format!("{usual}{}", store("eu", "s3://media/eu"))), ["store.url"]);
        assert_eq!(found(&format!("{usual}{}", store("eu", "file:///srv/eu"))), [""; 0]);
        assert_eq!(found("[storage]\nname = \"eu\""), ["storage.name"]);
    }

    #[test]
    fn a_further_store_is_checked_as_the_usual_one_is() {
        assert_eq!(found(&format!("{EU}account = \"x\"")), ["store.account"]);
        assert_eq!(
            found(&format!("{EU}{}access_key_id = \"x\"", EU.replace("eu", "us"))),
            ["store[1].secret_access_key"]
        );
        assert_eq!(found(&format!("{EU}conditional_create = \"trust\"")), ["store.conditional_create"]);
        assert_eq!(found(&format!("{EU}[uploads]\nmax_bytes = \"81 GiB\"")), ["uploads.max_bytes"]);
        let unusable = Settings::read(&format!("{EU}ca_file = \"/nowhere\""), [], &[]).0;
        assert_eq!(unusable_files(&unusable)[0].0, "store.ca_file");
    }

    #[test]
    fn uploads_go_to_a_store_that_there_is() {
        assert_eq!(found(&format!("{EU}[api]\nupload_store = \"eu\"")), [""; 0]);
        assert_eq!(found(&format!("{EU}[api]\nupload_store = \"us\"")), ["api.upload_store"]);
    }

    #[test]
    fn clients_put_nothing_into_folders_and_into_azure() {
        let direct =
            |url: &str, more: &str| found(&format!("[storage]\nurl = \"{url}\"\n{more}[uploads]\ndirect = true"));

        for url in ["s3://media", "gs://media"] {
            assert_eq!(direct(url, EU), [""; 0], "{url}");
        }
        for url in ["az://media", "file:///srv/media"] {
            assert_eq!(direct(url, ""), ["uploads.direct"], "{url}");
            assert_eq!(direct("s3://media", &EU.replace("s3://media-eu", url)), ["uploads.direct"], "{url}");
        }
        assert_eq!(found("[uploads]\ndirect = true"), ["uploads.direct"]);
    }
}
