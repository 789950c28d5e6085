//! A primary that sentinels watch: found, followed, and left when it is none any more.
//!
//! Which mechanism each test is there for:
//!
//! | mechanism | test |
//! |---|---|
//! | all sentinels are asked, and those that answer count | `the_primary_is_found_by_way_of_the_sentinels_that_answer` |
//! | sentinels are heard, and what is outdated is left | `a_primary_that_sentinels_say_is_none_any_more_is_sent_no_command_more` |
//! | sentinels are asked once they announce a failover | `a_sentinel_that_announces_a_failover_is_asked_at_once` |
//! | copies are let go with the primary | `copies_of_a_primary_that_is_none_any_more_are_let_go` |
//! | credentials are asked for at each connection | `a_primary_that_hands_over_is_replaced_by_a_replica` |
//! | a server that says that it is a replica is refused | `a_primary_that_is_killed_is_replaced_by_a_replica` |
//! | of two configurations the later is believed | `a_sentinel_that_missed_a_failover_is_not_believed` |

use std::time::{Duration, Instant};

use cachemacro_runtime::store::Store;
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::{Cache, ErrorKind};
use cachemacro_tests::authority::Authority;
use cachemacro_tests::history::{Counts, Fleet, Plan};
use cachemacro_tests::monitor::Watched as Watching;
use cachemacro_tests::proxy::Fault;
use cachemacro_tests::sentinels::{NAME, OverTls, Watched};
use cachemacro_tests::server::{has_tls, login, run};
use cachemacro_tests::{DEADLINE, LONG, RedisServer, Single as _, is_long, namespace, rounds, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::leaks::{Leaks, is_whole, no_lease_stays};
use crate::users::Asked;

fn store(url: &str) -> RedisStore {
    let config = RedisConfig::new(url).connect_timeout(Duration::from_secs(3));
    RedisStore::new(config.command_timeout(Duration::from_secs(2))).expect("acceptable")
}

/// Stores a value where the primary is, and tells whether it is on this server.
async fn is_on(watched: &Watched, server: usize, store: &RedisStore) -> bool {
    let key = namespace();
    if store.set(&key, "value".into(), LONG).await.is_err() {
        return false;
    }
    let mut client = watched.client(&watched.servers[server]).await;
    let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut client).await.expect("a role");
    let is_primary = matches!(&role[0], redis::Value::BulkString(role) if role == b"master");
    let found: Option<String> = redis::cmd("GET").arg(&key).query_async(&mut client).await.expect("GET");
    is_primary && found.is_some()
}

/// How many connections of the user `app` a server has.
async fn connections(watched: &Watched, server: usize) -> usize {
    let mut client = watched.client(&watched.servers[server]).await;
    let clients: String =
        redis::cmd("CLIENT").arg("LIST").query_async(&mut client).await.expect("CLIENT LIST");
    clients.lines().filter(|line| line.contains(" user=app ")).count()
}

#[tokio::test]
async fn the_primary_is_found_by_way_of_the_sentinels_that_answer() {
    let mut watched = Watched::start().await;
    let url = watched.url();
    assert!(is_on(&watched, 0, &store(&url)).await);
    // One is gone, one is silent; and one never was.
    watched.sentinels[0].stop();
    watched.sentinels[1].pause();
    let first = |hosts: &str| format!("redis+sentinel://{}{hosts}", login());
    let url = url.replace(&first(""), &first("127.0.0.1:1,"));
    let store = store(&url);
    store.connect().await.expect("one answers");
    store.set("k", "value".into(), LONG).await.expect("stored");
    watched.sentinels[2].stop();
    let error = self::store(&url).connect().await.expect_err("nobody knows");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("sentinel") || error.to_string().contains("connecting"), "{error}");
    store.entry("k").await.expect("what is connected stays so");
}

#[tokio::test]
async fn a_name_that_sentinels_do_not_know_is_told() {
    let watched = Watched::start().await;
    let error = store(&watched.url().replace(NAME, "hunter2")).connect().await.expect_err("not known");
    assert!(error.to_string().contains("does not know the primary's name"), "{error}");
    assert!(!error.to_string().contains("hunter2"));
}

/// What a sentinel says, as this test has it: in RESP3, to one client after the other.
struct Told {
    url: String,
    epoch: watch::Sender<(u64, u16)>,
    /// When it was asked by those who have it tell them of failovers.
    looks: watch::Receiver<Vec<Instant>>,
}

impl Told {
    async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("redis+sentinel://{}/{NAME}", listener.local_addr().expect("it is bound"));
        let ((epoch, knows), (looked, looks)) = (watch::channel((1, port)), watch::channel(Vec::new()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::serve(stream, knows.clone(), looked.clone()));
            }
        });
        Self { url, epoch, looks }
    }

    /// Waits until it was asked once more than so many times; gives when that was.
    async fn look(&self, after: usize) -> Instant {
        wait_until("it is asked", DEADLINE, async || self.looks.borrow().len() > after).await;
        self.looks.borrow()[after]
    }

    /// Another server is the primary from now on.
    fn switch(&self, port: u16) {
        self.epoch.send_modify(|(epoch, known)| (*epoch, *known) = (*epoch + 1, port));
    }

    async fn serve(
        mut stream: TcpStream,
        mut knows: watch::Receiver<(u64, u16)>,
        looked: watch::Sender<Vec<Instant>>,
    ) {
        let (mut heard, mut is_subscribed) = (vec![0; 4096], false);
        loop {
            tokio::select! {
                read = stream.read(&mut heard) => {
                    let Ok(length @ 1..) = read else { return };
                    let (epoch, port) = *knows.borrow();
                    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
                    let mut answer = String::new();
                    for word in String::from_utf8_lossy(&heard[..length]).split("\r\n") {
                        is_subscribed |= word == "SUBSCRIBE";
                        if is_subscribed && word == "MASTER" {
                            looked.send_modify(|looks| looks.push(Instant::now()));
                        }
                        let (head, strings) = match word {
                            "HELLO" => ("%0", vec![]),
                            "SUBSCRIBE" => (">3", vec!["subscribe".to_owned(), "+switch-master".to_owned()]),
                            "MASTER" => ("%1", vec!["config-epoch".to_owned(), epoch.to_string()]),
                            "GET-MASTER-ADDR-BY-NAME" => ("*2", vec!["127.0.0.1".to_owned(), port.to_string()]),
                            _ => continue,
                        };
                        answer.extend([head, "\r\n"]);
                        answer.extend(strings.iter().map(|text| bulk(text)));
                        answer.push_str(if word == "SUBSCRIBE" { ":1\r\n" } else { "" });
                    }
                    if stream.write_all(answer.as_bytes()).await.is_err() { return }
                }
                changed = knows.changed() => {
                    let push = ">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$4\r\nnews\r\n";
                    if changed.is_err() || stream.write_all(push.as_bytes()).await.is_err() { return }
                }
            }
        }
    }
}

/// Upholds G1, as far as the new primary has what the former one took.
#[tokio::test]
async fn a_primary_that_sentinels_say_is_none_any_more_is_sent_no_command_more() {
    let (former, next) = (RedisServer::start(), RedisServer::start());
    let sentinel = Told::start(former.port()).await;
    let store = store(&sentinel.url);
    store.set("before", "value".into(), LONG).await.expect("stored");
    store.evict_prefix("none").await.expect("a pooled connection");
    let watched = Watching::start(&former.url()).await;
    sentinel.switch(next.port());
    // Nothing is asked for meanwhile; both are primaries, and neither closes a connection.
    wait_until("it is heard", DEADLINE, async || format!("{store:?}").contains("open: 0")).await;
    store.set("after", "value".into(), LONG).await.expect("stored");
    store.evict_prefix("none").await.expect("a pooled connection");
    let commands = watched.commands().await;
    let of_ours: Vec<_> = commands.iter().filter(|command| command[0] != "PING").collect();
    assert!(of_ours.is_empty(), "{of_ours:?}");
    let mut client = next.client().await;
    let there: u64 = redis::cmd("EXISTS").arg("after").query_async(&mut client).await.expect("EXISTS");
    assert_eq!(there, 1);
}

/// By what it announces, and not because it is asked once a second in any case.
#[tokio::test]
async fn a_sentinel_that_announces_a_failover_is_asked_at_once() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let sentinel = Told::start(servers[0].port()).await;
    let store = store(&sentinel.url);
    store.connect().await.expect("it is there");
    let mut soonest = Duration::MAX;
    for round in 1..=5 {
        // Right after it was asked: then it is not, for a second.
        let looks = sentinel.looks.borrow().len();
        sentinel.look(looks).await;
        let announced = Instant::now();
        sentinel.switch(servers[round % 2].port());
        soonest = soonest.min(sentinel.look(looks + 1).await.saturating_duration_since(announced));
        // Once will do, on a machine that is busy.
        if soonest < Duration::from_millis(500) {
            return;
        }
    }
    panic!("of five announcements the soonest was looked after in {soonest:?}");
}

/// Upholds G3: the former one goes on telling of what changes there, where nothing does.
#[tokio::test]
async fn copies_of_a_primary_that_is_none_any_more_are_let_go() {
    let (former, next) = (RedisServer::start(), RedisServer::start());
    let sentinel = Told::start(former.port()).await;
    let ns = namespace();
    let cache = |url: &str| Cache::builder().redis(url).namespace(&ns).command_timeout(DEADLINE);
    let ours = cache(&sentinel.url).local(LONG).build().expect("acceptable");
    let row = ours.entry::<u64>("row", 1);
    wait_until("a copy answers", DEADLINE, async || {
        let before = ours.stats().total.local_hits;
        assert_eq!(row.get_or_load(async || 1).await, 1);
        ours.stats().total.local_hits > before
    })
    .await;
    let theirs = cache(&next.url()).build().expect("acceptable");
    theirs.set("row", 1, &2_u64).await.expect("stored");
    sentinel.switch(next.port());
    wait_until("what the next one has is read", DEADLINE, async || row.get_or_load(async || 3).await == 2)
        .await;
}

#[tokio::test]
async fn a_primary_that_hands_over_is_replaced_by_a_replica() {
    let watched = Watched::start().await;
    let each = async |command: &str| {
        for server in &watched.servers {
            run(&mut watched.client(server).await, command).await;
        }
    };
    each("ACL SETUSER app on >first ~* &* +@all").await;
    let asked = Asked::new("app", "first");
    let config = RedisConfig::new(watched.bare_url()).connect_timeout(Duration::from_secs(3));
    let config = config.command_timeout(Duration::from_secs(2)).credentials(asked.provider());
    let store = RedisStore::new(config).expect("acceptable");
    assert!(is_on(&watched, 0, &store).await);
    let before = asked.times();
    asked.changes_to("second");
    each("ACL SETUSER app resetpass >second").await;
    each("CLIENT KILL USER app").await;
    wait_until("it logs in again", DEADLINE, async || is_on(&watched, 0, &store).await).await;
    assert!(asked.times() > before, "once for each connection");
    assert!(connections(&watched, 0).await > 0);
    let next = watched.hand_over().await;
    watched.follows(0).await;
    wait_until("the next one serves", DEADLINE, async || is_on(&watched, next, &store).await).await;
    wait_until("the former one is left", DEADLINE, async || connections(&watched, 0).await == 0).await;
}

#[tokio::test]
async fn a_primary_that_is_killed_is_replaced_by_a_replica() {
    let mut watched = Watched::start().await;
    let store = store(&watched.url());
    assert!(is_on(&watched, 0, &store).await);
    watched.servers[0].stop();
    watched.another_than(0).await;
    let serves = async || is_on(&watched, watched.primary().await, &store).await;
    wait_until("the next one serves", 4 * DEADLINE, serves).await;
    // It comes back as what it was, and is told otherwise.
    watched.servers[0].restart();
    watched.follows(0).await;
    let serves = async || is_on(&watched, watched.primary().await, &store).await;
    wait_until("the next one serves", 4 * DEADLINE, serves).await;
}

#[tokio::test]
async fn a_sentinel_that_missed_a_failover_is_not_believed() {
    let watched = Watched::start().await;
    watched.sentinels[2].pause();
    let before = watched.primary().await;
    run(&mut watched.client(&watched.sentinels[0]).await, &format!("SENTINEL FAILOVER {NAME}")).await;
    let port = watched.servers[before].port().to_string();
    for sentinel in 0..2 {
        wait_until("another is the primary", 4 * DEADLINE, async || watched.port(sentinel).await != port)
            .await;
    }
    let next = watched.primary().await;
    watched.follows(before).await;
    let store = store(&watched.url());
    assert!(is_on(&watched, next, &store).await);
    watched.sentinels[2].resume();
    for _ in 0..5 {
        assert!(is_on(&watched, next, &self::store(&watched.url())).await);
    }
}

#[tokio::test]
async fn sentinels_and_servers_have_passwords_of_their_own() {
    let watched = Watched::start_with(Some("hunter2")).await;
    let url = watched.bare_url();
    let with = |user: &str, sentinels: &str| {
        format!("{}?sentinel_password={sentinels}", url.replace("://", &format!("://{user}@")))
    };
    assert!(is_on(&watched, 0, &store(&with(":hunter2", "hunter2"))).await);
    for (url, says) in [
        (with(":hunter2", "hunter3"), "sentinel"),
        (url.replace("://", "://:hunter2@"), "sentinel"),
        (with(":hunter3", "hunter2"), "user name or password"),
    ] {
        let store = store(&url);
        let error = store.connect().await.expect_err("wrong");
        let shown = format!("{error} {error:?} {store:?}");
        assert!(shown.contains(says) && !shown.contains("hunter"), "{shown}");
    }
}

#[tokio::test]
async fn sentinels_and_servers_speak_tls() {
    let authority = Authority::new("ours");
    let OverTls { primary, sentinel, url } = OverTls::start(&authority);
    let ours = store(&url);
    ours.connect().await.expect("both prove who they are");
    ours.evict_prefix("none").await.expect("a pooled connection");
    for server in [&primary.server, &sentinel] {
        let mut client = server.client().await;
        let plain = format!(" laddr=127.0.0.1:{} ", server.port());
        // Who starts a server asks it once, too.
        wait_until("nobody but this test came to the plain port", DEADLINE, async || {
            let mut list = redis::cmd("CLIENT");
            let clients: String = list.arg("LIST").query_async(&mut client).await.expect("it tells");
            clients.lines().filter(|client| client.contains(&plain)).count() == 1
                && clients.lines().count() > 1
        })
        .await;
    }
    let error = store(url.split('?').next().expect("a URL")).connect().await.expect_err("whom nobody knows");
    assert!(error.to_string().contains("a CA that is not trusted"), "{error}");
    // A sentinel that does not speak TLS is not asked without.
    let plain = format!("rediss+sentinel://{}/{NAME}?ca={}", sentinel.address(), authority.file().display());
    let error = store(&plain).connect().await.expect_err("it does not speak it");
    assert!(error.to_string().contains("sentinel"), "{error}");
}

/// How late a copy may be of what another process evicted: a heartbeat that is not answered, and as much for a machine that is busy.
const LATEST: Duration = Duration::from_secs(2);

/// A history through failovers, orderly and by SIGKILL in turn; how many reads were stale. Twenty of each in a long run.
async fn history(mut watched: Watched, epoch: bool, replicas: usize) -> usize {
    // Some readers take copies, others ask.
    let plan = Plan { tasks: 8, rows: 64, rest_millis: 5, epoch, replicas, local: true, ..Plan::default() };
    let mut fleet = Fleet::start(env!("CARGO_BIN_EXE_history_worker"), &watched.url(), &plan, 1).await;
    let mut leaks = None;
    for round in 0..=rounds(2) {
        let Counts { hits, local, .. } = fleet.counts().await;
        let enough = |done: &Counts| done.hits > hits + 200 && done.local > local + 50;
        fleet.until("they go on", 4 * DEADLINE, enough).await;
        if leaks.is_none() {
            leaks = Some(Leaks::from_now_on(&mut fleet, &plan).await);
        }
        let before = watched.primary().await;
        if round == rounds(2) {
            break;
        } else if round % 2 == 0 {
            watched.hand_over().await;
        } else {
            watched.servers[before].stop();
            watched.another_than(before).await;
            watched.servers[before].restart();
        }
        watched.follows(before).await;
    }
    fleet.stop().await;
    leaks.expect("there was a round").none(&mut fleet).await;
    no_lease_stays(&fleet, &watched.servers).await;
    let report = fleet.report(false).await;
    let (stale, window) = report.stale_window();
    let (local, latest) = (report.counts.local, Duration::from_micros(report.counts.latest));
    println!(
        "{} failovers, epoch check {epoch}, evicts wait for {replicas} replicas: {stale} stale reads within {window:.1?}; {}; \
         {local} local hits, the latest by {latest:.1?}",
        rounds(2),
        report.summary()
    );
    is_whole(&report);
    // Without, what a failover revived is copied too.
    assert!(!epoch || replicas == 0 || latest < LATEST, "a copy was late by {latest:.1?}");
    stale
}

/// No caller sees an error. What a failover loses is told, and bounded by TTLs alone.
#[tokio::test]
async fn a_history_goes_on_through_failovers() {
    for (epoch, replicas) in
        [(false, 0), (true, 0), (false, 2)].into_iter().take(if is_long() { 3 } else { 1 })
    {
        history(Watched::start().await, epoch, replicas).await;
    }
}

/// Upholds G1, G2 and G3: over TLS, where the servers speak it, and in a long run plainly too.
#[tokio::test]
async fn where_evicts_wait_for_replicas_and_ids_are_checked_no_failover_brings_a_stale_read() {
    if has_tls() {
        let authority = Authority::new("ours");
        assert_eq!(history(Watched::over_tls(&authority).await, true, 2).await, 0);
    }
    if is_long() || !has_tls() {
        assert_eq!(history(Watched::start().await, true, 2).await, 0);
    }
}

/// A history while the network to the primary and to one sentinel after the other is broken, both in the same way.
async fn faults_of_the_network(authority: Option<&Authority>) {
    let watched = Watched::behind_proxies(authority).await;
    let plan = Plan { tasks: 8, rows: 16, rest_millis: 5, guarded: false, ..Plan::default() };
    let mut fleet = Fleet::start(env!("CARGO_BIN_EXE_history_worker"), &watched.url(), &plan, 1).await;
    let mut leaks = None;
    for round in 0..=rounds(10) {
        let hits = fleet.counts().await.hits;
        fleet.until("they go on", 4 * DEADLINE, |done| done.hits > hits + 200).await;
        if leaks.is_none() {
            leaks = Some(Leaks::from_now_on(&mut fleet, &plan).await.and_leases(&fleet, &watched.servers));
        }
        if round < rounds(10) {
            let (fault, at) = (Fault::of_round(round), usize::try_from(round).expect("a few"));
            let sentinel = &watched.sentinel_proxies[at % watched.sentinel_proxies.len()];
            tokio::join!(fault.strike(&watched.proxies[0], round), fault.strike(sentinel, round));
        }
    }
    fleet.stop().await;
    leaks.expect("there was a round").none(&mut fleet).await;
    let report = fleet.report(true).await;
    let over = if authority.is_some() { "over TLS" } else { "plainly" };
    println!("{} faults of the network by way of sentinels, {over}: {}", rounds(10), report.summary());
    is_whole(&report);
    assert_eq!(report.stale, []);
}

/// Upholds G1 and G6.
#[tokio::test]
async fn while_the_network_to_primary_and_sentinels_is_broken_no_read_is_stale() {
    faults_of_the_network(None).await;
}

/// Upholds G1 and G6.
#[tokio::test]
async fn while_the_network_to_primary_and_sentinels_is_broken_no_read_is_stale_over_tls_either() {
    faults_of_the_network(Some(&Authority::new("ours"))).await;
}
