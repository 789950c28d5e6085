//! Pairs of requests by different users to one URL, drawn at random: neither is given what was made for the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cachemacro_http::{CacheLayer, HttpCache};
use http::HeaderMap;
use tower::{Layer as _, ServiceExt as _};

use crate::support::{Got, Handler, Rig, request, response, send};

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        of[usize::try_from((mixed ^ (mixed >> 31)) % of.len() as u64).unwrap()]
    }
}

/// How a request says who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credentials {
    None,
    Authorization,
    Session,
    /// Beside a cookie that is no session.
    SessionAmongOthers,
    /// One that is no session: nobody's where sessions are named, else the user's.
    OtherCookie,
}

/// One of the two requests.
#[derive(Debug, Clone, Copy)]
struct Sent {
    user: &'static str,
    credentials: Credentials,
    directive: &'static str,
    method: &'static str,
    language: &'static str,
}

/// What is the same for both.
#[derive(Debug, Clone, Copy)]
struct Pair {
    first: Sent,
    second: Sent,
    route: usize,
    /// Whether the cookies of sessions are named: else each cookie is a user's.
    names_sessions: bool,
    says: &'static str,
    vary: &'static str,
    sets_cookie: bool,
    status: u16,
    /// Whether the second comes while the handler runs for the first.
    collapsed: bool,
    /// Milliseconds between them.
    gap: u64,
}

impl Sent {
    fn draw(dice: &mut Dice, user: &'static str) -> Self {
        use Credentials::{Authorization, None, OtherCookie, Session, SessionAmongOthers};
        Self {
            user,
            credentials: dice.pick(&[
                None,
                Authorization,
                Authorization,
                Session,
                Session,
                SessionAmongOthers,
                OtherCookie,
            ]),
            directive: dice.pick(&[
                "",
                "",
                "no-cache",
                "max-age=0",
                "max-stale",
                "max-stale=100",
                "min-fresh=5",
                "no-store",
                "only-if-cached",
            ]),
            method: dice.pick(&["GET", "GET", "GET", "GET", "HEAD", "POST", "PUT"]),
            language: dice.pick(&["en", "de"]),
        }
    }

    /// Whose request it is by its credentials; empty: nobody's.
    fn own(&self, pair: &Pair) -> &'static str {
        match self.credentials {
            Credentials::None => "",
            Credentials::OtherCookie if pair.names_sessions => "",
            _ => self.user,
        }
    }

    /// Whose the response is that a handler makes of it; empty: everybody's.
    fn whose(&self, pair: &Pair) -> &'static str {
        let by_authorization = self.credentials == Credentials::Authorization;
        if is_one_client_s(pair.says) {
            self.user
        } else if is_everybody_s(pair.says, by_authorization) {
            ""
        } else {
            self.own(pair)
        }
    }

    fn to_request(self, pair: &Pair, uri: &str) -> http::Request<crate::support::Body> {
        let session = format!("sid={}", self.user);
        let among = format!("theme=dark; sid={}; a=b", self.user);
        let other =
            if pair.names_sessions { "theme=dark".to_owned() } else { format!("visitor={}", self.user) };
        let mut headers = vec![
            ("host", "shop"),
            ("accept-language", self.language),
            ("x-client", self.user),
            ("x-says", pair.says),
            ("x-vary", pair.vary),
        ];
        match self.credentials {
            Credentials::None => {}
            Credentials::Authorization => headers.push(("authorization", self.user)),
            Credentials::Session => headers.push(("cookie", &session)),
            Credentials::SessionAmongOthers => headers.push(("cookie", &among)),
            Credentials::OtherCookie => headers.push(("cookie", &other)),
        }
        if pair.sets_cookie {
            headers.push(("x-sets-cookie", "1"));
        }
        let status = pair.status.to_string();
        headers.push(("x-status", &status));
        if !self.directive.is_empty() {
            headers.push(("cache-control", self.directive));
        }
        request(self.method, uri, &headers)
    }
}

impl Pair {
    fn draw(dice: &mut Dice) -> Self {
        let mut pair = Self::draw_any(dice);
        let names_sessions = pair.names_sessions;
        if pair.route == GATEWAY
            || pair.route == RULED_GATEWAY && !(pair.says.is_empty() && pair.status < 400)
        {
            // A cookie is no credential to a shared cache by the RFC alone: an origin behind one has to say what it is about.
            for sent in [&mut pair.first, &mut pair.second] {
                if matches!(sent.credentials, Credentials::Session | Credentials::SessionAmongOthers)
                    || sent.credentials == Credentials::OtherCookie && !names_sessions
                {
                    sent.credentials = Credentials::Authorization;
                }
            }
        }
        pair
    }

    fn draw_any(dice: &mut Dice) -> Self {
        Self {
            first: Sent::draw(dice, "a"),
            second: Sent::draw(dice, "b"),
            route: dice.pick(&[0, 1, 2, 3, 4, 5, 6, RULED, GATEWAY, RULED_GATEWAY]),
            names_sessions: dice.pick(&[true, false]),
            says: dice.pick(&[
                "",
                "",
                "public",
                "public, max-age=60",
                "s-maxage=60",
                "max-age=60, must-revalidate",
                "max-age=60, must-revalidate",
                "private",
                "no-store",
                "max-age=60",
                "no-cache",
                "private, max-age=60",
                "max-age=60, stale-while-revalidate=60, stale-if-error=60",
                "max-age=0",
                "private=\"x-user\", max-age=60",
            ]),
            vary: dice.pick(&["", "", "cookie, authorization", "accept-language"]),
            sets_cookie: dice.pick(&[true, false, false]),
            status: dice.pick(&[200, 200, 200, 404, 302]),
            collapsed: dice.pick(&[true, false]),
            gap: dice.pick(&[0, 500, 2_000, 20_000, 70_000]),
        }
    }
}

fn user_of(headers: &HeaderMap) -> String {
    if let Some(user) = headers.get("authorization") {
        return user.to_str().unwrap().to_owned();
    }
    let cookies = headers.get("cookie").map_or("", |cookies| cookies.to_str().unwrap());
    let of = |name: &str| cookies.split("; ").find_map(|cookie| cookie.strip_prefix(name));
    of("sid=").or_else(|| of("visitor=")).unwrap_or_default().to_owned()
}

/// The route of which a rule of paths says that caches outside may share it.
const RULED: usize = 7;
/// The one that goes by its origin's words alone.
const GATEWAY: usize = 8;
/// The same with a rule of paths, which shares nothing with users who have cookies either.
const RULED_GATEWAY: usize = 9;

/// Routes with all sorts of rules; none of them is declared to be the same for all.
fn routes(http: &HttpCache) -> [CacheLayer; 10] {
    let user =
        |request: &http::request::Parts| Some(user_of(&request.headers)).filter(|user| !user.is_empty());
    [
        http.cache(),
        http.cache().ttl("30s").stale("1m").negative_ttl("10s"),
        http.cache().private(user),
        http.cache().private(user).stale("1m").statuses([302]).negative_ttl("1m"),
        http.cache().vary(["accept-language"]),
        http.cache().vary_among("accept-language", ["en", "de"]).stale("1m"),
        http.cache().ttl("0s"),
        http.clone().rules([("/", "public, max-age=60")]).cache(),
        http.gateway(),
        http.clone().rules([("/", "public, max-age=60")]).gateway(),
    ]
}

/// Whether a response that says this is one client's, whom its handler knows by other means than credentials, such as an address.
fn is_one_client_s(says: &str) -> bool {
    says == "no-store" || says.split(", ").any(|directive| directive == "private")
}

/// Whether a response that says this may be given to whoever has credentials, so that it is to be the same for all of them.
fn is_everybody_s(says: &str, by_authorization: bool) -> bool {
    says.split(", ").any(|directive| {
        directive == "public"
            || directive == "s-maxage=60"
            || directive == "must-revalidate" && by_authorization
    })
}

/// A handler whose bodies, headers and cookies name the user for whom they are. `begun`: how many runs have begun; they end when all
/// are let go.
fn handler(begun: Arc<AtomicUsize>, go: Arc<tokio::sync::Semaphore>) -> Handler {
    Handler::new(move |request| {
        let (begun, go) = (begun.clone(), go.clone());
        async move {
            let headers = request.headers();
            let text = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
            let (says, vary, client, language) =
                (text("x-says"), text("x-vary"), text("x-client"), text("accept-language"));
            let whose = if is_one_client_s(&says) {
                client.clone()
            } else if is_everybody_s(&says, headers.contains_key("authorization")) {
                String::new()
            } else {
                user_of(headers)
            };
            let status = text("x-status").parse().unwrap();
            begun.fetch_add(1, Ordering::SeqCst);
            let _let_go = go.acquire().await.unwrap();
            // A cookie is that of one client, with credentials or without.
            let cookie = format!("sid={client}");
            let mut fields = vec![("x-language", language.as_str())];
            if says.contains("x-user") {
                fields.push(("x-user", &client));
            }
            for (name, value) in [("cache-control", says.as_str()), ("vary", vary.as_str())] {
                if !value.is_empty() {
                    fields.push((name, value));
                }
            }
            if headers.contains_key("x-sets-cookie") {
                fields.push(("set-cookie", &cookie));
            }
            response(status, &fields, &whose)
        }
    })
}

/// Whether caches outside may give the response to anybody.
fn is_public(got: &Got) -> bool {
    got.header("cache-control").split(", ").any(|directive| directive == "public")
}

/// What is wrong with an answer to this request.
fn wrong(pair: &Pair, sent: &Sent, got: &Got) -> Option<String> {
    if got.status == 504 {
        return None;
    }
    let own = sent.whose(pair);
    let by_language = pair.vary == "accept-language" || matches!(pair.route, 4 | 5);
    let is_read = matches!(sent.method, "GET" | "HEAD");
    let says = got.header("cache-control");
    let failed = if sent.method != "HEAD" && got.body != own {
        "the body"
    } else if got.headers.get("x-user").is_some_and(|user| user != sent.user) {
        "a header"
    } else if got.headers.get("set-cookie").is_some_and(|cookie| cookie != &format!("sid={}", sent.user)) {
        "a cookie"
    } else if by_language && is_read && got.header("x-language") != sent.language {
        "another language"
    } else if matches!(pair.route, RULED | RULED_GATEWAY) && is_read && !own.is_empty() && is_public(got) {
        "what caches outside may share"
    } else if is_read
        && got.word() != "BYPASS"
        && matches!(pair.route, 2 | 3)
        && says.contains("max-age=300")
        && !says.contains("private")
    {
        "nothing that keeps caches outside from sharing it"
    } else {
        return None;
    };
    Some(format!("{failed} is wrong: {sent:?} was given {got:?}"))
}

/// Plays one pair at a URL that nobody asked for before.
async fn play(rig: &Rig, layers: &[CacheLayer; 10], pair: &Pair, uri: &str) -> Result<(), String> {
    let (begun, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    let (layer, handler) = (&layers[pair.route], handler(begun.clone(), go.clone()));
    let asked = |sent: Sent| {
        let call = layer.layer(handler.clone()).oneshot(sent.to_request(pair, uri));
        tokio::spawn(async move {
            let response = call.await.unwrap();
            let (head, body) = response.into_parts();
            let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
            Got {
                status: head.status,
                headers: head.headers,
                body: String::from_utf8(body.to_vec()).unwrap(),
            }
        })
    };
    let first = asked(pair.first);
    let second = if pair.collapsed {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let second = asked(pair.second);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        go.add_permits(1_000);
        second
    } else {
        go.add_permits(1_000);
        while !first.is_finished() {
            tokio::task::yield_now().await;
        }
        rig.clock.advance(std::time::Duration::from_millis(pair.gap));
        asked(pair.second)
    };
    for (sent, got) in [(&pair.first, first), (&pair.second, second)] {
        if let Some(wrong) = wrong(pair, sent, &got.await.unwrap()) {
            return Err(wrong);
        }
    }
    // Again, when all is stored that will be, and then when what was read is at hand.
    for sent in [&pair.second, &pair.first].repeat(2) {
        let got = send(layer, &handler, sent.to_request(pair, uri)).await;
        if let Some(wrong) = wrong(pair, sent, &got) {
            return Err(wrong);
        }
    }
    Ok(())
}

#[tokio::test]
async fn of_two_users_neither_sees_what_was_made_for_the_other() {
    let is_long =
        std::env::var_os("CACHEMACRO_TEST_LONG").is_some_and(|value| value != "0" && !value.is_empty());
    let pairs = if is_long { 100_000 } else { 5_000 };
    let mut dice = Dice(1);
    let mut rig = Rig::new();
    let of_sessions = |rig: &Rig| routes(&rig.http.clone().session_cookies(["sid"]));
    let (mut named, mut any) = (of_sessions(&rig), routes(&rig.http));
    for at in 0..pairs {
        if at % 1_000 == 0 {
            rig = Rig::new();
            (named, any) = (of_sessions(&rig), routes(&rig.http));
        }
        let pair = Pair::draw(&mut dice);
        let layers = if pair.names_sessions { &named } else { &any };
        if let Err(wrong) = play(&rig, layers, &pair, &format!("/{at}")).await {
            panic!("pair {at}: {wrong}\n{pair:#?}");
        }
    }
}
