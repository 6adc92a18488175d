/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The GPU driver domain's interface for domains in C.
 *
 * Every function returns 0 or a positive number, or a negative errno (Linux's numbers): what the driver answered, or
 *   -EINVAL (22)      a pointer is null or not aligned, a number means nothing, or `struct gpu` is not connected
 *   -E2BIG (7)        too many objects or fences, or the request does not fit into the message area
 *   -EPROTO (71)      the driver speaks another version of the interface (of a connection see `struct gpu`)
 *   -EOPNOTSUPP (95)  there is no queue: system.xml gives this domain no rings
 *   -ENOBUFS (105)    the queue is full: take answers out first
 * A function that fails has changed nothing, neither here nor in the driver, unless its comment says otherwise.
 *
 * Nothing is allocated. The structures are the caller's; reserved fields (`pad`) are 0. What a pointer points to has to
 * be there while the function runs; `struct gpu` and `struct gpu_ranges` are not copied or moved by the caller.
 * Microkit's default stack, 8 KiB, is enough for every function, beside little of the caller's own.
 */
#ifndef GPU_CLIENT_H
#define GPU_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The conventional name of an error that a function returned, such as "ENOENT"; "success" for what is no error. */
const char *gpu_error_name(int error);

/* ---- The connection ------------------------------------------------------------------------------------------- */

/* A protected call, and in the same place what it returns. */
struct gpu_message {
    uint64_t label;      /* the operation; on return the driver's error, 0 for none */
    uint64_t words[4];   /* message registers */
    uint64_t count;      /* how many of them are meant */
    uint64_t capability; /* goes with the message; 0 for none */
};

/* How to reach the driver. gpu_microkit.h fills it for a Microkit domain. */
struct gpu_transport {
    void (*call)(void *cookie, struct gpu_message *message);
    void (*notify)(void *cookie);
    void (*sleep)(void *cookie); /* until somebody notifies this domain, or somebody has since the last time */
    void *cookie;
    void *message;               /* the message area, aligned to 8 bytes */
    size_t message_size;
    const void *points;          /* the page of completed points, 4096 bytes */
    void *rings;                 /* null if there are none */
    size_t rings_size;
};

/* The version of the interface that this library speaks. */
#define GPU_VERSION 1

#define GPU_DEVICE_WORDS 40
/* A connection. Where connecting fails with -EPROTO, body[0] is the version that the driver speaks; it has to be
 * GPU_VERSION. The same holds for `struct gpu_owner`. */
struct gpu {
    uint64_t open;
    uint64_t body[GPU_DEVICE_WORDS];
};

/* Connects. -EIO, -ENODEV: there is no GPU to use. */
int gpu_connect(struct gpu *gpu, const struct gpu_transport *transport);
/*
 * Connects after everything is gone that the driver may still have of this domain: for one that its parent may restart,
 * every time, because it cannot know in which life it is. The first time it does what gpu_connect does.
 */
int gpu_connect_afresh(struct gpu *gpu, const struct gpu_transport *transport);
/* How many engines the part has. */
int gpu_engines(struct gpu *gpu, uint64_t *engines);

#define GPU_PARAM_CHIPSET_ID 4
#define GPU_PARAM_HAS_LLC 17
#define GPU_PARAM_HAS_PPGTT 18
#define GPU_PARAM_REVISION 32
#define GPU_PARAM_HAS_SCHEDULER 41
#define GPU_PARAM_CS_TIMESTAMP_FREQUENCY 51
/* A value of the device. */
int gpu_param(struct gpu *gpu, uint64_t param, uint64_t *value);

/* ---- Address spaces and contexts ------------------------------------------------------------------------------- */

int gpu_vm_create(struct gpu *gpu, uint32_t *vm);
int gpu_vm_destroy(struct gpu *gpu, uint32_t vm);

/* The context that every client has from the start. */
#define GPU_DEFAULT_CONTEXT 0u

/* A context in an address space, otherwise with the defaults. */
int gpu_context_create(struct gpu *gpu, uint32_t vm, uint32_t *context);

#define GPU_ENGINE_NONE 0xffffu    /* as both fields: a slot that is empty, or becomes balanced */
#define GPU_ENGINE_VIRTUAL 0xfffeu /* as `instance` of a slot that is read back: it is balanced */
#define GPU_BY_SLOT 0xfffeu        /* as `class_`, for what an engine powers: `instance` is a slot of the context's map */
/* An engine. */
struct gpu_engine {
    uint16_t class_; /* 0 render, 1 copy, 2 video, 3 video enhance */
    uint16_t instance;
};

/* Makes an empty slot of a map any of several engines of one class: a batch runs on the one that has time. */
struct gpu_balanced {
    const struct gpu_engine *siblings; /* each once */
    size_t sibling_count;
    uint16_t slot;
    uint16_t pad[3];
};

/* Restricts a balanced slot: a batch on it that starts together with one on another engine (GPU_STARTED) runs on one of
 * these. */
struct gpu_bond {
    const struct gpu_engine *engines; /* of the slot's siblings */
    size_t engine_count;
    struct gpu_engine master; /* the engine of the other batch */
    uint16_t slot;
    uint16_t pad;
};

/* What the slots of a context's batches are: 64 at most. A call names 16 balanced slots and 16 bonds at most, and what
 * fits into the message area: -E2BIG. -ENOENT: the part has no such engine; -EEXIST: a balanced slot is not empty;
 * -EINVAL: siblings are of several classes or named twice, or a bond is not of its slot. */
struct gpu_engine_map {
    const struct gpu_engine *slots;
    size_t slot_count;
    const struct gpu_balanced *balanced;
    size_t balanced_count;
    const struct gpu_bond *bonds;
    size_t bond_count;
};

/* What an engine powers while a context runs on it: a bit for each slice and subslice, execution units of a subslice. */
struct gpu_sseu {
    uint64_t slices;
    uint64_t subslices;
    uint16_t min_eus;
    uint16_t max_eus;
    uint32_t pad;
};

#define GPU_STEP_PARAM 1u           /* sets parameter `name` to `value` */
#define GPU_STEP_CLONE 2u           /* takes the parts `name` (GPU_CLONE_...) of context `source` */
#define GPU_STEP_ENGINES 3u         /* gives it the map of engines `map` */
#define GPU_STEP_SINGLE_TIMELINE 4u /* all engines share one timeline */
#define GPU_STEP_SSEU 5u            /* lets `engine` power `sseu`; behind a map, which it is named by the slot of */

/* What a context is to be: steps apply in order, later ones override earlier ones. At most 12. */
struct gpu_step {
    uint32_t kind;
    uint32_t source;
    uint64_t name;
    uint64_t value;
    const struct gpu_engine_map *map;
    const struct gpu_engine *engine;
    const struct gpu_sseu *sseu;
};

#define GPU_CLONE_ENGINES 1u
#define GPU_CLONE_FLAGS 2u
#define GPU_CLONE_SCHEDATTR 4u
#define GPU_CLONE_SSEU 8u
#define GPU_CLONE_TIMELINE 16u
#define GPU_CLONE_VM 32u
#define GPU_CLONE_ALL 63u

#define GPU_CONTEXT_GTT_SIZE 3u /* bytes of the address space; cannot be set */
#define GPU_CONTEXT_NO_ERROR_CAPTURE 4u
#define GPU_CONTEXT_BANNABLE 5u
#define GPU_CONTEXT_PRIORITY 6u /* -1023..1023, as a signed 64-bit number */
#define GPU_CONTEXT_RECOVERABLE 8u
#define GPU_CONTEXT_VM 9u
#define GPU_CONTEXT_PERSISTENCE 11u
#define GPU_CONTEXT_WATCHDOG 4294967296u /* microseconds that a batch may run before it is ended; 0: no such limit */

int gpu_context_create_with(struct gpu *gpu, const struct gpu_step *steps, size_t count, uint32_t *context);
int gpu_context_destroy(struct gpu *gpu, uint32_t context);
int gpu_context_set_param(struct gpu *gpu, uint32_t context, uint64_t param, uint64_t value);
int gpu_context_param(struct gpu *gpu, uint32_t context, uint64_t param, uint64_t *value);

struct gpu_resets {
    uint64_t resets;   /* of the whole GPU; 0 for a client that is not privileged */
    uint64_t guilty;   /* hangs that the context was to blame for */
    uint64_t innocent; /* batches that were lost to the hangs of others, and executed again */
};
int gpu_context_resets(struct gpu *gpu, uint32_t context, struct gpu_resets *resets);

/* The address space of a context: a name of its own, to be destroyed like any. */
int gpu_context_vm(struct gpu *gpu, uint32_t context, uint32_t *vm);
/* Gives a context that does not run a map of engines; an empty one: what it has without. */
int gpu_context_set_engines(struct gpu *gpu, uint32_t context, const struct gpu_engine_map *map);
/* 1: the context has a map of `*count` slots, of which as many as there is room for are in `engines`. 0: it has none. */
int gpu_context_engines(struct gpu *gpu, uint32_t context, struct gpu_engine *engines, size_t size, size_t *count);

/* What an engine of a context powers; to be chosen on Gen11 alone (-ENODEV). */
int gpu_context_sseu(struct gpu *gpu, uint32_t context, const struct gpu_engine *engine, struct gpu_sseu *sseu);
int gpu_context_set_sseu(struct gpu *gpu, uint32_t context, const struct gpu_engine *engine,
                         const struct gpu_sseu *sseu);

/* Copies a piece, from byte `offset` on, of what was recorded when a batch of this client hung: `*count` bytes, of
 * `*total` in all (0: nothing hung). -EPERM: it was another client's. */
int gpu_error_state(struct gpu *gpu, uint64_t offset, uint8_t *text, size_t size, size_t *count, uint64_t *total);

/* ---- Objects --------------------------------------------------------------------------------------------------- */

#define GPU_NO_ROW UINT64_MAX

/* Memory of this domain that it can lend. */
struct gpu_memory {
    uint64_t address;    /* of this domain's address space */
    uint64_t size;
    uint64_t cnode;      /* capability of a CNode with its frames; 0 if they are lent by row */
    uint32_t cnode_bits; /* its radix */
    uint32_t page_bits;  /* base-two logarithm of a frame's bytes: 12, or 21 for frames of 2 MiB */
    uint64_t row;        /* of the driver's grant table, where no capability can be sent; else GPU_NO_ROW */
};

struct gpu_object {
    uint32_t handle;
    uint32_t pad;
    struct gpu_memory memory;
};

/* An object of the domain's own memory, whose pages are lent at first use. */
int gpu_userptr_create(struct gpu *gpu, const struct gpu_memory *memory, struct gpu_object *object);
/* Of the bytes from `start` to `end` of it, which are whole pages. */
int gpu_userptr_create_in(struct gpu *gpu, const struct gpu_memory *memory, uint64_t start, uint64_t end,
                          struct gpu_object *object);
#define GPU_USERPTR_READ_ONLY 1u /* the GPU cannot write it; -ENODEV where the part does not enforce that */
#define GPU_USERPTR_PROBE 2u     /* its pages are lent now; -EFAULT if there are none */
#define GPU_USERPTR_UNCACHED 0x10000u          /* the GPU accesses it past all caches; otherwise coherently */
#define GPU_USERPTR_WRITE_THROUGH 0x20000u     /* the GPU writes through its caches */
#define GPU_USERPTR_UNSYNCHRONIZED 0x80000000u /* taking pages back does not find it; -EPERM without privilege */
/* Of all of it, with flags. */
int gpu_userptr_create_with(struct gpu *gpu, const struct gpu_memory *memory, uint32_t flags,
                            struct gpu_object *object);
/* An object in the driver's memory, full of zeros. */
int gpu_buffer_create(struct gpu *gpu, uint64_t bytes, struct gpu_object *object);
/* Copies out of, or into, an object in the driver's memory. Sleeps while the GPU writes, or uses, it. A write that fails
 * may have written what lies before. */
int gpu_buffer_read(struct gpu *gpu, const struct gpu_object *object, uint64_t offset, uint8_t *bytes, size_t size);
int gpu_buffer_write(struct gpu *gpu, const struct gpu_object *object, uint64_t offset, const uint8_t *bytes,
                     size_t size);
/* Which engines use an object: a bit for each class that reads it, and the class that writes it (0xffff: none). */
int gpu_object_usage(struct gpu *gpu, const struct gpu_object *object, uint16_t *readers, uint16_t *writer);
/* Sleeps until no batch uses it. */
int gpu_object_wait_idle(struct gpu *gpu, const struct gpu_object *object);
int gpu_object_close(struct gpu *gpu, const struct gpu_object *object);
/* Lets the client on channel `peer` of the driver import it by `*name`. */
int gpu_object_export(struct gpu *gpu, const struct gpu_object *object, uint32_t peer, uint64_t *name);
int gpu_object_import(struct gpu *gpu, uint64_t name, struct gpu_object *object);

/* Takes the lent pages of a range back. 0: they are back, `*dirty` of them may have been written. 1: not yet; the
 * driver notifies the domain, which then asks with `*ticket`. */
int gpu_take_back(struct gpu *gpu, uint64_t start, uint64_t end, uint64_t *ticket, uint64_t *dirty);
int gpu_look_at(struct gpu *gpu, uint64_t *ticket, uint64_t *dirty);

/* ---- Owning the memory of others ------------------------------------------------------------------------------- */

#define GPU_OWNER_WORDS 256
/* The connection of a memory server: of the domain that owns the memory of other clients. */
struct gpu_owner {
    uint64_t open;
    uint64_t body[GPU_OWNER_WORDS];
};

/* The memory behind the address spaces of its clients, which are named by their channels of the driver. */
struct gpu_backing {
    /* Puts into `*memory` what stands behind `at`, and, as far as its size goes, behind that; `write`: the GPU writes it.
     * 0, or a negative errno, which the client's next use of the object answers. */
    int (*lend)(void *cookie, uint32_t client, uint64_t at, uint32_t write, struct gpu_memory *memory);
    /* The pages from `start` to `end` are the owner's alone; batches may have written `dirty` of them. */
    void (*back)(void *cookie, uint32_t client, uint64_t start, uint64_t end, uint64_t dirty);
    void *cookie;
};

int gpu_owner_connect(struct gpu_owner *owner, const struct gpu_transport *transport);
/* Connects after every page has come back that this domain has lent, as gpu_connect_afresh does. */
int gpu_owner_connect_afresh(struct gpu_owner *owner, const struct gpu_transport *transport);
/* How many takings back are under way. */
int gpu_owner_open(struct gpu_owner *owner, uint64_t *open);
/* Takes the pages of a range of a client back. 0: `back` has been called; 1: it is called by a later gpu_owner_work. */
int gpu_owner_take_back(struct gpu_owner *owner, const struct gpu_backing *backing, uint32_t client, uint64_t start,
                        uint64_t end);
/* Does everything that there is to do; to be called whenever the driver notifies. `*granted`: requests for pages that
 * got them. */
int gpu_owner_work(struct gpu_owner *owner, const struct gpu_backing *backing, uint64_t *granted);

/* ---- Batches --------------------------------------------------------------------------------------------------- */

/* A point that is reached when a batch is done. */
struct gpu_fence {
    uint64_t point;
    uint32_t timeline;
    uint32_t pad;
};

#define GPU_COMPLETE 0u /* until the other batch is done */
#define GPU_STARTED 1u  /* until it is given to an engine, on which the bonds of this batch's slot go; one of a batch */
struct gpu_after {
    struct gpu_fence fence;
    uint32_t until;
    uint32_t pad;
};

#define GPU_READ 0u
#define GPU_WRITE 1u
/* An object as a batch uses it. */
struct gpu_use {
    const struct gpu_object *object;
    uint64_t address; /* GPU virtual address, page aligned */
    uint32_t access;
    uint32_t pad;
};

/* Slots of a context without a map of engines. */
#define GPU_RENDER 0u
#define GPU_VIDEO 2u
#define GPU_BLITTER 3u
#define GPU_VIDEO_ENHANCE 4u

struct gpu_batch {
    uint32_t context;
    uint32_t engine;                /* slot of the context's map */
    struct gpu_use code;            /* the object with the commands */
    uint32_t start;                 /* first byte of them, a multiple of 8 */
    uint32_t length;                /* bytes, a multiple of 8 */
    const struct gpu_use *objects;  /* everything else that the batch touches, at most 63 */
    size_t object_count;
    const struct gpu_after *after;  /* what it waits for, at most 16 */
    size_t after_count;
    uint64_t tag;                   /* comes back in the answer of a queued batch */
};

/* Runs a batch. Lends the pages that the driver asks for, and may sleep for that. */
int gpu_submit(struct gpu *gpu, const struct gpu_batch *batch, struct gpu_fence *fence);
/* 1 if a fence is reached, 0 if not. No call. */
int gpu_is_complete(struct gpu *gpu, const struct gpu_fence *fence);
/* Sleeps until it is. */
int gpu_wait(struct gpu *gpu, const struct gpu_fence *fence);

/* What became of a queued batch. */
struct gpu_answer {
    uint64_t tag;
    struct gpu_fence fence;
    int error; /* 0, or a negative errno; -EAGAIN: gpu_lend_for, then queue it again */
    uint32_t pad;
};

/* How many batches the queue takes, and has. */
int gpu_queue_capacity(struct gpu *gpu, uint64_t *capacity);
int gpu_queued(struct gpu *gpu, uint64_t *queued);
/* Appends a batch; the driver sees it after gpu_flush, which notifies it once at most. */
int gpu_enqueue(struct gpu *gpu, const struct gpu_batch *batch);
int gpu_flush(struct gpu *gpu);
/* 1: took an answer out; 0: there is none. */
int gpu_next_answer(struct gpu *gpu, struct gpu_answer *answer);
/* Flushes, then sleeps until so many answers are there, or all that can come. */
int gpu_wait_answers(struct gpu *gpu, uint64_t count);
/*
 * Flushes, then asks to be notified when so many answers are there, or all that can come: for a domain that returns to its
 * event loop. 1: the driver will notify; 0: they are there already.
 */
int gpu_ask_for_answers(struct gpu *gpu, uint64_t count);
/* Lends what the driver has asked for, out of these objects: all of a batch at once. */
int gpu_lend_for(struct gpu *gpu, const struct gpu_use *objects, size_t count);

/* ---- Where objects go ------------------------------------------------------------------------------------------ */

#define GPU_RANGES_WORDS 40
/* Hands out ranges of one GPU address space; remembers up to 16 free pieces. */
struct gpu_ranges {
    uint64_t open;
    uint64_t body[GPU_RANGES_WORDS];
};
int gpu_ranges_init(struct gpu_ranges *ranges, uint64_t address, uint64_t bytes);
/* -ENOMEM: no piece is large enough. */
int gpu_ranges_allocate(struct gpu_ranges *ranges, uint64_t bytes, uint64_t alignment, uint64_t *address);
/* -EINVAL: it is not allocated; -ENOMEM: too many free pieces. */
int gpu_ranges_free(struct gpu_ranges *ranges, uint64_t address, uint64_t bytes);
/* How many bytes are left, in whatever pieces. */
int gpu_ranges_free_bytes(struct gpu_ranges *ranges, uint64_t *bytes);

/* ---- Commands -------------------------------------------------------------------------------------------------- */

/* A batch under construction: whole commands only. Begins with `used` 0. -ENOSPC (28): it is full; -ERANGE (34): the
 * rectangle is empty, leaves its surface or overlaps its source; -EINVAL: an address or a surface cannot be expressed. */
struct gpu_commands {
    uint32_t *dwords;
    size_t capacity;
    size_t used;
};

/* A linear surface of 32-bit pixels. */
struct gpu_surface {
    uint64_t address;
    uint32_t pitch; /* bytes from one row to the next */
    uint32_t width; /* pixels */
    uint32_t height;
    uint32_t pad;
};

/* Pixels; x1, y1 lie outside. */
struct gpu_rectangle {
    uint32_t x0, y0, x1, y1;
};

int gpu_fill(struct gpu_commands *commands, const struct gpu_surface *target, const struct gpu_rectangle *rectangle,
             uint32_t colour);
int gpu_copy(struct gpu_commands *commands, const struct gpu_surface *target, uint32_t x, uint32_t y,
             const struct gpu_surface *source, const struct gpu_rectangle *rectangle);
int gpu_store_dword(struct gpu_commands *commands, uint64_t address, uint32_t value);
int gpu_store_qword(struct gpu_commands *commands, uint64_t address, uint64_t value);
int gpu_copy_dword(struct gpu_commands *commands, uint64_t to, uint64_t from);
int gpu_flush_and_store(struct gpu_commands *commands, uint64_t address, uint64_t value);
int gpu_flush_and_stamp(struct gpu_commands *commands, uint64_t address);
int gpu_arbitration_point(struct gpu_commands *commands);

#define GPU_GREATER 0u
#define GPU_GREATER_OR_EQUAL 1u
#define GPU_LESS 2u
#define GPU_LESS_OR_EQUAL 3u
#define GPU_EQUAL 4u
#define GPU_NOT_EQUAL 5u
/* How this part waits, for gpu_wait_until: 1 on Gen12, 0 before. */
int gpu_semaphores(struct gpu *gpu, uint32_t *with_token);
/* Waits on the GPU until memory compares with `value`; `with_token`: what gpu_semaphores tells. */
int gpu_wait_until(struct gpu_commands *commands, uint64_t address, uint32_t comparison, uint32_t value,
                   uint32_t with_token);
/* Ends the batch: `*bytes` is its length, a multiple of 8. */
int gpu_finish(struct gpu_commands *commands, uint32_t *bytes);

#ifdef __cplusplus
}
#endif

#endif
