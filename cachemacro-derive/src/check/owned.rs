//! A cached value outlives the call, so it must own all it has.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Type;
use syn::visit::{self, Visit};

use super::Checker;
use crate::syntax::item::unwrap_type;

/// Types known to own a value of their parameter. For any other type the parameter may be a marker, as `PhantomData`'s is,
/// so a `&'static str` in it proves nothing.
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
    /// The cached type cannot borrow, because values live on when the arguments are gone.
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

/// Finds the first reference or lifetime in a type that a cached value cannot have.
#[derive(Default)]
struct Borrowed {
    found: Option<TokenStream>,
    /// Whether the visitor is inside the parameters of a type that may use them as markers only.
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
        // `&'static str` and `&'static [T]` cannot be deserialized; a reference to another type may have an implementation.
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
