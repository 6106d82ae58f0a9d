//! `COMMENT ON`

use alloc::format;

use super::place_of;
use crate::ast::{Comment, CommentOn, ObjectKind, TableName};
use crate::catalog::{self, Descriptor, IndexConstraint, Part, TableDescriptor};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::Context;
use crate::settings;

pub(super) async fn comment<D: Database>(comment: &Comment, context: &mut Context<'_, D>) -> SqlResult<()> {
    let name = &comment.name;
    let schema = place_of(name, context).await?;
    if settings::is_of_system(&schema, &name.name, context.database.live_tables()) {
        let message = format!("permission denied: \"{}\" is a system catalog", name.name);
        return Err(SqlError::new(SqlState("42501"), message));
    }
    let mut described = name.name.clone();
    let mut descriptor = stored(&schema, &described, name, context).await?;
    let is_index = matches!(comment.on, CommentOn::Object(ObjectKind::Index));
    if let (true, Descriptor::Index(table)) = (is_index, &descriptor) {
        // An index is described with its table.
        described.clone_from(table);
        descriptor = stored(&schema, &described, name, context).await?;
    }
    let part = part_of(comment, &descriptor)?;
    if let Some(slot) = descriptor.comment_mut(part) {
        slot.clone_from(&comment.text);
    }
    catalog::put(context.transaction, &schema, &described, &descriptor).await
}

async fn stored<D: Database>(
    schema: &str,
    name: &str,
    asked: &TableName,
    context: &mut Context<'_, D>,
) -> SqlResult<Descriptor> {
    let bytes = context.transaction.get(&catalog::descriptor_key(schema, name)).await?;
    let Some(bytes) = bytes else {
        return Err(catalog::undefined_table(asked.schema.as_deref(), &asked.name).at(asked.position));
    };
    Descriptor::decode(&bytes).ok_or_else(|| SqlError::corrupted("descriptor"))
}

/// What of `descriptor` the comment is on.
fn part_of(comment: &Comment, descriptor: &Descriptor) -> SqlResult<Part> {
    let name = &comment.name.name;
    let wrong =
        |what: &str| Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not {what}")));
    let part = comment.part.as_deref().unwrap_or_default();
    match (&comment.on, descriptor) {
        (CommentOn::Object(ObjectKind::Index), Descriptor::Table(table)) => {
            match table.indexes.iter().position(|index| index.name == *name) {
                Some(at) => Ok(Part::Index(place(at))),
                None if !table.primary_key.is_empty() && table.primary_key_name == *name => {
                    Ok(Part::KeyIndex)
                }
                None => wrong("an index"),
            }
        }
        (CommentOn::Object(ObjectKind::Table), Descriptor::Table(_))
        | (CommentOn::Object(ObjectKind::View), Descriptor::View(_))
        | (CommentOn::Object(ObjectKind::Sequence), Descriptor::Sequence(_)) => Ok(Part::Itself),
        (CommentOn::Object(ObjectKind::Table), _) => wrong("a table"),
        (CommentOn::Object(ObjectKind::View), _) => wrong("a view"),
        (CommentOn::Object(ObjectKind::Sequence), _) => wrong("a sequence"),
        (CommentOn::Object(_), _) => wrong("an index"),
        (CommentOn::Column, Descriptor::Table(table)) => match table.column(part) {
            Some((at, _)) => Ok(Part::Column(place(at))),
            None => Err(no_column(part, name)),
        },
        (CommentOn::Column, Descriptor::View(view)) => {
            let at = view.columns.iter().position(|(column, _)| column == part);
            at.map(|at| Part::Column(place(at))).ok_or_else(|| no_column(part, name))
        }
        (CommentOn::Column, _) => {
            let message = format!("cannot set comment on relation \"{name}\"");
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
        }
        (CommentOn::Constraint, Descriptor::Table(table)) => constraint(part, table),
        (CommentOn::Constraint, _) => wrong("a table"),
    }
}

fn constraint(name: &str, table: &TableDescriptor) -> SqlResult<Part> {
    let declared =
        |index: &crate::catalog::Index| index.constraint != IndexConstraint::None && index.name == name;
    if let Some(at) = table.indexes.iter().position(declared) {
        return Ok(Part::Constraint(place(at)));
    }
    if let Some(at) = table.checks.iter().position(|check| check.name == name) {
        return Ok(Part::Check(place(at)));
    }
    if let Some(at) = table.foreign_keys.iter().position(|key| key.name == name) {
        return Ok(Part::ForeignKey(place(at)));
    }
    if !table.primary_key.is_empty() && table.primary_key_name == name {
        return Ok(Part::PrimaryKey);
    }
    let message = format!("constraint \"{name}\" for table \"{}\" does not exist", table.name);
    Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
}

fn no_column(column: &str, table: &str) -> SqlError {
    let message = format!("column \"{column}\" of relation \"{table}\" does not exist");
    SqlError::new(SqlState::UNDEFINED_COLUMN, message)
}

fn place(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}
