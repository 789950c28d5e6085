//! By words: logarithmic term frequency, smoothed inverse document frequency, cosine.

use super::table::Mirror;
use super::weights::{Weights, idf, logarithmic};
use crate::query::{Found, Query};

impl Mirror {
    /// The documents whose words are most like the query's: cosine of counts `1 + ln tf`, weighted by `ln((1 + n) / (1 + df)) + 1` over the documents
    /// that are there now. Words that no document has make a query less like all of them.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document, Mirror, Query};
    ///
    /// # fn main() -> Result<(), cachemacro_search::Error> {
    /// let (words, mut mirror) = (Analyzer::new(), Mirror::new());
    /// mirror.insert(Document::of("a", &["airfield near Kansas City"], &words)?);
    /// mirror.insert(Document::of("b", &["airport of Kansas"], &words)?);
    /// let found = mirror.vector(&Query::of("airfield kansas", &words).threshold(0.5)?);
    /// assert_eq!(found.iter().map(|found| &*found.key).collect::<Vec<_>>(), ["a"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn vector(&self, query: &Query) -> Vec<Found> {
        if query.limit == 0 || self.is_empty() {
            return Vec::new();
        }
        let weights = self.weights.get_or_init(|| self.weigh());
        let (mut sums, mut touched) = (vec![0.0_f32; self.held.len()], Vec::new());
        let mut length = 0.0_f32;
        for (term, count) in &query.terms {
            let found = self.terms.find(*term);
            let idf = found.map_or_else(|| self.unknown(), |(place, _)| weights.idf[place as usize]);
            let weight = logarithmic(*count) * idf;
            length += weight * weight;
            let Some((_, list)) = found.filter(|_| weight > 0.0) else { continue };
            for (number, count) in &list.entries {
                let sum = &mut sums[*number as usize];
                if *sum == 0.0 {
                    touched.push(*number);
                }
                *sum += weight * idf * count;
            }
        }
        let length = length.sqrt();
        let score = |number: u32| {
            let number = number as usize;
            (sums[number] / (length * weights.lengths[number])).min(1.0)
        };
        self.best(touched.iter().map(|&number| (number, score(number))), query)
    }

    /// What a word weighs that no document has.
    fn unknown(&self) -> f32 {
        if self.max_features.is_some() { 0.0 } else { idf(self.len(), 0) }
    }

    fn weigh(&self) -> Weights {
        let lists = self.terms.lists();
        let mut weights: Vec<f32> = lists.iter().map(|list| idf(self.len(), list.live)).collect();
        if let Some(most) = self.max_features {
            let mut places: Vec<usize> = (0..lists.len()).collect();
            places.sort_unstable_by_key(|&place| (std::cmp::Reverse(lists[place].live), lists[place].number));
            places.iter().skip(most).for_each(|&place| weights[place] = 0.0);
        }
        let lengths = self.held.iter().map(|held| {
            let terms = held.iter().flat_map(|held| &held.terms);
            terms
                .map(|(place, count)| (logarithmic(*count) * weights[*place as usize]).powi(2))
                .sum::<f32>()
                .sqrt()
        });
        let lengths = lengths.collect();
        Weights { idf: weights, lengths }
    }
}

impl Mirror {
    /// The documents that have each of the query's words; the fewer others they have, the higher they score.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document, Mirror, Query};
    ///
    /// # fn main() -> Result<(), cachemacro_search::Error> {
    /// let (words, mut mirror) = (Analyzer::new(), Mirror::new());
    /// mirror.insert(Document::of("a", &["London Heathrow"], &words)?);
    /// mirror.insert(Document::of("b", &["London City Airport"], &words)?);
    /// let found = mirror.exact(&Query::of("LONDON", &words));
    /// assert_eq!(found.iter().map(|found| &*found.key).collect::<Vec<_>>(), ["a", "b"]);
    /// assert!(mirror.exact(&Query::of("london gatwick", &words)).is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn exact(&self, query: &Query) -> Vec<Found> {
        let lists = query.terms.iter().map(|(term, _)| self.terms.find(*term));
        let Some(lists) = lists.collect::<Option<Vec<_>>>() else { return Vec::new() };
        let Some((_, rarest)) = lists.iter().min_by_key(|(_, list)| list.entries.len()) else {
            return Vec::new();
        };
        #[allow(clippy::cast_precision_loss, reason = "not above 2¹²")]
        let scored = rarest.entries.iter().filter_map(|&(number, _)| {
            let held = self.held[number as usize].as_ref()?;
            let has = |place: u32| held.terms.iter().any(|(one, _)| *one == place);
            let has_all = lists.iter().all(|(place, _)| has(*place));
            has_all.then(|| (number, lists.len() as f32 / held.terms.len() as f32))
        });
        self.best(scored, query)
    }
}
