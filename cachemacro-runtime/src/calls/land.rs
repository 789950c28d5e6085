//! What becomes of a load: it is shared with those who wait for it, and stored.

use std::time::Duration;

use crate::calls::load::Call;
use crate::engine::fill::{Check, Stored};
use crate::engine::flight::{Landed, Lead};
use crate::engine::lease::Held;
use crate::engine::prepare::Prepared;
use crate::engine::read::Found;
use crate::policy::gathered::Gathered;
use crate::policy::outcome::{Outcome, Value, unsplit};
use crate::policy::rules::Rules;
use crate::store::OnRefusal;

impl<O, V: Value> Call<'_, O, V> {
    /// Shares and stores what was loaded.
    pub(super) async fn land<R, X>(
        &mut self,
        lead: Lead,
        held: Option<Held>,
        took: Duration,
        rules: X,
        loaded: Option<V>,
        record: Option<Gathered>,
    ) -> (R, X)
    where
        O: Outcome<R, Value = V>,
        X: Rules<V>,
    {
        let (raw, outcome) = (self.raw, self.outcome);
        let mut lead = Some(lead);
        if let Some(leading) = lead.take_if(|lead| lead.has_followers() && !raw.core.has_written()) {
            lead = leading.share_clone(loaded.as_ref(), Lead::share_load);
        }
        let prepared =
            held.as_ref().and_then(|held| self.prepared(held, &rules, loaded.as_ref(), record.as_ref()));
        let stored = match (held, prepared) {
            (Some(held), Some(prepared)) => {
                // G1, rule (c): nobody joins after the stamps are read that the fill tells of.
                lead.iter().for_each(Lead::close);
                let followed = lead.as_ref().is_some_and(Lead::has_followers);
                if followed || raw.core.store.is_memory() {
                    let check = if followed { Check::Stamps } else { Check::Skip };
                    prepared.fill(raw, held, took, OnRefusal::Leave, check).await
                } else {
                    prepared.fill_unawaited(raw, held, took).await;
                    Stored::Unproven
                }
            }
            // There is another value than the one that ages, or none.
            (Some(held), None) if self.state.spare.is_some() && !raw.core.has_written() => {
                raw.displace(held).await;
                Stored::Refused
            }
            (Some(held), None) => {
                held.give_back_unawaited().await;
                Stored::Refused
            }
            (None, _) => Stored::Refused,
        };
        if let Some(leading) = lead.take_if(|lead| stored == Stored::Held && lead.has_followers()) {
            lead = leading.share_clone(loaded.as_ref(), Lead::share_fill);
        }
        if let Some(lead) = lead {
            lead.hand_on();
        }
        (unsplit(outcome, loaded), rules)
    }

    /// What is to be stored of a load, and kept here.
    fn prepared(
        &mut self,
        held: &Held,
        rules: &impl Rules<V>,
        loaded: Option<&V>,
        record: Option<&Gathered>,
    ) -> Option<Prepared> {
        let old = self.state.spare.as_deref().filter(|_| held.is_refresh());
        self.entry.prepare_copied(self.raw, rules, loaded, old, self.state.placed.take(), record)
    }

    /// A value that another process stored meanwhile.
    pub(super) fn land_found<R>(&self, mut lead: Lead, found: Found<R>) -> R
    where
        O: Outcome<R, Value = V>,
    {
        let Found { value: found, header, .. } = found;
        let age = self.raw.core.store.now().since(header.stored_at);
        let value = self.outcome.value_of(&found);
        if value.is_none() && self.outcome.is_err(&found) {
            if let Some(shared) = self.outcome.share_err(&found) {
                lead.share_read(&Landed::Err(shared), age);
            }
            lead.hand_on();
        } else if let Some(lead) = lead.share_clone(value, |lead, landed| lead.share_read(landed, age)) {
            lead.hand_on();
        }
        found
    }

    /// A load that failed. Awaits nothing, so that the future is `Send` also where the error is not: what is stored is
    /// stored behind the caller's back, and whoever comes meanwhile follows.
    pub(super) fn land_err<R>(
        &self,
        lead: Lead,
        held: Option<Held>,
        took: Duration,
        record: Option<&Gathered>,
        failure: R,
    ) -> R
    where
        O: Outcome<R, Value = V>,
    {
        let stand_in = self.stand_in();
        let filling = match held {
            Some(held) if stand_in.is_some() => {
                self.rest(held);
                None
            }
            held => held.and_then(|held| {
                let prepared = self.entry.prepare_err(self.raw, self.outcome, &failure, record)?;
                Some((held, prepared))
            }),
        };
        let mut lead = Some(lead);
        if let Some(leading) = lead.take_if(|lead| lead.has_followers()) {
            // What failed in a transaction may not have failed outside of it.
            match self.outcome.share_err(&failure).filter(|_| !self.raw.core.has_written()) {
                Some(shared) => lead.insert(leading).share_load(&Landed::Err(shared)),
                None => leading.scatter(),
            }
        }
        if let Some((held, prepared)) = filling {
            let raw = self.raw.clone();
            tokio::spawn(async move {
                prepared.fill(&raw, held, took, OnRefusal::Leave, Check::Skip).await;
                lead.map(Lead::hand_on)
            });
        } else if let Some(lead) = lead {
            lead.hand_on();
        }
        stand_in.unwrap_or(failure)
    }

    /// The load of the value that ages has failed: for a while nobody tries again, in this process or, where it was a refresh, in
    /// any.
    fn rest(&self, held: Held) {
        let (core, time) = (&self.raw.core, self.raw.core.settings.retry_after);
        if let Some(spare) = &self.state.spare {
            core.pacing.rest(spare.header.fill_id, time);
        }
        if held.is_refresh() {
            core.go_on(async move { held.rest(time).await });
        }
    }
}
