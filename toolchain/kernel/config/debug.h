/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the debug kernel has beyond base.h. CONFIG_DEBUG_BUILD (assertions, debug system calls) comes
 * from the kernel's own Makefile with DEBUG=1.
 */
#define CONFIG_PRINTING 1
