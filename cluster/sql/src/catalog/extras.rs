//! What came to be said of tables, views and sequences when their descriptors had a format already: it stands behind them, if
//! there is any of it, so that descriptors of before are read as they are.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Descriptor;

/// When a constraint is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deferral {
    /// At the end of each statement.
    #[default]
    No,
    /// So, unless a transaction wants it to wait.
    Immediate,
    /// At the end of the transaction, unless that wants it sooner.
    Deferred,
}

/// A part of what a descriptor describes, by its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// The whole.
    Itself,
    /// A column.
    Column(u16),
    /// An index, or the constraint that it was declared as.
    Index(u16),
    /// A check.
    Check(u16),
    /// A foreign key.
    ForeignKey(u16),
    /// The primary key that rows are stored by.
    PrimaryKey,
    /// The constraint that an index was declared as.
    Constraint(u16),
}

/// What stands behind a descriptor.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Extras {
    deferrals: Vec<(Part, Deferral)>,
    comments: Vec<(Part, String)>,
}

/// The bytes of `descriptor`, behind `bytes`.
pub(super) fn encode(descriptor: &Descriptor, bytes: Vec<u8>) -> Vec<u8> {
    let bytes = cluster_format::encode_behind(bytes, descriptor);
    let comments = descriptor.comments().into_iter().map(|(part, comment)| (part, comment.clone())).collect();
    let extras = Extras { deferrals: descriptor.deferrals(), comments };
    if extras == Extras::default() { bytes } else { cluster_format::encode_behind(bytes, &extras) }
}

/// The descriptor that all of `bytes` are.
pub(super) fn decode(bytes: &[u8]) -> Option<Descriptor> {
    let (mut descriptor, rest): (Descriptor, _) = cluster_format::decode_prefix(bytes).ok()?;
    if rest.is_empty() {
        return Some(descriptor);
    }
    let extras: Extras = cluster_format::decode(rest).ok()?;
    for (part, deferral) in extras.deferrals {
        *descriptor.deferral_mut(part)? = deferral;
    }
    for (part, comment) in extras.comments {
        *descriptor.comment_mut(part)? = Some(comment);
    }
    Some(descriptor)
}

/// The places of a list.
fn places<T>(list: &[T]) -> impl Iterator<Item = (u16, &T)> {
    list.iter().enumerate().filter_map(|(at, item)| Some((u16::try_from(at).ok()?, item)))
}

impl Descriptor {
    fn deferrals(&self) -> Vec<(Part, Deferral)> {
        let Descriptor::Table(table) = self else { return Vec::new() };
        let keys = places(&table.foreign_keys).map(|(at, key)| (Part::ForeignKey(at), key.deferral));
        let indexes = places(&table.indexes).map(|(at, index)| (Part::Index(at), index.deferral));
        keys.chain(indexes).filter(|(_, deferral)| *deferral != Deferral::No).collect()
    }

    fn deferral_mut(&mut self, part: Part) -> Option<&mut Deferral> {
        match (self, part) {
            (Descriptor::Table(table), Part::ForeignKey(at)) => {
                table.foreign_keys.get_mut(usize::from(at)).map(|key| &mut key.deferral)
            }
            (Descriptor::Table(table), Part::Index(at)) => {
                table.indexes.get_mut(usize::from(at)).map(|index| &mut index.deferral)
            }
            _ => None,
        }
    }

    /// What is said of its parts.
    pub fn comments(&self) -> Vec<(Part, &String)> {
        let mut parts: Vec<Part> = [Part::Itself].into();
        match self {
            Descriptor::Table(table) => {
                let live = places(&table.columns).filter(|(_, column)| !column.dropped);
                parts.extend(live.map(|(at, _)| Part::Column(at)));
                parts.extend(
                    places(&table.indexes).flat_map(|(at, _)| [Part::Index(at), Part::Constraint(at)]),
                );
                parts.extend(places(&table.checks).map(|(at, _)| Part::Check(at)));
                parts.extend(places(&table.foreign_keys).map(|(at, _)| Part::ForeignKey(at)));
                parts.push(Part::PrimaryKey);
            }
            Descriptor::View(view) => {
                parts.extend(places(&view.column_comments).map(|(at, _)| Part::Column(at)));
            }
            Descriptor::Sequence(_) | Descriptor::Index(_) | Descriptor::Schema => {}
        }
        parts.into_iter().filter_map(|part| Some((part, self.comment(part)?))).collect()
    }

    fn comment(&self, part: Part) -> Option<&String> {
        let at = |at: u16| usize::from(at);
        match (self, part) {
            (Descriptor::Table(table), part) => match part {
                Part::Itself => table.comment.as_ref(),
                Part::Column(place) => table.columns.get(at(place))?.comment.as_ref(),
                Part::Index(place) => table.indexes.get(at(place))?.comment.as_ref(),
                Part::Constraint(place) => table.indexes.get(at(place))?.constraint_comment.as_ref(),
                Part::Check(place) => table.checks.get(at(place))?.comment.as_ref(),
                Part::ForeignKey(place) => table.foreign_keys.get(at(place))?.comment.as_ref(),
                Part::PrimaryKey => table.key_comment.as_ref(),
            },
            (Descriptor::View(view), Part::Itself) => view.comment.as_ref(),
            (Descriptor::View(view), Part::Column(place)) => view.column_comments.get(at(place))?.as_ref(),
            (Descriptor::Sequence(sequence), Part::Itself) => sequence.comment.as_ref(),
            _ => None,
        }
    }

    /// Where it is kept what is said of a part; none if it has no such part.
    pub fn comment_mut(&mut self, part: Part) -> Option<&mut Option<String>> {
        let at = |at: u16| usize::from(at);
        Some(match (self, part) {
            (Descriptor::Table(table), part) => match part {
                Part::Itself => &mut table.comment,
                Part::Column(place) => &mut table.columns.get_mut(at(place))?.comment,
                Part::Index(place) => &mut table.indexes.get_mut(at(place))?.comment,
                Part::Constraint(place) => &mut table.indexes.get_mut(at(place))?.constraint_comment,
                Part::Check(place) => &mut table.checks.get_mut(at(place))?.comment,
                Part::ForeignKey(place) => &mut table.foreign_keys.get_mut(at(place))?.comment,
                Part::PrimaryKey => &mut table.key_comment,
            },
            (Descriptor::View(view), Part::Itself) => &mut view.comment,
            (Descriptor::View(view), Part::Column(place)) => {
                view.column_comments.resize(view.columns.len(), None);
                view.column_comments.get_mut(at(place))?
            }
            (Descriptor::Sequence(sequence), Part::Itself) => &mut sequence.comment,
            _ => return None,
        })
    }
}
