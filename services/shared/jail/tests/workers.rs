//! Real processes: what a worker can do, what it cannot, and how it ends.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs::File, io::Write, net::TcpListener, os::fd::AsFd, os::unix::net::UnixListener, time::Duration};

use heliograph_jail::{
    Budget, Jail, Limits, Lost, Mapping, Policy, Program, Reason, Reply, SealedFile, Worker, try_out,
};

const START: Duration = Duration::from_secs(20);
const AMPLE: Budget =
    Budget { processor: Duration::from_secs(20), wall: Duration::from_mins(2), memory_bytes: 64 << 20 };

fn program(jail: Jail) -> Program {
    let policy = Policy { jail, limits: Limits { memory_bytes: 256 << 20, ..Limits::default() } };
    Program {
        path: env!("CARGO_BIN_EXE_jail-trial").into(),
        arguments: vec![policy.to_string()],
        most_payload_bytes: 1 << 20,
    }
}

async fn start() -> Worker {
    Worker::start(&program(Jail::Available), START).await.unwrap().0
}

async fn ask(request: &str, budget: Budget) -> Result<Reply, Lost> {
    Ok(start().await.call(request.as_bytes(), None, budget).await?.1)
}

/// Whether it is gone, body and all.
fn is_gone(pid: u32) -> bool {
    !std::path::Path::new(&format!("/proc/{pid}")).exists()
}

async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_worker_answers_call_after_call() {
    let mut worker = start().await;

    for round in 0..50 {
        let file = SealedFile::of(&vec![round; 10_000]).unwrap();
        let reply;
        (worker, reply) = worker.call(b"echo hello", Some(file.as_fd()), AMPLE).await.unwrap();
        assert_eq!((&reply.head[..], &reply.payload[..]), (&b"hello"[..], &vec![round; 10_000][..]));
    }
    let (_, reply) = worker.call(b"echo alone", None, AMPLE).await.unwrap();
    assert_eq!((&reply.head[..], reply.payload.len()), (&b"alone"[..], 0));
}

#[tokio::test]
async fn files_of_any_kind_are_mapped() {
    let mut stored = tempfile::tempfile().unwrap();
    stored.write_all(&vec![1; 3_000_000]).unwrap();
    let empty = SealedFile::of(b"").unwrap();

    let (worker, sum) = start().await.call(b"sum", Some(stored.as_fd()), AMPLE).await.unwrap();
    let (_, nothing) = worker.call(b"sum", Some(empty.as_fd()), AMPLE).await.unwrap();

    assert_eq!((&sum.head[..], &nothing.head[..]), (&b"3000000"[..], &b"0"[..]));
}

#[tokio::test]
async fn a_jail_has_no_files_no_network_and_no_other_processes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    File::create(&file).unwrap();
    let socket = folder.path().join("socket");
    let (tcp, _unix) = (TcpListener::bind("127.0.0.1:0").unwrap(), UnixListener::bind(&socket).unwrap());
    let attempts = [
        format!("open {}", file.display()),
        "open /proc/self/maps".to_owned(),
        format!("create {}", folder.path().join("new").display()),
        "list".to_owned(),
        format!("connect {}", tcp.local_addr().unwrap()),
        format!("connect_local {}", socket.display()),
        "fork".to_owned(),
        "exec".to_owned(),
        "sleep".to_owned(),
    ];

    for attempt in attempts {
        let outcome = ask(&attempt, AMPLE).await.map_err(|lost| lost.reason);
        assert_eq!(outcome, Err(Reason::Forbidden), "{attempt}");
    }
    assert!(!folder.path().join("new").exists());
}

#[tokio::test]
async fn without_a_jail_there_are_still_limits() {
    let program = program(Jail::Off);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    File::create(&file).unwrap();

    let (worker, support) = Worker::start(&program, START).await.unwrap();
    let open = format!("open {}", file.display());
    let (worker, opened) = worker.call(open.as_bytes(), None, AMPLE).await.unwrap();
    let lost = worker.call(b"allocate 200000000", None, AMPLE).await.unwrap_err();

    assert!(!support.seccomp && support.landlock.is_none() && support.no_new_privileges);
    assert_eq!((&opened.head[..], lost.reason), (&b"done"[..], Reason::Memory));
}

#[tokio::test]
async fn what_a_worker_says_it_entered_is_what_the_system_says() {
    let (worker, support) = Worker::start(&program(Jail::Available), START).await.unwrap();

    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid().unwrap())).unwrap();
    let has = |line: &str| status.lines().any(|other| other == line);
    assert_eq!(support.seccomp, has("Seccomp:\t2"));
    assert_eq!(support.no_new_privileges, has("NoNewPrivs:\t1"));
    assert!(has("Threads:\t1"));
    assert_eq!(tokio::task::spawn_blocking(|| try_out(&program(Jail::Available), START)).await.unwrap(), Ok(support));
}

#[tokio::test]
async fn a_strict_jail_is_whole_or_there_is_none() {
    let is_whole = try_out(&program(Jail::Available), START).unwrap().is_strict();

    let strict = Worker::start(&program(Jail::Strict), START).await;

    match strict {
        Ok((_, support)) => assert!(is_whole && support.is_strict()),
        Err(lost) => assert!(!is_whole && lost.words.contains("strict"), "{lost}"),
    }
}

#[tokio::test]
async fn memory_is_bounded_for_each_call_and_by_all_means() {
    let small = Budget { memory_bytes: 20 << 20, ..AMPLE };
    let huge = Budget { memory_bytes: u64::MAX, ..AMPLE };

    let mut worker = start().await;
    for _ in 0..20 {
        (worker, _) = worker.call(b"allocate 15000000", None, small).await.unwrap();
    }
    let large = worker.call(b"allocate 60000000", None, AMPLE).await;

    assert_eq!(large.unwrap().1.head[..], b"60000000"[..]);
    assert_eq!(ask("allocate 60000000", small).await.unwrap_err().reason, Reason::Memory);
    assert_eq!(ask("allocate 400000000", huge).await.unwrap_err().reason, Reason::Memory);
}

#[tokio::test]
async fn a_file_that_is_mapped_takes_nothing_of_a_calls_memory() {
    let mut stored = tempfile::tempfile().unwrap();
    stored.write_all(&vec![1; 40 << 20]).unwrap();
    let small = Budget { memory_bytes: 8 << 20, ..AMPLE };

    let (_, reply) = start().await.call(b"sum", Some(stored.as_fd()), small).await.unwrap();

    assert_eq!(reply.head[..], b"41943040"[..]);
    drop(Mapping::of(&stored).unwrap());
}

#[tokio::test]
async fn an_endless_call_ends_at_its_budget() {
    let short = Budget { processor: Duration::from_millis(50), ..AMPLE };
    let brief = Budget { wall: Duration::from_millis(50), ..AMPLE };
    let worker = Worker::start(&program(Jail::Off), START).await.unwrap().0;

    assert_eq!(ask("spin", short).await.unwrap_err().reason, Reason::Time);
    assert_eq!(worker.call(b"sleep", None, brief).await.unwrap_err().reason, Reason::Time);
}

#[tokio::test]
async fn the_end_of_a_worker_is_told_with_its_last_words() {
    let panicked = ask("panic", AMPLE).await.unwrap_err();
    let aborted = ask("abort", AMPLE).await.unwrap_err();
    let exited = ask("exit", AMPLE).await.unwrap_err();
    let talkative = ask("payload 2000000", AMPLE).await.unwrap_err();

    assert_eq!(panicked.reason, Reason::Panicked);
    assert!(panicked.words.contains("on purpose"), "{panicked}");
    assert_eq!((aborted.reason, exited.reason), (Reason::Crashed(6), Reason::Exited(7)));
    assert_eq!(talkative.reason, Reason::Garbled);
}

#[tokio::test]
async fn a_worker_that_is_killed_from_outside_is_told_from_one_that_fails() {
    let worker = start().await;
    let pid = rustix::process::Pid::from_raw(worker.pid().unwrap().try_into().unwrap()).unwrap();

    let (lost, ()) = tokio::join!(worker.call(b"spin", None, AMPLE), async {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    });

    assert_eq!(lost.unwrap_err().reason, Reason::Killed);
}

#[tokio::test]
async fn who_drops_a_call_kills_its_worker_and_leaves_no_zombie() {
    let (idle, busy) = (start().await, start().await);
    let pids = [idle.pid().unwrap(), busy.pid().unwrap()];

    drop(idle);
    let call = busy.call(b"spin", None, AMPLE);
    assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());

    until(|| pids.iter().all(|pid| is_gone(*pid))).await;
}

#[tokio::test]
async fn what_cannot_be_started_says_so() {
    let missing = Program { path: "/nonexistent".into(), ..program(Jail::Off) };
    let other = Program { path: "/bin/echo".into(), ..program(Jail::Off) };

    assert_eq!(Worker::start(&missing, START).await.unwrap_err().reason, Reason::NotStarted);
    assert_eq!(Worker::start(&other, START).await.unwrap_err().reason, Reason::Exited(0));
    assert_eq!(try_out(&missing, START).unwrap_err().reason, Reason::NotStarted);
    assert_eq!(try_out(&other, START).unwrap_err().reason, Reason::Exited(0));
}
