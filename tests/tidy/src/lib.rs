//! The rules of the tree. There is nothing here but tests.

#![forbid(unsafe_code)]
