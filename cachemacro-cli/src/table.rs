//! Rows, written as columns, CSV or JSON.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value};

use crate::args::{Format, OutputArgs};
use crate::failure::Done;
use crate::text;

/// The content of one column of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Nothing is known.
    None,
    Text(String),
    Count(u64),
    /// A share, from 0 to 1.
    Share(f64),
    Seconds(f64),
    Bytes(u64),
    PerSecond(f64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        Cell::Count(count)
    }
}

impl Cell {
    /// The content for people, with units.
    fn shown(&self) -> String {
        match self {
            Cell::None => "-".to_owned(),
            Cell::Text(text) => text::shown(text),
            Cell::Count(count) => count.to_string(),
            Cell::Share(share) => format!("{:.1} %", share * 100.0),
            Cell::Seconds(seconds) => text::time(*seconds),
            Cell::Bytes(bytes) => text::bytes(*bytes),
            Cell::PerSecond(rate) => format!("{rate:.1}"),
        }
    }

    /// The content for programs: plain numbers, in seconds and bytes.
    fn plain(&self) -> String {
        match self {
            Cell::None => String::new(),
            Cell::Text(text) => text::shown(text),
            Cell::Count(count) | Cell::Bytes(count) => count.to_string(),
            Cell::Share(number) | Cell::Seconds(number) | Cell::PerSecond(number) => format!("{number:.6}"),
        }
    }

    fn json(&self) -> Value {
        match self {
            Cell::None => Value::Null,
            Cell::Text(text) => Value::from(text.as_str()),
            Cell::Count(count) | Cell::Bytes(count) => Value::from(*count),
            Cell::Share(number) | Cell::Seconds(number) | Cell::PerSecond(number) => Value::from(*number),
        }
    }

    const fn is_number(&self) -> bool {
        !matches!(self, Cell::Text(_))
    }
}

/// The file that `--output` names, and whether nothing is in it.
pub(crate) fn opened(file: &Path, append: bool) -> io::Result<(File, bool)> {
    let file = OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(file)?;
    let is_new = file.metadata()?.len() == 0;
    Ok((file, is_new))
}

/// Rows under named columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, row: impl Into<Vec<Cell>>) {
        self.rows.push(row.into());
    }

    /// Writes the rows in the format and to the place that `--format` and `--output` name.
    pub(crate) fn write(&self, output: &OutputArgs) -> Done {
        let Some(file) = &output.output else {
            let written = self.written(output.format, true);
            let mut out = io::stdout().lock();
            out.write_all(written.as_bytes())?;
            out.flush()?;
            return Ok(());
        };
        let (mut file, is_new) = opened(file, output.append)?;
        file.write_all(self.written(output.format, is_new).as_bytes())?;
        Ok(())
    }

    /// Writes one of several tables that follow each other: as CSV only the first has a head.
    pub(crate) fn write_again(&self, output: &OutputArgs, is_first: bool) -> Done {
        if output.output.is_some() {
            let append = output.append || !is_first;
            return self.write(&OutputArgs { append, ..output.clone() });
        }
        let mut out = io::stdout().lock();
        out.write_all(self.written(output.format, is_first).as_bytes())?;
        out.flush()?;
        Ok(())
    }

    fn written(&self, format: Format, with_head: bool) -> String {
        match format {
            Format::Table => self.columns(),
            Format::Csv => self.csv(with_head),
            Format::Json => self.json(),
        }
    }

    fn columns(&self) -> String {
        let shown: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(Cell::shown).collect()).collect();
        let width = |at: usize| {
            let cells = shown.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
            cells.chain([self.columns[at].chars().count()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let is_right = |at: usize| {
            let mut cells =
                self.rows.iter().filter_map(|row| row.get(at)).filter(|cell| **cell != Cell::None);
            cells.next().is_some_and(Cell::is_number)
        };
        let mut out = String::new();
        let heads: Vec<String> = self.columns.iter().map(|name| (*name).to_owned()).collect();
        for row in [heads].iter().chain(&shown) {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let padding = " ".repeat(widths[at].saturating_sub(cell.chars().count()));
                let (before, after) = if is_right(at) { (&*padding, "") } else { ("", &*padding) };
                line.push_str(before);
                line.push_str(cell);
                line.push_str(after);
                line.push_str("  ");
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    fn csv(&self, with_head: bool) -> String {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        // Writing into memory does not fail, and every row has as many cells as there are columns.
        if with_head {
            let _ = writer.write_record(&self.columns);
        }
        for row in &self.rows {
            let _ = writer.write_record(row.iter().map(Cell::plain));
        }
        String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
    }

    fn json(&self) -> String {
        let row = |row: &Vec<Cell>| {
            let fields = self.columns.iter().zip(row);
            Value::Object(fields.map(|(name, cell)| ((*name).to_owned(), cell.json())).collect::<Map<_, _>>())
        };
        let rows = Value::Array(self.rows.iter().map(row).collect());
        let json = serde_json::to_string_pretty(&rows).unwrap_or_default();
        text::json(&json) + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["key", "size", "age"]);
        table.row([Cell::from("user:\u{1b}[1m\"7\","), Cell::Bytes(2_048), Cell::Seconds(90.0)]);
        table.row([Cell::from("é"), Cell::None, Cell::Seconds(0.5)]);
        table
    }

    #[test]
    fn columns_are_aligned_and_numbers_stand_right() {
        let expected = "\
key                    size         age
user:\\u{1b}[1m\"7\",  2.0 KiB  1 min 30 s
é                         -      500 ms
";
        assert_eq!(table().columns(), expected);
    }

    #[test]
    fn csv_is_as_rfc_4180_has_it() {
        let expected = "key,size,age\r\n\"user:\\u{1b}[1m\"\"7\"\",\",2048,90.000000\r\né,,0.500000\r\n";
        assert_eq!(table().csv(true), expected);
        assert!(!table().csv(false).contains("size"));
    }

    #[test]
    fn json_is_an_array_of_objects_without_anything_active() {
        let json = table().json();
        assert!(!json.contains('\u{1b}'));
        let rows: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(rows[0]["key"], "user:\u{1b}[1m\"7\",");
        assert_eq!((&rows[0]["size"], &rows[1]["size"]), (&Value::from(2_048), &Value::Null));
    }
}
