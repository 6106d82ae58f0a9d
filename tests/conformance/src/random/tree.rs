//! SQL as a tree of text, which knows what can be left out of it.

use std::fmt;

use crate::random::types::Type;

/// What a part of a statement is to whoever makes it smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An expression of a type: any other of that type can stand here.
    Value(Type),
    /// Something between two operands that may be left out with what it says, such as WHERE.
    Clause,
    /// The total order of a query, which may be left out: its rows are then in no order.
    Order,
    /// A list with that between its elements, of which so many must stay.
    List(&'static str, usize),
    /// A query: one inside it may stand here.
    Query,
    /// What follows FROM: one side of a join may stand here.
    Source,
    /// It is as it is.
    Fixed,
}

/// A part: text around smaller parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// What it is.
    pub role: Role,
    /// Before, between and after the parts: one more than those. A list has none.
    texts: Vec<String>,
    /// What is inside.
    pub parts: Vec<Tree>,
}

impl Tree {
    /// A text in which each `{}` is a part.
    ///
    /// # Panics
    /// If there are more or fewer.
    pub fn new(role: Role, text: &str, parts: Vec<Tree>) -> Tree {
        let texts: Vec<String> = text.split("{}").map(str::to_string).collect();
        assert_eq!(texts.len(), parts.len() + 1, "the parts of {text}");
        Tree { role, texts, parts }
    }

    /// An expression.
    pub fn value(kind: Type, text: &str, parts: Vec<Tree>) -> Tree {
        Tree::new(Role::Value(kind), text, parts)
    }

    /// An expression without parts, whatever its text has in it.
    pub fn atom(kind: Type, text: &str) -> Tree {
        Tree { role: Role::Value(kind), ..Tree::fixed(text) }
    }

    /// A text that stays.
    pub fn fixed(text: &str) -> Tree {
        Tree { role: Role::Fixed, texts: vec![text.to_string()], parts: Vec::new() }
    }

    /// Elements with a separator; one must stay.
    pub fn list(separator: &'static str, parts: Vec<Tree>) -> Tree {
        Tree { role: Role::List(separator, 1), texts: Vec::new(), parts }
    }

    /// Something that may be left out.
    pub fn clause(text: &str, parts: Vec<Tree>) -> Tree {
        Tree::new(Role::Clause, text, parts)
    }

    /// Nothing, where there might be a clause.
    pub fn nothing() -> Tree {
        Tree::new(Role::Fixed, "", Vec::new())
    }

    /// The type of an expression.
    ///
    /// # Panics
    /// If it is none.
    pub fn kind(&self) -> Type {
        match self.role {
            Role::Value(kind) => kind,
            other => unreachable!("{self} is no value but {other:?}"),
        }
    }

    /// How many parts it has, those inside parts included.
    pub fn size(&self) -> usize {
        1 + self.parts.iter().map(Tree::size).sum::<usize>()
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Role::List(separator, _) = self.role {
            for (index, part) in self.parts.iter().enumerate() {
                if index > 0 {
                    f.write_str(separator)?;
                }
                write!(f, "{part}")?;
            }
            return Ok(());
        }
        let mut texts = self.texts.iter();
        f.write_str(texts.next().expect("a text before all parts"))?;
        for (text, part) in texts.zip(&self.parts) {
            write!(f, "{part}{text}")?;
        }
        Ok(())
    }
}
