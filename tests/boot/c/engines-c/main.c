/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the examples in C leave out: a map of engines with a balanced slot and a bond, a batch that starts together with
 * another one, and the rings. For a part with two video engines.
 *
 * The first batch waits on the render engine until the second one, which is to start with it on a video engine, has
 * opened its gate: if the second one waited for the first one's end, neither would end.
 */
#include "gpu_microkit.h"

#define CODE_AT 0x100000u
#define DATA_AT 0x200000u
/* Bytes from one batch to the next in the code. */
#define STEP 0x100u
/* Words of the data. */
#define GATE 0u
#define FIRST 4u
#define SECOND 8u
#define THIRD 12u

GPU_MICROKIT_SYMBOLS;
uint64_t exit_port_id GPU_SYMBOL = 0;

static struct gpu_microkit link;
static struct gpu gpu;
static struct gpu_object code, data;
static uint32_t context, lengths[3];

static const struct gpu_engine render = {0, 0}, copy = {1, 0}, video[2] = {{2, 0}, {2, 1}};
enum { ANY_VIDEO, RENDER, COPY, SLOTS };

static void say(const char *what, const char *why)
{
    microkit_dbg_puts("engines-c: ");
    microkit_dbg_puts(what);
    microkit_dbg_puts(why);
    microkit_dbg_puts("\n");
}

/* Ends the emulator. */
static void end(int failed)
{
    microkit_x86_ioport_write_32(exit_port_id, 0xf4, (uint32_t)failed);
    for (;;)
        microkit_ext_sleep();
}

static void check(const char *what, int result, int expected)
{
    if (result == expected)
        return;
    say(what, result < 0 ? gpu_error_name(result) : " is not as it should be");
    end(1);
}

static void make_context(void)
{
    const struct gpu_engine none = {GPU_ENGINE_NONE, GPU_ENGINE_NONE};
    const struct gpu_engine slots[SLOTS] = {none, render, copy};
    const struct gpu_balanced balanced = {.siblings = video, .sibling_count = 2, .slot = ANY_VIDEO};
    const struct gpu_bond bond = {.engines = video + 1, .engine_count = 1, .master = render, .slot = ANY_VIDEO};
    const struct gpu_engine_map map = {
        .slots = slots,
        .slot_count = SLOTS,
        .balanced = &balanced,
        .balanced_count = 1,
        .bonds = &bond,
        .bond_count = 1,
    };
    uint32_t vm;
    check("an address space: ", gpu_vm_create(&gpu, &vm), 0);
    const struct gpu_step steps[] = {
        {.kind = GPU_STEP_PARAM, .name = GPU_CONTEXT_VM, .value = vm},
        {.kind = GPU_STEP_ENGINES, .map = &map},
    };
    check("a context: ", gpu_context_create_with(&gpu, steps, 2, &context), 0);
    /* What slot 0 is cannot be told any more but for its class. */
    struct gpu_engine found[SLOTS + 1];
    size_t count = 0;
    check("its map: ", gpu_context_engines(&gpu, context, found, SLOTS + 1, &count), 1);
    check("its slots: ", (int)count, SLOTS);
    check("a balanced slot: ", found[ANY_VIDEO].class_ == 2 && found[ANY_VIDEO].instance == GPU_ENGINE_VIRTUAL, 1);
    check("the other slots: ", found[RENDER].class_ == 0 && found[COPY].class_ == 1, 1);
    /* A bond to an engine that is none of the slot's siblings. */
    const struct gpu_bond wrong = {.engines = &copy, .engine_count = 1, .master = render, .slot = ANY_VIDEO};
    struct gpu_engine_map refused = map;
    refused.bonds = &wrong;
    check("a wrong bond: ", gpu_context_set_engines(&gpu, context, &refused), -22);
}

/* The three batches: one that waits for its gate, one that opens it, one that adds up what the two have left. */
static void write_commands(void)
{
    static uint32_t dwords[3][16];
    for (uint32_t number = 0; number < 3; number++) {
        struct gpu_commands commands = {dwords[number], 16, 0};
        int error = 0;
        if (number == 0) {
            error |= gpu_wait_until(&commands, DATA_AT + GATE, GPU_EQUAL, 1, 1);
            error |= gpu_store_dword(&commands, DATA_AT + FIRST, 0x11);
        } else if (number == 1) {
            error |= gpu_store_dword(&commands, DATA_AT + SECOND, 0x22);
            error |= gpu_store_dword(&commands, DATA_AT + GATE, 1);
        } else {
            error |= gpu_copy_dword(&commands, DATA_AT + THIRD, DATA_AT + FIRST);
        }
        check("commands: ", error | gpu_finish(&commands, &lengths[number]), 0);
        const uint8_t *bytes = (const uint8_t *)dwords[number];
        check("code: ", gpu_buffer_write(&gpu, &code, number * STEP, bytes, sizeof(dwords[number])), 0);
    }
}

static struct gpu_batch batch(uint32_t number, uint32_t engine, const struct gpu_use *target)
{
    return (struct gpu_batch){
        .context = context,
        .engine = engine,
        .code = {.object = &code, .address = CODE_AT, .access = GPU_READ},
        .start = number * STEP,
        .length = lengths[number],
        .objects = target,
        .object_count = 1,
        .tag = number,
    };
}

static void run(void)
{
    const struct gpu_use target = {.object = &data, .address = DATA_AT, .access = GPU_WRITE};
    struct gpu_fence first;
    struct gpu_batch next = batch(0, RENDER, &target);
    check("the first batch: ", gpu_submit(&gpu, &next, &first), 0);

    const struct gpu_after started = {.fence = first, .until = GPU_STARTED};
    const struct gpu_after done = {.fence = first, .until = GPU_COMPLETE};
    next = batch(1, ANY_VIDEO, &target);
    next.after = &started;
    next.after_count = 1;
    check("the second batch: ", gpu_enqueue(&gpu, &next), 0);
    next = batch(2, COPY, &target);
    next.after = &done;
    next.after_count = 1;
    check("the third batch: ", gpu_enqueue(&gpu, &next), 0);
    check("waiting: ", gpu_wait_answers(&gpu, 2), 0);
    for (uint32_t taken = 0; taken < 2; taken++) {
        struct gpu_answer answer;
        check("an answer: ", gpu_next_answer(&gpu, &answer), 1);
        check("a batch: ", answer.error, 0);
        check("its fence: ", gpu_is_complete(&gpu, &answer.fence), 1);
    }
    check("the first batch's end: ", gpu_is_complete(&gpu, &first), 1);

    uint32_t words[4];
    check("the data: ", gpu_buffer_read(&gpu, &data, 0, (uint8_t *)words, sizeof(words)), 0);
    check("the words: ", words[0] == 1 && words[1] == 0x11 && words[2] == 0x22 && words[3] == 0x11, 1);
    say("a batch has let the one go on that it started with", "");
}

/* As many batches as the queue takes, and one more. */
static void fill_the_queue(void)
{
    const struct gpu_use target = {.object = &data, .address = DATA_AT, .access = GPU_WRITE};
    uint64_t capacity = 0, queued = 0;
    check("the queue: ", gpu_queue_capacity(&gpu, &capacity), 0);
    struct gpu_batch next = batch(1, ANY_VIDEO, &target);
    for (next.tag = 0; next.tag < capacity; next.tag++)
        check("queueing: ", gpu_enqueue(&gpu, &next), 0);
    check("a full queue: ", gpu_enqueue(&gpu, &next), -105);
    check("asking: ", gpu_queued(&gpu, &queued), 0);
    check("the number queued: ", capacity >= 8 && queued == capacity, 1);
    check("waiting: ", gpu_wait_answers(&gpu, capacity), 0);
    for (uint64_t tag = 0; tag < capacity; tag++) {
        struct gpu_answer answer;
        check("an answer: ", gpu_next_answer(&gpu, &answer), 1);
        check("its order: ", answer.tag == tag && answer.error == 0, 1);
    }
    say("every answer of a full queue is there", "");
}

/* As many objects as a batch can have; the stack of this domain is as large as Microkit makes it by itself. */
static void use_many_objects(void)
{
    static struct gpu_object objects[63];
    static struct gpu_use uses[64];
    struct gpu_fence fence;
    uses[0] = (struct gpu_use){.object = &data, .address = DATA_AT, .access = GPU_WRITE};
    for (uint32_t i = 1; i < 64; i++) {
        check("a buffer: ", gpu_buffer_create(&gpu, 0x1000, &objects[i - 1]), 0);
        uses[i] = (struct gpu_use){.object = &objects[i - 1], .address = DATA_AT + i * 0x1000, .access = GPU_READ};
    }
    const uint8_t zeros[16] = {0};
    check("the data: ", gpu_buffer_write(&gpu, &data, 0, zeros, sizeof(zeros)), 0);
    struct gpu_batch next = batch(1, COPY, uses);
    next.object_count = 64;
    check("too many objects: ", gpu_submit(&gpu, &next, &fence), -7);
    next.object_count = 63;
    check("many objects: ", gpu_submit(&gpu, &next, &fence), 0);
    check("the last batch: ", gpu_wait(&gpu, &fence), 0);
    uint32_t words[3];
    check("its data: ", gpu_buffer_read(&gpu, &data, 0, (uint8_t *)words, sizeof(words)), 0);
    check("its words: ", words[0] == 1 && words[2] == 0x22, 1);
    say("a batch with 63 objects is done", "");
}

void init(void)
{
    const struct gpu_transport transport = gpu_microkit(&link, 0);
    check("connecting: ", gpu_connect_afresh(&gpu, &transport), 0);
    check("a buffer: ", gpu_buffer_create(&gpu, 0x1000, &code), 0);
    check("a buffer: ", gpu_buffer_create(&gpu, 0x1000, &data), 0);
    make_context();
    write_commands();
    run();
    fill_the_queue();
    use_many_objects();
    end(0);
}

void notified(microkit_channel channel)
{
    (void)channel;
}
