//! The airports that come with the program.

use std::io::Read;

use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::model::Airport;

static BUNDLED: &[u8] = include_bytes!("../data/airports.csv.gz");

/// A line of the file; other columns are left aside.
#[derive(Deserialize)]
struct Line {
    icao: String,
    iata: Option<String>,
    name: String,
    city: String,
    subd: String,
    country: String,
    elevation: f64,
    lat: f64,
    lon: f64,
    tz: String,
}

/// All airports of the bundled file.
///
/// # Errors
/// [`Error::Invalid`] where the file is damaged.
pub fn bundled() -> Result<Vec<Airport>> {
    parse(GzDecoder::new(BUNDLED))
}

/// The airports of a CSV file with the bundled one's columns, in any order.
///
/// # Errors
/// [`Error::Invalid`], naming the line.
pub fn parse(csv: impl Read) -> Result<Vec<Airport>> {
    csv::Reader::from_reader(csv)
        .deserialize()
        .map(|line: csv::Result<Line>| {
            let line = line.map_err(|error| Error::Invalid(format!("not airports as CSV: {error}")))?;
            if line.icao.is_empty() {
                return Err(Error::Invalid("an airport has no ICAO code".to_owned()));
            }
            Ok(Airport {
                icao: line.icao,
                iata: line.iata.filter(|code| !code.is_empty()),
                name: line.name,
                city: line.city,
                subdivision: line.subd,
                country: line.country,
                elevation: line.elevation,
                latitude: line.lat,
                longitude: line.lon,
                time_zone: line.tz,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_file_holds_every_airport_once() {
        let airports = bundled().expect("the bundled file is whole");
        assert_eq!(airports.len(), 28_298);
        let codes: std::collections::HashSet<_> = airports.iter().map(|airport| &airport.icao).collect();
        assert_eq!(codes.len(), airports.len());
        let frankfurt = airports.iter().find(|airport| airport.icao == "EDDF").expect("Frankfurt is there");
        assert_eq!((frankfurt.iata.as_deref(), frankfurt.country.as_str()), (Some("FRA"), "DE"));
    }

    #[test]
    fn what_is_no_airport_is_refused_with_its_line() {
        let error = parse("icao,name\nEDDF,Frankfurt\n".as_bytes()).expect_err("columns are missing");
        assert!(error.to_string().contains("line: 2"), "{error}");
        let nameless =
            "icao,iata,name,city,subd,country,elevation,lat,lon,tz\n,,A,B,C,DE,1,2,3,Europe/Berlin\n";
        assert!(parse(nameless.as_bytes()).is_err());
    }
}
