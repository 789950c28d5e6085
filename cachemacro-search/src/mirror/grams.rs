//! By trigrams: what may be meant by a text with typos.

use super::table::Mirror;
use super::weights::idf;
use crate::query::{Found, Query};

/// Words that more documents have say too little of what was mistyped.
const COMMON: u32 = 1_000;
/// So much of a query's trigram is held against a document for each trigram that it has more than the query.
const LONGER: f32 = 0.02;

impl Mirror {
    /// The documents that have most of the query's trigrams, each weighted by how few others have it; at most the query's limit. Neighbours that were
    /// swapped in a short word, where few trigrams are left, are swapped back. A longer document scores a little less.
    ///
    /// They are candidates: [`Fuzzy`](crate::Fuzzy) tells by the texts of their entries which of them are meant. Ask for more than are wanted.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document, Mirror, Query};
    ///
    /// # fn main() -> Result<(), cachemacro_search::Error> {
    /// let (words, mut mirror) = (Analyzer::new(), Mirror::new());
    /// mirror.insert(Document::of("a", &["London Heathrow"], &words)?);
    /// mirror.insert(Document::of("b", &["Berlin Brandenburg"], &words)?);
    /// let found = mirror.candidates(&Query::of("haethrow londn", &words).limit(100));
    /// assert_eq!(&*found[0].key, "a");
    /// # Ok(())
    /// # }
    /// ```
    pub fn candidates(&self, query: &Query) -> Vec<Found> {
        if query.limit == 0 || self.is_empty() {
            return Vec::new();
        }
        let (mut sums, mut touched) = (vec![0.0_f32; self.held.len()], Vec::new());
        let mut all = 0.0_f32;
        for gram in &query.grams {
            let found = self.grams.find(*gram);
            let weight = idf(self.len(), found.map_or(0, |(_, list)| list.live));
            all += weight;
            for number in found.iter().flat_map(|(_, list)| &list.entries) {
                let sum = &mut sums[*number as usize];
                if *sum == 0.0 {
                    touched.push(*number);
                }
                *sum += weight;
            }
        }
        // A word that some document has is what was meant.
        let unknown = query
            .mistyped
            .iter()
            .filter(|word| self.terms.find(word.typed).is_none_or(|(_, list)| list.live == 0));
        for word in unknown {
            let meant = word.meant.iter().filter_map(|term| self.terms.find(*term)).map(|(_, list)| list);
            for (number, _) in meant.filter(|list| list.live <= COMMON).flat_map(|list| &list.entries) {
                let sum = &mut sums[*number as usize];
                if *sum == 0.0 {
                    touched.push(*number);
                }
                *sum += all * word.share;
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "not above 2¹⁴")]
        let score = |number: u32| {
            let grams = self.held[number as usize].as_ref().map_or(0, |held| held.grams.len());
            let longer = grams.saturating_sub(query.grams.len()) as f32 / query.grams.len() as f32;
            (sums[number as usize] / (all * LONGER.mul_add(longer, 1.0))).min(1.0)
        };
        self.best(touched.iter().map(|&number| (number, score(number))), query)
    }
}
