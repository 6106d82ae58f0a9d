# Entry of every vector. Each stub is 16 bytes, so the address its call pushes tells the vector; those for
# which the processor pushes no error code push a zero.

.section .text.traps, "ax"
.macro without_error count
    .rept \count
        .balign 16
        push $0
        call trap_common
    .endr
.endm
.macro with_error count
    .rept \count
        .balign 16
        call trap_common
    .endr
.endm

.balign 16
.globl trap_stubs
trap_stubs:
    without_error 8
    with_error 1                # 8 double fault
    without_error 1
    with_error 5                # 10 to 14: TSS, segment, stack, protection, page
    without_error 2
    with_error 1                # 17 alignment
    without_error 3
    with_error 1                # 21 control protection
    without_error 7
    with_error 2                # 29 VMM communication, 30 security
    without_error 1
    without_error 224

.balign 16
trap_common:
    push %rax
    push %rbx
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %rbp
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    mov %rsp, %rbp
    sub $512, %rsp
    and $-16, %rsp
    fxsave64 (%rsp)             # Rust may use SSE anywhere
    call trap_entry
    fxrstor64 (%rsp)
    mov %rbp, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rbp
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rbx
    pop %rax
    add $16, %rsp               # the stub's return address, the error code
    iretq
.text
