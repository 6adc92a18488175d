/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of Microkit's C interface that a client of the GPU needs, for systems that are not built with a Microkit SDK
 * (which brings its own microkit.h). Names and meanings are Microkit's; what begins with microkit_ext_ is not in it.
 */
#ifndef MICROKIT_H
#define MICROKIT_H

#include <stdint.h>

#define MICROKIT_EXT 1

typedef uint32_t microkit_channel;
typedef struct {
    uint64_t words[1];
} microkit_msginfo;

/* The program's. */
void init(void);
void notified(microkit_channel channel);

static inline microkit_msginfo microkit_msginfo_new(uint64_t label, uint16_t count)
{
    return (microkit_msginfo){{label << 12 | count}};
}

static inline uint64_t microkit_msginfo_get_label(microkit_msginfo message)
{
    return message.words[0] >> 12;
}

static inline uint64_t microkit_msginfo_get_count(microkit_msginfo message)
{
    return message.words[0] & 0x7f;
}

microkit_msginfo microkit_ppcall(microkit_channel channel, microkit_msginfo message);
void microkit_notify(microkit_channel channel);
void microkit_mr_set(uint8_t mr, uint64_t value);
uint64_t microkit_mr_get(uint8_t mr);
/* Prints on the console of a debug kernel. */
void microkit_dbg_puts(const char *text);
void microkit_x86_ioport_write_32(uint64_t ioport, uint64_t port, uint32_t value);

/* A protected call that a capability goes with. */
microkit_msginfo microkit_ext_ppcall_with_cap(microkit_channel channel, microkit_msginfo message,
                                              uint64_t capability);
/* Sleeps until somebody notifies this domain; returns at once if somebody has since the last time. */
void microkit_ext_sleep(void);

#endif
