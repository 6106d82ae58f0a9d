//! One frame, and what its payload may be.

use std::sync::Arc;

use cluster_format::{Version, decode};
use cluster_tree::Root;
use cluster_tree::fuzzing::{Block, BlockCursor, Filter, Frame, FrameKind, HashedKey, Position};
use drivers_api::SECTOR_SIZE;

use super::disks::{open_manifest, open_root};
use crate::input::Input;

/// A header's length, and where its fields are: see cluster/tree/src/frame.rs.
const HEADER_LEN: usize = 40;
const KINDS: [FrameKind; 5] =
    [FrameKind::Rows, FrameKind::Value, FrameKind::Filter, FrameKind::Index, FrameKind::Manifest];

/// A block of records.
pub fn block(bytes: &[u8]) {
    walk(bytes.into());
}

/// Goes through a block in every way there is.
fn walk(bytes: Arc<[u8]>) {
    let len = bytes.len();
    let Ok(block) = Block::parse(bytes) else { return };
    let mut cursor = BlockCursor::new(block.clone());
    let mut found = Vec::new();
    let mut more = cursor.first();
    while let Ok(true) = more {
        let record = cursor.record().expect("it is at one");
        found.push((record.position.key.to_vec(), record.position.version));
        more = cursor.advance();
    }
    assert!(found.len() * 4 <= len, "a record has four bytes at least");
    let mut steps = 0;
    let mut more = cursor.last();
    while let Ok(true) = more {
        steps += 1;
        more = cursor.retreat();
    }
    assert!(steps * 4 <= len, "backwards, too");
    let some = found.iter().step_by(1 + found.len() / 16);
    for (key, version) in some {
        for version in [*version, Version(version.0.wrapping_add(1)), Version(version.0.wrapping_sub(1))] {
            let mut cursor = BlockCursor::new(block.clone());
            let target = Position { key, version };
            let _ = block.find(target);
            if let Ok(true) = cursor.seek(target) {
                assert!(cursor.record().expect("it is at one").position >= target);
                let _ = cursor.retreat();
                let _ = cursor.advance();
            }
        }
    }
}

/// A frame whose header is as it comes, but for lengths that let it verify.
pub fn frame(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (flags, kind) = (input.byte(), KINDS[usize::from(input.byte()) % KINDS.len()]);
    let mut bytes = input.rest().to_vec();
    bytes.resize(bytes.len().max(HEADER_LEN).next_multiple_of(SECTOR_SIZE), 0);
    let table = cluster_tree::TableId(7);
    // What is asked for is what a frame of the whole of it would be.
    let mut reference = Frame::build(table, 0, kind, b"").reference;
    if flags & 1 == 0 {
        let stored_len = (u32_at(&bytes, 28) as usize).min(bytes.len() - HEADER_LEN);
        bytes[28..32].copy_from_slice(&(stored_len as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&table.0.to_le_bytes());
        bytes[36] = kind as u8;
        let sum = cluster_format::Digest::of(&bytes[16..HEADER_LEN + stored_len]);
        bytes[..16].copy_from_slice(&sum.0[..16]);
        reference.sum.0.copy_from_slice(&sum.0[..16]);
    }
    let Ok(payload) = Frame::parse(&bytes, table, kind, &reference) else { return };
    match kind {
        FrameKind::Rows | FrameKind::Index if payload.len() < 1 << 16 => walk(payload),
        FrameKind::Filter => {
            _ = Filter::parse(payload).map(|filter| filter.may_have(HashedKey::new(&bytes[..9])))
        }
        FrameKind::Manifest => manifest(&payload),
        _ => {}
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// A list of tables, and a root.
pub fn manifest(bytes: &[u8]) {
    if let Ok(root) = decode::<Root>(bytes) {
        open_root(root);
    }
    open_manifest(bytes);
    let _ = Filter::parse(bytes.into()).map(|filter| filter.may_have(HashedKey::new(b"key")));
}
