//! Which requests a load sends: mostly reads, some airports far more often than others.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::model::Airport;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// One airport.
    Lookup {
        /// ICAO, or IATA where there is one.
        code: String,
    },
    /// A page of a list.
    Search {
        /// Already encoded.
        query: String,
    },
    /// What lies around an airport.
    Near {
        /// The one in the middle.
        code: String,
        /// How far.
        km: u32,
    },
    /// Figures of a country.
    Statistics {
        /// Two letters.
        country: String,
    },
    /// Another name.
    Rename {
        /// Whose.
        code: String,
        /// The name.
        name: String,
    },
    /// An airport less.
    Delete {
        /// Which.
        code: String,
    },
}

impl Request {
    /// Its kind, as the report calls it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Request::Lookup { .. } => "lookup",
            Request::Search { .. } => "search",
            Request::Near { .. } => "near",
            Request::Statistics { .. } => "statistics",
            Request::Rename { .. } => "rename",
            Request::Delete { .. } => "delete",
        }
    }

    /// Whether it leaves the database as it was.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        !matches!(self, Request::Rename { .. } | Request::Delete { .. })
    }
}

/// An endless stream of requests.
#[derive(Debug)]
pub struct Mix<'a> {
    all: &'a [Airport],
    /// Those that people ask for, the most popular first.
    ranked: Vec<&'a Airport>,
    /// Sums of the weights up to each rank.
    sums: Vec<f64>,
    random: StdRng,
}

impl<'a> Mix<'a> {
    /// People ask for airports with an IATA code; which of them are popular is chance. `skew` is the exponent of Zipf's law;
    /// equal seeds give equal requests.
    #[must_use]
    pub fn new(all: &'a [Airport], skew: f64, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut ranked: Vec<&Airport> = all.iter().filter(|airport| airport.iata.is_some()).collect();
        ranked.shuffle(&mut random);
        let sums = (1_u32..)
            .take(ranked.len())
            .scan(0.0, |sum, rank| {
                *sum += f64::from(rank).powf(-skew);
                Some(*sum)
            })
            .collect();
        Self { all, ranked, sums, random }
    }

    /// An airport by Zipf's law.
    fn popular(&mut self) -> &'a Airport {
        let total = self.sums.last().copied().unwrap_or_default();
        let point = self.random.random_range(0.0..total);
        let rank = self.sums.partition_point(|sum| *sum <= point);
        self.ranked[rank.min(self.ranked.len() - 1)]
    }

    /// One of all airports and landing strips, each as likely as another.
    fn any(&mut self) -> &'a Airport {
        let at = self.random.random_range(0..self.all.len());
        &self.all[at]
    }

    /// The first pages are read most.
    fn page(&mut self) -> u32 {
        match self.random.random_range(0..10) {
            0..7 => 0,
            7..9 => 1,
            _ => 2,
        }
    }

    fn search(&mut self) -> String {
        let airport = self.popular();
        let page = self.page();
        if self.random.random_bool(0.75) {
            return format!("country={}&page={page}", airport.country);
        }
        // One word of a name is typed into the search box.
        let word = airport.name.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| word.len() > 3);
        format!("name={}&page=0", word.unwrap_or("international"))
    }
}

impl Iterator for Mix<'_> {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        // In thousandths.
        Some(match self.random.random_range(0..1_000) {
            0..600 => Request::Lookup { code: code(self.popular()) },
            600..750 => Request::Search { query: self.search() },
            750..850 => {
                let km = [50, 100][self.random.random_range(0..2)];
                Request::Near { code: code(self.popular()), km }
            }
            850..980 => Request::Statistics { country: self.popular().country.clone() },
            980..995 => {
                let airport = self.popular();
                let number: u16 = self.random.random();
                Request::Rename { code: code(airport), name: format!("{} {number}", airport.city) }
            }
            _ => Request::Delete { code: code(self.any()) },
        })
    }
}

fn code(airport: &Airport) -> String {
    airport.iata.as_ref().unwrap_or(&airport.icao).clone()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::data;

    #[test]
    fn equal_seeds_give_equal_requests() {
        let airports = data::bundled().expect("the bundled file is whole");
        let requests = |seed| Mix::new(&airports, 1.0, seed).take(500).collect::<Vec<_>>();
        assert_eq!(requests(7), requests(7));
        assert_ne!(requests(7), requests(8));
    }

    #[test]
    fn the_first_airport_is_asked_for_about_twice_as_often_as_the_second() {
        let airports = data::bundled().expect("the bundled file is whole");
        let mut mix = Mix::new(&airports, 1.0, 1);
        let ranks: HashMap<&str, usize> =
            mix.ranked.iter().enumerate().map(|(rank, airport)| (airport.icao.as_str(), rank)).collect();
        let mut counts = vec![0_u32; airports.len()];
        for _ in 0..100_000 {
            counts[ranks[mix.popular().icao.as_str()]] += 1;
        }
        let ratio = f64::from(counts[0]) / f64::from(counts[1]);
        assert!((1.8..2.2).contains(&ratio), "{ratio}");
        let tail: u32 = counts[1_000..].iter().sum();
        assert!((15_000..30_000).contains(&tail), "beyond the first thousand: {tail}");
    }
}
