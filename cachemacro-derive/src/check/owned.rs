//! A cached value outlives the call, so it must own all it has.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Type;
use syn::visit::{self, Visit};

use super::Checker;
use crate::syntax::item::unwrap_type;

/// Types that hold what they are generic over. Another type's parameter may be a mark only, as `PhantomData`'s is.
const HOLDERS: &[&str] = &[
    "Arc",
    "BTreeMap",
    "BTreeSet",
    "BinaryHeap",
    "Box",
    "Cell",
    "Cow",
    "HashMap",
    "HashSet",
    "LinkedList",
    "Mutex",
    "Option",
    "Rc",
    "RefCell",
    "Result",
    "Reverse",
    "RwLock",
    "Vec",
    "VecDeque",
    "Wrapping",
];

impl Checker<'_> {
    /// What is cached lives on when the arguments are gone.
    pub(super) fn owned_value(&self) {
        let mut borrowed = Borrowed::default();
        borrowed.visit_type(self.item.value_type());
        if let Some(tokens) = borrowed.found {
            self.errors.at(
                tokens,
                "a cached value must own all it has: return `String` instead of `&str`, `Vec<T>` instead of `&[T]`",
            );
        }
    }
}

/// The first reference or lifetime in a type.
#[derive(Default)]
struct Borrowed {
    found: Option<TokenStream>,
    /// Within the parameters of a type that need not hold them.
    marks: bool,
}

impl<'ast> Visit<'ast> for Borrowed {
    fn visit_qself(&mut self, qself: &'ast syn::QSelf) {
        let outside = std::mem::replace(&mut self.marks, true);
        visit::visit_qself(self, qself);
        self.marks = outside;
    }

    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        let outside = self.marks;
        self.marks |= !HOLDERS.iter().any(|holder| segment.ident == holder);
        visit::visit_path_segment(self, segment);
        self.marks = outside;
    }

    fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
        let is_static = reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static");
        // Nothing reads text or a slice back as one that lives for ever; a type may have its own way to.
        let is_text = match unwrap_type(&reference.elem) {
            Type::Slice(_) => true,
            Type::Path(ty) => ty.path.is_ident("str"),
            _ => false,
        };
        if !is_static || is_text && !self.marks {
            self.found.get_or_insert_with(|| reference.to_token_stream());
        }
    }

    fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
        if lifetime.ident != "static" {
            self.found.get_or_insert_with(|| lifetime.to_token_stream());
        }
    }

    fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
}
