/* The part of <string.h> that generated code uses. A compiler without a C library has no such header of its own. */
#ifndef EDGEHAR_STRING_H
#define EDGEHAR_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int byte, size_t count);
int memcmp(const void *a, const void *b, size_t count);
size_t strlen(const char *text);

#endif
