//! Tests of sessions, in one binary: the code of a session on a database in memory is made once for all of them.

mod backup;
mod golden;
mod index_builds;
mod notify;
mod references;
mod settings;
mod shapes;
mod support;
