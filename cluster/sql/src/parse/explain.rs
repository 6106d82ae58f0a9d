//! Options of `EXPLAIN`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;

use sqlparser::ast;

use crate::ast::{Explain, Statement};
use crate::error::{SqlError, SqlResult, SqlState};

/// `EXPLAIN` of `statement`.
pub(super) fn explain(
    statement: Statement,
    analyze: bool,
    options: &[ast::UtilityOption],
) -> SqlResult<Statement> {
    let mut explain = Explain { statement, analyze, passes: false };
    options.iter().try_for_each(|option| apply(option, &mut explain))?;
    Ok(Statement::Explain(Box::new(explain)))
}

/// Options of Postgres that change what is shown beside the plan change nothing here.
fn apply(option: &ast::UtilityOption, explain: &mut Explain) -> SqlResult<()> {
    let argument = option.arg.as_ref().map(|argument| argument.to_string().to_lowercase());
    let is_on = !matches!(argument.as_deref(), Some("false" | "off" | "0" | "'false'" | "'off'"));
    match option.name.value.to_lowercase().as_str() {
        "analyze" => explain.analyze = is_on,
        "passes" => explain.passes = is_on,
        "verbose" | "costs" | "settings" | "generic_plan" | "buffers" | "wal" | "timing" | "summary" => {}
        "format" if argument.as_deref() == Some("text") => {}
        "format" => return Err(SqlError::not_supported("EXPLAIN in a format other than text")),
        other => {
            let message = format!("unrecognized EXPLAIN option \"{other}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
    }
    Ok(())
}
