#!/bin/sh
# Checks a linked kernel: nothing undefined, nothing dynamic, nothing both writable and executable, a PVH note
# and a Multiboot2 header. Crates that reach for libc would otherwise link and only fail when they run.
#   usage: kernel/check.sh target/kernel/kernel-main
set -eu
elf=$1
fail() { echo "kernel/check.sh: $elf: $1" >&2; exit 1; }

undefined=$(nm -u "$elf")
[ -z "$undefined" ] || fail "undefined symbols: $undefined"
! readelf -dW "$elf" | grep -q NEEDED || fail "needs a shared library"
! readelf -lW "$elf" | grep -Eq 'INTERP|DYNAMIC|TLS' || fail "has an interpreter, a dynamic or a TLS segment"
! readelf -lW "$elf" | grep -Eq 'LOAD.* RWE ' || fail "has a segment that is writable and executable"
readelf -lW "$elf" | grep -q NOTE || fail "has no PVH note"
head -c 32768 "$elf" | od -An -v -tx4 | grep -q e85250d6 || fail "has no Multiboot2 header in its first 32 KiB"
echo "$elf: $(size "$elf" | awk 'NR==2 {print $1" bytes of text and constants, "$2" of data"}')"
