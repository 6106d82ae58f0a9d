//! Triggers.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::value::{flag, oid, small, text};
use super::{Catalog, Rows, quote_ident, routine};
use crate::catalog::{Event, TableDescriptor, Timing, Trigger};

/// The bits of `pg_trigger.tgtype`, as in Postgres.
const ROW: usize = 1;
const BEFORE: usize = 2;
const EVENTS: [(Event, usize); 3] = [(Event::Insert, 4), (Event::Delete, 8), (Event::Update, 16)];

/// The name of a trigger as its table has it, where what has an id of its name is kept.
pub(super) fn object_name(trigger: &Trigger) -> String {
    format!("trigger {}", trigger.name)
}

pub(super) fn triggers(catalog: &Catalog, rows: &mut Rows) {
    for (table_oid, table) in catalog.stored_tables() {
        for trigger in &table.triggers {
            let mut bits = if trigger.for_each_row { ROW } else { 0 };
            bits |= if trigger.timing == Timing::Before { BEFORE } else { 0 };
            bits |= EVENTS
                .iter()
                .filter(|(event, _)| trigger.events.has(*event))
                .map(|(_, bit)| bit)
                .sum::<usize>();
            let (schema, name) = &trigger.routine;
            rows.add([
                ("oid", oid(catalog.named(table_oid, &object_name(trigger)))),
                ("tgrelid", oid(table_oid)),
                ("tgname", text(&trigger.name)),
                ("tgfoid", oid(routine::of_name(schema, name, catalog).unwrap_or(0))),
                ("tgtype", small(bits)),
                ("tgenabled", text("O")),
                ("tgisinternal", flag(false)),
                ("tgdeferrable", flag(false)),
                ("tginitdeferred", flag(false)),
                ("tgnargs", small(0)),
            ]);
        }
    }
}

/// The statement that makes the trigger of this object id.
pub(super) fn definition(wanted: u32, catalog: &Catalog) -> Option<String> {
    catalog.stored_tables().find_map(|(table_oid, table)| {
        let mut triggers = table.triggers.iter();
        let trigger = triggers.find(|trigger| catalog.named(table_oid, &object_name(trigger)) == wanted)?;
        Some(written(table, trigger))
    })
}

fn written(table: &TableDescriptor, trigger: &Trigger) -> String {
    let event = |event: Event| match event {
        Event::Update if !trigger.columns.is_empty() => {
            let columns: Vec<String> = trigger.columns.iter().map(|column| quote_ident(column)).collect();
            format!("UPDATE OF {}", columns.join(", "))
        }
        event => event.name().into(),
    };
    let events = [Event::Insert, Event::Delete, Event::Update].into_iter();
    let events: Vec<String> = events.filter(|event| trigger.events.has(*event)).map(event).collect();
    let when = trigger.condition.as_ref().map_or(String::new(), |condition| format!(" WHEN ({condition})"));
    format!(
        "CREATE TRIGGER {} {} {} ON {}.{} FOR EACH {}{when} EXECUTE FUNCTION {}.{}()",
        quote_ident(&trigger.name),
        match trigger.timing {
            Timing::Before => "BEFORE",
            Timing::After => "AFTER",
        },
        events.join(" OR "),
        quote_ident(&table.schema),
        quote_ident(&table.name),
        if trigger.for_each_row { "ROW" } else { "STATEMENT" },
        quote_ident(&trigger.routine.0),
        quote_ident(&trigger.routine.1),
    )
}
