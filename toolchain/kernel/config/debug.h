/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the debug kernel has beyond base.h: assertions, debug system calls, messages on the console.
 * (The kernel's Makefile sets the first one too when it is given DEBUG=1.)
 */
#define CONFIG_DEBUG_BUILD 1
#define CONFIG_PRINTING 1
