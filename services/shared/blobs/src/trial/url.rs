//! URLs by which clients reach single objects, the address that they lead to, and its clock.

use std::{net::IpAddr, time::Duration};

use heliograph_types::{Clock, Finding, SystemClock, Timestamp};
use reqwest::{StatusCode, header::CONTENT_TYPE};
use url::{Host, Url};

use super::{
    Outcome,
    bucket::{Bench, List},
    explain::LOOK,
    http::{DISPOSITION, LIFETIME, TYPE, download, header, presign, send, stranger, succeeded},
};
use crate::{BlobStore, Grant, Key, StorageConfig};

/// What is signed to be over soon.
const SHORT: Duration = Duration::from_secs(1);
/// Clocks differ, and signatures count in whole seconds.
const LOOKS: usize = 3;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// More should not be.
const SKEW_TO_NOTE: Duration = Duration::from_mins(1);
/// With more, signatures are refused.
const MOST_SKEW: Duration = Duration::from_mins(15);

pub(super) fn add_to(list: &mut List) {
    list.add("clock of the store", clock);
    list.add("address for clients", address);
    list.add("upload by URL", upload);
    list.add("download by URL", fetch);
    list.add("URL that was changed", changed);
    list.add("URL that has expired", expired);
    list.add("URL with a token beside it", with_token);
}

async fn clock(bench: Bench) -> Outcome {
    let here = bench.with(&StorageConfig { public_endpoint: None, ..(*bench.config).clone() })?;
    let key = Key::new("clock")?;
    let url = match (here.presign(&key, download(), LIFETIME).await, &bench.config.endpoint) {
        (Ok(Some(url)), _) => url,
        (_, Some(endpoint)) => endpoint.clone(),
        (_, None) => {
            return Ok(Finding::note("not known: there is no address to ask", "see that this machine uses NTP"));
        }
    };
    let answer = send(stranger(&bench)?.get(url)).await?;
    Ok(judge_clock(header(answer.headers(), "date"), SystemClock.now()))
}

/// What the store's `Date` says at `now`.
pub(super) fn judge_clock(date: &str, now: Timestamp) -> Finding {
    let Some(theirs) = read_date(date) else {
        return Finding::note("not known: the store sends no date", "see that this machine uses NTP");
    };
    let skew = if theirs > now { theirs.since(now) } else { now.since(theirs) };
    let told = format!("differs from ours by {} s", skew.as_secs());
    let advice = "set the clock of this machine, or that of the store: use NTP";
    if skew > MOST_SKEW {
        return Finding::fail(told + ": signatures are refused", advice);
    }
    if skew > SKEW_TO_NOTE { Finding::note(told, advice) } else { Finding::ok(told) }
}

fn read_date(date: &str) -> Option<Timestamp> {
    let since_epoch = httpdate::parse_http_date(date).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(0) + since_epoch)
}

async fn address(bench: Bench) -> Outcome {
    let url = presign(&bench, &Key::new("missing")?, download(), LIFETIME).await?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let direct = bench.needs.direct_uploads;
    if let Err(error) = send(stranger(&bench)?.get(url.clone())).await {
        let told = format!("{host} cannot be reached from here: {}", error.told);
        return Err(Finding::lacking(direct, told, "correct storage.public_endpoint, or let this machine reach it"));
    }
    if direct && is_inside(&url) {
        return Ok(Finding::note(
            format!("{host} answers, but only within this network"),
            "set storage.public_endpoint to where clients find the store",
        ));
    }
    Ok(Finding::ok(format!("{host} answers")))
}

/// Whether an address leads nowhere from outside.
fn is_inside(url: &Url) -> bool {
    let address: IpAddr = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(name)) => return name == "localhost" || !name.contains('.'),
        None => return true,
    };
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

async fn upload(bench: Bench) -> Outcome {
    let key = Key::new("url/upload")?;
    let url = presign(&bench, &key, Grant::Put, LIFETIME).await?;
    let answer = send(stranger(&bench)?.put(url).header(CONTENT_TYPE, TYPE).body("put by URL\n")).await?;
    succeeded(&bench, &answer)?;
    let stat = bench.store.stat(&key).await?;
    match stat.content_type.as_deref() {
        Some(TYPE) => Ok(Finding::ok("anybody who has it can put, and the content type stays")),
        _ => Ok(Finding::note(
            "anybody who has it can put, but the content type is lost",
            "nothing: the type of such media is found from their first bytes",
        )),
    }
}

async fn fetch(bench: Bench) -> Outcome {
    let key = bench.write("url/download").await?;
    let answer = send(stranger(&bench)?.get(presign(&bench, &key, download(), LIFETIME).await?)).await?;
    succeeded(&bench, &answer)?;
    let headers = answer.headers();
    if (header(headers, "content-type"), header(headers, "content-disposition")) == (TYPE, DISPOSITION) {
        return Ok(Finding::ok("type and file name come as we want them"));
    }
    Err(Finding::lacking(
        bench.needs.direct_uploads,
        "type or file name do not come as we want them",
        "choose a store that knows response-content-type and response-content-disposition, or use no such URLs",
    ))
}

/// The signature of one object, on another.
async fn changed(bench: Bench) -> Outcome {
    let mine = bench.write("url/mine").await?;
    bench.write("url/not-mine").await?;
    let mut url = presign(&bench, &mine, download(), LIFETIME).await?;
    let other = url.path().replace("url/mine", "url/not-mine");
    url.set_path(&other);
    let answer = send(stranger(&bench)?.get(url)).await?;
    if answer.status().is_client_error() {
        return Ok(Finding::ok(format!("refused with {}", answer.status().as_u16())));
    }
    Err(not_refused(answer.status(), "the signature of one object opens another"))
}

async fn expired(bench: Bench) -> Outcome {
    let key = bench.write("url/expired").await?;
    let (client, url) = (stranger(&bench)?, presign(&bench, &key, download(), SHORT).await?);
    let mut status = StatusCode::OK;
    for _ in 0..LOOKS {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        status = send(client.get(url.clone())).await?.status();
        if status.is_client_error() {
            return Ok(Finding::ok(format!("refused with {}", status.as_u16())));
        }
    }
    Err(not_refused(status, "it works on after its end"))
}

fn not_refused(status: StatusCode, told: &str) -> Finding {
    if status.is_success() {
        return Finding::fail(told, "do not use this store, or see to it that nobody reaches it but heliograph");
    }
    Finding::fail(format!("the store answers {}", status.as_u16()), LOOK)
}

/// As a client does that sends its token on with a redirect.
async fn with_token(bench: Bench) -> Outcome {
    let key = bench.write("url/token").await?;
    let url = presign(&bench, &key, download(), LIFETIME).await?;
    let answer = send(stranger(&bench)?.get(url).bearer_auth("x")).await?;
    if answer.status().is_success() {
        return Ok(Finding::ok("it works all the same"));
    }
    Ok(Finding::note(
        format!("refused with {}: two ways to be known are too many", answer.status().as_u16()),
        "nothing: HTTP clients send no token on to another host; but never put the store on the host name of heliograph",
    ))
}
