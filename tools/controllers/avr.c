/* One row through a header on an AVR, its cycles by timer 1, for tools/controllers.py. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include "model.h"
#include "row.h"

#if INT8
#define NUMBER int8_t
#define READ M_PREDICT_INT8
#define PREDICT m_predict_int8
#define OUTPUTS M_PREDICT_INT8_OUTPUTS
#else
#define NUMBER float
#define READ M_PREDICT_FLOAT
#define PREDICT m_predict
#define OUTPUTS M_PREDICT_OUTPUTS
#endif

static const NUMBER row[M_PREDICT_INPUTS] M_PREDICT_FLASH = {ROW};
static NUMBER x[M_PREDICT_INPUTS], out[OUTPUTS];
static volatile uint32_t overflows;

ISR(TIMER1_OVF_vect)
{
    overflows++;
}

static void say(char c)
{
    UDR0 = (uint8_t)c;
    while (!(UCSR0A & (1 << UDRE0)))
        ;
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

int main(void)
{
    uint32_t cycles;
    uint16_t low;
    UCSR0B = 1 << TXEN0;
    for (size_t i = 0; i < M_PREDICT_INPUTS; i++)
        x[i] = READ(row + i);
    TIMSK1 = 1 << TOIE1;
    TCCR1A = 0;
    sei();
    TCNT1 = 0;
    TCCR1B = 1 << CS10;
    PREDICT(x, out);
    cli();
    low = TCNT1;
    if ((TIFR1 & (1 << TOV1)) && low < 0x8000)
        overflows++;
    cycles = (overflows << 16) + low;
    say_text("cost ");
    say_number(cycles);
    say_text(" out ");
    for (size_t i = 0; i < OUTPUTS; i++) {
        const int v = (int)out[i];
        if (v < 0)
            say('-');
        say_number((uint32_t)(v < 0 ? -v : v));
        say(' ');
    }
    say('\n');
    sleep_enable();
    sleep_cpu();
    return 0;
}
