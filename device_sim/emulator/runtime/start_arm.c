/* From reset to the first call on a Cortex-M: floating point on, variables initialised, then idle.
 *
 * An emulator sets arguments and program counter itself and waits until the processor is in image_idle again.
 */
#include <stdint.h>

extern uint32_t image_data_load[], image_data_start[], image_data_end[], image_bss_start[], image_bss_end[];
extern uint32_t image_stack_top[];

#ifdef IMAGE_MAIN
void IMAGE_MAIN(void); /* run by itself, where nobody sets the program counter */
#endif

__attribute__((noinline, used)) void image_idle(void)
{
    for (;;) {
        __asm volatile("nop");
    }
}

__attribute__((noreturn, used)) void image_reset(void)
{
#ifdef __ARM_FP
    volatile uint32_t *const coprocessor_access = (volatile uint32_t *)0xE000ED88U;
    *coprocessor_access |= 0xFU << 20;
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
    const volatile uint32_t *from = image_data_load;
    for (volatile uint32_t *to = image_data_start; to < image_data_end; to++) {
        *to = *from++;
    }
    for (volatile uint32_t *to = image_bss_start; to < image_bss_end; to++) {
        *to = 0;
    }
#ifdef IMAGE_MAIN
    IMAGE_MAIN();
#endif
    image_idle();
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) const void *const image_vectors[16] = {
    image_stack_top, (const void *)image_reset, (const void *)image_idle, (const void *)image_idle,
    (const void *)image_idle, (const void *)image_idle, (const void *)image_idle,
};
