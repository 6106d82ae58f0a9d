//! Members come, go, and come back with another disk; leadership is handed over; snapshots are sent.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use cluster_format::{Member, NodeId, Version};

use super::network::Network;
use crate::{Mark, NotChanged, NotProposed};

/// A cluster that leads and has committed `entries` entries.
fn running(mut network: Network, entries: usize) -> Network {
    network.run(1_000);
    for _ in 0..entries {
        assert!(network.propose());
    }
    network.run(300);
    network
}

fn voters(network: &mut Network, index: usize) -> Vec<u8> {
    network.raft(index).log().membership().voters.iter().map(|voter| voter.node.0).collect()
}

fn has(network: &Network, mark: Mark) -> bool {
    network.all_marks().contains(mark as u32)
}

#[test]
fn founders_are_bound_to_their_disks_from_the_first_entry_on() {
    let mut network = running(Network::new(3, 1), 0);
    let expected: Vec<Member> = (0..3)
        .map(|index| Member {
            node: NodeId(index as u8 + 1),
            incarnation: network.members[index].disk.incarnation,
        })
        .collect();
    let leader = network.leader_index();
    assert_eq!(network.raft(leader).log().membership().voters, expected);
}

#[test]
fn a_fourth_node_joins_catches_up_and_votes() {
    let mut network = running(Network::with_joiners(3, 1, 2), 20);
    network.start(3);
    network.run(3_000);
    assert_eq!(voters(&mut network, 3), [1, 2, 3, 4]);
    assert!(has(&network, Mark::LearnerAdded) && has(&network, Mark::LearnerPromoted));
    // Four members can lose one, whichever it is.
    let leader = network.leader_index();
    network.crash(leader);
    network.run(3_000);
    assert!(network.propose());
    network.heal_and_converge(2);
}

#[test]
fn beyond_seven_voters_nodes_stay_learners() {
    let mut network = running(Network::with_joiners(7, 1, 3), 5);
    network.start(7);
    network.run(3_000);
    let membership = network.raft(7).log().membership().clone();
    assert_eq!((membership.voters.len(), membership.learners.len()), (7, 1));
    let commit = network.raft(7).commit();
    assert_eq!(Some(commit), network.committed.last_key_value().map(|(version, _)| *version));
}

#[test]
fn a_member_with_another_disk_is_replaced_and_promises_nothing_until_then() {
    let mut network = running(Network::new(3, 4), 20);
    let wiped = (network.leader_index() + 1) % 3;
    let old = network.members[wiped].disk.incarnation;
    network.wipe(wiped);
    network.run(500);
    network.start(wiped);
    network.run(5_000);
    assert!(has(&network, Mark::MemberReplaced));
    let new = network.members[wiped].disk.incarnation;
    let membership = network.raft(wiped).log().membership().clone();
    assert_eq!(membership.voter(NodeId(wiped as u8 + 1)).map(|voter| voter.incarnation), Some(new));
    assert_ne!(old, new);
    network.heal_and_converge(4);
}

#[test]
fn a_removed_member_stays_out_and_is_told_so() {
    let mut network = running(Network::new(4, 5), 5);
    let leader = network.leader_index();
    let gone = (leader + 1) % 4;
    let now = network.time();
    network.raft(leader).remove(now, NodeId(gone as u8 + 1)).unwrap();
    assert_eq!(network.raft(leader).remove(now, NodeId(leader as u8 + 1)), Err(NotChanged::IsLeader));
    network.run(100);
    assert_eq!(network.raft(leader).remove(now, NodeId(9)), Err(NotChanged::NotMember));
    network.run(5_000);
    assert_eq!(voters(&mut network, leader).len(), 3);
    assert!(network.raft(gone).is_removed());
    // A new disk is another member.
    network.wipe(gone);
    network.start(gone);
    network.run(5_000);
    assert_eq!(voters(&mut network, leader).len(), 4);
    network.heal_and_converge(5);
}

#[test]
fn a_member_that_lost_entries_and_was_removed_meanwhile_is_told_so() {
    let mut network = running(Network::new(4, 16), 20);
    let leader = network.leader_index();
    let gone = (leader + 1) % 4;
    network.crash(gone);
    network.run(1_500);
    let now = network.time();
    network.raft(leader).remove(now, NodeId(gone as u8 + 1)).unwrap();
    network.run(1_000);
    // It does not stand for election, as other removed members do.
    network.members[gone].disk.lose_from(Version(10));
    network.start(gone);
    network.run(5_000);
    assert!(network.raft(gone).is_removed());
}

#[test]
fn no_member_is_removed_without_whom_the_others_could_not_go_on() {
    let mut network = running(Network::new(3, 15), 5);
    let leader = network.leader_index();
    let (dead, alive) = ((leader + 1) % 3, (leader + 2) % 3);
    network.crash(dead);
    network.run(1_500);
    let now = network.time();
    let refused = network.raft(leader).remove(now, NodeId(alive as u8 + 1));
    assert_eq!(refused, Err(NotChanged::NoQuorumLeft));
    assert!(network.raft(leader).remove(now, NodeId(dead as u8 + 1)).is_ok());
}

#[test]
fn leadership_is_handed_over_within_a_few_round_trips() {
    let mut network = running(Network::new(3, 6), 5);
    let (old, term) = (network.leader_index(), network.committed.last_key_value().unwrap().1.term);
    let now = network.time();
    network.raft(old).transfer(now, None).unwrap();
    assert_eq!(network.raft(old).transfer(now, None), Err(NotChanged::Busy));
    network.run(60);
    let new = network.leader_index();
    assert_ne!(old, new);
    assert_eq!(network.raft(new).term(), term + 1);
    assert!(network.propose());
    let now = network.time();
    assert!(matches!(network.raft(old).transfer(now, None), Err(NotChanged::NotLeader(_))));
}

#[test]
fn a_transfer_to_a_member_that_is_away_is_given_up() {
    let mut network = running(Network::new(3, 7), 5);
    let old = network.leader_index();
    let to = (old + 1) % 3;
    network.crash(to);
    let now = network.time();
    network.raft(old).transfer(now, Some(NodeId(to as u8 + 1))).unwrap();
    assert!(!network.propose(), "nothing is taken while leadership is on its way");
    network.run(1_000);
    assert_eq!(network.leader_index(), old);
    assert!(network.propose());
    assert!(has(&network, Mark::TransferGivenUp));
}

/// Every read may bring a heartbeat forward.
#[test]
fn reads_do_not_keep_a_transfer_from_being_given_up() {
    let mut network = running(Network::new(3, 18), 5);
    let leader = network.leader_index();
    let away = (leader + 1) % 3;
    network.crash(away);
    let now = network.time();
    network.raft(leader).transfer(now, Some(NodeId(away as u8 + 1))).unwrap();
    for token in 0..200 {
        let now = network.time();
        network.raft(leader).read(now, token).unwrap();
        network.run(10);
    }
    assert!(has(&network, Mark::TransferGivenUp) && network.propose());
    let now = network.time();
    let refused = network.raft(leader).transfer(now, Some(NodeId(away as u8 + 1)));
    assert_eq!(refused, Err(NotChanged::NoSuccessor), "it has not been heard lately");
}

#[test]
fn a_preferred_node_leads_in_the_end() {
    let mut network = Network::new(3, 8);
    for preferred in [0, 2] {
        (0..3).for_each(|index| network.crash(index));
        (0..3).for_each(|index| network.members[index].priority = u8::from(index == preferred));
        (0..3).for_each(|index| network.start(index));
        network.run(8_000);
        assert_eq!(network.leader_index(), preferred);
    }
}

#[test]
fn a_leader_whose_disk_is_stuck_hands_over() {
    let mut network = running(Network::new(3, 9), 5);
    let old = network.leader_index();
    network.members[old].stuck = true;
    assert!(network.propose());
    network.run(50);
    let commit = network.raft(old).commit();
    assert_eq!(Some(commit), network.committed.last_key_value().map(|(version, _)| *version));
    network.run(3_000);
    assert_ne!(network.leader_index(), old, "the others commit without it, and lead");
    network.heal_and_converge(9);
}

#[test]
fn a_lease_serves_reads_at_once_and_ends_with_a_transfer() {
    let mut network = Network::new(3, 10);
    network.timing.lease = Duration::from_millis(300);
    (0..3).for_each(|index| network.crash(index));
    (0..3).for_each(|index| network.start(index));
    let mut network = running(network, 5);
    let leader = network.leader_index();
    let now = network.time();
    network.raft(leader).read(now, 1).unwrap();
    assert_eq!(network.raft(leader).take_reads(now).len(), 1, "no round trip");
    network.raft(leader).transfer(now, None).unwrap();
    network.raft(leader).read(now, 2).unwrap();
    assert_eq!(network.raft(leader).take_reads(now), [], "the successor may lead at any moment");
    // A member that was restarted votes for nobody until the lease it may have granted is over.
    network.run(200);
    let leader = network.leader_index();
    network.cut = vec![NodeId(leader as u8 + 1)];
    for other in (0..3).filter(|other| *other != leader) {
        network.crash(other);
        network.start(other);
    }
    network.run(270);
    assert_eq!(network.leader_index(), leader, "no other can have been elected");
}

#[test]
fn a_member_too_far_behind_is_sent_a_snapshot_and_then_can_send_one() {
    let mut network = running(Network::with_joiners(3, 2, 11), 60);
    // Entries are no longer in memory, and the journal of whoever leads cannot give them either.
    network.log_len_max = 1;
    for index in 0..3 {
        network.crash(index);
        network.start(index);
    }
    network.run(2_000);
    let leader = network.leader_index();
    network.members[leader].disk.entries.retain(|entry| entry.version > Version(30));
    network.start(3);
    network.run(6_000);
    assert!(has(&network, Mark::SnapshotInstalled));
    let commit = network.raft(3).commit();
    assert_eq!(network.members[3].tables.0.len() as u64, commit.0);
    assert!(voters(&mut network, 3).contains(&4));
    // Its log begins behind the snapshot, so as a leader it has nothing else to give.
    let base = network.raft(3).log().base().version;
    assert!(base > Version(30));
    let now = network.time();
    let leader = network.leader_index();
    network.raft(leader).transfer(now, Some(NodeId(4))).unwrap();
    network.run(300);
    assert_eq!(network.leader(), Some(NodeId(4)));
    network.start(4);
    network.run(6_000);
    assert!(network.raft(4).log().base().version >= base);
    assert!(voters(&mut network, 4).contains(&5));
}

#[test]
fn a_snapshot_is_resumed_where_a_restart_interrupted_it() {
    let mut network = running(Network::with_joiners(3, 1, 12), 90);
    network.log_len_max = 1;
    (0..3).for_each(|index| network.crash(index));
    (0..3).for_each(|index| network.start(index));
    network.run(2_000);
    let leader = network.leader_index();
    network.members[leader].disk.entries.clear();
    network.start(3);
    for _ in 0..100 {
        let span = 100 + network.below(100);
        network.run(span);
        if network.raft(3).log().base().version > Version::ZERO {
            break;
        }
        network.crash(3);
        network.start(3);
    }
    assert!(has(&network, Mark::SnapshotResumed) && has(&network, Mark::SnapshotInstalled));
}

#[test]
fn what_was_lost_comes_back_from_a_peer_before_anyone_is_elected_without_it() {
    let mut network = running(Network::new(3, 13), 20);
    let leader = network.leader_index();
    let (holed, behind) = ((leader + 1) % 3, (leader + 2) % 3);
    network.crash(behind);
    (0..5).for_each(|_| assert!(network.propose()));
    network.run(200);
    let committed = network.committed.len();
    network.crash(leader);
    network.crash(holed);
    network.members[holed].disk.lose_from(Version(10));
    network.start(holed);
    network.start(behind);
    network.run(4_000);
    assert_eq!(network.leader(), None, "one has lost what it promised to keep, the other never had it");
    assert_eq!(network.raft(holed).missing(), Some(Version(10)));
    // What the one behind has is a start; the rest comes from where it is intact.
    let lent: Vec<_> = network.members[leader].disk.entries.iter().skip(9).cloned().collect();
    let now = network.time();
    network.raft(holed).restore(now, &lent[1..]);
    assert_eq!(network.raft(holed).missing(), Some(Version(10)), "it does not continue the log");
    network.raft(holed).restore(now, &lent[..3]);
    assert_eq!(network.raft(holed).missing(), Some(Version(13)));
    // A restart in between does not make it forget what it still lacks.
    network.run(50);
    network.crash(holed);
    network.start(holed);
    assert_eq!(network.raft(holed).missing(), Some(Version(13)));
    network.raft(holed).restore(now, &lent);
    assert_eq!(network.raft(holed).missing(), None);
    network.run(3_000);
    assert_eq!(network.leader_index(), holed);
    assert!(network.committed.len() > committed);
    network.heal_and_converge(13);
}

/// A record that brings back a part of what was lost must not say that nothing is missing.
#[test]
fn what_was_promised_is_remembered_until_it_is_durable() {
    let mut network = running(Network::new(3, 19), 20);
    let (leader, holed) = (network.leader_index(), (network.leader_index() + 1) % 3);
    let end = network.raft(holed).log().last();
    let lent: Vec<_> = network.members[leader].disk.entries.iter().skip(9).cloned().collect();
    network.crash(leader);
    network.crash(holed);
    network.members[holed].disk.lose_from(Version(10));
    network.start(holed);
    let now = network.time();
    let raft = network.raft(holed);
    raft.restore(now, &lent);
    assert_eq!((raft.missing(), raft.promised()), (None, end));
    let write = raft.take_write(now).unwrap();
    assert_eq!(raft.promised(), end, "while it is being written");
    raft.written(now, write.mark);
    assert_eq!(raft.promised(), Default::default());
}

/// An answer is worth no more than whoever gives it.
#[test]
fn entries_of_a_term_that_cannot_be_are_not_restored_and_later_terms_are_entered() {
    for (term, expected) in [(1000, None), (u64::MAX / 2, Some(Version(10)))] {
        let mut network = running(Network::new(3, 20), 9);
        let holed = network.leader_index();
        let end = network.raft(holed).log().last();
        (0..3).filter(|index| *index != holed).for_each(|index| network.crash(index));
        network.crash(holed);
        network.members[holed].disk.lose_from(end.version);
        network.start(holed);
        let now = network.time();
        let raft = network.raft(holed);
        assert_eq!(raft.missing(), Some(end.version));
        let position = cluster_format::LogPosition { term, version: end.version };
        let previous = raft.log().last_digest();
        let entry = cluster_format::Entry::new(position, 0, previous, cluster_format::Payload::TermStart);
        raft.restore(now, &[alloc::sync::Arc::new(entry)]);
        assert_eq!(
            (raft.missing(), raft.term() == term),
            (expected.map(|_| end.version), expected.is_none())
        );
    }
}

#[test]
fn what_is_passed_over_makes_room_and_is_not_taken() {
    let mut network = running(Network::new(3, 17), 5);
    let leader = network.leader_index();
    let raft = network.raft(leader);
    let commit = raft.commit();
    (raft.log_len_max, raft.committed_taken) = (0, Version(1));
    // The tables of a version that is not committed yet cannot be passed over to.
    raft.pass_over(commit.next());
    assert_eq!(raft.log().recent_len(), 0);
    assert!(raft.take_committed(usize::MAX).is_empty());
}

#[test]
fn proposals_are_refused_with_the_leader_named() {
    let mut network = running(Network::new(3, 14), 1);
    let leader = network.leader().unwrap();
    let other = (network.leader_index() + 1) % 3;
    let now = network.time();
    let refused = network.raft(other).propose(now, cluster_format::Payload::TermStart);
    assert_eq!(refused, Err(NotProposed::NotLeader(Some(leader))));
}

#[test]
fn members_come_and_go_while_everything_fails() {
    for seed in 0..40 {
        let mut network = Network::with_joiners(3, 2, seed);
        network.run(1_000);
        network.loss_percent = seed % 3 * 8;
        for _ in 0..30 {
            disturb(&mut network);
            (0..network.below(10)).for_each(|_| {
                network.propose();
            });
            let span = 20 + network.below(900);
            network.run(span);
        }
        network.heal_and_converge(seed);
    }
}

/// One disturbance: at most one disk of a cluster that is otherwise whole is lost at a time.
fn disturb(network: &mut Network) {
    let count = network.members.len() as u64;
    let victim = network.below(count) as usize;
    let whole = (0..3).all(|index| network.members[index].raft.is_some());
    let now = network.time();
    match network.below(9) {
        0 => network.crash(victim),
        1 => network.cut = vec![NodeId(victim as u8 + 1)],
        2 => network.cut.clear(),
        3 if network.leader().is_some() => {
            let leader = network.leader_index();
            let _ = network.raft(leader).transfer(now, None);
        }
        4 if network.leader().is_some() => {
            let leader = network.leader_index();
            let _ = network.raft(leader).remove(now, NodeId(victim as u8 + 1));
        }
        5 if whole && network.members[victim].raft.as_ref().is_some_and(|raft| raft.is_removed()) => {
            network.wipe(victim);
        }
        _ => {
            for index in 0..network.members.len() {
                if network.members[index].raft.is_none() && network.below(2) == 0 {
                    network.start(index);
                }
            }
        }
    }
}
