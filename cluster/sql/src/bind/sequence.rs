//! Functions of sequences.

use alloc::boxed::Box;

use super::{Binder, Typed, typed};
use crate::ast;
use crate::error::SqlResult;
use crate::expr::{Expr, SequenceCall, SequenceFunction};
use crate::types::{DataType, Datum};

impl Binder<'_> {
    /// Binds `call` if it is of a function of sequences.
    pub(super) fn sequence(&mut self, call: &ast::Call) -> SqlResult<Option<Typed>> {
        let function = match (call.name.as_str(), call.arguments.len()) {
            ("nextval", 1) => SequenceFunction::Next,
            ("currval", 1) | ("lastval", 0) => SequenceFunction::Current,
            ("setval", 2 | 3) => SequenceFunction::Set,
            _ => return Ok(None),
        };
        let mut arguments = call.arguments.iter();
        let name = arguments.next().map(|name| self.text(name, &call.name)).transpose()?;
        let mut rest = alloc::vec::Vec::new();
        for (at, argument) in arguments.enumerate() {
            let bound = self.bind(argument)?;
            let to = if at == 0 { DataType::Int8 } else { DataType::Bool };
            rest.push(self.coerce(bound, to)?);
        }
        if function == SequenceFunction::Set && rest.len() == 1 {
            rest.push(Expr::Const(Datum::Bool(true)));
        }
        let call = SequenceCall { function, name, arguments: rest };
        typed(Expr::Sequence(Box::new(call)), DataType::Int8).map(Some)
    }
}
