//! A nameserver on loopback that says what a test wants, and may change its mind.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hickory_resolver::proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME, SRV},
    },
};
use tokio::{net::UdpSocket, task::JoinSet};

/// What it says to a question.
#[derive(Debug, Clone)]
enum Answer {
    /// These, each to be believed for so many seconds.
    Records(Vec<RData>, u32),
    /// It failed.
    ServFail,
    /// Nothing at all.
    Silence,
}

/// By name in lower case without the last dot, and kind.
type Zone = HashMap<(String, RecordType), Answer>;

#[derive(Default)]
struct State {
    zone: Mutex<Zone>,
    asked: Mutex<Vec<String>>,
}

/// A nameserver that knows the names of a test and no others: to those it says NXDOMAIN.
pub struct TestDns {
    address: SocketAddr,
    state: Arc<State>,
    _task: JoinSet<()>,
}

impl fmt::Debug for TestDns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestDns").field(&self.address).finish()
    }
}

impl TestDns {
    /// Listens on a free port, and knows no name.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let state = Arc::<State>::default();
        let mut task = JoinSet::new();
        task.spawn(serve(socket, Arc::clone(&state)));
        Self { address, state, _task: task }
    }

    /// Where it listens: for `federation.nameservers`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The host has these addresses from now on. They are believed for no time at all.
    pub fn set_addresses(&self, host: &str, addresses: &[IpAddr]) {
        let records = |wanted: RecordType| {
            let data = addresses.iter().map(|address| match address {
                IpAddr::V4(address) => RData::A(A(*address)),
                IpAddr::V6(address) => RData::AAAA(AAAA(*address)),
            });
            data.filter(|data| data.record_type() == wanted).collect()
        };
        for kind in [RecordType::A, RecordType::AAAA] {
            self.set(host, kind, Answer::Records(records(kind), 0));
        }
    }

    /// The host is another name for `target` from now on.
    pub fn set_alias(&self, host: &str, target: &str) {
        let alias = RData::CNAME(CNAME(name(target)));
        for kind in [RecordType::A, RecordType::AAAA] {
            self.set(host, kind, Answer::Records(vec![alias.clone()], 0));
        }
    }

    /// The SRV records of `service` (such as `_matrix-fed._tcp.a.example`) are these from now
    /// on, each to be believed for `ttl` seconds: priority, weight, port, target. The target
    /// `.` says that there is no such service; with no records at all, the name has other ones.
    pub fn set_services(&self, service: &str, records: &[(u16, u16, u16, &str)], ttl: u32) {
        let records = records
            .iter()
            .map(|(priority, weight, port, target)| RData::SRV(SRV::new(*priority, *weight, *port, name(target))));
        self.set(service, RecordType::SRV, Answer::Records(records.collect(), ttl));
    }

    /// It fails when it is asked for this name.
    pub fn fail(&self, host: &str) {
        self.set_all(host, &Answer::ServFail);
    }

    /// It does not answer when it is asked for this name.
    pub fn keep_silent(&self, host: &str) {
        self.set_all(host, &Answer::Silence);
    }

    /// There is no such name from now on.
    pub fn remove(&self, host: &str) {
        lock(&self.state.zone).retain(|(known, _), _| *known != key(host));
    }

    /// What it was asked so far, such as `SRV _matrix-fed._tcp.a.example`.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.state.asked).clone()
    }

    fn set(&self, host: &str, kind: RecordType, answer: Answer) {
        lock(&self.state.zone).insert((key(host), kind), answer);
    }

    fn set_all(&self, host: &str, answer: &Answer) {
        for kind in [RecordType::A, RecordType::AAAA, RecordType::SRV] {
            self.set(host, kind, answer.clone());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn name(host: &str) -> Name {
    let mut name = Name::from_ascii(host).unwrap();
    name.set_fqdn(true);
    name
}

async fn serve(socket: UdpSocket, state: Arc<State>) {
    let mut buffer = [0; 1500];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
        let Some(answer) = state.answer(&question) else { continue };
        let _ = socket.send_to(&answer.to_vec().unwrap(), from).await;
    }
}

impl State {
    /// `None` if it keeps silent.
    fn answer(&self, question: &Message) -> Option<Message> {
        let query = question.queries.first()?;
        let (host, kind) = (key(&query.name().to_ascii()), query.query_type());
        lock(&self.asked).push(format!("{kind} {host}"));
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.add_query(query.clone());
        answer.metadata.recursion_desired = true;
        answer.metadata.recursion_available = true;
        match self.find(host, kind) {
            Ok(records) => {
                answer.insert_answers(records);
            }
            Err(Answer::Silence) => return None,
            Err(Answer::ServFail) => answer.metadata.response_code = ResponseCode::ServFail,
            Err(Answer::Records(..)) => answer.metadata.response_code = ResponseCode::NXDomain,
        }
        Some(answer)
    }

    /// Aliases are followed, as a nameserver does that others are to ask.
    fn find(&self, mut host: String, kind: RecordType) -> Result<Vec<Record>, Answer> {
        let zone = lock(&self.zone);
        let mut found = Vec::new();
        for _ in 0..8 {
            let is_known = zone.keys().any(|(known, _)| *known == host);
            let records = match zone.get(&(host.clone(), kind)) {
                Some(Answer::Records(records, ttl)) => records.iter().map(|data| (data.clone(), *ttl)),
                Some(other) => return Err(other.clone()),
                None if is_known || !found.is_empty() => return Ok(found),
                None => return Err(Answer::Records(Vec::new(), 0)),
            };
            let here = name(&host);
            found.extend(records.map(|(data, ttl)| Record::from_rdata(here.clone(), ttl, data)));
            match found.last().map(|record| &record.data) {
                Some(RData::CNAME(alias)) => host = key(&alias.0.to_ascii()),
                _ => break,
            }
        }
        Ok(found)
    }
}
