/* Counts basic blocks on the host: the hook that Unicorn calls before each one. In C, as a hook in Python would take
 * fifty times as long as the block it counts. */
#include <stdint.h>

typedef struct block_counter {
    uint64_t base;           /* address of the code */
    uint64_t slots;          /* a block may begin at base + 2 * slot */
    const int16_t *owner;    /* [slots] the region that code belongs to, -1: whichever called it */
    uint64_t *counts;        /* [regions, slots] how often a block ran on behalf of a region */
    uint64_t *taken;         /* [regions, slots] how often it ended in a jump */
    uint32_t *sizes;         /* [slots] bytes of the block */
    int64_t region;          /* now running */
    int64_t last;            /* index into taken of the block before, -1: none */
    uint64_t next;           /* address after the block before */
    uint64_t outside;        /* blocks that are not in the code */
    uint64_t split;          /* blocks that were longer or shorter before */
} block_counter;

void count_block(void *engine, uint64_t address, uint32_t size, void *user)
{
    block_counter *c = user;
    const uint64_t slot = (address - c->base) / 2;
    (void)engine;
    if (address < c->base || slot >= c->slots) {
        c->outside++;
        c->last = -1;
        return;
    }
    if (c->last >= 0 && address != c->next) {
        c->taken[c->last]++;
    }
    if (c->owner[slot] >= 0) {
        c->region = c->owner[slot];
    }
    c->last = c->region * (int64_t)c->slots + (int64_t)slot;
    c->next = address + size;
    c->counts[c->last]++;
    if (c->sizes[slot] != size) {
        c->split += c->sizes[slot] != 0;
        c->sizes[slot] = size;
    }
}
