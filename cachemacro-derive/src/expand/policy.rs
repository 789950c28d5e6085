//! The options that have the same value on every call, as a constant.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};

use crate::model::{Policy, Verify};
use crate::syntax::duration::Time;

/// `Policy::new().ttl(…).jitter(…)`; `None` where nothing is set.
pub(super) fn policy(policy: &Policy, private: &Ident) -> Option<TokenStream> {
    let mixed = Span::mixed_site();
    let ttl = |time: &Time| match time {
        Time::Millis(millis) => quote_spanned!(mixed=> #private::Ttl::millis(#millis)),
        Time::Never => quote_spanned!(mixed=> #private::Ttl::Never),
        Time::Expr(expr) => quote_spanned!(mixed=> #private::Ttl::For(#expr)),
    };
    let Policy { ttl: fresh, cache_none, none_ttl, cache_err, err_ttl, .. } = policy;
    let Policy {
        stale,
        max_age,
        refresh,
        jitter,
        wait,
        lease_limit,
        local,
        validate,
        sealed,
        verify,
        recorded,
        version,
        ..
    } = policy;
    let setters = [
        fresh.as_ref().map(|time| ("ttl", ttl(time))),
        cache_none.then(|| ("cache_none", quote!(true))),
        none_ttl.as_ref().map(|time| ("none_ttl", ttl(time))),
        cache_err.then(|| ("cache_err", quote!(true))),
        err_ttl.as_ref().map(|time| ("err_ttl", ttl(time))),
        stale.as_ref().map(|time| ("stale", duration(time))),
        max_age.as_ref().map(|time| ("max_age", duration(time))),
        refresh.map(|percent| ("refresh", percent.to_token_stream())),
        jitter.map(|percent| ("jitter", percent.to_token_stream())),
        wait.as_ref().map(|time| ("wait", duration(time))),
        lease_limit.as_ref().map(|time| ("lease_limit", duration(time))),
        local.as_ref().map(|time| ("local", duration(time))),
        validate.then(|| ("validate", quote!(true))),
        sealed.then(|| ("sealed", quote!(true))),
        verify.as_ref().map(|verify| ("verify", self::verify(verify, private))),
        recorded.then(|| ("recorded", quote!(true))),
        version.as_ref().map(|version| ("version", version.to_token_stream())),
    ];
    let setters: Vec<TokenStream> = setters
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let name = Ident::new(name, mixed);
            quote_spanned!(mixed=> .#name(#value))
        })
        .collect();
    (!setters.is_empty()).then(|| quote_spanned!(mixed=> #private::Policy::new() #(#setters)*))
}

/// `Verify::millionths(…)`
fn verify(verify: &Verify, private: &Ident) -> TokenStream {
    let mixed = Span::mixed_site();
    let Verify { millionths, behind, within, evicts } = verify;
    let within = within.as_ref().map(duration);
    let within = within.map(|time| quote_spanned!(mixed=> .within(#time)));
    let evicts = evicts.then(|| quote_spanned!(mixed=> .evicts(true)));
    let behind = behind.then(|| quote_spanned!(mixed=> .behind()));
    quote_spanned!(mixed=> #private::Verify::millionths(#millionths) #within #evicts #behind)
}

/// A `Duration`.
pub(super) fn duration(time: &Time) -> TokenStream {
    let mixed = Span::mixed_site();
    match time {
        Time::Millis(millis) => quote_spanned!(mixed=> ::core::time::Duration::from_millis(#millis)),
        Time::Never => quote_spanned!(mixed=> ::core::time::Duration::MAX),
        Time::Expr(expr) => expr.to_token_stream(),
    }
}
