//! How fast the TSC and the APIC timer run, and what time it is: asked of whatever the machine has.
//!
//! The PIT is not used: on microvm under emulation waiting for it never ends.

use core::arch::x86_64::__cpuid;

use x86_64::instructions::interrupts;
use x86_64::instructions::port::Port;

use crate::acpi::Tables;
use crate::apic;

/// Ticks per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub tsc_hz: u64,
    pub apic_timer_hz: u64,
}

/// The ACPI timer's fixed rate.
const PM_TIMER_HZ: u64 = 3_579_545;
/// The APIC timer's fixed rate under QEMU, emulated or on KVM.
const HYPERVISOR_APIC_HZ: u64 = 1_000_000_000;
/// How long a measurement takes.
const MEASURE_NANOS: u64 = 2_000_000;
/// A counter asked this often without moving on does not count.
const STUCK_READS: u32 = 1_000_000;

/// The best answer there is, and where it is from.
pub(crate) fn measure(tables: &Tables) -> (Rates, &'static str) {
    apic::start_counting();
    let told = told_by_cpuid();
    if let Some(tsc_hz) = told
        && apic::has_tsc_deadline()
    {
        return (Rates { tsc_hz, apic_timer_hz: HYPERVISOR_APIC_HZ }, "CPUID");
    }
    if let Some(port) = tables.pm_timer
        && let Some(rates) = against_pm_timer(port)
    {
        return (rates, "ACPI timer");
    }
    if runs_under_qemu()
        && let Some(rates) = against_apic_timer()
    {
        return (rates, "APIC timer");
    }
    (against_rtc(), "RTC")
}

/// The TSC's rate where CPUID states it: the crystal's leaf, or the hypervisor's timing leaf.
fn told_by_cpuid() -> Option<u64> {
    if __cpuid(0).eax >= 0x15 {
        let leaf = __cpuid(0x15);
        if leaf.eax != 0 && leaf.ebx != 0 && leaf.ecx != 0 {
            return Some(u64::from(leaf.ecx) * u64::from(leaf.ebx) / u64::from(leaf.eax));
        }
    }
    let hypervisor = __cpuid(1).ecx & 1 << 31 != 0;
    if hypervisor && __cpuid(0x4000_0000).eax >= 0x4000_0010 {
        let khz = __cpuid(0x4000_0010).eax;
        return (khz != 0).then_some(u64::from(khz) * 1000);
    }
    None
}

fn runs_under_qemu() -> bool {
    if __cpuid(1).ecx & 1 << 31 == 0 {
        return false;
    }
    let leaf = __cpuid(0x4000_0000);
    let mut name = [0; 12];
    for (bytes, register) in name.chunks_exact_mut(4).zip([leaf.ebx, leaf.ecx, leaf.edx]) {
        bytes.copy_from_slice(&register.to_le_bytes());
    }
    matches!(&name, b"TCGTCGTCGTCG" | b"KVMKVMKVM\0\0\0")
}

fn against_pm_timer(port: u16) -> Option<Rates> {
    // SAFETY: the port the firmware names; reading it has no effect. 24 bits are always there.
    let read = || unsafe { Port::<u32>::new(port).read() } & 0xff_ffff;
    measure_against(PM_TIMER_HZ, 0xff_ffff, read)
}

fn against_apic_timer() -> Option<Rates> {
    let rates = measure_against(HYPERVISOR_APIC_HZ, u32::MAX, apic::counted)?;
    Some(Rates { apic_timer_hz: HYPERVISOR_APIC_HZ, ..rates })
}

/// The three counters at one moment.
#[derive(Clone, Copy)]
struct Sample {
    tsc: u64,
    apic: u32,
    reference: u32,
}

/// Reads the three counters, as close together as a few attempts allow: an emulator may pause us anywhere.
fn sample(read: &impl Fn() -> u32) -> Sample {
    const ATTEMPTS: usize = 32;
    let attempt = || {
        let before = apic::tsc();
        let reference = read();
        let after = apic::tsc();
        (after - before, Sample { tsc: before.midpoint(after), apic: apic::counted(), reference })
    };
    let mut best = attempt();
    for _ in 1..ATTEMPTS {
        let next = attempt();
        if next.0 <= best.0 {
            best = next;
        }
    }
    best.1
}

/// Lets a counter of known rate `hz` run for [`MEASURE_NANOS`] and counts the others' ticks. `None` if it
/// does not move.
fn measure_against(hz: u64, mask: u32, read: impl Fn() -> u32) -> Option<Rates> {
    let wanted = (hz * MEASURE_NANOS / 1_000_000_000) as u32;
    let start = sample(&read);
    let elapsed = |now: u32| now.wrapping_sub(start.reference) & mask;
    if (0..STUCK_READS).all(|_| elapsed(read()) < wanted) {
        return None;
    }
    let end = sample(&read);
    let elapsed = u128::from(elapsed(end.reference));
    let per_second = |ticks: u64| ((u128::from(ticks) * u128::from(hz) / elapsed) as u64).max(1);
    Some(Rates {
        tsc_hz: per_second(end.tsc - start.tsc),
        apic_timer_hz: per_second(u64::from(end.apic.wrapping_sub(start.apic))),
    })
}

/// The last resort: one second of the RTC.
fn against_rtc() -> Rates {
    let wait = || {
        let second = read_cmos(0);
        (0..STUCK_READS).any(|_| read_cmos(0) != second)
    };
    wait();
    let (tsc_start, apic_start) = (apic::tsc(), apic::counted());
    if !wait() {
        return Rates { tsc_hz: 1_000_000_000, apic_timer_hz: HYPERVISOR_APIC_HZ };
    }
    let apic_timer_hz = u64::from(apic::counted().wrapping_sub(apic_start)).max(1);
    Rates { tsc_hz: (apic::tsc() - tsc_start).max(1), apic_timer_hz }
}

fn read_cmos(register: u8) -> u8 {
    interrupts::without_interrupts(|| {
        // SAFETY: selects and reads a register of the RTC; bit 7 keeps NMIs as they are (on).
        unsafe {
            Port::<u8>::new(0x70).write(register);
            Port::<u8>::new(0x71).read()
        }
    })
}

/// Seconds since 1970 by the RTC; `None` if there is none.
pub(crate) fn wall_clock() -> Option<i64> {
    const REGISTERS: [u8; 7] = [0, 2, 4, 7, 8, 9, 0x32];
    let sample = || {
        let updating = (0..10_000).take_while(|_| read_cmos(0x0a) & 0x80 != 0).count();
        (updating < 10_000).then(|| REGISTERS.map(read_cmos))
    };
    // Two equal samples: no update in between.
    let fields = (0..4).find_map(|_| sample().filter(|first| sample().as_ref() == Some(first)))?;
    let format = read_cmos(0x0b);
    let decode =
        |value: u8| i64::from(if format & 4 != 0 { value } else { (value >> 4) * 10 + (value & 0x0f) });
    let [second, minute, hour, day, month, year, century] = fields;
    let afternoon = format & 2 == 0 && hour & 0x80 != 0;
    let hour = decode(hour & 0x7f);
    let hour = if format & 2 != 0 { hour } else { hour % 12 + if afternoon { 12 } else { 0 } };
    let century = match decode(century) {
        century @ 19..=30 => century,
        _ => 20,
    };
    let (month, day) = (decode(month), decode(day));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_since_1970(century * 100 + decode(year), month, day);
    Some(days * 86_400 + hour * 3600 + decode(minute) * 60 + decode(second))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, by counting years from March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}
