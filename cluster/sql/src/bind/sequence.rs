//! Functions of sequences, and of other sessions.

use alloc::boxed::Box;

use super::cast::fold_cast;
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
            ("relix_version", 0) => SequenceFunction::Version,
            _ => return Ok(None),
        };
        let mut arguments = call.arguments.iter();
        let name = match arguments.next() {
            // A name means the same whether or not it is looked up first.
            Some(ast::Expr::Cast(name, to))
                if to.data_type == DataType::Regclass && matches!(**name, ast::Expr::Text(_)) =>
            {
                Some(self.text(name, &call.name)?)
            }
            Some(name) => {
                let bound = self.bind(name)?;
                Some(match bound.data_type {
                    Some(from @ (DataType::Regclass | DataType::Oid)) => fold_cast(
                        fold_cast(bound.expr, from, DataType::Regclass)?,
                        DataType::Regclass,
                        DataType::Text,
                    )?,
                    _ => self.coerce(bound, DataType::Text)?,
                })
            }
            None => None,
        };
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
    /// Binds `call` if it tells another session to stop, or to end.
    pub(super) fn signal(&mut self, call: &ast::Call) -> SqlResult<Option<Typed>> {
        let (ends, [pid, rest @ ..]) = (call.name == "pg_terminate_backend", &call.arguments[..]) else {
            return Ok(None);
        };
        // How long to wait for its end may be said: it is told, and that is that.
        if rest.len() > usize::from(ends) || !ends && call.name != "pg_cancel_backend" {
            return Ok(None);
        }
        let pid = self.bind(pid)?;
        let pid = self.coerce(pid, DataType::Int4)?;
        typed(Expr::Signal(ends, Box::new(pid)), DataType::Bool).map(Some)
    }
}
