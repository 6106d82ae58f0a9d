//! Triggers: routines that are called when rows of a table change.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// A trigger of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its name; no other of the table has it. They are called in the order of their names.
    pub name: String,
    /// When it is called.
    pub timing: Timing,
    /// What it is called for.
    pub events: Events,
    /// The columns that an `UPDATE` must name; any if none.
    pub columns: Vec<String>,
    /// Whether it is called for each row, not once for the statement.
    pub for_each_row: bool,
    /// `WHEN`: what must hold for the row.
    pub condition: Option<String>,
    /// The schema and the name of what is called.
    pub routine: (String, String),
}

/// When a trigger is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Timing {
    /// Before the row is changed, or any row.
    Before,
    /// When the statement has changed them all.
    After,
}

/// What a trigger is called for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// `INSERT`
    pub insert: bool,
    /// `UPDATE`
    pub update: bool,
    /// `DELETE`
    pub delete: bool,
}

/// What happens to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// They are inserted.
    Insert,
    /// They are replaced.
    Update,
    /// They are deleted.
    Delete,
}

impl Event {
    /// What it is called in SQL.
    pub const fn name(self) -> &'static str {
        match self {
            Event::Insert => "INSERT",
            Event::Update => "UPDATE",
            Event::Delete => "DELETE",
        }
    }
}

impl Events {
    /// Whether `event` is among them.
    pub const fn has(self, event: Event) -> bool {
        match event {
            Event::Insert => self.insert,
            Event::Update => self.update,
            Event::Delete => self.delete,
        }
    }
}
