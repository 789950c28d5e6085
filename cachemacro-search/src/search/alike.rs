//! Questions that mean what another one meant: the nearest of the same scope, as far as the guard lets them pass.

use std::time::Instant;

use cachemacro::{Asked, Candidate};

use super::asked::LONGEST;
use super::beside::Search;
use super::lies::{Lies, scope};
use crate::guard::Difference;
use crate::mirror::Mirror;
use crate::query::Query;
use crate::text::MOST_TEXT;

/// So many candidates are looked at.
const MOST: usize = 5;

/// A question that is near enough.
struct Near {
    candidate: Candidate,
    difference: Option<Difference>,
}

impl Search {
    pub(super) async fn near_to(&self, asked: &Asked<'_>) -> Vec<Candidate> {
        let deadline = Instant::now() + self.deadline.min(LONGEST);
        self.judgements.asked();
        let lies = Lies::of(asked.namespace, asked.key).filter(|_| asked.text.len() <= MOST_TEXT);
        let query = Query::of(asked.text, &self.words).threshold(asked.threshold);
        let (Some(lies), Ok(enough)) = (lies, query) else {
            self.judgements.nothing_near();
            return Vec::new();
        };
        let vector = match asked.embedder {
            None => None,
            Some(embedder) => {
                let Some(vector) = self.embedding.of(embedder, asked.text).await else {
                    self.judgements.no_vector();
                    return Vec::new();
                };
                Some(vector)
            }
        };
        let space = self.space(&lies.questions);
        // Half of what is left is for the search of what is there.
        let patience = deadline.saturating_duration_since(Instant::now()) / 2;
        if space.catch_up_soon(self.index(), self.within, patience).await.is_err() {
            self.counts.partial.one();
        }
        let (guard, text, own) = (self.guard.clone(), asked.text.to_owned(), lies.key.to_owned());
        let is_enough = enough.clone();
        let all = enough.everything().scope(scope(asked.scope, asked.embedder)).limit(MOST + 1);
        let look = move |mirror: &Mirror| {
            let found = match &vector {
                Some(vector) => mirror.nearest(vector, &all).unwrap_or_default(),
                None => mirror.vector(&all),
            };
            let others = found.into_iter().filter(|found| *found.key != *own);
            let near = others.filter_map(|found| {
                let stored = mirror.text(&found.key)?;
                let difference = guard.as_ref().and_then(|guard| guard.compare(&text, stored));
                let candidate = Candidate::new(found.key, stored, found.score);
                Some(Near { candidate, difference })
            });
            near.take(MOST).collect::<Vec<_>>()
        };
        let Ok(near) = space.look(deadline, look).await else {
            self.judgements.not_searched();
            return Vec::new();
        };
        self.judgements.nearest(near.first().map_or(0.0, |near| near.candidate.score));
        let mut candidates = Vec::new();
        let mut is_any = false;
        for Near { candidate, difference } in near {
            if !is_enough.is_enough(candidate.score) {
                break;
            }
            is_any = true;
            match difference {
                Some(difference) => self.judgements.differs(difference),
                None => candidates.push(candidate),
            }
        }
        if !is_any {
            self.judgements.nothing_near();
        }
        candidates
    }
}
