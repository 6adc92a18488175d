/* SPDX-License-Identifier: BSD-2-Clause */
/* A client of the GPU driver in C: lets the blitter paint into pages of this domain, and checks every pixel. */
#include "gpu_microkit.h"

#define WIDTH 320u
#define HEIGHT 256u
#define PITCH (WIDTH * 4)
#define TILE 16u

/* Where the objects are in the GPU's address space. */
#define CODE_AT 0x100000u
#define FRAME_AT 0x40000000u

GPU_MICROKIT_SYMBOLS;
GPU_MEMORY_SYMBOLS(code);
GPU_MEMORY_SYMBOLS(frame);
uint64_t exit_port_id GPU_SYMBOL = 0;

static struct gpu_microkit link;
static struct gpu gpu;

static uint32_t colour(uint32_t column, uint32_t row)
{
    return 0xff000000u | (column * 12u) << 16 | (row * 16u) << 8 | ((column ^ row) & 1u ? 0xc0u : 0x20u);
}

/* The upper half tile by tile, then the lower half as a copy of it. */
static int write_commands(uint32_t *bytes)
{
    const struct gpu_surface surface = {.address = FRAME_AT, .pitch = PITCH, .width = WIDTH, .height = HEIGHT};
    const struct gpu_rectangle upper = {0, 0, WIDTH, HEIGHT / 2};
    struct gpu_commands commands = {(uint32_t *)(uintptr_t)code, code_size / 4, 0};
    int error = 0;
    for (uint32_t row = 0; row < HEIGHT / 2 / TILE && !error; row++) {
        for (uint32_t column = 0; column < WIDTH / TILE && !error; column++) {
            const uint32_t x = column * TILE, y = row * TILE;
            const struct gpu_rectangle tile = {x, y, x + TILE, y + TILE};
            error = gpu_fill(&commands, &surface, &tile, colour(column, row));
        }
    }
    if (!error)
        error = gpu_copy(&commands, &surface, 0, HEIGHT / 2, &surface, &upper);
    return error ? error : gpu_finish(&commands, bytes);
}

/* ANCHOR: paint */
static int paint(void)
{
    const struct gpu_transport transport = gpu_microkit(&link, 0);
    const struct gpu_memory code_memory = GPU_MEMORY(code, 1), frame_memory = GPU_MEMORY(frame, 2);
    struct gpu_object code_object, frame_object;
    struct gpu_fence fence;
    uint32_t vm, context, bytes = 0;
    int error = gpu_connect_afresh(&gpu, &transport);
    if (!error)
        error = gpu_vm_create(&gpu, &vm);
    if (!error)
        error = gpu_context_create(&gpu, vm, &context);
    if (!error)
        error = gpu_userptr_create(&gpu, &code_memory, &code_object);
    if (!error)
        error = gpu_userptr_create(&gpu, &frame_memory, &frame_object);
    if (!error)
        error = write_commands(&bytes);
    if (error)
        return error;
    const struct gpu_use target = {.object = &frame_object, .address = FRAME_AT, .access = GPU_WRITE};
    const struct gpu_batch batch = {
        .context = context,
        .engine = GPU_BLITTER,
        .code = {.object = &code_object, .address = CODE_AT, .access = GPU_READ},
        .length = bytes,
        .objects = &target,
        .object_count = 1,
    };
    /* The driver asks for the pages, the library lends them. */
    error = gpu_submit(&gpu, &batch, &fence);
    return error ? error : gpu_wait(&gpu, &fence);
}
/* ANCHOR_END: paint */

static int wrong_pixels(void)
{
    const volatile uint32_t *pixels = (const volatile uint32_t *)(uintptr_t)frame;
    int wrong = 0;
    for (uint32_t y = 0; y < HEIGHT; y++)
        for (uint32_t x = 0; x < WIDTH; x++)
            wrong += pixels[y * WIDTH + x] != colour(x / TILE, y % (HEIGHT / 2) / TILE);
    return wrong;
}

static void say(const char *what, int number)
{
    char digits[12];
    int at = sizeof(digits) - 1;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0 && at > 0);
    microkit_dbg_puts(what);
    microkit_dbg_puts(digits + at);
    microkit_dbg_puts("\n");
}

void init(void)
{
    const int error = paint();
    const int wrong = error ? 0 : wrong_pixels();
    if (error) {
        microkit_dbg_puts("hello-c: failed: ");
        microkit_dbg_puts(gpu_error_name(error));
        microkit_dbg_puts("\n");
    } else if (wrong)
        say("hello-c: wrong pixels: ", wrong);
    else
        microkit_dbg_puts("hello-c: every pixel is right\nframe: 320x256 stride=1280 format=XRGB8888\n");
    /* Ends the emulator; on a board the port goes nowhere. */
    microkit_x86_ioport_write_32(exit_port_id, 0xf4, error || wrong);
}

void notified(microkit_channel channel)
{
    (void)channel;
}
