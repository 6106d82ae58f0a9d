//! Tables of one tree that another gets.

use super::durability::model_of;
use super::machine::{Change, Machine};
use super::*;
use cluster_format::Digest;

fn changes(count: u64, offset: u64, len: usize) -> Vec<Change> {
    (0..count).map(|number| (((number * 7 + offset) % 40) as u8, (number % 9 != 3).then_some(len))).collect()
}

/// A machine whose tables hold all of `changes`.
fn machine_with(changes: &[Change], cells: u32) -> Machine {
    let mut machine = Machine::in_life(cells, 1000);
    machine.add(changes, 0);
    while !machine.tree.can_freeze() && machine.turn() {}
    machine.tree.freeze((changes.len() as u64).to_be_bytes()[..].into());
    machine.settle();
    machine
}

/// Lets all pieces go from one machine to the other; none if its power fails.
fn send(from: &mut Machine, to: &mut Machine) -> Option<Arrived> {
    let outgoing = from.tree.outgoing();
    let mut incoming = to.tree.incoming(outgoing.content());
    for index in 0.. {
        let piece = from.run(outgoing.piece(index)).unwrap().expect("a piece");
        let taken = incoming.add(index, &piece).unwrap();
        to.run_if_up(taken)?.unwrap();
        if outgoing.is_last(index) {
            assert_eq!(from.run(outgoing.piece(index + 1)), Ok(None));
            break;
        }
    }
    Some(to.run_if_up(incoming.finish())?.unwrap())
}

#[test]
fn what_arrives_replaces_everything_at_once_or_nothing() {
    let (theirs, ours) = (changes(200, 3, 700), changes(150, 0, 90));
    let (after, before) = (model_of(&theirs), model_of(&ours));
    let mut sender = machine_with(&theirs, 120);
    let mut whole = Machine::new(120);
    let transfer = |machine: &mut Machine, sender: &mut Machine| {
        machine.add(&ours, 0);
        machine.settle();
        if let Some(arrived) = send(sender, machine) {
            assert_eq!(**arrived.mark(), 200u64.to_be_bytes());
            machine.tree.replace(arrived);
        }
        machine.settle();
    };
    transfer(&mut whole, &mut sender);
    let is_replacement = |event: &TreeEvent| matches!(event, TreeEvent::Root { is_replacement: true, .. });
    assert_eq!(whole.events.iter().filter(|event| is_replacement(event)).count(), 1);
    whole.check_at(&after, 200);
    whole.check_cells();
    for failing in (1..=whole.requests).step_by(3) {
        let mut machine = Machine::new(120);
        machine.requests_max = failing;
        transfer(&mut machine, &mut sender);
        machine.crash();
        match machine.opened() {
            200 => machine.check_at(&after, 200),
            version => machine.check_at(&before, version),
        }
        machine.check_cells();
    }
}

#[test]
fn what_is_sent_stays_until_it_has_arrived() {
    let mut sender = machine_with(&changes(200, 3, 700), 120);
    let outgoing = sender.tree.outgoing();
    let pieces = |sender: &mut Machine| {
        let mut pieces = Vec::new();
        while let Some(piece) = sender.run(outgoing.piece(pieces.len() as u64)).unwrap() {
            pieces.push(piece);
        }
        pieces
    };
    let before = pieces(&mut sender);
    let more: Vec<Change> = [changes(200, 3, 700), changes(300, 1, 500)].concat();
    sender.add(&more, 200);
    sender.settle();
    assert!(pieces(&mut sender) == before);
}

#[test]
fn other_pieces_than_those_that_were_announced_are_refused_and_leave_nothing_behind() {
    let mut sender = machine_with(&changes(200, 3, 700), 120);
    let mut receiver = Machine::new(120);
    let outgoing = sender.tree.outgoing();
    let (digest, len) = outgoing.content();
    let head = sender.run(outgoing.piece(0)).unwrap().unwrap();
    let first = sender.run(outgoing.piece(1)).unwrap().unwrap();
    let refuse = |content, pieces: &[(u64, &[u8])], receiver: &mut Machine| {
        let mut incoming = receiver.tree.incoming(content);
        let mut result = Ok(());
        for (index, piece) in pieces {
            result = incoming.add(*index, piece).map(|_| ());
        }
        drop(incoming);
        assert_eq!(receiver.grid.free_cells(), 120);
        result
    };
    let different = Err(TransferError::Different);
    assert_eq!(refuse((digest, len), &[(0, &head), (1, &first)], &mut receiver), Ok(()));
    assert_eq!(refuse((digest, len - 1), &[(0, &head)], &mut receiver), different);
    assert_eq!(refuse((digest, u64::MAX), &[(0, &head)], &mut receiver), Ok(()), "more is to come");
    assert_eq!(refuse((Digest::ZERO, len), &[(0, &head)], &mut receiver), different);
    assert_eq!(refuse((digest, len), &[(0, &head), (1, &first[512..])], &mut receiver), different);
    assert_eq!(refuse((digest, len), &[(1, &first)], &mut receiver), Err(TransferError::OutOfOrder));
    let small = Machine::new(3);
    let mut incoming = small.tree.incoming((digest, len));
    assert_eq!(incoming.add(0, &head).err(), Some(TransferError::Full));
    drop(incoming);
    assert_eq!(small.grid.free_cells(), 3);
    // A bit that flips on the way.
    let mut incoming = receiver.tree.incoming((digest, len));
    for index in 0.. {
        let mut piece = sender.run(outgoing.piece(index)).unwrap().unwrap();
        if index == 1 {
            piece[100] ^= 1;
        }
        receiver.run(incoming.add(index, &piece).unwrap()).unwrap();
        if outgoing.is_last(index) {
            break;
        }
    }
    assert!(matches!(receiver.run(incoming.finish()), Err(TransferError::Damaged(_))));
    assert_eq!(receiver.grid.free_cells(), 120);
}

#[test]
fn what_is_damaged_is_not_sent() {
    let mut sender = machine_with(&changes(200, 3, 700), 120);
    let table = sender.tree.levels().tables().next().unwrap().clone();
    sender.flip(u64::from(table.cells.first * CELL_SECTORS + table.head.sectors / 2));
    let outgoing = sender.tree.outgoing();
    let found =
        (1..).map(|index| sender.run(outgoing.piece(index))).find(|piece| !matches!(piece, Ok(Some(_))));
    assert!(matches!(found, Some(Err(ReadError::Frame(damaged, ..))) if damaged == table.head.id));
}
