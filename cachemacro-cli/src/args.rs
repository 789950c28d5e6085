//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// See and operate the caches of cachemacro.
///
/// The server and its namespace are those of the services' environment: `CACHEMACRO_REDIS_URL`, else `REDIS_URL`, and
/// `CACHEMACRO_NAMESPACE`. Reads only, but for `flush` and `warm`.
///
/// Ends with 0: done; 1: something is wrong, or nothing was found; 2: not understood; 3: the server cannot be reached or denies;
/// 4: not confirmed.
#[derive(Debug, Parser)]
#[command(name = "cachemacro", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where to look.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct PlaceArgs {
    /// The server's URL, without a password: other users of the machine see command lines
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The namespace, as services name it
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Read without a namespace: other applications' keys are looked at too. Nothing can be flushed
    #[arg(long, global = true, conflicts_with = "namespace")]
    pub(crate) no_namespace: bool,
    /// With `stats` and `map`: take reports from a file, or from a service's `http://` route, instead of the server; repeat it for several
    /// processes
    #[arg(long, global = true, value_name = "URL|FILE")]
    pub(crate) from: Vec<String>,
    /// How many keys are looked at in a second at most, 20000 unless it is said; how many calls `warm` begins in one, 50
    #[arg(long, global = true, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Look at entries though that counts as use: on a server that makes room by use, before Redis 7.2 or without the right to
    /// `CLIENT NO-TOUCH`
    #[arg(long, global = true)]
    pub(crate) touch: bool,
}

impl PlaceArgs {
    /// How many keys are looked at in a second at most.
    pub(crate) fn rate(&self) -> u32 {
        self.rate.unwrap_or(20_000)
    }

    /// How many calls are begun in a second at most.
    pub(crate) fn calls(&self) -> u32 {
        self.rate.unwrap_or(50)
    }
}

/// How to show it.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// How it is written
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Write into this file instead of to standard output
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Add to the file; of CSV without its head where the file has one
    #[arg(long, global = true, requires = "output")]
    pub(crate) append: bool,
    /// Show hashes instead of keys and tags
    #[arg(long, global = true)]
    pub(crate) redact: bool,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns, for people
    Table,
    /// RFC 4180, with a head
    Csv,
    /// An array of objects
    Json,
}

/// What rows of `stats` are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Annotated functions
    Site,
    /// Processes
    Process,
    /// Reasons of misses
    Reason,
}

/// By what entries stand at the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Top {
    /// Bytes, largest first
    Bytes,
    /// Age, oldest first
    Age,
    /// Time to live, soonest to go first
    Ttl,
    /// How long the load took, costliest first
    LoadTime,
    /// Bytes by prefix, largest first
    Prefix,
    /// Hits, most first, where processes sample them (`CACHEMACRO_HOT_KEYS=1`)
    Hot,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Figures of the whole fleet, from the reports of its processes
    Stats {
        /// What a row is about
        #[arg(long, value_enum, default_value_t = By::Site)]
        by: By,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Keys, with age, TTL, size, tags and codec
    List {
        /// A glob with `*` and `?`, else text that occurs in the key; without it all keys
        pattern: Option<String>,
        /// How many keys are shown at most
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Keys in which something is found, and values
    Search(SearchArgs),
    /// One entry: header, tags, lease, function
    Inspect {
        /// The key without the namespace, as `list` shows it
        key: String,
        /// Show the value too: numbers, JSON and `MessagePack`; bincode and postcard where a process told how the type is laid out
        #[arg(long)]
        value: bool,
    },
    /// Why the next read of an entry hits or misses, and what to do
    Explain {
        /// The key without the namespace, as `list` shows it
        key: String,
    },
    /// Tags in use, with entries and bytes of each
    Tags,
    /// The entries that are largest, oldest, soonest to go or costliest to load; memory by prefix
    Top {
        /// By what
        #[arg(long, value_enum, default_value_t = Top::Bytes)]
        by: Top,
        /// How many rows are shown at most
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Which functions carry, and which evict or put, which tags and entries: a tag that is misspelt has one side alone
    Map {
        /// As a graph, in DOT
        #[arg(long)]
        dot: bool,
        /// As a drawn graph, in SVG
        #[arg(long, conflicts_with = "dot")]
        svg: bool,
    },
    /// Evict entries, as services do; what is selected adds up
    Flush(FlushArgs),
    /// What was flushed with this tool: when, by whom, what, why; the last 1,000
    Log {
        /// How many flushes are shown at most
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// What is wrong with server and fleet, what comes of it, and what to do
    Doctor,
    /// Check every entry's header, checksum, key and expiry
    Verify,
    /// Call your service's URLs, so that it fills its cache
    Warm {
        /// A file with an `http://` URL on each line; `-` is standard input
        #[arg(long, value_name = "FILE")]
        urls: PathBuf,
        /// How many calls are under way at once
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        concurrency: u32,
    },
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// The manual page
    Man,
}

/// Again and again.
#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    /// Show what changes, on a whole screen; as rows where there is no terminal
    #[arg(long, conflicts_with = "by")]
    pub(crate) watch: bool,
    /// With --watch: how many seconds lie between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) interval: u64,
    /// With --watch: ends after so many looks
    #[arg(long, value_name = "LOOKS", requires = "watch", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
}

/// What to evict.
#[derive(Debug, clap::Args)]
pub(crate) struct FlushArgs {
    /// Entries that carry this tag, or its hash as `tags` shows it: `#9f3c…`
    #[arg(long, alias = "tags", value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Entries under this prefix; costs a look at every key of the server
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Vec<String>,
    /// The entry under this key
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<String>,
    /// Everything in the namespace
    #[arg(long)]
    pub(crate) all: bool,
    /// Show what would go, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// What to look for.
#[derive(Debug, clap::Args)]
#[command(subcommand_negates_reqs = true, disable_help_subcommand = true)]
pub(crate) struct SearchArgs {
    #[command(subcommand)]
    pub(crate) other: Option<SearchCommand>,
    /// A glob with `*` and `?`, else text that occurs; with --method the text that values are found by
    #[arg(required = true)]
    pub(crate) pattern: Option<String>,
    /// The pattern is a regular expression
    #[arg(long, conflicts_with = "method")]
    pub(crate) regex: bool,
    /// Find values by their texts instead, where functions say `search`
    #[arg(long, value_enum)]
    pub(crate) method: Option<Method>,
    /// With --method: how much alike, from 0 to 1
    #[arg(long, requires = "method", default_value_t = 0.0, value_parser = share)]
    pub(crate) threshold: f64,
    /// With --method: among the values of this prefix; without it of all that processes report
    #[arg(long, requires = "method", value_name = "PREFIX")]
    pub(crate) prefix: Vec<String>,
    /// Look into values too, where the key does not fit: costs a read of each. With --method: show them
    #[arg(long)]
    pub(crate) values: bool,
    /// How many are shown at most
    #[arg(long, default_value_t = 1_000)]
    pub(crate) limit: usize,
}

/// What else `search` does.
#[derive(Debug, Subcommand)]
pub(crate) enum SearchCommand {
    /// From which likeness on questions may share an answer
    Calibrate {
        /// CSV with a head: `score` and `right`, or `asked`, `stored` and `right`, which are compared by their words
        file: PathBuf,
        /// The share of answers that may be false
        #[arg(long, default_value = "1%", value_parser = percent)]
        budget: f64,
    },
}

/// How values are found by their texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// All words are there
    Exact,
    /// Typos are forgiven
    Fuzzy,
    /// Words are alike
    Vector,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a number from 0 to 1".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').map(str::trim).and_then(|number| number.parse::<f64>().ok());
    let share = number.map(|percent| percent / 100.0).filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "a percentage above 0 and below 100, such as 1%".to_owned())
}
