/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The transport of gpu_client.h over a Microkit channel, and the symbols that system.xml sets. To be included in one
 * source file of a domain.
 *
 *     static struct gpu_microkit link;
 *     GPU_MICROKIT_SYMBOLS;
 *     GPU_MEMORY_SYMBOLS(picture);
 *     ...
 *     struct gpu_transport transport = gpu_microkit(&link, 0);
 *     struct gpu_memory memory = GPU_MEMORY(picture, 1);
 */
#ifndef GPU_MICROKIT_H
#define GPU_MICROKIT_H

#include <microkit.h>

#include "gpu_client.h"

/* Symbols that the image tool writes: in a section that the program's file has, whatever is in them. */
#define GPU_SYMBOL __attribute__((section(".data"), used))

/* setvar_vaddr and setvar_size of the message area and of the rings, setvar_vaddr of the page of points. */
#define GPU_MICROKIT_SYMBOLS                                                                                     \
    uint64_t gpu_message GPU_SYMBOL = 0, gpu_message_size GPU_SYMBOL = 0, gpu_points GPU_SYMBOL = 0,             \
                         gpu_rings GPU_SYMBOL = 0, gpu_rings_size GPU_SYMBOL = 0

/* Of a region: setvar_vaddr NAME and setvar_size NAME_size on its map, setvar_size_bits NAME_bits and setvar_row
 * NAME_row on its cap_frame_range. */
#define GPU_MEMORY_SYMBOLS(name)                                                                                 \
    uint64_t name GPU_SYMBOL = 0, name##_size GPU_SYMBOL = 0, name##_bits GPU_SYMBOL = 0,                        \
                  name##_row GPU_SYMBOL = UINT64_MAX

/* The region with the cap_frame_range of that slot. */
#define GPU_MEMORY(name, slot) gpu_microkit_memory(name, name##_size, name##_bits, slot, name##_row)

extern uint64_t gpu_message, gpu_message_size, gpu_points, gpu_rings, gpu_rings_size;

struct gpu_microkit {
    microkit_channel channel;
};

static inline void gpu_microkit_call(void *cookie, struct gpu_message *message)
{
    const struct gpu_microkit *link = cookie;
    microkit_msginfo info = microkit_msginfo_new(message->label, (uint16_t)message->count);
    for (uint8_t i = 0; i < message->count; i++)
        microkit_mr_set(i, message->words[i]);
#ifdef MICROKIT_EXT
    info = message->capability ? microkit_ext_ppcall_with_cap(link->channel, info, message->capability)
                               : microkit_ppcall(link->channel, info);
#else
    /* No capability can be sent there: memory is lent by its row. */
    info = microkit_ppcall(link->channel, info);
#endif
    message->label = microkit_msginfo_get_label(info);
    message->count = microkit_msginfo_get_count(info);
    for (uint8_t i = 0; i < 4 && i < message->count; i++)
        message->words[i] = microkit_mr_get(i);
}

static inline void gpu_microkit_notify(void *cookie)
{
    const struct gpu_microkit *link = cookie;
    microkit_notify(link->channel);
}

#ifndef MICROKIT_EXT
/* What a domain's event loop receives by; microkit.h does not name them (Microkit 2.3: libmicrokit/src/main.c). */
#define GPU_MICROKIT_INPUT_CAP 1
#define GPU_MICROKIT_REPLY_CAP 4
#endif

static inline void gpu_microkit_sleep(void *cookie)
{
    (void)cookie;
#ifdef MICROKIT_EXT
    microkit_ext_sleep();
#else
    /* A domain that others call does not sleep here, because nobody would answer them. */
    seL4_Word badge;
    if (microkit_have_signal) {
        /* What the domain has deferred (microkit_deferred_notify), as the event loop would send it. */
        microkit_have_signal = seL4_False;
        (void)seL4_NBSendRecv(microkit_signal_cap, microkit_signal_msg, GPU_MICROKIT_INPUT_CAP, &badge,
                              GPU_MICROKIT_REPLY_CAP);
    } else {
        (void)seL4_Recv(GPU_MICROKIT_INPUT_CAP, &badge, GPU_MICROKIT_REPLY_CAP);
    }
#endif
}

static inline struct gpu_transport gpu_microkit(struct gpu_microkit *link, microkit_channel channel)
{
    link->channel = channel;
    return (struct gpu_transport){
        .call = gpu_microkit_call,
        .notify = gpu_microkit_notify,
        .sleep = gpu_microkit_sleep,
        .cookie = link,
        .message = (void *)(uintptr_t)gpu_message,
        .message_size = gpu_message_size,
        .points = (const void *)(uintptr_t)gpu_points,
        .rings = (void *)(uintptr_t)gpu_rings,
        .rings_size = gpu_rings_size,
    };
}

static inline struct gpu_memory gpu_microkit_memory(uint64_t address, uint64_t size, uint64_t bits, uint64_t slot,
                                                    uint64_t row)
{
    return (struct gpu_memory){
        .address = address,
        .size = size,
        /* Where the CNode of a cap_frame_range has its own name. */
        .cnode = row == GPU_NO_ROW ? 512 + slot : 0,
        .cnode_bits = (uint32_t)bits,
        /* The CNode has room for all of it; if frames of 4 KiB would be more, they are of 2 MiB. */
        .page_bits = size >> 12 > UINT64_C(1) << (bits < 63 ? bits : 63) ? 21 : 12,
        .row = row,
    };
}

#endif
