//! What the layers hand to one another.

use serde::{Deserialize, Serialize};

use crate::geo::Point;

/// An airport or landing strip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Airport {
    /// The code that every airport here has, and no two share.
    pub icao: String,
    /// The code on luggage tags, where there is one.
    pub iata: Option<String>,
    /// Its name.
    pub name: String,
    /// The city it belongs to.
    pub city: String,
    /// State, province or region.
    pub subdivision: String,
    /// Two letters, as in ISO 3166.
    pub country: String,
    /// Height over the sea in feet.
    pub elevation: f64,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Name of the time zone, such as `Europe/Berlin`.
    pub time_zone: String,
}

impl Airport {
    /// By what it is found.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let codes = [Some(&self.icao), self.iata.as_ref()];
        let texts = codes.into_iter().flatten().chain([&self.name, &self.city]);
        texts.cloned().collect()
    }

    /// Where it is.
    #[must_use]
    pub const fn point(&self) -> Point {
        Point { latitude: self.latitude, longitude: self.longitude }
    }
}

/// A runway, both ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runway {
    /// Its name, such as `07C/25C`.
    pub name: String,
    /// Its length in metres.
    pub length: u32,
}

/// What the list of airports can be asked for. As a whole it is the key of a cached page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Occurs in the name; ASCII letters in any case.
    pub name: Option<String>,
    /// The country's two letters.
    pub country: Option<String>,
    /// Counts from zero.
    #[serde(default)]
    pub page: u32,
}

impl Filter {
    /// The same question in its one spelling, so that `de` and `DE` share a page.
    #[must_use]
    pub fn normalized(self) -> Self {
        let text =
            |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        Self {
            name: text(self.name).map(|name| name.to_ascii_lowercase()),
            country: text(self.country).map(|country| country.to_ascii_uppercase()),
            page: self.page,
        }
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// How many there are on all pages.
    pub total: u32,
    /// Counts from zero.
    pub page: u32,
    /// What is on this page.
    pub items: Vec<T>,
}

/// What lies around an airport.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Vicinity {
    /// The one in the middle.
    pub center: Airport,
    /// How far was looked, in kilometres.
    pub radius: u32,
    /// The others, nearest first.
    pub airports: Vec<Neighbor>,
}

/// An airport near another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Neighbor {
    /// The way to it along the surface, in kilometres.
    pub distance: f64,
    /// The airport.
    #[serde(flatten)]
    pub airport: Airport,
}

/// How far it is to an airport.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// Its code.
    pub icao: String,
    /// Its country.
    pub country: String,
    /// The way to it along the surface, in kilometres.
    pub kilometres: f64,
}

/// Figures of one country.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// The country's two letters.
    pub country: String,
    /// How many airports it has.
    pub airports: u32,
    /// How many of them have an IATA code.
    pub with_iata: u32,
    /// How many time zones they lie in.
    pub time_zones: u32,
    /// Height of the highest, in feet.
    pub highest: Option<f64>,
    /// Their mean height, in feet.
    pub mean_elevation: Option<f64>,
}

/// What is known of the cities that a question names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Their names.
    pub cities: Vec<String>,
    /// Their airports, by name.
    pub airports: Vec<Airport>,
}
