//! A program in Zig, without a library: books what comes into stock, and gives what is there then. The arguments are
//! a JSON array, as the parameters of a statement are, so they are handed on as they are.
//!
//!   zig build-exe -target wasm32-freestanding -fno-entry -rdynamic -O ReleaseSmall stock.zig
//!
//!   CREATE TABLE stock (item text PRIMARY KEY, amount bigint NOT NULL CHECK (amount >= 0));
//!   INSERT INTO sys.tasks (program, arguments) VALUES ('stock', '["bolt", 50]');
//!   SELECT result FROM sys.tasks;                  -- {"columns":["amount"],"rows":[[50]],"count":1}

const std = @import("std");

/// What a node lends: see cluster/tasks/README.md.
const relix = struct {
    extern "relix" fn arguments() i32;
    extern "relix" fn response_read(into: [*]u8, offset: usize, len: usize) usize;
    extern "relix" fn sql(text: [*]const u8, text_len: usize, params: [*]const u8, params_len: usize) i32;
    extern "relix" fn result(text: [*]const u8, text_len: usize) void;
    extern "relix" fn fail(text: [*]const u8, text_len: usize) noreturn;
};

const book =
    \\INSERT INTO stock VALUES ($1, $2)
    \\ON CONFLICT (item) DO UPDATE SET amount = stock.amount + excluded.amount RETURNING amount
;

export fn run() void {
    const given = response(relix.arguments());
    const answer = relix.sql(book, book.len, given.ptr, given.len);
    // An error's length is negative.
    if (answer < 0) fail(response(answer));
    const rows = response(answer);
    relix.result(rows.ptr, rows.len);
}

/// What the last import has answered, of which it has said how long it is.
fn response(len: i32) []const u8 {
    const bytes = std.heap.wasm_allocator.alloc(u8, @abs(len)) catch fail("the memory is used up");
    return bytes[0..relix.response_read(bytes.ptr, 0, bytes.len)];
}

fn fail(why: []const u8) noreturn {
    relix.fail(why.ptr, why.len);
}
