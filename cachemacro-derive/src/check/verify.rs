//! The options under which hits are held against what the function returns now.

use quote::ToTokens;
use syn::{Expr, ExprLit, ExprPath, Lit, Path};

use super::Checker;
use crate::model::Verify;
use crate::syntax::duration::Time;
use crate::syntax::options;
use crate::tokens::code::code;

impl Checker<'_> {
    pub(super) fn verify(&self) -> Option<Verify> {
        let within = self.time("within");
        if let (Some(Time::Never | Time::Millis(0)), Some(expr)) = (&within, self.options.expr("within")) {
            let message = format!("`within` is how long a value may differ: `{}`", options::usage("within"));
            self.errors.at(expr, message);
        }
        let evicts = self.evicts_what_differs();
        let Some(opt) = self.options.get("verify") else {
            for name in ["within", "verify_by", "on_inconsistent"] {
                if let Some(opt) = self.options.get(name).filter(|opt| !opt.inherited) {
                    let message = format!(
                        "`{name}` is about hits that are looked at: write `{}` beside it",
                        options::usage("verify")
                    );
                    self.errors.push(opt.span(), message);
                }
            }
            return None;
        };
        if self.item.is_sync() {
            return None;
        }
        let expr = self.options.expr("verify")?;
        let Some((millionths, inline)) = share_of(expr) else {
            let message = format!(
                "`verify` is the part of the hits, from 0.0001 % to 100 %, that are looked at: `{usage}`, \
                 `verify = \"0.1%, inline\"`, or `verify = \"off\"`",
                usage = options::usage("verify")
            );
            self.errors.at(expr, message);
            return None;
        };
        let behind = millionths > 0 && !inline && self.runs_behind(opt);
        Some(Verify { millionths, behind, within, evicts })
    }

    /// Whether the function can run behind the hit. As a default it does where it can.
    fn runs_behind(&self, opt: &options::Opt) -> bool {
        if opt.inherited {
            // What a type parameter stands for may borrow.
            return self.owns_arguments() && self.item.sig.generics.params.is_empty();
        }
        if !self.owns_arguments() {
            self.errors.push(
                opt.span(),
                "with `verify` the function runs behind a hit, so it must own its arguments: take `String` instead of `&str`, \
                 `self: Arc<Self>` instead of `&self`, or let the caller wait: `verify = \"0.1%, inline\"`",
            );
        }
        true
    }

    fn evicts_what_differs(&self) -> bool {
        let Some(expr) = self.options.expr("on_inconsistent") else { return false };
        let is_evict =
            matches!(expr, Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if text.value() == "evict");
        if !is_evict {
            let message = format!(
                "`on_inconsistent` takes `\"evict\"`, and without it what was found is told: `{}`",
                options::usage("on_inconsistent")
            );
            self.errors.at(expr, message);
        }
        is_evict
    }

    /// The function that says whether two values are the same.
    pub(super) fn verify_by(&self) -> Option<Path> {
        match self.options.expr("verify_by")? {
            Expr::Path(ExprPath { path, qself: None, .. }) => Some(path.clone()),
            other => {
                let message = match other {
                    Expr::Call(call) => {
                        format!(
                            "`verify_by` is a function of two values, without `(…)`: `verify_by = {}`",
                            code(&call.func)
                        )
                    }
                    _ => {
                        format!("`verify_by` is a function of two values: `{}`", options::usage("verify_by"))
                    }
                };
                self.errors.at(other.to_token_stream(), message);
                None
            }
        }
    }
}

/// The share in millionths, and whether callers wait for the function.
fn share_of(expr: &Expr) -> Option<(u32, bool)> {
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = expr else { return None };
    let text = text.value();
    if text.trim() == "off" {
        return Some((0, false));
    }
    let (share, inline) = match text.split_once(',') {
        Some((share, how)) if how.trim() == "inline" => (share, true),
        Some(_) => return None,
        None => (&*text, false),
    };
    Some((millionths(share)?, inline))
}

fn millionths(share: &str) -> Option<u32> {
    let number = share.trim().strip_suffix('%')?.trim();
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || whole.len() + part.len() == 0 || part.len() > 4 {
        return None;
    }
    let millionths: u32 = format!("{whole}{part:0<4}").parse().ok()?;
    (1..=1_000_000).contains(&millionths).then_some(millionths)
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::share_of;

    #[test]
    fn a_share_is_a_percentage_with_up_to_four_digits_behind_the_point() {
        for (expr, share) in [
            (parse_quote!("0.1%"), Some((1_000, false))),
            (parse_quote!("100 %, inline"), Some((1_000_000, true))),
            (parse_quote!("0.0001%"), Some((1, false))),
            (parse_quote!("off"), Some((0, false))),
            (parse_quote!("0%"), None),
            (parse_quote!("0.00001%"), None),
            (parse_quote!("101%"), None),
            (parse_quote!("1"), None),
            (parse_quote!("1%, background"), None),
            (parse_quote!(0.1), None),
        ] {
            assert_eq!(share_of(&expr), share);
        }
    }
}
