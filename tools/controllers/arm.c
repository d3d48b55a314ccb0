/* One row through a header on a Cortex-M3, for tools/controllers.py. QEMU with -icount shift=0 takes
   one nanosecond for an instruction, and the SysTick timer runs at 25 MHz: 40 instructions a tick. */
#include <stdint.h>
#include "model.h"
#include "row.h"

#if INT8
#define NUMBER int8_t
#define PREDICT m_predict_int8
#define OUTPUTS M_PREDICT_INT8_OUTPUTS
#else
#define NUMBER float
#define PREDICT m_predict
#define OUTPUTS M_PREDICT_OUTPUTS
#endif

#define CONTROL (*(volatile uint32_t *)0xE000E010)
#define RELOAD (*(volatile uint32_t *)0xE000E014)
#define TICKS (*(volatile uint32_t *)0xE000E018)
#define UART_DATA (*(volatile uint32_t *)0x40004000)
#define UART_CONTROL (*(volatile uint32_t *)0x40004008)

static NUMBER x[M_PREDICT_INPUTS], out[OUTPUTS];
static const NUMBER row[M_PREDICT_INPUTS] = {ROW};

static void say(char c)
{
    UART_DATA = (uint32_t)c;
}

static void say_number(uint32_t n)
{
    if (n >= 10)
        say_number(n / 10);
    say((char)('0' + n % 10));
}

static void say_text(const char *text)
{
    while (*text)
        say(*text++);
}

/* Semihosting's SYS_EXIT. */
static void leave(void)
{
    register uint32_t call __asm__("r0") = 0x18;
    register uint32_t reason __asm__("r1") = 0x20026;
    __asm__ volatile("bkpt 0xab" : : "r"(call), "r"(reason) : "memory");
}

static void start(void)
{
    uint32_t ticks;
    size_t i;
    UART_CONTROL = 1;
    for (i = 0; i < M_PREDICT_INPUTS; i++)
        x[i] = row[i];
    RELOAD = 0xffffff;
    TICKS = 0;
    CONTROL = 5; /* the processor's clock, no interrupt */
    ticks = TICKS;
    PREDICT(x, out);
    ticks = (ticks - TICKS) & 0xffffff;
    say_text("cost ");
    say_number(ticks * 40);
    say_text(" out ");
    for (i = 0; i < OUTPUTS; i++) {
        const int32_t v = (int32_t)out[i];
        if (v < 0)
            say('-');
        say_number((uint32_t)(v < 0 ? -v : v));
        say(' ');
    }
    say('\n');
    leave();
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[2] = {0x20400000, (uintptr_t)start};
