//! The airports example, over HTTP: what its cache saves is seen in the number of database queries, and what it shows
//! is what is in the database.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cachemacro_tests::programs::{Answer, Served};
use cachemacro_tests::{DEADLINE, Program, RedisServer};
use serde_json::json;
use tempfile::TempDir;

/// A folder with room for one database, and processes that serve it.
struct Service {
    folder: TempDir,
    redis: Option<String>,
}

impl Service {
    fn new(redis: Option<String>) -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), redis }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("airports.sqlite")
    }

    /// One more process.
    fn start(&self) -> Served {
        let program = Program::example("airports").args("serve --port 0 --database").arg(self.database());
        match &self.redis {
            Some(url) => program.env("REDIS_URL", url).serve(),
            None => program.serve(),
        }
    }
}

/// How many statements a process's database ran while `what` was done.
fn queries<T>(served: &Served, what: impl FnOnce() -> T) -> (u64, T) {
    let count = || served.get("/figures").json()["queries"].as_u64().expect("a count");
    let before = count();
    let done = what();
    (count() - before, done)
}

/// Whether a question costs no query, at the latest soon: what a write has evicted, the task that drains the outbox may evict once more.
fn is_kept(served: &Served, path: &str) -> bool {
    (0..20).any(|_| queries(served, || served.get(path)).0 == 0)
}

fn name(answer: &Answer) -> String {
    answer.json()["name"].as_str().expect("a name").to_owned()
}

#[test]
fn the_figures_of_the_cache_are_there_for_prometheus() {
    let service = Service::new(None);
    let served = service.start();
    for _ in 0..3 {
        served.get("/countries/DE");
    }
    let told = served.get("/metrics").body;
    let line = |series: &str| told.lines().any(|line| line == series);
    for (figure, site, tier, count) in [
        // What the store had as bytes is kept ready by the first of them.
        ("hits", "GET /countries/{country}", r#",tier="store",state="fresh""#, 1),
        ("hits", "GET /countries/{country}", r#",tier="local",state="fresh""#, 1),
        ("loads", "GET /countries/{country}", "", 1),
        ("loads", "airports::service::statistics", "", 1),
    ] {
        let series = format!(r#"cachemacro_{figure}_total{{cache="airports",site="{site}"{tier}}} {count}"#);
        assert!(line(&series), "{series} in {told}");
    }
}

/// The codes of what `/search` finds.
fn finds(served: &Served, asked: &str) -> Vec<String> {
    let answer = served.get(&format!("/search?{asked}")).json();
    assert_eq!(answer["partial"], false, "{answer}");
    let items = answer["items"].as_array().expect("a list");
    items.iter().map(|item| item["icao"].as_str().expect("a code").to_owned()).collect()
}

#[test]
fn what_was_looked_up_is_found_with_a_typo_by_all_processes_and_after_a_restart_until_it_is_evicted() {
    let redis = RedisServer::start();
    let service = Service::new(Some(redis.url()));
    let served = service.start();
    assert!(finds(&served, "q=heatrow").is_empty(), "nothing was looked up yet");
    for code in ["EGLL", "EGKK", "EDDB", "EDDF"] {
        served.get(&format!("/airports/{code}"));
    }
    let soon = |served: &Served, asked: &str, found: &[&str]| {
        let began = Instant::now();
        while finds(served, asked) != found {
            assert!(began.elapsed() < DEADLINE, "{asked}: {:?}", finds(served, asked));
        }
    };
    let other = service.start();
    for process in [&served, &other] {
        soon(process, "q=heatrow&limit=1", &["EGLL"]);
        assert_eq!(finds(process, "q=LONDON&method=exact"), ["EGKK", "EGLL"]);
        assert_eq!(finds(process, "q=berlin%20airfields&method=vector&limit=1"), ["EDDB"]);
        assert_eq!(finds(process, "q=berlin%20airfields&method=vector&threshold=1"), [""; 0]);
    }
    assert_eq!(served.get("/search?q=x&threshold=2").status, 400);
    assert_eq!(served.get("/search?q=x&method=guess").status, 400);
    drop((served, other));
    let restarted = service.start();
    assert_eq!(finds(&restarted, "q=heatrow&limit=1"), ["EGLL"], "it has looked nothing up itself");
    assert_eq!(restarted.send("PUT", "/airports/EGLL/name", "Hithero").status, 200);
    soon(&restarted, "q=hithreo&limit=1", &["EGLL"]);
    assert_eq!(restarted.send("DELETE", "/airports/EGLL", "").status, 204);
    assert!(!finds(&restarted, "q=hithero").contains(&"EGLL".to_owned()));
}

/// The names that the answer to a question shows.
fn told(served: &Served, question: &str) -> Vec<String> {
    let answer = served.get(&format!("/ask?q={}", question.replace(' ', "%20")));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let airports = answer.json()["airports"].clone();
    airports
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// Answers `POST`s of texts with vectors, as a server of models does: as many numbers as texts have of each letter but for what is not in names. Gives its address, and how often it was asked.
fn model() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has one");
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    // It ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut reader = BufReader::new(stream);
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a whole body");
            let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            let vector = |text: &serde_json::Value| {
                let place = text.as_str().and_then(|text| text.split(' ').next_back()).unwrap_or_default();
                let letter = |letter: u8| place.bytes().filter(|byte| *byte == letter).count();
                json!({ "embedding": (b'a'..=b'z').map(letter).collect::<Vec<_>>() })
            };
            let data: Vec<_> = body["input"].as_array().expect("a list").iter().map(vector).collect();
            let answer = json!({ "data": data }).to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
            // Who does not wait for it has gone.
            let _ = reader.into_inner().write_all(format!("{head}{answer}").as_bytes());
        }
    });
    (format!("http://{address}/v1/embeddings"), asked)
}

#[test]
fn questions_that_mean_the_same_share_an_answer_until_what_it_shows_has_another_name() {
    let redis = RedisServer::start();
    let service = Service::new(Some(redis.url()));
    let (url, asked) = model();
    let with_model = || {
        let program = Program::example("airports").args("serve --port 0 --database").arg(service.database());
        let program = program.env("REDIS_URL", &redis.url()).env("EMBEDDER_URL", &url);
        program.env("EMBEDDER_MODEL", "letters").env("EMBEDDER_DIMENSIONS", "26").serve()
    };
    for is_model in [false, true] {
        let start = || if is_model { with_model() } else { service.start() };
        let (served, other) = (start(), start());
        // Nothing is there of before.
        assert_eq!(served.send("PUT", "/airports/EDDB/name", "Schönefeld").status, 200);
        let first = if is_model { "aerodromes of Berlin" } else { "airports near Berlin" };
        let (count, names) = queries(&served, || told(&served, first));
        assert!(count > 0 && !names.is_empty(), "{names:?}");
        // Once its document is written.
        let began = Instant::now();
        let mut ask = 0;
        while queries(&other, || told(&other, "airfields close to Berlin")).0 > 0 {
            // What it loaded itself is not to be the answer.
            ask += 1;
            assert!(began.elapsed() < DEADLINE, "{ask}");
            assert_eq!(served.send("PUT", "/airports/EDDB/name", &format!("Berlin {ask}")).status, 200);
            told(&served, first);
            // A process sees documents that are older than 250 ms.
            std::thread::sleep(Duration::from_millis(500));
        }
        assert_eq!(told(&other, "airfields close to Berlin"), told(&served, first));
        // Not what only looks alike.
        let (count, bern) = queries(&other, || told(&other, "airports near Bern"));
        assert!(count > 0 && bern.iter().all(|name| !names.contains(name)), "{bern:?}");
        // A rename takes the answer away.
        assert_eq!(served.send("PUT", "/airports/EDDB/name", "Willy").status, 200);
        for process in [&served, &other] {
            let names = told(process, "airfields close to Berlin");
            assert!(names.contains(&"Willy".to_owned()), "{names:?}");
        }
        assert_eq!(asked.load(Ordering::SeqCst) > 0, is_model);
    }
}

#[test]
fn the_health_of_the_cache_is_there_also_while_its_server_is_gone() {
    let mut server = RedisServer::start();
    let service = Service::new(Some(server.url()));
    let served = service.start();
    served.get("/airports/FRA");
    let well = served.get("/health/cache").json();
    assert_eq!((&well["status"], &well["store"]["name"]), (&json!("ok"), &json!("redis")), "{well}");
    assert_eq!(well["store"]["figures"]["role"], "master");
    assert!(well["pool"]["shared"].as_u64() >= Some(1), "{well}");
    server.stop();
    let gone = served.get("/health/cache");
    let down = gone.json();
    assert_eq!((gone.status, &down["status"]), (200, &json!("down")), "{down}");
    assert!(down["pool"]["last_failure"].is_string(), "{down}");
    assert!(!gone.body.contains("127.0.0.1"), "addresses are nobody's business: {down}");
    let report = served.get("/report/cache").json();
    assert_eq!(report["namespace"], "airports");
}

#[test]
fn a_question_that_was_answered_before_costs_no_query() {
    let service = Service::new(None);
    let served = service.start();
    assert_eq!(served.head(), ["cache: memory"]);
    for (path, cost) in [
        ("/airports/FRA", 2),
        ("/airports/EDDF", 0),
        ("/airports?country=de&name=Main", 2),
        ("/airports/FRA/near?km=100", 3),
        ("/countries/DE", 1),
        ("/airports/NOPE", 1),
    ] {
        let (first, answer) = queries(&served, || served.get(path));
        assert_eq!(first, cost, "{path}: {answer:?}");
        let (again, same) = queries(&served, || served.get(path));
        assert_eq!((again, same), (0, answer), "{path}");
    }
    // What lies near is made of airports, each of them known from now on.
    let (near, _) = queries(&served, || served.get("/airports/EDFE"));
    assert_eq!(near, 0);
    // Anybody can ask for countries without end: those without airports are not kept.
    for _ in 0..2 {
        assert_eq!(queries(&served, || served.get("/countries/XX")).0, 1);
    }
    // The same question, spelled otherwise.
    let (other, _) = queries(&served, || served.get("/airports?country=DE&name=%20MAIN&page=0"));
    assert_eq!(other, 0);
}

#[test]
fn the_answers_are_those_of_the_database() {
    let service = Service::new(None);
    let served = service.start();
    let frankfurt = served.get("/airports/fra").json();
    assert_eq!(frankfurt["icao"], "EDDF");
    assert_eq!(frankfurt["country"], "DE");

    let germany = served.get("/countries/DE").json();
    assert_eq!((&germany["airports"], &germany["time_zones"]), (&json!(479), &json!(1)));

    let page = served.get("/airports?country=DE&page=1").json();
    assert_eq!((&page["total"], page["items"].as_array().map(Vec::len)), (&json!(479), Some(20)));

    let near = served.get("/airports/FRA/near?km=50").json();
    let neighbors = near["airports"].as_array().expect("a list");
    assert!(neighbors.iter().all(|airport| airport["icao"] != "EDDF"), "{near}");
    let distances: Vec<f64> = neighbors.iter().filter_map(|airport| airport["distance"].as_f64()).collect();
    assert!(!distances.is_empty() && distances.is_sorted() && distances.iter().all(|km| *km <= 50.0));

    assert_eq!(served.get("/airports/ZZZZ").status, 404);
    assert_eq!(served.get("/airports/FRA/near?km=5000").status, 400);
    assert_eq!(served.send("PUT", "/airports/FRA/name", "  ").status, 400);
    assert_eq!(served.send("POST", "/airports", "no,airports\n1,2\n").status, 400);
}

#[test]
fn what_a_write_changes_is_seen_at_once_and_the_rest_stays_cached() {
    let service = Service::new(None);
    let served = service.start();
    let german = [
        "/airports?country=DE&name=rhein",
        "/airports?name=rhein",
        "/countries/DE",
        "/airports/EDFE/near?km=50",
    ];
    let french = ["/countries/FR", "/airports?country=FR", "/airports/LFMN"];
    for path in german.iter().chain(&french) {
        served.get(path);
    }

    let renamed = served.send("PUT", "/airports/FRA/name", "Rhein-Main");
    assert_eq!(name(&renamed), "Rhein-Main");
    // The answer was read anew, and is cached.
    assert_eq!(name(&served.get("/airports/EDDF")), "Rhein-Main");
    assert!(is_kept(&served, "/airports/EDDF"));
    for list in &german[..2] {
        assert!(served.get(list).body.contains("Rhein-Main"), "{list}");
    }
    // Neither depends on names; the names shown come from the airports' own entries.
    assert_eq!(queries(&served, || served.get(german[2])).0, 0);
    assert!(queries(&served, || served.get(german[3])).0 <= 1, "no more than the airport itself");
    assert!(served.get("/airports/EDFE/near?km=50").body.contains("Rhein-Main"));
    // A list shows names, whosever; the rest is of rows and tables that nobody wrote.
    for path in ["/countries/FR", "/airports/LFMN"] {
        assert_eq!(queries(&served, || served.get(path)).0, 0, "{path}");
    }

    assert_eq!(served.send("DELETE", "/airports/FRA", "").status, 204);
    for path in ["/airports/FRA", "/airports/EDDF"] {
        assert_eq!(served.get(path).status, 404);
    }
    assert_eq!(served.send("DELETE", "/airports/FRA", "").status, 404);
    assert_eq!(served.get("/countries/DE").json()["airports"], 478);
    assert!(!served.get("/airports/EDFE/near?km=50").body.contains("EDDF"));
    assert_eq!(queries(&served, || served.get("/airports/LFMN")).0, 0, "another row");
}

/// Nobody says what they make outdated: neither a cascade, nor who writes the file by other means.
#[test]
fn runways_go_with_their_airport_and_what_others_write_is_seen() {
    let service = Service::new(None);
    let served = service.start();
    let put = |code: &str, runways: &serde_json::Value| {
        served.send("PUT", &format!("/airports/{code}/runways"), &runways.to_string()).status
    };
    assert_eq!(served.get("/airports/FRA/runways").json(), json!([]));
    let runways = json!([{ "name": "07C/25C", "length": 4000 }, { "name": "18", "length": 4000 }]);
    assert_eq!(put("FRA", &runways), 204);
    assert_eq!(put("FRA", &json!("long")), 400);
    for _ in 0..2 {
        assert_eq!(served.get("/airports/FRA/runways").json(), runways);
    }
    assert!(is_kept(&served, "/airports/FRA/runways"));
    // A rename is of neither runways nor places.
    served.get("/countries/DE");
    served.send("PUT", "/airports/FRA/name", "Rhein-Main");
    assert_eq!(queries(&served, || served.get("/countries/DE")).0, 0);
    assert!(
        queries(&served, || served.get("/airports/FRA/runways")).0 <= 1,
        "no more than the airport itself"
    );

    let elsewhere = |sql: &str| {
        let done = std::process::Command::new("sqlite3")
            .arg(service.database())
            .arg(format!("PRAGMA busy_timeout = 30000; PRAGMA foreign_keys = ON; {sql}"))
            .output()
            .expect("sqlite3 is installed; ./scripts/test does that");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < DEADLINE, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    elsewhere("UPDATE runways SET length = 4100 WHERE name = '18'");
    until("a longer runway", &|| served.get("/airports/FRA/runways").body.contains("4100"));
    elsewhere("UPDATE names SET name = 'Elsewhere' WHERE icao = 'EDDF'");
    until("a name", &|| name(&served.get("/airports/FRA")) == "Elsewhere");
    assert_eq!(served.send("DELETE", "/airports/FRA", "").status, 204);
    assert_eq!(served.get("/airports/FRA/runways").status, 404);
    elsewhere("DELETE FROM airports WHERE icao = 'EDDH'");
    until("an airport less", &|| served.get("/airports/EDDH").status == 404);
}

#[test]
fn an_import_is_seen_everywhere_at_once() {
    let service = Service::new(None);
    let served = service.start();
    let paths = ["/airports/XXXX", "/airports?name=baltic", "/airports/HAM/near?km=100", "/countries/DE"];
    for path in paths {
        assert!(!served.get(path).body.contains("Baltic Field"));
    }
    let imported = served.send(
        "POST",
        "/airports",
        "icao,iata,name,city,subd,country,elevation,lat,lon,tz\n\
         XXXX,,Baltic Field,Kiel,Schleswig-Holstein,DE,12.5,54.0,10.0,Europe/Berlin\n",
    );
    assert_eq!((imported.status, imported.json()), (200, json!({ "airports": 1 })));
    // The first of them was cached as unknown.
    for path in &paths[..3] {
        assert!(served.get(path).body.contains("Baltic Field"), "{path}");
    }
    assert_eq!(served.get(paths[3]).json()["airports"], 480);
}

#[test]
fn processes_on_one_redis_share_entries_and_see_one_another_s_writes() {
    let server = RedisServer::start();
    let service = Service::new(Some(server.url()));
    let (one, other) = (service.start(), service.start());
    assert_eq!(one.head(), ["cache: redis"]);

    one.get("/airports/FRA");
    one.get("/countries/DE");
    for path in ["/airports/FRA", "/countries/DE"] {
        assert_eq!(queries(&other, || other.get(path)).0, 0, "loaded by the other process: {path}");
    }

    one.send("PUT", "/airports/FRA/name", "Rhein-Main");
    assert_eq!(name(&other.get("/airports/FRA")), "Rhein-Main");
    assert!(is_kept(&other, "/airports/FRA"));

    other.send("DELETE", "/airports/FRA", "");
    assert_eq!(one.get("/airports/FRA").status, 404);
    assert_eq!(one.get("/countries/DE").json()["airports"], 478);
}

#[test]
fn a_new_database_never_shows_what_redis_knows_of_an_old_one() {
    let server = RedisServer::start();
    let first = Service::new(Some(server.url())).start();
    first.send("PUT", "/airports/FRA/name", "Rhein-Main");
    first.get("/airports?country=DE&name=rhein-main");
    drop(first);

    let second = Service::new(Some(server.url())).start();
    assert_eq!(name(&second.get("/airports/FRA")), "Frankfurt am Main International Airport");
    assert!(!second.get("/airports?country=DE&name=rhein-main").body.contains("EDDF"));
}

#[test]
fn without_its_redis_the_service_answers_all_the_same() {
    let mut server = RedisServer::start();
    let service = Service::new(Some(server.url()));
    let served = service.start();
    let before = served.get("/airports/FRA");
    server.stop();
    assert_eq!(served.get("/airports/FRA"), before);
    assert_eq!(name(&served.send("PUT", "/airports/FRA/name", "Rhein-Main")), "Rhein-Main");
    assert_eq!(name(&served.get("/airports/FRA")), "Rhein-Main");
    server.restart();
    is_well(&served);
    assert_eq!(name(&served.get("/airports/FRA")), "Rhein-Main");
    let again = || queries(&served, || served.get("/airports/FRA")).0;
    assert!((0..100).any(|_| again() == 0), "it is in Redis again");
}

/// Waits until nothing is left of an outage.
fn is_well(served: &Served) {
    let began = Instant::now();
    loop {
        let health = served.get("/health/cache").json();
        if health["status"] == "ok" && health["kept_evicts"] == 0 && health["breaker"] == "closed" {
            return;
        }
        assert!(began.elapsed() < DEADLINE, "{health}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Upholds G7.
#[test]
fn what_was_renamed_while_redis_stood_still_shows_its_new_name_though_redis_has_the_old_one() {
    let server = RedisServer::start();
    let service = Service::new(Some(server.url()));
    let served = service.start();
    served.get("/airports/FRA");
    assert_eq!(queries(&served, || served.get("/airports/FRA")).0, 0, "it is in Redis");
    server.pause();
    assert_eq!(name(&served.send("PUT", "/airports/FRA/name", "Rhein-Main")), "Rhein-Main");
    server.resume();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(300) {
        assert_eq!(name(&served.get("/airports/FRA")), "Rhein-Main");
    }
    is_well(&served);
    assert_eq!(name(&served.get("/airports/FRA")), "Rhein-Main");
}

#[test]
fn an_interrupted_service_ends_well() {
    let service = Service::new(None);
    let served = service.start();
    assert_eq!(served.get("/airports/FRA").status, 200);
    assert!(served.interrupt().success());
}

#[test]
fn what_is_not_understood_is_told_with_the_usage() {
    for args in [
        "fly",
        "--port",
        "--port many",
        "load --port 1",
        "serve load",
        "cold --rate 0",
        "load --rate 1",
        "drive --requests 1",
        "--seconds 1",
    ] {
        let ended = Program::example("airports").args(args).end();
        assert_eq!(ended.status.code(), Some(2), "{args}");
        assert!(ended.errors.contains("usage: airports"), "{args}: {}", ended.errors);
    }
}

/// The number behind a word of the report.
fn figure(report: &str, word: &str, at: usize) -> f64 {
    let line = report.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_else(|| panic!("{report}"));
    let figure = line.split_whitespace().nth(at).and_then(|figure| figure.parse().ok());
    figure.unwrap_or_else(|| panic!("no figure {at} behind {word:?} in {report}"))
}

#[track_caller]
fn assert_saves(report: &str, store: &str) {
    assert!(report.contains(&format!("; cache in {store}\n")), "{report}");
    let (off, on) = (figure(report, "handler runs ", 0), figure(report, "handler runs ", 1));
    assert!(on < 0.6 * off, "pages are kept: {report}");
    let (off, on) = (figure(report, "database queries ", 0), figure(report, "database queries ", 1));
    let saved = figure(report, "database queries saved:", 0);
    assert!((saved - 100.0 * (1.0 - on / off)).abs() < 0.1, "{report}");
    // Lists and distances go with any write of the tables that they read.
    assert!(saved > 50.0, "{report}");
    assert!(figure(report, "hit rate", 1) > 35.0, "{report}");
    let kept = report.lines().find(|line| line.contains(" cached airports a rename left ")).expect("a line");
    let counts: Vec<u32> = kept.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(matches!(counts[..], [all, by_row, 0] if by_row * 100 >= all * 95 && all == 1_000), "{kept}");
    for quantile in ["p50", "p99"] {
        assert!(figure(report, quantile, 0) > 0.0 && figure(report, quantile, 2) > 0.0, "{report}");
    }
}

#[test]
fn a_load_saves_more_than_half_of_the_queries() {
    let load = "load --requests 1000 --seconds 60 --callers 4 --skew 1.3";
    let report = Program::example("airports").args(load).output();
    assert!(report.starts_with("1000 requests over HTTP on loopback, "), "{report}");
    assert_saves(&report, "memory");
    // Without caching, each request needs a query, most of them two.
    assert!(figure(&report, "database queries ", 0) > 1_000.0, "{report}");
}

#[test]
fn a_load_on_redis_saves_as_much_and_leaves_other_entries_alone() {
    let server = RedisServer::start();
    let service = Service::new(Some(server.url()));
    let served = service.start();
    served.get("/airports/FRA");
    let load = "load --requests 600 --seconds 60 --callers 4 --skew 1.4";
    let report = Program::example("airports").args(load).env("REDIS_URL", &server.url()).output();
    assert_saves(&report, "redis");
    assert_eq!(queries(&served, || served.get("/airports/FRA")).0, 0);
}

#[test]
fn a_service_that_runs_is_sent_requests() {
    let service = Service::new(None);
    let served = service.start();
    let before = served.get("/figures").json()["loads"].as_u64();
    let args = format!("drive --port {} --seconds 1 --per-second 100", served.port());
    let report = Program::example("airports").args(&args).output();
    assert!(report.starts_with("100 requests were answered: p50 "), "{report}");
    assert!(served.get("/figures").json()["loads"].as_u64() > before, "it was asked");
    let nobody = Program::example("airports").args("drive --port 1 --seconds 1").end();
    assert_eq!(nobody.status.code(), Some(1), "{}", nobody.errors);
}

#[test]
fn a_load_ends_in_time() {
    let report = Program::example("airports").args("load --requests 1000000 --seconds 1").output();
    let replayed = figure(&report, "", 0);
    assert!((1.0..1_000_000.0).contains(&replayed), "{report}");
}

#[test]
fn a_start_that_was_warmed_asks_the_database_less() {
    let cold = "cold --seconds 1 --per-second 200 --distance 0 --rate 1000000 --requests 3000 --skew 1.3";
    let report = Program::example("airports").args(cold).output();
    let figures = |word, [one, other]: [usize; 2]| (figure(&report, word, one), figure(&report, word, other));
    let (without, with) = figures("database queries ", [0, 1]);
    assert!(with < 0.7 * without, "{report}");
    let (without, with) = figures("hit rate", [0, 2]);
    assert!(with > without, "{report}");
    assert!(figure(&report, "warmed before:", 0) > 50.0, "{report}");
}
