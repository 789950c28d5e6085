//! Functions whose values a queue writes, and cached ones that look into it: `#[cache_write_behind]` and `write_behind`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cachemacro::{Cache, ErrorKind, Mode, WriteBehind, cache_config, cache_write_behind, cached};
use cachemacro_tests::monitor::Watched;
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, RedisServer, Rig, namespace, wait_until};

use super::write_behind::{Database, empty, quick, start};

/// Why a name was not changed.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Name(String),
    Cache(ErrorKind),
}

impl From<cachemacro::Error> for Refused {
    fn from(error: cachemacro::Error) -> Self {
        Self::Cache(error.kind())
    }
}

/// A service in one process.
struct Users {
    cache: Cache,
    renames: WriteBehind<String>,
    database: Database,
    loads: AtomicUsize,
}

#[cache_config(cache = self.cache, tags = ["everything"])]
impl Users {
    fn load(&self, kind: &str, id: u64) -> Option<String> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.database.row_of(&format!("{kind}:{id}"))
    }

    #[cached(prefix = "user", key = "{id}", entry = user_entry, write_behind = self.renames)]
    async fn name(&self, id: u64) -> Result<Option<String>, Refused> {
        Ok(self.load("user", id))
    }

    /// It cannot say that there is none.
    #[cached(prefix = "sure", key = "{id}", write_behind = self.renames)]
    async fn sure_name(&self, id: u64) -> String {
        self.load("sure", id).unwrap_or_default()
    }

    #[cached(
        prefix = "ruled",
        key = "{id}",
        cache_none,
        tags = ["letter:{result.len()}"],
        unless = result == "secret",
        write_behind = self.renames
    )]
    async fn ruled_name(&self, id: u64) -> Option<String> {
        self.load("ruled", id)
    }

    #[cached(prefix = "recorded", key = "{id}", recorded, write_behind = self.renames)]
    async fn recorded_name(&self, id: u64) -> Option<String> {
        cachemacro::record([format!("row:{id}")]);
        self.load("recorded", id)
    }

    #[cached(prefix = "greeting", key = "{id}", recorded)]
    async fn greeting(&self, id: u64) -> String {
        cachemacro::record([format!("greeting:{id}")]);
        format!("Hello {}", self.recorded_name(id).await.unwrap_or_default())
    }

    #[cached(prefix = "count", key = "all", tags = ["user-lists"])]
    async fn count(&self) -> usize {
        let mut count = 0;
        self.database.change(|state| count = state.rows.len());
        count
    }

    #[cache_write_behind(entry = self.user_entry(id), queue = self.renames, tags = ["user-lists", "named:{result}"])]
    async fn rename(&self, id: u64, name: &str) -> Result<String, Refused> {
        if name.is_empty() { Err(Refused::Name("it is empty".to_owned())) } else { Ok(name.to_owned()) }
    }

    #[cache_write_behind(entry = self.user_entry(id), queue = self.renames)]
    async fn change(&self, id: u64, name: Option<String>) -> Result<Option<String>, Refused> {
        Ok(name)
    }

    /// A user whose number is known when there is one.
    #[cache_write_behind(entry = self.user_entry(result.len() as u64), queue = self.renames)]
    async fn number_by_name(&self, name: String) -> Result<String, Refused> {
        Ok(name)
    }

    #[cache_write_behind(entry = self.user_entry(id), queue = self.renames, delete, tags = ["user-lists"])]
    async fn remove(&self, id: u64, may: bool) -> Result<(), Refused> {
        if may { Ok(()) } else { Err(Refused::Name("it may not".to_owned())) }
    }

    #[cache_write_behind(entry = self.user_entry(id), queue = self.renames)]
    async fn slowly(&self, id: u64) -> Result<String, Refused> {
        std::future::pending::<()>().await;
        Ok(id.to_string())
    }

    /// Another entry's write.
    async fn pend(&self, kind: &str, name: Option<&str>) {
        let entry = self.cache.entry::<String>(kind, 7);
        let name = name.map(str::to_owned);
        let accepted = match &name {
            Some(name) => self.renames.put(&entry, name),
            None => self.renames.delete(&entry),
        };
        accepted.await.expect("it is accepted");
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

/// Functions that own what they need, so that their loads go on behind their callers.
impl Users {
    #[cached(prefix = "patient", key = "{id}", cache = self.cache, soft = "10s", timeout = "20s", write_behind = self.renames)]
    async fn patient_name(self: Arc<Self>, id: u64) -> Option<String> {
        self.load("patient", id)
    }

    #[cached(prefix = "verified", key = "{id}", cache = self.cache, verify = "100%", write_behind = self.renames)]
    async fn verified_name(self: Arc<Self>, id: u64) -> Option<String> {
        self.load("verified", id)
    }

    #[cached(prefix = "named-if", key = "{id}", cache = self.cache, condition = looks, write_behind = self.renames)]
    async fn name_if(&self, id: u64, looks: bool) -> Option<String> {
        self.load("named-if", id)
    }
}

async fn service(cache: Cache, database: &Database) -> Arc<Users> {
    let renames = start(&cache, quick().attempts(1_000_000), database).await;
    Arc::new(Users { cache, renames, database: database.clone(), loads: AtomicUsize::new(0) })
}

/// Two processes beside one database that is down, so that nothing is applied, and has this row.
async fn two(rig: &Rig) -> (Arc<Users>, Arc<Users>, Database) {
    let database = Database::default();
    database.change(|state| {
        for kind in ["user", "sure", "ruled", "recorded", "patient", "verified", "named-if"] {
            state.rows.insert(format!("{kind}:7"), "old".to_owned());
        }
        state.down = true;
    });
    let one = service(rig.process().cache, &database).await;
    (one, service(rig.process().cache, &database).await, database)
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what functions return")]
fn some(name: &str) -> Result<Option<String>, Refused> {
    Ok(Some(name.to_owned()))
}

/// Tools are told whose entries a queue writes, and who looks into one.
#[tokio::test]
async fn a_report_tells_what_a_queue_writes_and_who_looks_into_it() {
    let (one, ..) = two(&Rig::memory()).await;
    one.name(7).await.expect("it is loaded");
    one.rename(7, "Ada").await.expect("it is accepted");
    one.remove(7, true).await.expect("it is accepted");
    let report = one.cache.report();
    let site = |name: &str| {
        let site = report.sites.iter().find(|site| site.site.ends_with(name));
        site.unwrap_or_else(|| panic!("{name}: {report:?}"))
    };
    assert_eq!(site("::rename").writes, ["queued user_entry", "tag user-lists", "tag named:{result}"]);
    assert_eq!(site("::remove").writes, ["queued user_entry", "tag user-lists"]);
    assert_eq!(site("::name").queue.as_deref(), Some("self.renames"));
}

async fn a_write_is_read_by_another_process_before_and_after_it_is_applied(rig: Rig) {
    let (one, other, database) = two(&rig).await;
    assert_eq!(other.name(7).await, some("old"));
    other.cache.stored().await;
    assert_eq!(one.rename(7, "Ada").await, Ok("Ada".to_owned()));
    assert_eq!(database.row(7).as_deref(), Some("old"), "it is not applied");
    for _ in 0..2 {
        assert_eq!(other.name(7).await, some("Ada"));
        assert_eq!(one.name(7).await, some("Ada"));
        other.cache.stored().await;
    }
    assert_eq!((one.loads(), other.loads()), (0, 1), "it was found");
    assert_eq!(other.user_entry(7).get().await.expect("the store answers").as_deref(), Some("Ada"), "stored");
    database.change(|state| state.down = false);
    empty(&one.renames).await;
    // As the database has it.
    database.change(|state| _ = state.rows.insert("user:7".to_owned(), "Ada, as it was written".to_owned()));
    assert_eq!(other.name(7).await, some("Ada, as it was written"), "it was evicted");
}

async fn a_delete_is_read_by_another_process_before_and_after_it_is_applied(rig: Rig) {
    let (one, other, database) = two(&rig).await;
    assert_eq!(other.name(7).await, some("old"));
    other.cache.stored().await;
    assert_eq!(one.remove(7, false).await, Err(Refused::Name("it may not".to_owned())));
    assert_eq!(other.name(7).await, some("old"), "an `Err` removes nothing");
    assert_eq!(one.remove(7, true).await, Ok(()));
    assert_eq!(other.name(7).await, Ok(None));
    assert_eq!((database.row(7).as_deref(), other.loads()), (Some("old"), 1), "it is not applied");
    database.change(|state| state.down = false);
    empty(&one.renames).await;
    assert_eq!(database.row(7), None);
    assert_eq!(other.name(7).await, Ok(None));
}

async fn none_is_a_delete_and_err_is_nothing(rig: Rig) {
    let (one, other, database) = two(&rig).await;
    assert_eq!(one.rename(7, "").await, Err(Refused::Name("it is empty".to_owned())));
    assert_eq!(one.renames.stats().await.expect("the store answers").depth, 0);
    assert_eq!(one.change(7, Some("Ada".to_owned())).await, some("Ada"));
    assert_eq!(other.name(7).await, some("Ada"));
    assert_eq!(one.change(7, None).await, Ok(None));
    assert_eq!(other.name(7).await, Ok(None));
    assert_eq!(one.renames.stats().await.expect("the store answers").depth, 2);
    database.change(|state| state.down = false);
    empty(&one.renames).await;
    assert_eq!(database.row(7), None);
}

async fn the_entry_may_be_named_by_the_value(rig: Rig) {
    let (one, other, _) = two(&rig).await;
    assert_eq!(one.number_by_name("Ada".to_owned()).await, Ok("Ada".to_owned()));
    assert_eq!(other.name(3).await, some("Ada"));
}

/// Tags of the attribute, with the value in them too, and not before: who loads meanwhile would bring what was there.
async fn tags_are_evicted_once_the_write_was_applied(rig: Rig) {
    let (one, other, database) = two(&rig).await;
    let named = other.cache.entry::<u32>("named", "Ada").with_tags(["named:Ada"]);
    let other_named = other.cache.entry::<u32>("named", "Eve").with_tags(["named:Eve"]);
    let count = other.count().await;
    for entry in [&named, &other_named] {
        entry.set(&1).await.expect("the store answers");
    }
    one.rename(8, "Ada").await.expect("it is accepted");
    assert_eq!(other.count().await, count);
    assert!(named.has().await.expect("the store answers"), "it is not applied");
    database.change(|state| state.down = false);
    empty(&one.renames).await;
    assert_eq!(other.count().await, count + 1);
    assert!(!named.has().await.expect("the store answers"));
    assert!(other_named.has().await.expect("the store answers"));
    // Defaults of the `impl` are not for what a queue writes.
    let all = other.cache.entry::<u32>("all", 1).with_tags(["everything"]);
    all.set(&1).await.expect("the store answers");
    one.rename(8, "Grace").await.expect("it is accepted");
    empty(&one.renames).await;
    assert!(all.has().await.expect("the store answers"));
}

async fn what_was_found_pending_follows_the_rules_of_its_site(rig: Rig) {
    let (one, other, _) = two(&rig).await;
    let named = async || {
        let hits = other.cache.stats().total.hits;
        let name = other.ruled_name(7).await;
        other.cache.stored().await;
        (name, other.cache.stats().total.hits > hits)
    };
    let ada = Some("Ada".to_owned());
    one.pend("ruled", Some("secret")).await;
    for _ in 0..2 {
        assert_eq!(named().await, (Some("secret".to_owned()), false), "`unless`");
    }
    one.pend("ruled", Some("Ada")).await;
    assert_eq!(named().await, (ada.clone(), false));
    assert_eq!(named().await, (ada.clone(), true));
    other.cache.evict_tags(["letter:3"]).await.expect("the store answers");
    assert_eq!(named().await, (ada, false), "its tag was evicted");
    one.pend("ruled", None).await;
    assert_eq!(named().await, (None, false));
    assert_eq!(named().await, (None, true), "`cache_none`");
    assert_eq!(other.loads(), 0);
}

/// What it would have to be evicted by is not known before its apply.
async fn what_was_found_pending_is_not_stored_where_loads_are_recorded(rig: Rig) {
    let (one, other, database) = two(&rig).await;
    one.pend("recorded", Some("Ada")).await;
    for _ in 0..2 {
        assert_eq!(other.greeting(7).await, "Hello Ada");
        other.cache.stored().await;
    }
    assert_eq!((other.cache.stats().total.hits, other.loads()), (0, 0));
    database.change(|state| state.down = false);
    empty(&one.renames).await;
    for _ in 0..2 {
        assert_eq!(other.greeting(7).await, "Hello Ada");
        other.cache.stored().await;
    }
    assert_eq!((other.cache.stats().total.hits, other.loads()), (1, 1));
}

/// A function that cannot say that nothing is there is told what the database says, which nobody is served afterwards.
async fn what_is_to_be_removed_is_not_stored_by_who_cannot_say_so(rig: Rig) {
    let (one, other, database) = two(&rig).await;
    one.pend("sure", None).await;
    for loads in 1..3 {
        assert_eq!(other.sure_name(7).await, "old");
        other.cache.stored().await;
        assert_eq!(other.loads(), loads);
    }
    database.change(|state| state.down = false);
    empty(&one.renames).await;
    for _ in 0..2 {
        assert_eq!(other.sure_name(7).await, "");
        other.cache.stored().await;
    }
    assert_eq!(other.loads(), 3);
}

async fn all_forms_of_calls_look_into_the_queue(rig: Rig) {
    let (one, other, _) = two(&rig).await;
    for kind in ["user", "patient", "verified", "named-if"] {
        one.pend(kind, Some("Ada")).await;
    }
    assert_eq!(Arc::clone(&other).patient_name(7).await.as_deref(), Some("Ada"));
    assert_eq!(Arc::clone(&other).verified_name(7).await.as_deref(), Some("Ada"));
    assert_eq!(other.name_if(7, true).await.as_deref(), Some("Ada"));
    for mode in [Mode::Bypass, Mode::Refresh] {
        assert_eq!(mode.scope(other.name(7)).await, some("Ada"), "{mode:?}");
    }
    assert_eq!(other.loads(), 0);
    assert_eq!(other.name_if(7, false).await.as_deref(), Some("old"), "the condition leaves the cache alone");
}

async fn a_write_that_is_not_accepted_is_the_functions_error(rig: Rig) {
    let database = Database::default();
    database.change(|state| state.down = true);
    let cache = rig.process().cache;
    let builder = quick().attempts(1_000_000).capacity(16).wait(Duration::from_millis(20));
    let renames = start(&cache, builder, &database).await;
    let users = Users { cache, renames, database: database.clone(), loads: AtomicUsize::new(0) };
    assert_eq!(users.rename(7, "Ada").await, Ok("Ada".to_owned()));
    assert_eq!(users.rename(7, "Grace").await, Err(Refused::Cache(ErrorKind::Full)));
    assert_eq!(users.remove(7, true).await, Err(Refused::Cache(ErrorKind::Full)));
    assert_eq!(users.name(7).await, some("Ada"));
    database.change(|state| state.down = false);
    empty(&users.renames).await;
    assert!(users.renames.shutdown(DEADLINE).await);
    assert_eq!(users.rename(7, "Grace").await, Err(Refused::Cache(ErrorKind::Refused)));
    assert_eq!(database.row(7).as_deref(), Some("Ada"));
}

async fn a_call_that_is_cancelled_writes_nothing(rig: Rig) {
    let (one, other, _) = two(&rig).await;
    let cancelled = tokio::time::timeout(Duration::from_millis(20), one.slowly(7)).await;
    assert!(cancelled.is_err());
    assert_eq!(one.renames.stats().await.expect("the store answers").depth, 0);
    assert_eq!(other.name(7).await, some("old"));
}

async fn a_dead_letters_entry_is_evicted_where_it_was_found_pending(rig: Rig) {
    let database = Database::default();
    database.change(|state| {
        state.rows.insert("user:7".to_owned(), "old".to_owned());
        state.down = true;
    });
    let caches = [rig.process().cache, rig.process().cache];
    let mut users = Vec::new();
    for cache in caches {
        let builder = quick().attempts(4).backoff(Duration::from_millis(200)).lease(Duration::from_secs(30));
        let renames = start(&cache, builder, &database).await;
        users.push(Users { cache, renames, database: database.clone(), loads: AtomicUsize::new(0) });
    }
    let [one, other] = &users[..] else { panic!("there are two") };
    one.rename(7, "poison").await.expect("it is accepted");
    assert_eq!(other.name(7).await, some("poison"));
    other.cache.stored().await;
    wait_until("it is dead", DEADLINE, async || one.renames.stats().await.is_ok_and(|stats| stats.dead == 1))
        .await;
    wait_until("it is evicted", DEADLINE, async || other.name(7).await == some("old")).await;
}

/// An owner evicts in its own namespace.
async fn an_entry_of_another_namespace_is_refused(rig: Rig) {
    let (one, _, _) = two(&rig).await;
    let elsewhere = rig.process_with(|builder| builder.namespace(&namespace())).cache;
    let refused = one.renames.put(&elsewhere.entry("user", 7), &"Ada".to_owned()).await;
    assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Config));
}

/// One queue, and a cache for each tenant: what one is about to have is told to no other.
async fn what_is_pending_in_another_namespace_or_store_is_not_found(rig: Rig) {
    let (one, _, database) = two(&rig).await;
    one.rename(7, "Ada").await.expect("it is accepted");
    // The store of another process is another one.
    let elsewhere = [rig.process_with(|builder| builder.namespace(&namespace())), rig.process()];
    for cache in elsewhere.map(|process| process.cache) {
        let (renames, loads) = (one.renames.clone(), AtomicUsize::new(0));
        let users = Users { cache, renames, database: database.clone(), loads };
        for loads in 1..3 {
            assert_eq!(users.name(7).await, some("old"));
            users.cache.stored().await;
            assert_eq!(
                (users.loads(), users.cache.stats().total.errors_of(ErrorKind::Config)),
                (loads, loads as u64)
            );
        }
        let entry = users.user_entry(7);
        let loaded = users.renames.load(&entry, async || Some("old".to_owned())).await;
        assert_eq!(loaded.as_deref(), Some("old"));
        users.cache.stored().await;
        assert_eq!(entry.get().await.expect("the store answers"), None, "nor is that stored");
        let refused = users.renames.pending(&entry).await;
        assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Config));
        let refused = users.renames.put(&entry, &"Eve".to_owned()).await;
        assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Config));
    }
    assert_eq!(one.name(7).await, some("Ada"));
}

cachemacro_tests::on_both_stores!(
    a_write_is_read_by_another_process_before_and_after_it_is_applied,
    a_delete_is_read_by_another_process_before_and_after_it_is_applied,
    none_is_a_delete_and_err_is_nothing,
    the_entry_may_be_named_by_the_value,
    tags_are_evicted_once_the_write_was_applied,
    what_was_found_pending_follows_the_rules_of_its_site,
    what_was_found_pending_is_not_stored_where_loads_are_recorded,
    what_is_to_be_removed_is_not_stored_by_who_cannot_say_so,
    all_forms_of_calls_look_into_the_queue,
    a_write_that_is_not_accepted_is_the_functions_error,
    a_call_that_is_cancelled_writes_nothing,
    a_dead_letters_entry_is_evicted_where_it_was_found_pending,
    an_entry_of_another_namespace_is_refused,
    what_is_pending_in_another_namespace_or_store_is_not_found,
);

fn on(url: &str, space: &str) -> Cache {
    let cache = Cache::builder().redis(url).namespace(space).command_timeout(Duration::from_secs(1));
    cache.build().expect("acceptable settings")
}

/// A miss asks once more, a hit does not.
#[tokio::test]
async fn a_hit_takes_the_commands_of_one_without_a_queue() {
    let server = RedisServer::start();
    let database = Database::default();
    let cache = on(&server.url(), "shop");
    let renames = WriteBehind::<String>::named("renames").volatile(true).connect(&cache).await;
    let renames = renames.expect("the server answers");
    let users = Users { cache, renames, database, loads: AtomicUsize::new(0) };
    users.rename(7, "Ada").await.expect("it is accepted");
    assert_eq!(users.name(8).await, Ok(None));
    let miss = sent(&server, &users, async { assert_eq!(users.name(7).await, some("Ada")) }).await;
    assert_eq!(miss.iter().filter(|name| *name == "hget").count(), 1, "{miss:?}");
    let hit = sent(&server, &users, async { assert_eq!(users.name(7).await, some("Ada")) }).await;
    let entry = users.user_entry(7);
    let plain =
        sent(&server, &users, async { assert!(entry.get().await.expect("it answers").is_some()) }).await;
    assert_eq!((hit.len(), &hit), (1, &plain));
    assert_eq!(users.loads(), 1);
}

/// The commands about this namespace that a call sends, by name.
async fn sent(server: &RedisServer, users: &Users, call: impl Future<Output = ()>) -> Vec<String> {
    let watched = Watched::start(&server.url()).await;
    call.await;
    users.cache.stored().await;
    let commands = watched.commands().await;
    let about = |command: &Vec<String>| command.iter().any(|word| word.contains("shop"));
    commands.into_iter().filter(about).map(|command| command[0].to_lowercase()).collect()
}

/// G6: who may not look gets what the database says; and as that may be older than an accepted write, nobody is served it afterwards.
#[tokio::test]
async fn what_was_loaded_without_a_look_is_not_stored() {
    let server = RedisServer::start();
    run(&mut server.client().await, "ACL SETUSER blind on >hunter2 ~* &* +@all -hget").await;
    let database = Database::default();
    database.change(|state| {
        for kind in ["user", "ruled"] {
            state.rows.insert(format!("{kind}:7"), "old".to_owned());
        }
    });
    let renames = WriteBehind::<String>::named("renames").volatile(true);
    let writer = renames.connect(&on(&server.url(), "shop")).await.expect("the server answers");
    let cache = on(&server.bare_url().replace("redis://", "redis://blind:hunter2@"), "shop");
    let renames = WriteBehind::<String>::named("renames").volatile(true).connect(&cache).await;
    let renames = renames.expect("the server answers");
    let users = Users { cache, renames, database, loads: AtomicUsize::new(0) };
    writer.put(&users.user_entry(7), &"Ada".to_owned()).await.expect("it is accepted");
    for loads in 1..3 {
        assert_eq!(users.name(7).await, some("old"));
        assert_eq!(users.ruled_name(7).await.as_deref(), Some("old"));
        users.cache.stored().await;
        assert_eq!(users.loads(), 2 * loads);
    }
    users.database.change(|state| state.rows.clear());
    for _ in 0..2 {
        assert_eq!(users.ruled_name(7).await, None, "nor is `None`");
        users.cache.stored().await;
    }
    assert_eq!(users.loads(), 6);
}
