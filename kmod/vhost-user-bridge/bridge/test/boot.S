/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A boot sector: writes a sector of its disk by the firmware, reads it back, and says whether it is the same, on the console
 * and to QEMU's debug console (port 0xe9). It ends QEMU by isa-debug-exit (port 0xf4); where QEMU has none it waits for a key
 * and powers the machine off, by the ACPI register at which SeaBIOS puts it.
 */
	.code16
	.globl _start
_start:
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$0x7c00, %sp
	cld
	/* A pattern at 0x8000, and other bytes at 0x9000 where it shall come back. */
	mov	$0x8000, %di
	mov	$256, %cx
	mov	$0x1234, %ax
1:	stosw
	add	$0x3157, %ax
	loop	1b
	mov	$0x9000, %di
	mov	$256, %cx
	xor	%ax, %ax
	rep stosw

	/* INT 13h, extended write and read (EDD); %dl is the disk that was booted. */
	movw	$0x8000, address
	mov	$0x4300, %ax
	mov	$packet, %si
	int	$0x13
	jc	failed
	movw	$0x9000, address
	mov	$0x4200, %ax
	mov	$packet, %si
	int	$0x13
	jc	failed
	mov	$0x8000, %si
	mov	$0x9000, %di
	mov	$256, %cx
	repe cmpsw
	jne	failed
	mov	$good, %si
	jmp	tell
failed:
	mov	$bad, %si
tell:
	call	say
	out	%al, $0xf4
	mov	$wait, %si
	call	say
	xor	%ax, %ax
	int	$0x16
	mov	$0x604, %dx
	mov	$0x2000, %ax
	out	%ax, %dx
end:
	hlt
	jmp	end

/* %si: a text. Return: %al is 0. */
say:
	lodsb
	test	%al, %al
	jz	1f
	out	%al, $0xe9
	mov	$0x0e, %ah
	xor	%bx, %bx
	int	$0x10
	jmp	say
1:	ret

good:	.asciz	"boot: what was written was read\r\n"
bad:	.asciz	"boot: failed\r\n"
wait:	.asciz	"a key ends this guest\r\n"

	.balign	4
packet:
	.byte	16, 0
	.word	1
address:
	.word	0, 0
	.quad	1

	.org	510
	.word	0xaa55
