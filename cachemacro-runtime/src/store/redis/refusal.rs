//! What an error that came as a reply means: for its connection, for its request, and for whom it is reported to.
//!
//! An error by whose code the server says that it is not the right one, or not any more, has nothing to do with the request. The
//! table is in `docs/operations.md` too.

use std::borrow::Cow;

use super::wire::Reply;

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is as good as any.
    Kept,
    /// Another one may be better.
    Replaced,
    /// All that were opened before lead to a server that is none for us any more.
    AllReplaced,
}

/// What becomes of a request that may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is sent again on another connection.
    Again,
    /// What has to be done is sent again after a pause; what the caller can do without is not.
    Later,
    /// It would be refused again.
    Never,
}

/// What one code means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    code: &'static str,
    pub(super) connection: Fate,
    pub(super) request: Next,
    /// Behind the code, in the error; may be empty.
    text: &'static str,
}

const fn row(code: &'static str, connection: Fate, request: Next, text: &'static str) -> Refusal {
    Refusal { code, connection, request, text }
}

/// By code. `MAXCLIENTS` is none: the server says `ERR max number of clients reached`.
const TABLE: &[Refusal] = &[
    // Not here: whoever is asked is not the primary.
    row("READONLY", Fate::AllReplaced, Next::Again, "the server is a replica"),
    row("MASTERDOWN", Fate::AllReplaced, Next::Again, "the server is a replica without its primary"),
    row("UNBLOCKED", Fate::AllReplaced, Next::Again, "the server became a replica"),
    row("REDIRECT", Fate::AllReplaced, Next::Again, "another server is the primary"),
    row("NOREPLICAS", Fate::Replaced, Next::Later, "too few replicas follow the server"),
    row("NOGOODSLAVE", Fate::Replaced, Next::Later, "no replica can take over"),
    row("CLUSTERDOWN", Fate::Replaced, Next::Later, "the cluster of the server is down"),
    // Not any more: the server knows the connection no longer.
    row("NOAUTH", Fate::Replaced, Next::Again, "the server asks for a password"),
    row("WRONGPASS", Fate::Replaced, Next::Again, "wrong user name or password"),
    row("DENIED", Fate::Replaced, Next::Later, "the server is in protected mode"),
    row(MAX_CLIENTS, Fate::Replaced, Next::Later, "the server has its maximum of clients"),
    // Not now.
    row("LOADING", Fate::Kept, Next::Later, "the server is loading its data"),
    row("BUSY", Fate::Kept, Next::Later, "the server is busy with a script"),
    row("TRYAGAIN", Fate::Kept, Next::Later, "keys are being moved"),
    row("MISCONF", Fate::Kept, Next::Later, "the server cannot save its data and takes no writes"),
    // Never.
    row("OOM", Fate::Kept, Next::Never, "the server is out of memory"),
    NOPERM,
    row("MOVED", Fate::Kept, Next::Never, "the server is part of a cluster: redis+cluster://"),
    row("ASK", Fate::Kept, Next::Never, "the server is part of a cluster: redis+cluster://"),
    row("CROSSSLOT", Fate::Kept, Next::Never, "the server is part of a cluster: redis+cluster://"),
];

/// What `SELECT` says, without a code of its own, and what that means.
static DATABASE: [(&str, Refusal); 2] = [
    ("DB index is out of range", row("", Fate::Kept, Next::Never, "it has no database of this number")),
    (
        "SELECT is not allowed in cluster mode",
        row("", Fate::Kept, Next::Never, "a cluster has no database but 0"),
    ),
];

const NOPERM: Refusal = row("NOPERM", Fate::Kept, Next::Never, "the user lacks a right");

const MAX_CLIENTS: &str = "MAXCLIENTS";

/// Any other code.
static OTHER: Refusal = row("", Fate::Kept, Next::Never, "");

impl Refusal {
    /// What an error's line means.
    pub(super) fn of(line: &[u8]) -> &'static Self {
        let (code, details) = split(line);
        Self::by(code, details)
    }

    /// What the error means that is among these replies: the one that is worst for the connection; with its line.
    pub(super) fn among(replies: &[Reply]) -> Option<(&'static Self, &[u8])> {
        let rank = |refusal: &Self| match (refusal.connection, refusal.request) {
            (Fate::AllReplaced, _) => 3,
            (Fate::Replaced, _) => 2,
            (Fate::Kept, Next::Later) => 1,
            (Fate::Kept, _) => 0,
        };
        let errors = replies.iter().filter_map(|reply| match reply {
            Reply::Error(line) => Some((Self::of(line), &line[..])),
            _ => None,
        });
        errors.max_by_key(|(refusal, _)| rank(refusal))
    }

    pub(super) fn by(code: &str, details: &str) -> &'static Self {
        let known = |code: &str| TABLE.iter().find(|row| row.code == code);
        if code != "ERR" {
            return known(code).unwrap_or(&OTHER);
        }
        if details.starts_with("max number of clients reached") {
            return known(MAX_CLIENTS).unwrap_or(&OTHER);
        }
        if let Some((_, refusal)) = DATABASE.iter().find(|(start, _)| details.starts_with(start)) {
            return refusal;
        }
        // Redis 6.2 and 7.0 of what a script runs: without a code, and without the command's name.
        if details.contains("The user executing the script can't") {
            return known(NOPERM.code).unwrap_or(&OTHER);
        }
        // Redis 6.2 wraps what a script's command said: `ERR Error running script (…): …: -READONLY You can't …`.
        let wrapped = details.starts_with("Error running script").then(|| {
            let mut words = details.split(' ').filter_map(|word| word.strip_prefix('-'));
            words.find_map(known)
        });
        wrapped.flatten().unwrap_or(&OTHER)
    }

    /// The text of the error for whoever is told. A server's own text may quote commands and keys, so only its code passes, and the name
    /// of a command that the user may not run.
    pub(super) fn told(&self, code: &str, details: &str) -> Cow<'static, str> {
        let code = if self.code.is_empty() || self.code == MAX_CLIENTS { code } else { self.code };
        let is_code = |code: &str| code.bytes().all(|byte| byte.is_ascii_uppercase());
        let shown = !code.is_empty() && code.len() <= 20 && is_code(code);
        let code = if shown { format!(" ({code})") } else { String::new() };
        let colon = if self.text.is_empty() { "" } else { ": " };
        let right = if *self == NOPERM { right(details) } else { None };
        let right = right.map_or(String::new(), |name| format!(": +{name}"));
        let unknown = if *self == OTHER { unknown(details) } else { None };
        let unknown = unknown.map_or(String::new(), |name| format!(": the server has no `{name}`"));
        format!("redis refused the command{code}{colon}{}{right}{unknown}", self.text).into()
    }

    /// The command that the user may not run, or that the server does not have, where this error's line is about that and names it.
    pub(super) fn lacking(line: &[u8]) -> Option<&str> {
        let (code, details) = split(line);
        let refusal = Self::by(code, details);
        if *refusal == NOPERM { right(details) } else { Self::unknown(line) }
    }

    /// The command that the server does not have, where this error's line is about that.
    pub(super) fn unknown(line: &[u8]) -> Option<&'static str> {
        let (code, details) = split(line);
        if code == "ERR" { unknown(details) } else { None }
    }
}

/// What is sent to servers, of which some leave commands out or give them other names.
const SENT: [&str; 30] = [
    "asking",
    "client",
    "cluster",
    "config",
    "eval",
    "evalsha",
    "get",
    "getrange",
    "incrby",
    "info",
    "mget",
    "pexpire",
    "ping",
    "pttl",
    "rename",
    "scan",
    "script",
    "select",
    "set",
    "setrange",
    "strlen",
    "time",
    "unlink",
    "unwatch",
    "wait",
    "xadd",
    "xrevrange",
    "zadd",
    "zrangebyscore",
    "zremrangebyscore",
];

/// The command in ``unknown command 'EVALSHA', with args beginning with: …``; Redis 6.2 writes `` `EVALSHA` ``. Where it is none that is sent,
/// it may be anything.
fn unknown(details: &str) -> Option<&'static str> {
    let name = details.strip_prefix("unknown command ")?.strip_prefix(['\'', '`'])?;
    let (name, _) = name.split_once(['\'', '`'])?;
    SENT.into_iter().find(|sent| sent.eq_ignore_ascii_case(name))
}

/// The command in `… no permissions to run the 'client|tracking' command`. Whatever else stands in quotes there, is no command.
fn right(details: &str) -> Option<&str> {
    let (_, behind) = details.split_once("permissions to run the '")?;
    let (name, _) = behind.split_once('\'')?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '|' | '-' | '_');
    ((1..=40).contains(&name.len()) && name.chars().all(is_name)).then_some(name)
}

/// An error's first word, and what is behind it.
pub(super) fn split(line: &[u8]) -> (&str, &str) {
    let line = line.utf8_chunks().next().map(|chunk| chunk.valid()).unwrap_or_default();
    line.split_once(' ').unwrap_or((line, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> Reply {
        Reply::Error(line.to_owned().into())
    }

    fn found(line: &str) -> &'static Refusal {
        Refusal::among(&[error(line)]).expect("an error").0
    }

    #[test]
    fn each_code_is_found_plain_and_in_what_a_script_says() {
        for row in TABLE.iter().filter(|row| row.code != MAX_CLIENTS) {
            assert_eq!(found(&format!("{} some text", row.code)), row);
            assert_eq!(found(&format!("{} You can't. script: 5ca1e, on @user_script:12.", row.code)), row);
            let old = format!(
                "ERR Error running script (call to f_5ca1e): @user_script:4: @user_script: 4: -{} No",
                row.code
            );
            assert_eq!(found(&old), row);
            assert!(row.told("ERR", "").contains(&format!("({}): {}", row.code, row.text)));
        }
        assert_eq!(found("ERR max number of clients reached").code, MAX_CLIENTS);
    }

    #[test]
    fn the_right_that_a_user_lacks_is_named_and_nothing_else() {
        for (line, right) in [
            ("NOPERM this user has no permissions to run the 'get' command or its subcommand", Some("get")),
            (
                "NOPERM User hunter2 has no permissions to run the 'client|tracking' command",
                Some("client|tracking"),
            ),
            (
                "NOPERM ACL failure in script: User a has no permissions to run the 'time' command",
                Some("time"),
            ),
            ("NOPERM User a has no permissions to run the 'Hunter2' command", None),
            ("NOPERM No permissions to access a key", None),
            ("ERR The user executing the script can't run this command or subcommand script: 5ca1e", None),
            ("ERR no permissions to run the 'get' command", None),
        ] {
            assert_eq!(Refusal::lacking(line.as_bytes()), right, "{line}");
            let (code, details) = split(line.as_bytes());
            let told = found(line).told(code, details);
            let end = right
                .map_or_else(|| "the user lacks a right".to_owned(), |right| format!("a right: +{right}"));
            assert!(told.ends_with(&end) || line.starts_with("ERR no"), "{told}");
            assert!(!told.to_ascii_lowercase().contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_command_that_the_server_does_not_have_is_named_and_nothing_else() {
        for (line, name) in [
            ("ERR unknown command 'EVALSHA', with args beginning with: 'hunter2' '1' ", Some("evalsha")),
            ("ERR unknown command `EVAL`, with args beginning with: `hunter2`, ", Some("eval")),
            ("ERR unknown command 'wait'", Some("wait")),
            ("ERR unknown command 'hunter2', with args beginning with: ", None),
            ("ERR unknown command EVAL", None),
            ("ERR wrong number of arguments for 'eval' command", None),
            ("NOPERM unknown command 'eval'", None),
        ] {
            assert_eq!(Refusal::lacking(line.as_bytes()), name, "{line}");
            let (code, details) = split(line.as_bytes());
            let told = found(line).told(code, details);
            let says = name.is_some_and(|name| told.ends_with(&format!("(ERR): the server has no `{name}`")));
            assert_eq!(says, name.is_some(), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn what_only_quotes_a_code_is_not_taken_for_it() {
        for line in [
            "ERR unknown command -READONLY",
            "ERR READONLY",
            "WRONGTYPE READONLY",
            "readonly x",
            "READONLYX x",
        ] {
            assert_eq!(found(line), &OTHER, "{line}");
        }
        let quoted = Reply::Array(vec![error("READONLY x")]);
        assert!(Refusal::among(&[quoted]).is_none(), "an element of one command's reply is no reply");
    }

    #[test]
    fn among_the_replies_of_a_pipeline_the_worst_for_the_connection_counts() {
        let of = |lines: &[&str]| {
            let replies: Vec<_> = lines.iter().map(|line| error(line)).chain([Reply::Nil]).collect();
            Refusal::among(&replies).map(|(refusal, _)| refusal.code)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["NOSCRIPT x"]), Some(""));
        assert_eq!(of(&["OOM x", "LOADING x", "OOM x"]), Some("LOADING"));
        assert_eq!(of(&["NOAUTH x", "READONLY x", "LOADING x"]), Some("READONLY"));
    }
}
