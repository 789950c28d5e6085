//! The files of `tests/data`.

use std::io::Read as _;
use std::path::Path;

use cachemacro_search::{Analyzer, Document, Mirror};
use flate2::read::GzDecoder;

/// One question of Banking77 with its intent.
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) intent: String,
}

/// An airport.
pub(crate) struct Airport {
    pub(crate) name: String,
    pub(crate) city: String,
    pub(crate) icao: String,
}

/// Whether everything is compared and not some of it.
pub(crate) fn is_long() -> bool {
    std::env::var_os("CACHEMACRO_TEST_LONG").is_some_and(|value| value != "0" && !value.is_empty())
}

/// The first few of them, or all.
pub(crate) fn some<T>(mut all: Vec<T>, usually: usize) -> Vec<T> {
    if !is_long() {
        all.truncate(usually);
    }
    all
}

fn read(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn unpacked(path: &str) -> String {
    let mut text = String::new();
    GzDecoder::new(&read(path)[..]).read_to_string(&mut text).expect("it is text");
    text
}

/// Lines of fields between tabs.
pub(crate) fn table(name: &str) -> Vec<Vec<String>> {
    let text = match name.strip_suffix(".gz") {
        Some(_) => unpacked(&format!("tests/data/{name}")),
        None => String::from_utf8(read(&format!("tests/data/{name}"))).expect("it is text"),
    };
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// The questions of `train` or `test`.
pub(crate) fn questions(part: &str) -> Vec<Question> {
    let text = unpacked(&format!("tests/data/banking77/{part}.csv.gz"));
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let rows = rows.records().map(|row| row.expect("it is a row"));
    rows.map(|row| Question { text: row[0].to_owned(), intent: row[1].to_owned() }).collect()
}

pub(crate) fn airports() -> Vec<Airport> {
    let text = unpacked("../examples/airports/data/airports.csv.gz");
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let columns = rows.headers().expect("they are named").clone();
    let column = |name: &str| columns.iter().position(|column| column == name).expect("it is there");
    let (name, city, icao) = (column("name"), column("city"), column("icao"));
    let rows = rows.records().map(|row| row.expect("it is a row"));
    rows.map(|row| Airport {
        name: row[name].to_owned(),
        city: row[city].to_owned(),
        icao: row[icao].to_owned(),
    })
    .collect()
}

/// The key of the document with this number: in the order of numbers.
pub(crate) fn key(number: usize) -> String {
    format!("{number:06}")
}

/// A mirror of documents with these texts.
pub(crate) fn mirror<'a>(texts: impl IntoIterator<Item = Vec<&'a str>>) -> Mirror {
    let (mut mirror, words) = (Mirror::new(), Analyzer::new());
    for (number, texts) in texts.into_iter().enumerate() {
        mirror.insert(Document::of(&key(number), &texts, &words).expect("a short key"));
    }
    mirror
}
