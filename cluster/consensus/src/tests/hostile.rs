//! Whatever a broken peer says.

use alloc::sync::Arc;
use alloc::vec;
use core::time::Duration;

use cluster_format::{
    Digest, Entry, Incarnation, LogPosition, NodeId, Payload, SnapshotChunk, SnapshotHead, Version,
};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_oneof, proptest};

use super::network::Network;
use crate::{AppendOutcome, Message, MessageBody};

/// A message that says anything at all.
fn any_message() -> impl Strategy<Value = Message> {
    let number = prop_oneof![0u64..12, Just(u64::MAX), Just(u64::MAX / 2), any::<u64>()];
    let position = (number.clone(), number.clone());
    let position = position.prop_map(|(term, version)| LogPosition { term, version: Version(version) });
    let entry = (number.clone(), number.clone()).prop_map(|(version, term)| {
        let position = LogPosition { term, version: Version(version) };
        Arc::new(Entry::new(position, 0, Digest::ZERO, Payload::TermStart))
    });
    let append = (position.clone(), prop::collection::vec(entry, 0..4), number.clone(), number.clone());
    let outcome = prop_oneof![
        number.clone().prop_map(|version| AppendOutcome::Matched(Version(version))),
        (number.clone(), number.clone(), number.clone()).prop_map(|(probed, last, commit)| {
            AppendOutcome::Mismatch { probed: Version(probed), last: Version(last), commit: Version(commit) }
        }),
    ];
    let body = prop_oneof![
        position.clone().prop_map(|last| MessageBody::PreVoteRequest { last }),
        any::<bool>().prop_map(|granted| MessageBody::PreVoteReply { granted }),
        (position.clone(), any::<bool>())
            .prop_map(|(last, leader_agrees)| MessageBody::VoteRequest { last, leader_agrees }),
        any::<bool>().prop_map(|granted| MessageBody::VoteReply { granted }),
        append.prop_map(|(previous, entries, commit, round)| MessageBody::Append {
            previous,
            entries,
            commit: Version(commit),
            round
        }),
        (number.clone(), outcome, any::<u8>())
            .prop_map(|(round, outcome, priority)| { MessageBody::AppendReply { round, outcome, priority } }),
        (position.clone(), 0u64..3, any::<bool>()).prop_map(|(last, index, is_last)| {
            let head = Arc::new(SnapshotHead { last, ..SnapshotHead::default() });
            MessageBody::Snapshot(SnapshotChunk { head, index, is_last, body: Arc::from([]) })
        }),
        (position, prop::option::of(0u64..9))
            .prop_map(|(last, next)| MessageBody::SnapshotReply { last, next }),
        Just(MessageBody::StandNow),
        Just(MessageBody::Join),
        (1u8..5).prop_map(|node| MessageBody::Leader(NodeId(node))),
        Just(MessageBody::Removed),
    ];
    (number, 1u64..3, body).prop_map(|(term, life, body)| Message {
        term,
        incarnation: Incarnation(life),
        body,
    })
}

proptest! {
    /// Whatever a broken peer says, a member stays standing and keeps what it committed.
    #[test]
    fn no_message_brings_a_member_down(
        steps in prop::collection::vec((2u8..4, any_message(), 0u64..700), 1..40),
    ) {
        let mut network = Network::new(3, 9);
        network.run(400);
        for (from, message, pause) in steps {
            let committed = network.members[0].raft.as_ref().unwrap().commit();
            network.now = network.now + Duration::from_millis(pause);
            let now = network.time();
            let member = &mut network.members[0];
            let raft = member.raft.as_mut().unwrap();
            raft.receive(now, NodeId(from), message);
            raft.tick(now);
            if let Some(write) = raft.take_write(now) {
                raft.written(now, write.mark);
            }
            raft.take_messages();
            if let Some(chunk) = raft.take_chunk_write(now) {
                match chunk.is_last {
                    true => raft.installed(&chunk.head),
                    false => raft.chunk_written(),
                }
            }
            prop_assert!(raft.commit() >= committed);
        }
    }
}
