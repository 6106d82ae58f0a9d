# From one of two entries (32-bit, flat segments, paging off, ebx = what the loader hands over) to
# kernel_main(handover, magic).

# Multiboot2 Specification 2.0, section 3.1: within the first 32 KiB of the file.
.section .multiboot2, "a"
.balign 8
multiboot2_header:
    .long 0xe85250d6
    .long 0                     # enter in 32-bit protected mode
    .long multiboot2_header_end - multiboot2_header
    .long 0x100000000 - 0xe85250d6 - (multiboot2_header_end - multiboot2_header)
    .word 1, 0                  # the memory map must be told
    .long 12
    .long 6
.balign 8
    .word 3, 0                  # the entry, which is not the file's
    .long 12
    .long multiboot2_entry
.balign 8
    .word 6, 0                  # modules begin on pages
    .long 8
    .word 0, 0                  # the end
    .long 8
multiboot2_header_end:

.section .note.pvh, "a", @note
.balign 4
.long 4                         # length of the name
.long 8                         # length of the entry address
.long 18                        # XEN_ELFNOTE_PHYS32_ENTRY
.asciz "Xen"
.quad pvh_entry

.section .text.boot, "ax"
.code32
.globl pvh_entry
pvh_entry:
    xor %esi, %esi
    jmp enter

multiboot2_entry:
    mov %eax, %esi              # the loader's magic

enter:
    cli
    cld
    mov %ebx, %ebp              # keep what is handed over, and esi; ebx, edi are used below

    mov $__bss_start, %edi
    mov $__bss_end, %ecx
    sub %edi, %ecx
    shr $2, %ecx
    xor %eax, %eax
    rep stosl

    # The first 4 GiB, identity-mapped by 2 MiB pages, until the real tables exist: loaders put things high.
    mov $(boot_pdpt + 3), %eax
    mov %eax, boot_pml4
    mov $(boot_pd + 3), %eax
    mov $boot_pdpt, %edi
    mov $4, %ecx
1:  mov %eax, (%edi)
    add $8, %edi
    add $0x1000, %eax
    loop 1b
    mov $boot_pd, %edi
    mov $0x83, %eax
    mov $2048, %ecx
2:  mov %eax, (%edi)
    add $8, %edi
    add $0x200000, %eax
    loop 2b

    mov %cr4, %eax
    or $0x6a0, %eax             # PAE, global pages, SSE and its exceptions
    mov %eax, %cr4
    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx       # EFER: long mode, no-execute
    rdmsr
    or $0x900, %eax
    wrmsr
    mov %cr0, %eax
    and $0x9ffffff3, %eax       # caches on, no FPU emulation, no task-switched trap
    or $0x80010023, %eax        # paging, write protection in ring 0, native FPU errors, MP, PE
    mov %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $8, $long_mode

.code64
long_mode:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $__main_stack_top, %rsp
    mov %ebp, %edi
    mov %esi, %esi
    xor %ebp, %ebp
    fninit
    call kernel_main
    ud2

.section .rodata.boot, "a"
.balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    # code: 64-bit, ring 0
    .quad 0x00cf93000000ffff    # data
boot_gdt_pointer:
    .word 23
    .quad boot_gdt

.section .bss.boot, "aw", @nobits
.balign 4096
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd:   .skip 4 * 4096
.text
