//! Servers that are right, wrong, silent or far away.

use alloc::string::ToString;
use core::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

/// What the servers' clocks say at the monotonic clock's zero: 2026-11-29.
const TRUTH: i64 = 1_795_953_600_000_000;

const DAY: i64 = 86_400_000_000;

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

struct World {
    now: Instant,
    keeper: Timekeeper,
    /// How far each server is ahead, in microseconds; none if it is silent.
    servers: Vec<Option<i64>>,
    /// How far the machine's own clock is.
    own: i64,
    round_trip: Duration,
    /// By how much the second and later servers' answers take longer.
    late: Duration,
    asked: usize,
    flying: Vec<(Instant, IpAddr, [u8; PACKET_LEN])>,
    last: Option<i64>,
    notices: Vec<TimeNotice>,
}

impl World {
    fn new(servers: &[Option<i64>], own: i64) -> World {
        let ips: Vec<IpAddr> = (1..=servers.len() as u8).map(ip).collect();
        World {
            now: Instant::ZERO,
            keeper: Timekeeper::new(&ips, [7; 32], Instant::ZERO),
            servers: servers.to_vec(),
            own,
            round_trip: Duration::from_millis(4),
            late: Duration::ZERO,
            asked: 0,
            flying: Vec::new(),
            last: None,
            notices: Vec::new(),
        }
    }

    /// How far the clock is ahead of the truth, in microseconds.
    fn error(&mut self) -> i64 {
        let wall = WallTime { unix_micros: TRUTH + self.own + micros(self.now) };
        let now = self.keeper.corrected(Now { monotonic: self.now, wall });
        now.wall.unix_micros - TRUTH - micros(self.now)
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + Duration::from_millis(2);
            let error = self.error();
            let wall = error + micros(self.now);
            let leapt = self.notices.iter().any(|notice| matches!(notice, TimeNotice::Set { .. }));
            assert!(leapt || self.last.is_none_or(|last| wall > last), "it goes on, whatever it follows");
            self.last = Some(wall);
            self.notices.clear();
            let arrived: Vec<_> = self.flying.extract_if(.., |(due, ..)| *due <= self.now).collect();
            for (_, from, packet) in arrived {
                self.keeper.receive(self.now, from, &packet);
            }
            let World { now, keeper, servers, round_trip, late, asked, flying, .. } = self;
            keeper.poll(*now, &mut |to, packet| {
                *asked += 1;
                let is_first = to == ip(1);
                let round_trip = *round_trip + if is_first { Duration::ZERO } else { *late };
                let IpAddr::V4(v4) = to else { panic!("an address of IPv4") };
                let Some(ahead) = servers[usize::from(v4.octets()[3]) - 1] else { return };
                let there = TRUTH + ahead + micros(*now + round_trip / 2);
                let reply = ntp::reply(&packet, there).expect("a question");
                flying.push((*now + round_trip, to, reply));
            });
            self.notices.append(&mut self.keeper.take_notices());
            let deadline = self.keeper.deadline();
            assert!(deadline.is_none_or(|at| at > self.now), "nothing is due twice");
        }
    }
}

#[test]
fn a_clock_that_is_wrong_is_set_at_once_and_said() {
    for own in [DAY, -DAY] {
        let mut world = World::new(&[Some(0)], own);
        assert_eq!(world.error(), own);
        world.run(Duration::from_millis(10));
        assert!(world.error().abs() <= 4_000, "{}", world.error());
        world.run(Duration::from_secs(300));
        assert!(world.asked <= 6, "{}", world.asked);
    }
    let said = TimeNotice::Set { server: ip(1), behind_micros: -DAY - 1_234 };
    assert_eq!(said.to_string(), "the clock is set by time server 10.0.0.1: it was 86400.001 s ahead");
}

#[test]
fn a_clock_that_is_a_little_wrong_comes_round_without_a_leap() {
    for own in [100_000, -100_000] {
        let mut world = World::new(&[Some(0)], own);
        world.run(Duration::from_millis(100));
        assert!((world.error() - own).abs() < 10_000, "{}", world.error());
        world.run(Duration::from_secs(2));
        assert!(world.error().abs() <= 4_000, "{}", world.error());
    }
}

#[test]
fn of_three_servers_one_may_be_wrong() {
    for wrong in [DAY, -DAY, 500_000] {
        // It is the first to answer, too.
        let mut world = World::new(&[Some(wrong), Some(0), Some(1_000)], 0);
        world.late = Duration::from_millis(40);
        for _ in 0..2_000 {
            world.run(Duration::from_millis(100));
            assert!(world.error().abs() <= 30_000, "{wrong}: {}", world.error());
        }
        assert!(world.error().abs() <= 30_000, "{wrong}: {}", world.error());
    }
}

#[test]
fn of_two_servers_one_may_be_silent() {
    let mut world = World::new(&[Some(0), None], DAY);
    world.run(Duration::from_secs(15));
    assert!(world.error().abs() <= 4_000, "{}", world.error());
}

#[test]
fn a_machine_that_stood_still_asks_at_once() {
    let mut world = World::new(&[Some(0)], 0);
    world.run(Duration::from_secs(10));
    let asked = world.asked;
    // The monotonic clock stood still, and the machine's own wall clock has seen it.
    (world.servers[0], world.own) = (Some(5_000_000), 5_000_000);
    world.run(Duration::from_millis(20));
    assert_eq!(world.asked, asked + 1);
    assert!((world.error() - 5_000_000).abs() <= 4_000, "{}", world.error());
}

#[test]
fn silence_is_said_now_and_then_and_ends() {
    let mut world = World::new(&[None], DAY);
    world.run(Duration::from_secs(9));
    assert_eq!(world.keeper.trouble(world.now), None);
    world.run(Duration::from_secs(2));
    let Some(notice @ TimeNotice::Silent { .. }) = world.keeper.trouble(world.now) else {
        panic!("it is silent")
    };
    assert!(notice.to_string().contains("relix.ntp"), "{notice}");
    assert_eq!(world.error(), DAY, "the machine's own clock counts");
    world.servers[0] = Some(0);
    world.run(Duration::from_secs(70));
    assert_eq!(world.keeper.trouble(world.now), None);
    assert!(world.error().abs() <= 4_000);
}

#[test]
fn what_nobody_asked_for_is_nothing() {
    let mut keeper = Timekeeper::new(&[ip(1)], [7; 32], Instant::ZERO);
    let mut asked = None;
    keeper.poll(Instant::ZERO, &mut |_, packet| asked = Some(packet));
    let packet = asked.expect("it asks at once");
    let reply = ntp::reply(&packet, TRUTH).expect("a question");
    let later = Instant::ZERO + Duration::from_millis(1);
    keeper.receive(later, ip(2), &reply);
    keeper.receive(later, ip(1), &ntp::reply(&ntp::question(1), TRUTH).expect("a question"));
    assert!(!keeper.is_set());
    // What took too long could be wrong by half of that.
    keeper.receive(Instant::ZERO + Duration::from_secs(2), ip(1), &reply);
    assert!(!keeper.is_set());
    let mut unwilling = reply;
    unwilling[1] = 0;
    let mut keeper = Timekeeper::new(&[ip(1)], [7; 32], Instant::ZERO);
    keeper.poll(Instant::ZERO, &mut |_, _| {});
    keeper.receive(later, ip(1), &unwilling);
    assert_eq!(keeper.take_notices(), [TimeNotice::Refused { server: ip(1), why: NoTime::Unwilling }]);
    keeper.receive(later, ip(1), &reply);
    assert!(!keeper.is_set(), "an answer counts once");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However servers and the machine's own clock differ, the clock comes to lie where the median is.
    #[test]
    fn it_comes_to_the_median(
        servers in prop::collection::vec(-2_000_000i64..2_000_000, 1..=4),
        own in -10_000_000i64..10_000_000,
        round_trip_ms in 1u64..80,
    ) {
        let ahead: Vec<_> = servers.iter().copied().map(Some).collect();
        let mut world = World::new(&ahead, own);
        world.round_trip = Duration::from_millis(round_trip_ms);
        world.run(Duration::from_secs(10));
        let mut sorted = servers;
        sorted.sort_unstable();
        let median = sorted[(sorted.len() - 1) / 2];
        prop_assert!((world.error() - median).abs() <= 5_000, "{} for {median}", world.error());
    }
}
