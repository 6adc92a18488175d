/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration of the embedded kernel, seL4 5.0.0 on x86-64: what every build has. `build.sh` puts
 * debug.h behind it for the debug kernel. One `#define NAME VALUE` a line and no conditions: the crate
 * `sel4` reads the result too, for the conditions in the kernel's interface descriptions.
 * What the options mean: seL4: Kconfig, src/plat/pc99/Kconfig.
 */
#define AUTOCONF_INCLUDED
#define CONFIG_KERNEL_MASTER 1

/* Architecture. GENERIC: no check that the processor is of one particular generation. */
#define CONFIG_ARCH_X86 1
#define CONFIG_ARCH_X86_64 1
#define CONFIG_ARCH_X86_GENERIC 1
#define CONFIG_PLAT_PC99 1
#define CONFIG_WORD_SIZE 64
#define CONFIG_CACHE_LN_SZ 64
#define CONFIG_MAX_NUM_NODES 1

/*
 * Processor features. Left out on purpose: SUPPORT_PCID (needs INVPCID, which QEMU's TCG lacks),
 * HUGE_PAGE (nothing here maps 1 GiB pages), X2APIC (wants interrupt remapping where there is VT-d).
 */
#define CONFIG_SYSCALL 1
#define CONFIG_FSGSBASE_INST 1
#define CONFIG_HAVE_FPU 1
#define CONFIG_FXSAVE 1
#define CONFIG_XSAVE_SIZE 512
#define CONFIG_FPU_MAX_RESTORES_SINCE_SWITCH 64

/* Interrupts and DMA. */
#define CONFIG_IRQ_IOAPIC 1
#define CONFIG_MAX_NUM_IOAPIC 1
#define CONFIG_XAPIC 1
#define CONFIG_IOMMU 1
#define CONFIG_MAX_RMRR_ENTRIES 32

/* Scheduling: a round-robin slice of 10 ms; a tick costs guest instructions, so few of them. */
#define CONFIG_NUM_DOMAINS 1
#define CONFIG_NUM_PRIORITIES 256
#define CONFIG_TIMER_TICK_MS 5
#define CONFIG_TIME_SLICE 2

/*
 * Sizes. The root task keeps one capability per 4 KiB frame that it makes: 2^17 slots are 512 MiB of
 * frames. The boot information is one page, 169 bytes of header and 12 bytes per untyped: at most 327.
 */
#define CONFIG_ROOT_CNODE_SIZE_BITS 17
#define CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS 320
#define CONFIG_RETYPE_FAN_OUT_LIMIT 256
#define CONFIG_MAX_NUM_WORK_UNITS_PER_PREEMPTION 100
#define CONFIG_KERNEL_STACK_BITS 12

#define CONFIG_FASTPATH 1
