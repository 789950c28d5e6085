//! Every program in `examples/` does what it says, run as a process of its own.

use std::path::Path;

use cachemacro_tests::authority::{Authority, TlsServer};
use cachemacro_tests::programs::Answer;
use cachemacro_tests::sentinels::Watched;
use cachemacro_tests::server::is_redis_6;
use cachemacro_tests::{Program, RedisServer};

/// The programs that a test below runs.
const RUN: [&str; 11] = [
    "quickstart",
    "closure_keys",
    "custom_codec",
    "database",
    "injection",
    "pages",
    "tags",
    "web",
    "events",
    "migration",
    "testing",
];

fn output(name: &str) -> String {
    Program::example(name).output()
}

#[test]
fn no_example_is_left_out() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).expect("the examples have a manifest");
    let mut names: Vec<&str> =
        manifest.split("[[example]]").skip(1).filter_map(|example| example.split('"').nth(1)).collect();
    let mut run = RUN;
    names.sort_unstable();
    run.sort_unstable();
    assert_eq!(names, run);
}

const QUICKSTART: &str = "
                          user 1          queries  hits  misses
first call: a miss        Ada                   1     0       1
second call: a hit        Ada                   1     1       1
after rename_user: a hit  Ada Lovelace          1     2       1
after delete_user: a miss not there             2     2       2

1000 concurrent callers of user 2 got Grace, from 1 query.
";

#[test]
fn the_quickstart_shows_hits_misses_a_put_an_evict_and_one_load_for_a_thousand_callers() {
    assert_eq!(output("quickstart"), format!("The cache is in memory.\n{QUICKSTART}"));
}

/// On this server, with time for a machine that is busy.
fn quickstart(url: &str) -> Program {
    patient(Program::example("quickstart")).env("REDIS_URL", url)
}

fn patient(program: Program) -> Program {
    program.env("CACHEMACRO_CONNECT_TIMEOUT", "10s").env("CACHEMACRO_COMMAND_TIMEOUT", "10s")
}

#[test]
fn the_quickstart_says_the_same_on_redis_each_time() {
    let server = RedisServer::start();
    for _ in 0..2 {
        let said = quickstart(&server.url()).output();
        assert_eq!(said, format!("The cache is in redis.\n{QUICKSTART}"));
    }
}

#[tokio::test]
async fn the_quickstart_says_the_same_by_way_of_sentinels_and_of_a_socket() {
    let watched = Watched::start().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("redis.sock");
    let path = socket.to_str().expect("a path of text");
    let _server = RedisServer::with_args(&["--unixsocket", path]);
    for url in [watched.url(), watched.url().replace("redis+", "valkey+"), format!("unix://{path}?db=3")] {
        let said = quickstart(&url).output();
        assert_eq!(said, format!("The cache is in redis.\n{QUICKSTART}"), "{url}");
    }
}

/// Of the CAs that the platform trusts, which `SSL_CERT_FILE` says in its place.
#[test]
fn the_quickstart_says_the_same_over_tls_where_the_platform_trusts_the_ca() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = TlsServer::start(&ours, &ours.signs(&["localhost"]), false);
    let trusting = |trusted: &Authority| {
        quickstart(&server.bare_url()).env("SSL_CERT_FILE", trusted.file().to_str().expect("a path of text"))
    };
    assert_eq!(trusting(&ours).output(), format!("The cache is in redis.\n{QUICKSTART}"));
    let refused = trusting(&theirs).end();
    assert!(!refused.status.success() && refused.errors.contains("a CA that is not trusted"), "{refused:?}");
}

/// The command of the guide, with the program as it is built here.
#[test]
fn the_quickstart_says_the_same_over_tls_on_the_cluster_of_the_guide() {
    let guide = include_str!("../../../docs/cluster.md");
    let line = guide.lines().find(|line| line.starts_with("./scripts/cluster --tls cargo run "));
    let line = line.expect("docs/cluster.md says how to try it");
    let (script, cargo) = line.split_once(" cargo run ").expect("it was looked for");
    let asks = "-p cachemacro-examples --example quickstart --features cachemacro/cluster,cachemacro/tls";
    assert_eq!((script, cargo), ("./scripts/cluster --tls", asks));
    // The script needs Redis 7.
    if is_redis_6() {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/cluster");
    // Six ports, below those that systems give away, and others than those of the neighbours.
    let port = 22_000 + 6 * (std::process::id() % 1_600);
    let program = patient(Program::example("quickstart").under(&script, &["--tls"]));
    let said = program.env("CACHEMACRO_CLUSTER_PORT", &port.to_string()).output();
    assert_eq!(said, format!("The cache is in redis.\n{QUICKSTART}"));
}

#[test]
fn closure_keys_shows_the_key_of_each_form() {
    assert_eq!(
        output("closure_keys"),
        "\
template       template:acme:blue%20suede%3A%20shoes:2
closure        closure:acme:Blue%20Suede%3A%20Shoes:2
function       function:acme:blue%20suede%3A%20shoes:2
expression     expression:4:Blue%20Suede%3A%20Shoes
all but trace  default:acme:2
None, not 2    default:acme:%N
trace a1: acme: page 2 of Blue Suede: Shoes
trace b2: acme: page 2 of Blue Suede: Shoes
5 loads, 5 hits
"
    );
}

#[test]
fn custom_codec_round_trips_what_bincode_cannot() {
    assert_eq!(
        output("custom_codec"),
        r#"what was loaded and what was cached are equal: true
{
  "name": "lamp 7",
  "colour": "green",
  "weight": 80
}
the same key under bincode: None
misses because of the codec: 1
1 load, 1 hit
"#
    );
}

#[test]
fn database_loads_again_what_a_write_concerns() {
    assert_eq!(
        output("database"),
        "\
at first: 2 airports, longest runway 3902 m, 2 loads
again: 2 airports, longest runway 3902 m, 0 loads
after a visit: 2 airports, longest runway 3902 m, 0 loads
a longer runway: 2 airports, longest runway 4200 m, 1 loads
all closed, and rolled back: 2 airports, longest runway 4200 m, 0 loads
Frankfurt closed, with its runway: 2 airports, longest runway 3902 m, 2 loads
"
    );
}

#[test]
fn injection_keeps_types_and_caches_apart() {
    assert_eq!(
        output("injection"),
        "\
tea: Some(250), again: Some(250)
the repository was asked 1 time
tea after set_price: Some(300)
tea in a shop of another type, same cache: None
tea in a shop with a cache of its own: Some(990)
hits: 1 here, 0 there
"
    );
}

#[test]
fn pages_of_other_authors_stay_when_one_publishes() {
    assert_eq!(
        output("pages"),
        "\
all    page 1: Butter, Numbers
all    page 2: Bread, Engines
ada    page 1: Numbers, Engines
bob b. page 1: Butter, Bread
-- first round: 4 loads, 0 hits
all    page 1: Butter, Numbers
all    page 2: Bread, Engines
ada    page 1: Numbers, Engines
bob b. page 1: Butter, Bread
-- second round: 4 loads, 4 hits
all    page 1: Beer, Butter
bob b. page 1: Beer, Butter
ada    page 1: Numbers, Engines
-- bob published; ada's page is still a hit: 6 loads, 5 hits
"
    );
}

#[test]
fn tags_evict_what_carries_them_and_nothing_else() {
    assert_eq!(
        output("tags"),
        "\
red 3  blue 1  green 1  at first: 9 loads, 0 hits
red 3  blue 1  green 1  again: 0 loads, 9 hits
red 3  blue 2  green 1  Fay joined blue: 3 loads, 6 hits
red 2  blue 2  green 2  Cyd went from red to green: 6 loads, 3 hits
red 2  blue 2  green 2  all pages evicted, no number: 6 loads, 3 hits
"
    );
}

#[test]
fn web_answers_from_the_cache_and_writes_through_it() {
    let served = Program::example("web").arg("0").serve();
    let name = |answer: Answer| answer.json()["name"].as_str().map(str::to_owned);
    assert_eq!(served.get("/users/3").status, 404);
    for _ in 0..2 {
        assert_eq!(name(served.get("/users/1")).as_deref(), Some("Ada"));
    }
    assert_eq!(name(served.send("PUT", "/users/1", "Ada Lovelace")).as_deref(), Some("Ada Lovelace"));
    assert_eq!(name(served.get("/users/1")).as_deref(), Some("Ada Lovelace"));
    assert_eq!(served.get("/stats").body, "2 hits, 2 misses, 0 errors\n");
    assert_eq!(served.get("/health").body, "memory");
    assert!(served.interrupt().success());
}

#[test]
fn events_evict_what_their_handlers_name() {
    assert_eq!(
        output("events"),
        "\
cold:
  loads the orders of customer 1
  loads the orders of customer 2
  loads the stock of product 10
  loads the stock of product 11
  loads the dashboard
warm:
customer 1 ordered product 11, 2 entries and a tag evicted:
  loads the orders of customer 1
  loads the stock of product 11
  loads the dashboard
prices changed, 2 entries and a tag evicted:
  loads the stock of product 10
  loads the stock of product 11
  loads the dashboard
"
    );
}

#[test]
fn migration_behaves_as_its_table_says() {
    assert_eq!(
        output("migration"),
        r#"user 7 of acme, load 1
user 7 of acme, load 1
renames user 7 of acme
user 7 of acme, load 2
past the cache:   user 7 of acme, load 3
as it was:        user 7 of acme, load 2
loaded anew:      user 7 of acme, load 4
and kept:         user 7 of acme, load 4
Err("no score of 1 yet, load 5")
Ok(6)
Ok(6)
rates [7], again [7]
price 808, again 808
"#
    );
}

#[test]
fn testing_runs_its_tests_side_by_side() {
    assert_eq!(
        output("testing"),
        "\
a second call is a hit
a quote is loaded anew after half a minute, and nobody waited for it
a store that is down costs hits and nothing else
a test can look past the cache
"
    );
}
