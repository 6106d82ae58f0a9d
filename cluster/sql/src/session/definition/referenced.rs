//! Foreign keys that refer to a key which goes.

use alloc::format;

use super::constraint::{is_same_key, is_unique};
use super::put_table;
use crate::catalog::{self, ForeignKey, TableDescriptor};
use crate::database::Database;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::exec::Context;
use crate::session::Notice;

/// Sees to the foreign keys that refer to `columns` of `table`, which has lost a key of these: unless it has another, they go
/// with `what`, too, if `cascade`; if not, 2BP01.
pub(super) async fn let_go<D: Database>(
    table: &mut TableDescriptor,
    columns: &[u16],
    what: &str,
    cascade: bool,
    context: &mut Context<'_, D>,
) -> SqlResult<Option<Notice>> {
    if is_unique(table, columns) {
        return Ok(None);
    }
    let own = (table.schema.clone(), table.name.clone());
    let (mut count, mut last) = (0, None);
    for child in table.referenced_by.clone() {
        let mut referring = match child == own {
            true => table.clone(),
            false => match catalog::find_table(context.transaction, &child.0, &child.1).await? {
                Some(stored) => stored.descriptor.clone(),
                None => continue,
            },
        };
        let goes = |key: &ForeignKey| key.table == own && is_same_key(&key.referenced, columns);
        let Some(first) = referring.foreign_keys.iter().find(|key| goes(key)) else { continue };
        let first = format!("constraint {} on table {}", first.name, child.1);
        if !cascade {
            let message = format!("cannot drop {what} because other objects depend on it");
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS, message)
                .detail(format!("{first} depends on {what}"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        count += referring.foreign_keys.iter().filter(|key| goes(key)).count();
        last = Some(first);
        referring.foreign_keys.retain(|key| !goes(key));
        if !referring.foreign_keys.iter().any(|key| key.table == own) {
            table.referenced_by.retain(|name| *name != child);
        }
        match child == own {
            true => table.foreign_keys = referring.foreign_keys,
            false => put_table(referring, context).await?,
        }
    }
    Ok(last.map(|last| {
        let what = if count == 1 { last } else { format!("{count} other objects") };
        let message = format!("drop cascades to {what}");
        Notice { severity: "NOTICE", state: SqlState("00000"), message }
    }))
}
