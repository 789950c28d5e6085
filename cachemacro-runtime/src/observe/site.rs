//! Which function: its module, its name, and where its attribute stands.

use std::fmt::{self, Write as _};

/// Tells an annotated function from all others. The function and what is generated beside it are one site, and so are
/// all instances of a generic function.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Observation, Observer};
///
/// struct Print;
///
/// impl Observer for Print {
///     fn event(&self, seen: &Observation<'_>) {
///         if let Some(site) = seen.site {
///             println!("{}::{}, line {}: {}", site.module(), site.function(), site.line(), seen.event.as_str());
///         }
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId {
    module: &'static str,
    function: &'static str,
    /// The attribute's line, because methods of two types may have one name.
    line: u32,
    column: u32,
    /// What tells functions apart that come from one use of a `macro_rules!`; 0 for those that come from none.
    copy: u32,
    /// The version of the function's package, of which a program may have two.
    package: Option<&'static str>,
}

/// Where the attribute of a function stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) copy: u32,
    pub(crate) package: Option<&'static str>,
}

impl SiteId {
    /// A function in `module` whose attribute stands at this place.
    pub(crate) const fn new(module: &'static str, function: &'static str, place: Place) -> Self {
        let Place { line, column, copy, package } = place;
        Self { module, function, line, column, copy, package }
    }

    /// The path of the module that the function is in: `shop::users`; empty for a [name](crate::Named) of one's own. See [`SiteId`] for an example.
    ///
    /// ```
    /// # use cachemacro_runtime::SiteId;
    /// let module = |site: &SiteId| site.module();
    /// ```
    pub const fn module(&self) -> &'static str {
        self.module
    }

    /// The function's name. See [`SiteId`] for an example.
    ///
    /// ```
    /// # use cachemacro_runtime::SiteId;
    /// let function = |site: &SiteId| site.function();
    /// ```
    pub const fn function(&self) -> &'static str {
        self.function
    }

    /// The line of the attribute, which tells methods of one name in one module apart.
    ///
    /// ```
    /// # use cachemacro_runtime::SiteId;
    /// let line = |site: &SiteId| site.line();
    /// ```
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// `users::get`; where another site in `sites`, which are sorted, has that name, `users::get:12`, where it is
    /// on the same line, `users::get:12:5`, and where it is at the same place, because one macro or two versions of a package bring
    /// both, `users::get:12:5:1` for the first.
    pub(crate) fn name(at: usize, sites: &[Self]) -> String {
        let Self { module, function, line, column, .. } = sites[at];
        let around = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| sites.get(at));
        // A name that no attribute gave stands by itself.
        let mut name = if module.is_empty() { function.to_owned() } else { format!("{module}::{function}") };
        let named: Vec<&Self> =
            around.filter(|other| (other.module, other.function) == (module, function)).collect();
        if !named.is_empty() {
            let _ = write!(name, ":{line}");
        }
        if named.iter().any(|other| other.line == line) {
            let _ = write!(name, ":{column}");
        }
        let is_here = |other: &Self| {
            (other.module, other.function, other.line, other.column) == (module, function, line, column)
        };
        if named.iter().any(|other| is_here(other)) {
            let _ =
                write!(name, ":{}", 1 + sites[..at].iter().rev().take_while(|other| is_here(other)).count());
        }
        name
    }

    /// Such a name without line and column.
    pub(crate) fn plain(name: &str) -> &str {
        match name.rsplit_once(':') {
            Some((before, number)) if number.parse::<u32>().is_ok() => Self::plain(before),
            _ => name,
        }
    }
}

/// The function, and the line of its attribute: `users::get:12`.
impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.module.is_empty() {
            return f.write_str(self.function);
        }
        write!(f, "{}::{}:{}", self.module, self.function, self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_as_much_as_tells_it_from_others() {
        let id = |module, function, line, column| SiteId {
            module,
            function,
            line,
            column,
            copy: 0,
            package: None,
        };
        let mut sites = [
            id("app", "get", 30, 5),
            id("app", "get", 7, 5),
            id("app", "get", 30, 9),
            id("app", "put", 7, 5),
            id("app::old", "get", 7, 5),
            SiteId { package: Some("2.0.0"), ..id("app::old", "get", 7, 5) },
            SiteId { copy: 9, ..id("app::old", "get", 7, 5) },
        ];
        sites.sort_unstable();
        let names: Vec<String> = (0..sites.len()).map(|at| SiteId::name(at, &sites)).collect();
        let expected = [
            "app::get:7",
            "app::get:30:5",
            "app::get:30:9",
            "app::put",
            "app::old::get:7:5:1",
            "app::old::get:7:5:2",
            "app::old::get:7:5:3",
        ];
        assert_eq!(names, expected);
        let plain: Vec<&str> = names.iter().map(|name| SiteId::plain(name)).collect();
        assert_eq!(plain[..4], ["app::get", "app::get", "app::get", "app::put"]);
        assert_eq!(plain[4..], ["app::old::get"; 3]);
    }
}
