//! By dense vectors: cosine, all of them compared.

use super::table::Mirror;
use crate::document::unit;
use crate::error::Error;
use crate::query::{Found, Query};

/// So many sums are kept side by side, so that a processor adds them together.
const LANES: usize = 16;

impl Mirror {
    /// The documents whose vectors point most nearly where this one does, of the query's scope. Vectors of other dimensions are passed over; those of
    /// other models belong to other scopes.
    ///
    /// # Errors
    /// [`Error::Vector`] where it has no or too many dimensions, where one is infinite or no number, or where all are zero.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document, Mirror, Query};
    ///
    /// # fn main() -> Result<(), cachemacro_search::Error> {
    /// let (words, mut mirror) = (Analyzer::new(), Mirror::new());
    /// mirror.insert(Document::of("east", &[], &words)?.with_vector(vec![1.0, 0.1])?);
    /// mirror.insert(Document::of("north", &[], &words)?.with_vector(vec![0.0, 2.0])?);
    /// let found = mirror.nearest(&[3.0, 0.0], &Query::of("", &words).threshold(0.9)?)?;
    /// assert_eq!(found.iter().map(|found| &*found.key).collect::<Vec<_>>(), ["east"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn nearest(&self, vector: &[f32], query: &Query) -> Result<Vec<Found>, Error> {
        let wanted = unit(vector.to_vec())?;
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        let numbers = 0..u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        let scored = numbers.filter_map(|number| {
            let held = self.in_scope(number, query.scope)?;
            let vector = held.vector.as_deref().filter(|vector| vector.len() == wanted.len())?;
            Some((number, product(&wanted, vector).clamp(0.0, 1.0)))
        });
        Ok(self.best(scored, query))
    }
}

fn product(one: &[f32], other: &[f32]) -> f32 {
    let (one, one_rest) = one.as_chunks::<LANES>();
    let (other, other_rest) = other.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (one, other) in one.iter().zip(other) {
        for lane in 0..LANES {
            sums[lane] += one[lane] * other[lane];
        }
    }
    let rest: f32 = one_rest.iter().zip(other_rest).map(|(one, other)| one * other).sum();
    sums.iter().sum::<f32>() + rest
}
