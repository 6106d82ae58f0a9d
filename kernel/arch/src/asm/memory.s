# The memory functions compiled code calls. In assembly, or the compiler would turn their loops into calls
# to themselves. Blocks of 16 bytes: `rep movsb` is slow under emulation.

.section .text.memory, "ax"
.globl memcpy
.globl memmove
.globl memset
.globl memcmp
.globl bcmp
.globl strlen
.globl rust_eh_personality
.globl _Unwind_Resume

.balign 16
memcpy:
memmove:
    mov %rdi, %rax
    cmp $16, %rdx
    jb 5f
    cmp $32, %rdx
    ja 1f
    movups (%rsi), %xmm0
    movups -16(%rsi,%rdx), %xmm1
    movups %xmm0, (%rdi)
    movups %xmm1, -16(%rdi,%rdx)
    ret
1:  mov %rdi, %rcx
    sub %rsi, %rcx
    cmp %rdx, %rcx              # unsigned: below means the source's tail is overwritten first
    jb 3f
    # Forward. The tail is read before anything is written, and written last.
    movups -16(%rsi,%rdx), %xmm4
    lea -16(%rdi,%rdx), %r8
    cmp $80, %rdx
    jb 21f
2:  movups (%rsi), %xmm0
    movups 16(%rsi), %xmm1
    movups 32(%rsi), %xmm2
    movups 48(%rsi), %xmm3
    movups %xmm0, (%rdi)
    movups %xmm1, 16(%rdi)
    movups %xmm2, 32(%rdi)
    movups %xmm3, 48(%rdi)
    add $64, %rsi
    add $64, %rdi
    sub $64, %rdx
    cmp $80, %rdx
    jae 2b
21: movups (%rsi), %xmm0
    movups %xmm0, (%rdi)
    add $16, %rsi
    add $16, %rdi
    sub $16, %rdx
    cmp $16, %rdx
    ja 21b
    movups %xmm4, (%r8)
    ret
    # Backward. The head is read before anything is written, and written last.
3:  movups (%rsi), %xmm4
4:  movups -16(%rsi,%rdx), %xmm0
    movups %xmm0, -16(%rdi,%rdx)
    sub $16, %rdx
    cmp $16, %rdx
    ja 4b
    movups %xmm4, (%rdi)
    ret
5:  test $8, %dl
    jnz 8f
    test $4, %dl
    jnz 7f
    test $2, %dl
    jnz 6f
    test %dl, %dl
    jz 9f
    movzbl (%rsi), %ecx
    mov %cl, (%rdi)
    ret
6:  movzwl (%rsi), %ecx
    movzbl -1(%rsi,%rdx), %r8d
    mov %cx, (%rdi)
    mov %r8b, -1(%rdi,%rdx)
    ret
7:  mov (%rsi), %ecx
    mov -4(%rsi,%rdx), %r8d
    mov %ecx, (%rdi)
    mov %r8d, -4(%rdi,%rdx)
    ret
8:  mov (%rsi), %rcx
    mov -8(%rsi,%rdx), %r8
    mov %rcx, (%rdi)
    mov %r8, -8(%rdi,%rdx)
9:  ret

.balign 16
memset:
    mov %rdi, %rax
    movzbl %sil, %ecx
    movabs $0x0101010101010101, %r8
    imul %r8, %rcx
    cmp $16, %rdx
    jb 3f
    movq %rcx, %xmm0
    punpcklqdq %xmm0, %xmm0
    movups %xmm0, -16(%rdi,%rdx)
1:  movups %xmm0, (%rdi)
    add $16, %rdi
    sub $16, %rdx
    cmp $16, %rdx
    jae 1b
    ret
3:  test $8, %dl
    jz 4f
    mov %rcx, (%rdi)
    mov %rcx, -8(%rdi,%rdx)
    ret
4:  test $4, %dl
    jz 5f
    mov %ecx, (%rdi)
    mov %ecx, -4(%rdi,%rdx)
    ret
5:  test %rdx, %rdx
    jz 6f
    mov %cl, (%rdi)
    mov %cl, -1(%rdi,%rdx)
    shr $1, %rdx
    mov %cl, (%rdi,%rdx)
6:  ret

.balign 16
memcmp:
bcmp:
    xor %ecx, %ecx
    cmp $8, %rdx
    jb 2f
1:  mov (%rdi,%rcx), %rax
    mov (%rsi,%rcx), %r8
    cmp %r8, %rax
    jne 4f
    add $8, %rcx
    lea 8(%rcx), %r9
    cmp %rdx, %r9
    jbe 1b
2:  cmp %rdx, %rcx
    jae 3f
    movzbl (%rdi,%rcx), %eax
    movzbl (%rsi,%rcx), %r8d
    inc %rcx
    sub %r8d, %eax
    jz 2b
    ret
3:  xor %eax, %eax
    ret
4:  bswap %rax
    bswap %r8
    cmp %r8, %rax
    sbb %eax, %eax
    or $1, %eax
    ret

.balign 16
strlen:
    xor %eax, %eax
1:  cmpb $0, (%rdi,%rax)
    je 2f
    inc %rax
    jmp 1b
2:  ret

# Named by the precompiled core, never called: a panic aborts.
rust_eh_personality:
_Unwind_Resume:
    ud2
.text
