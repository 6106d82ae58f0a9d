//! The clocks: monotonic from the TSC, wall time from the RTC at boot and the TSC since.

use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use drivers_api::{Instant, Now, WallTime};

use crate::acpi::Tables;
use crate::{apic, time_sources};

const NANOS: u64 = 1_000_000_000;

static TSC_AT_BOOT: AtomicU64 = AtomicU64::new(0);
static TSC_HZ: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds per tick, times 2^32.
static NANOS_PER_TICK: AtomicU64 = AtomicU64::new(0);
/// Wall time at [`Instant::ZERO`].
static WALL_AT_BOOT: AtomicI64 = AtomicI64::new(0);

/// Notes the start of time. Call it first.
pub fn start() {
    TSC_AT_BOOT.store(apic::tsc(), Ordering::Relaxed);
}

/// Finds out how fast the TSC runs, reads the wall time, and starts the timer. Call it once, after
/// [`apic::init`]. Returns what the rate was learnt from, for the log.
pub fn init(tables: &Tables) -> &'static str {
    let (rates, source) = time_sources::measure(tables);
    let per_tick = ((u128::from(NANOS) << 32) / u128::from(rates.tsc_hz)) as u64;
    TSC_HZ.store(rates.tsc_hz, Ordering::Relaxed);
    NANOS_PER_TICK.store(per_tick, Ordering::Relaxed);
    apic::start_timer(rates.apic_timer_hz);
    let wall = time_sources::wall_clock().unwrap_or(0) * 1_000_000;
    WALL_AT_BOOT.store(wall - now().as_micros() as i64, Ordering::Relaxed);
    source
}

/// Ticks of the TSC per second; zero before [`init`].
pub fn tsc_hz() -> u64 {
    TSC_HZ.load(Ordering::Relaxed)
}

/// The time since boot; zero until [`init`].
pub fn now() -> Instant {
    let ticks = apic::tsc().saturating_sub(TSC_AT_BOOT.load(Ordering::Relaxed));
    let nanos = (u128::from(ticks) * u128::from(NANOS_PER_TICK.load(Ordering::Relaxed))) >> 32;
    Instant::from_nanos(nanos as u64)
}

/// Both clocks.
pub fn both() -> Now {
    let monotonic = now();
    let unix_micros = WALL_AT_BOOT.load(Ordering::Relaxed) + monotonic.as_micros() as i64;
    Now { monotonic, wall: WallTime { unix_micros } }
}

/// Compares the wall clock with the RTC, which goes on while a virtual machine is paused, and follows it if
/// they are more than two seconds apart. Answers by how many microseconds the wall clock jumped.
pub fn follow_rtc() -> Option<i64> {
    const APART_MAX: i64 = 2_000_000;
    let rtc = time_sources::wall_clock()? * 1_000_000;
    let jump = rtc - both().wall.unix_micros;
    if jump.abs() <= APART_MAX {
        return None;
    }
    WALL_AT_BOOT.fetch_add(jump, Ordering::Relaxed);
    Some(jump)
}

/// The TSC's value at `instant`, rounded up.
pub(crate) fn tsc_at(instant: Instant) -> u64 {
    let ticks = u128::from(instant.as_nanos()) * u128::from(tsc_hz()) / u128::from(NANOS) + 1;
    TSC_AT_BOOT.load(Ordering::Relaxed).saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
}
