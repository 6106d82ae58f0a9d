//! Programs as users write them: the examples in `programs/`, compiled to WebAssembly, and a node that runs them.
//!
//! 1. **The real compilers.** The test finds one of Rust for `wasm32-unknown-unknown`, and installs one of Zig below the target
//!    directory. Without, it fails with a line that says what to do.
//! 2. **The real node.** It is a node of the simulator: its disk, wire and clock are made up, and nothing above them.

#![forbid(unsafe_code)]

mod compiler;
mod node;
mod zig;

pub use compiler::rust;
pub use node::{Node, Task};
pub use zig::zig;
