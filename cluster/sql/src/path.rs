//! `search_path`: where names without a schema are looked for, and where things without one are made.

use alloc::string::String;
use alloc::vec::Vec;

use crate::system::PG_CATALOG;

/// The path of a session that has set none.
pub(crate) const DEFAULT: &str = "\"$user\", public";

/// Where names without a schema are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SearchPath {
    /// The schemas that are listed, whether they exist or not.
    pub(crate) listed: Vec<String>,
    /// The same, and before them the system's, unless it is listed itself.
    pub(crate) searched: Vec<String>,
}

impl SearchPath {
    /// The path that `text` says to a session of `user`.
    pub(crate) fn parse(text: &str, user: &str) -> SearchPath {
        let listed = names(text, user);
        let mut searched = listed.clone();
        if !searched.iter().any(|schema| schema == PG_CATALOG) {
            searched.insert(0, PG_CATALOG.into());
        }
        SearchPath { listed, searched }
    }

    /// The schemas where a name may be found.
    pub(crate) fn candidates<'a>(&'a self, schema: &'a Option<String>) -> &'a [String] {
        match schema {
            Some(schema) => core::slice::from_ref(schema),
            None => &self.searched,
        }
    }
}

fn names(text: &str, user: &str) -> Vec<String> {
    let mut schemas: Vec<String> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (name, after) = quoted.split_once('"').unwrap_or((quoted, ""));
                (String::from(name), after.split_once(',').map_or("", |(_, after)| after))
            }
            None => {
                let (name, after) = rest.split_once(',').unwrap_or((rest, ""));
                (name.trim().to_ascii_lowercase(), after)
            }
        };
        let name = if name == "$user" { user.into() } else { name };
        if !name.is_empty() && !schemas.contains(&name) {
            schemas.push(name);
        }
        rest = after.trim();
    }
    schemas
}
