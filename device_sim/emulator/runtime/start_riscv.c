/* From reset to the first call on a RISC-V core: stack, variables initialised, then idle. See start_arm.c. */
#include <stdint.h>

extern uint32_t image_data_load[], image_data_start[], image_data_end[], image_bss_start[], image_bss_end[];

__attribute__((noinline, used)) void image_idle(void)
{
    for (;;) {
        __asm volatile("nop");
    }
}

__attribute__((noreturn, used)) void image_start(void)
{
    const volatile uint32_t *from = image_data_load;
    for (volatile uint32_t *to = image_data_start; to < image_data_end; to++) {
        *to = *from++;
    }
    for (volatile uint32_t *to = image_bss_start; to < image_bss_end; to++) {
        *to = 0;
    }
    image_idle();
    for (;;) {
    }
}

__attribute__((naked, noreturn, used, section(".vectors"))) void image_reset(void)
{
    __asm volatile("la sp, image_stack_top\n\tj image_start");
}
