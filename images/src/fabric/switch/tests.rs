use proptest::prelude::*;

use super::link::QUEUE_LEN_MAX;
use super::*;
use crate::links::LinkCounters;

const NONE: FaultChange = FaultChange {
    up: None,
    loss: None,
    delay_ms: None,
    jitter_ms: None,
    duplicate: None,
    reorder: None,
    reorder_ms: None,
    rate_kbit: None,
};

/// Links between all nodes.
const ALL: LinkSelection = LinkSelection { fabric: None, from: None, to: None, both_ways: false };

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn mac(last: u8) -> [u8; 6] {
    if last == 0xff { [0xff; 6] } else { [2, 0, 0, 0, 0, last] }
}

/// A frame of `len` bytes that carries a number.
fn frame(to: u8, from: u8, number: u32, len: usize) -> Vec<u8> {
    let mut frame = [&mac(to)[..], &mac(from)[..], &[8, 0], &number.to_be_bytes()].concat();
    frame.resize(len.max(18), 0);
    frame
}

fn number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(frame[14..18].try_into().expect("four bytes"))
}

fn ports(switch: &mut Switch, from: Port, to: u8) -> Vec<Port> {
    switch.route(Instant::ZERO, from, &frame(to, from, 0, 60))
}

/// A switch that knows where everybody is.
fn acquainted(nodes: u8) -> Switch {
    let mut switch = Switch::new(1, nodes);
    (0..=nodes).for_each(|port| drop(ports(&mut switch, port, 0xff)));
    switch
}

fn counters(switch: &Switch, from: Port, to: Port) -> LinkCounters {
    let status = switch.status().into_iter().find(|link| (link.from, link.to) == (from, to));
    status.expect("there is such a link").counters
}

/// What arrives, and when, of frames that are sent at these times.
fn carry(switch: &mut Switch, sent: &[(Instant, Port, Port, usize)]) -> Vec<(Instant, Port, Port, u32)> {
    let mut arrived = Vec::new();
    let take = |switch: &mut Switch, until: Instant, arrived: &mut Vec<_>| {
        while let Some(due) = switch.deadline().filter(|due| *due <= until) {
            let Arrival { from, to, frame } = switch.take_due(due).expect("it is due");
            arrived.push((due, from, to, number(&frame)));
        }
    };
    for (index, &(now, from, to, len)) in (0u32..).zip(sent) {
        take(switch, now, &mut arrived);
        let ports = switch.route(now, from, &frame(to, from, index, len));
        arrived.extend(ports.into_iter().map(|port| (now, from, port, index)));
    }
    take(switch, Instant::from_nanos(u64::MAX), &mut arrived);
    arrived
}

#[test]
fn only_cards_that_are_plugged_in_are_remembered_and_not_without_bound() {
    let mut switch = acquainted(3);
    switch.plug(1, false);
    // What is not on the wire says that node 3 is there.
    drop(switch.route(Instant::ZERO, 1, &frame(0xff, 3, 0, 60)));
    assert_eq!(ports(&mut switch, 2, 3), vec![3]);
    switch.plug(1, true);
    for number in 1000..1000 + 10 * LEARNED_MAX as u32 {
        let mut frame = frame(2, 1, 0, 60);
        frame[8..12].copy_from_slice(&number.to_be_bytes());
        assert_eq!(switch.route(Instant::ZERO, 1, &frame), vec![2]);
    }
    assert_eq!(switch.learned.len(), LEARNED_MAX);
    assert_eq!(ports(&mut switch, 2, 3), vec![3], "whoever was known still is");
}

#[test]
fn frames_go_where_their_address_was_seen() {
    let mut switch = Switch::new(1, 3);
    assert_eq!(ports(&mut switch, 1, 2), [0, 2, 3], "not seen yet: to all");
    assert_eq!(ports(&mut switch, 2, 0xff), [0, 1, 3]);
    assert_eq!(ports(&mut switch, 1, 2), [2]);
    assert!(switch.route(Instant::ZERO, 1, &[1, 2, 3]).is_empty(), "too short for a frame");
    switch.add_port(4);
    assert_eq!(ports(&mut switch, 4, 0xff), [0, 1, 2, 3]);
    assert_eq!(ports(&mut switch, 1, 4), [4]);
}

#[test]
fn partitions_part_nodes_but_not_the_gateway() {
    let mut switch = Switch::new(1, 3);
    switch.partition(&[vec![1, 2]]);
    assert_eq!(ports(&mut switch, 1, 0xff), [0, 2]);
    assert_eq!(ports(&mut switch, 3, 0xff), [0]);
    switch.heal(Instant::ZERO);
    assert_eq!(ports(&mut switch, 3, 0xff), [0, 1, 2]);
}

#[test]
fn one_way_what_the_first_group_says_is_not_heard() {
    let mut switch = Switch::new(1, 4);
    switch.partition(&[vec![1], vec![2, 3, 4]]);
    switch.partition_one_way(&[1], &[2, 3]);
    assert_eq!(ports(&mut switch, 1, 0xff), [0, 4]);
    assert_eq!(ports(&mut switch, 2, 0xff), [0, 1, 3, 4]);
    let states: Vec<_> = switch.status().into_iter().filter(|link| link.state == LinkState::Cut).collect();
    assert_eq!(states.iter().map(|link| (link.from, link.to)).collect::<Vec<_>>(), [(1, 2), (1, 3)]);
    assert_eq!((counters(&switch, 1, 2).lost, counters(&switch, 2, 1).lost), (1, 0));
}

#[test]
fn an_unplugged_port_hears_and_says_nothing() {
    let mut switch = Switch::new(1, 3);
    switch.plug(1, false);
    assert!(ports(&mut switch, 1, 0xff).is_empty());
    assert_eq!(ports(&mut switch, 2, 0xff), [0, 3]);
    switch.plug(2, false);
    switch.plug(2, true);
    assert_eq!(switch.unplugged(), [1]);
    assert_eq!(ports(&mut switch, 2, 0xff), [0, 3]);
    switch.heal(Instant::ZERO);
    assert_eq!(ports(&mut switch, 1, 0xff), [0, 2, 3]);
}

#[test]
fn a_fault_befalls_one_direction_or_both_and_gateways_that_are_named() {
    let mut switch = acquainted(3);
    let down = FaultChange { up: Some(false), ..NONE };
    switch.set_links(at(0), &LinkSelection { from: Some(1), to: Some(2), ..ALL }, &down);
    assert_eq!(ports(&mut switch, 1, 0xff), [0, 3]);
    assert_eq!(ports(&mut switch, 2, 0xff), [0, 1, 3]);
    switch.set_links(at(0), &LinkSelection::between(3, 2), &down);
    assert_eq!(ports(&mut switch, 2, 0xff), [0, 1]);
    assert_eq!(ports(&mut switch, 3, 0xff), [0, 1]);
    switch.set_links(at(0), &LinkSelection::between(0, 3), &down);
    assert_eq!(ports(&mut switch, 3, 0xff), [1]);
    switch.set_links(at(0), &ALL, &FaultChange { up: Some(true), ..NONE });
    assert_eq!(ports(&mut switch, 3, 0xff), [1, 2], "the gateway was not named");
}

#[test]
fn frames_are_late_doubled_and_held_back() {
    let mut switch = acquainted(2);
    let slow = FaultChange { delay_ms: Some(10), duplicate: Some(1.0), ..NONE };
    switch.set_links(at(0), &ALL, &slow);
    assert_eq!(carry(&mut switch, &[(at(1), 1, 2, 60)]), [(at(11), 1, 2, 0), (at(11), 1, 2, 0)]);
    let held_back = FaultChange { up: Some(true), reorder: Some(0.5), reorder_ms: Some(7), ..NONE };
    switch.set_links(at(20), &ALL, &held_back);
    let sent: Vec<_> = (21..121).map(|now| (at(now), 1, 2, 60)).collect();
    let arrived = carry(&mut switch, &sent);
    let is_held_back =
        |(when, _, _, number): &(Instant, Port, Port, u32)| *when == at(28 + u64::from(*number));
    let (late, in_time): (Vec<_>, Vec<_>) = arrived.iter().partition(|arrival| is_held_back(arrival));
    assert!(in_time.iter().all(|(when, _, _, number)| *when == at(21 + u64::from(*number))));
    assert_eq!((late.len() + in_time.len(), late.len() as u64), (100, counters(&switch, 1, 2).reordered));
    assert!((30..70).contains(&late.len()), "{} of 100", late.len());
    assert!(!arrived.is_sorted_by_key(|arrival| arrival.3), "others have passed them");
}

#[test]
fn what_is_on_its_way_arrives_when_a_link_changes_and_stays_in_order() {
    let mut switch = acquainted(2);
    switch.set_links(at(0), &ALL, &FaultChange { rate_kbit: Some(1), ..NONE });
    assert!(switch.route(at(0), 1, &frame(2, 1, 0, 1_000)).is_empty());
    assert!(switch.route(at(0), 1, &frame(2, 1, 1, 1_000)).is_empty());
    switch.set_links(at(1), &ALL, &FaultChange { rate_kbit: Some(8_000), ..NONE });
    let due: Vec<u32> = std::iter::from_fn(|| switch.take_due(at(1))).map(|due| number(&due.frame)).collect();
    assert_eq!(due, [0, 1]);
    // 1000 bytes take a millisecond now, and nothing waits for what was slow.
    assert_eq!(carry(&mut switch, &[(at(1), 1, 2, 1_000)]), [(at(2), 1, 2, 0)]);
    switch.set_links(at(3), &ALL, &FaultChange { delay_ms: Some(50_000), ..NONE });
    assert!(switch.route(at(3), 1, &frame(2, 1, 9, 60)).is_empty());
    switch.heal(at(4));
    assert_eq!(switch.take_due(at(4)).map(|due| number(&due.frame)), Some(9));
    assert_eq!(switch.route(at(4), 1, &frame(2, 1, 10, 60)), [2]);
}

#[test]
fn a_full_queue_drops_what_comes_last() {
    let mut switch = acquainted(2);
    switch.set_links(at(0), &ALL, &FaultChange { rate_kbit: Some(8), ..NONE });
    let frames = QUEUE_LEN_MAX / 1024 + 2;
    let arrived = carry(&mut switch, &vec![(at(0), 1, 2, 1024); frames as usize]);
    assert_eq!(arrived.len() as u64, frames - 2);
    assert_eq!(counters(&switch, 1, 2).dropped, 2);
    assert_eq!(arrived.last().map(|(when, ..)| *when), Some(at(QUEUE_LEN_MAX)), "a byte each millisecond");
}

/// What befalls links: any fault, none that cuts them.
fn faults() -> impl Strategy<Value = FaultChange> {
    let share = || prop_oneof![Just(None), Just(Some(1.0)), (0.0..1.0).prop_map(Some)];
    let millis = || prop_oneof![Just(None), (0u64..30).prop_map(Some)];
    let rate = prop_oneof![Just(None), (1u64..20_000).prop_map(Some)];
    (share(), share(), share(), millis(), millis(), (1u64..30).prop_map(Some), rate).prop_map(
        |(loss, duplicate, reorder, delay_ms, jitter_ms, reorder_ms, rate_kbit)| FaultChange {
            up: None,
            loss,
            delay_ms,
            jitter_ms,
            duplicate,
            reorder,
            reorder_ms,
            rate_kbit,
        },
    )
}

/// Frames between three nodes, whose times go up.
fn traffic() -> impl Strategy<Value = Vec<(Instant, Port, Port, usize)>> {
    let frame = (0u64..3_000_000, 1u8..=3, 1u8..=2, 60usize..9_000);
    proptest::collection::vec(frame, 1..200).prop_map(|frames| {
        let mut now = 0;
        let sent = frames.into_iter().map(|(pause, from, step, len)| {
            now += pause;
            (Instant::from_nanos(now), from, (from - 1 + step) % 3 + 1, len)
        });
        sent.collect()
    })
}

fn faulty(seed: u64, fault: FaultChange) -> Switch {
    let mut switch = acquainted(3);
    switch.set_seed(seed);
    switch.set_links(at(0), &ALL, &fault);
    switch
}

proptest! {
    #[test]
    fn no_frame_is_unaccounted_for(seed: u64, fault in faults(), sent in traffic(), heals: bool) {
        let mut switch = faulty(seed, fault);
        for link in switch.status() {
            prop_assert_eq!(link.counters.sent, 1, "the frame by which they met");
        }
        for (number, &(now, from, to, len)) in (0u32..).zip(&sent) {
            while switch.take_due(now).is_some() {}
            switch.route(now, from, &frame(to, from, number, len));
        }
        let balance = |switch: &Switch| {
            for LinkStatus { counters: c, .. } in switch.status() {
                prop_assert_eq!(c.sent + c.duplicated, c.arrived + c.lost + c.dropped + c.in_flight);
            }
            Ok(())
        };
        balance(&switch)?;
        let end = if heals { sent[sent.len() - 1].0 } else { Instant::from_nanos(u64::MAX) };
        if heals {
            switch.heal(end);
        }
        while switch.take_due(end).is_some() {}
        balance(&switch)?;
        let all: u64 = switch.status().iter().map(|link| link.counters.sent).sum();
        prop_assert_eq!(all, 12 + sent.len() as u64);
        prop_assert!(switch.status().iter().all(|link| link.counters.in_flight == 0));
    }

    #[test]
    fn frames_stay_in_order_unless_a_fault_says_otherwise(seed: u64, fault in faults(), sent in traffic()) {
        let fault = FaultChange { jitter_ms: None, reorder: None, ..fault };
        let arrived = carry(&mut faulty(seed, fault), &sent);
        for link in [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)] {
            let numbers = arrived.iter().filter(|(_, from, to, _)| (*from, *to) == link).map(|arrival| arrival.3);
            prop_assert!(numbers.is_sorted(), "on {link:?}");
        }
    }

    #[test]
    fn no_more_is_carried_than_the_rate(seed: u64, fault in faults(), sent in traffic(), rate in 1u64..20_000) {
        // Frames that are late by chance come together by chance.
        let fault = FaultChange { jitter_ms: None, reorder: None, rate_kbit: Some(rate), ..fault };
        let arrived = carry(&mut faulty(seed, fault), &sent);
        let of_link: Vec<_> = arrived.iter().filter(|(_, from, to, _)| (*from, *to) == (1, 2)).collect();
        for first in 0..of_link.len() {
            let mut bits = 0;
            for (when, _, _, number) in &of_link[first..] {
                bits += 8_000_000 * sent[*number as usize].3 as u128;
                let nanos = u128::from(when.as_nanos() - of_link[first].0.as_nanos());
                let frame = 8_000_000 * sent[of_link[first].3 as usize].3 as u128;
                prop_assert!(bits <= u128::from(rate) * nanos + frame, "{bits} in {nanos}");
            }
        }
    }

    #[test]
    fn what_befalls_a_link_does_not_depend_on_others(
        seed: u64,
        fault in faults(),
        other in faults(),
        sent in traffic(),
    ) {
        let of_link = |arrived: Vec<(Instant, Port, Port, u32)>| -> Vec<Instant> {
            arrived.into_iter().filter(|(_, from, to, _)| (*from, *to) == (1, 2)).map(|arrival| arrival.0).collect()
        };
        let all = of_link(carry(&mut faulty(seed, fault), &sent));
        let alone: Vec<_> = sent.iter().copied().filter(|(_, from, to, _)| (*from, *to) == (1, 2)).collect();
        let mut switch = faulty(seed, fault);
        switch.set_links(at(0), &LinkSelection::between(1, 3), &other);
        prop_assert_eq!(of_link(carry(&mut switch, &alone)), &all[..]);
        prop_assert_eq!(of_link(carry(&mut faulty(seed, fault), &sent)), all);
    }
}

#[test]
fn the_gateway_is_on_the_first_fabric_and_each_has_its_own_dice() {
    let half = FaultChange { loss: Some(0.5), ..NONE };
    let [first, second] = [1, 2].map(|fabric| {
        let mut switch = Switch::new(fabric, 3);
        switch.set_links(at(0), &ALL, &half);
        let sent: Vec<_> = (0..100).map(|millis| (at(millis), 1, 2, 60)).collect();
        let arrived = carry(&mut switch, &sent).into_iter().map(|(_, _, to, number)| (to, number));
        let ends = switch.status().into_iter().map(|link| (link.fabric, link.from.min(link.to)));
        assert_eq!(ends.min(), Some((fabric, fabric - 1)), "the least port is the gateway's, or node 1's");
        arrived.collect::<Vec<_>>()
    });
    assert!(first != second && !second.is_empty());
    assert!(second.iter().all(|(to, _)| *to != GATEWAY_PORT));
}
