//! Programs as users write them: the examples in `programs/`, compiled to WebAssembly, and a node that runs them.
//!
//! 1. **The real compilers.** The tests find one of Rust for `wasm32-unknown-unknown`, or fail with a line that says what to
//!    install. One of Zig is installed below the target directory.
//! 2. **The real node.** It is a node of the simulator: its disk, wire and clock are made up, and nothing above them.

#![forbid(unsafe_code)]

mod compiler;
mod node;
mod zig;

pub use compiler::rust;
pub use node::{Node, Task};
pub use zig::zig;
