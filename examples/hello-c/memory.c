/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the compiler calls by itself, for systems without a C library: libmicrokit has none of it. A system that has a
 * library links that instead.
 */
#include <stddef.h>

/* Or the compiler would make a call of memcpy out of memcpy's loop. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    unsigned char *target = to;
    const unsigned char *source = from;
    while (count--)
        *target++ = *source++;
    return to;
}

void *memmove(void *to, const void *from, size_t count)
{
    unsigned char *target = to;
    const unsigned char *source = from;
    if (target <= source) {
        while (count--)
            *target++ = *source++;
    } else {
        while (count--)
            target[count] = source[count];
    }
    return to;
}

void *memset(void *to, int byte, size_t count)
{
    unsigned char *target = to;
    while (count--)
        *target++ = (unsigned char)byte;
    return to;
}

int memcmp(const void *left, const void *right, size_t count)
{
    const unsigned char *a = left, *b = right;
    for (; count; count--, a++, b++)
        if (*a != *b)
            return *a - *b;
    return 0;
}

/* The same, but for the sign; compilers of Rust call it. */
int bcmp(const void *left, const void *right, size_t count)
{
    return memcmp(left, right, count);
}
