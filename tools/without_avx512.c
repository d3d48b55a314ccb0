/* Hides AVX-512 and AMX from a process, as on a processor that has AVX2 and no more:
 *
 *     gcc -O2 -shared -fPIC tools/without_avx512.c -o without_avx512.so
 *     LD_PRELOAD=$PWD/without_avx512.so micrograd bench --isa avx2
 *
 * Libraries have switches of their own, but not all of them obey: the products of jax 0.10 are AVX-512 whatever
 * XLA is told.  Here the instruction that they all ask, cpuid, traps, and the answer lacks those bits.  For Linux
 * on processors that can do so (`grep cpuid_fault /proc/cpuinfo`); elsewhere the process is ended. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static int allow_cpuid(int allowed)
{
    return (int)syscall(SYS_arch_prctl, ARCH_SET_CPUID, allowed);
}

/* The bits of leaf 7 that name AVX-512 (F, DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ;
 * 4VNNIW, 4FMAPS, VP2INTERSECT, FP16) and AMX (BF16, TILE, INT8), and of its second part (BF16, FP16 of AMX;
 * AVX10). */
static void mask(uint32_t leaf, uint32_t part, uint32_t r[4])
{
    if (leaf != 7)
        return;
    if (part == 0) {
        r[1] &= ~0xdc230000u;
        r[2] &= ~0x00005842u;
        r[3] &= ~0x03c0010cu;
    } else if (part == 1) {
        r[0] &= ~0x00200020u;
        r[3] &= ~0x00080000u;
    }
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    static const uint8_t cpuid[] = {0x0f, 0xa2};
    (void)info;
    if (memcmp((const void *)g[REG_RIP], cpuid, sizeof cpuid)) { /* a fault like any other: it comes again */
        struct sigaction ours = {.sa_handler = SIG_DFL};
        sigaction(signal, &ours, NULL);
        return;
    }
    const uint32_t leaf = (uint32_t)g[REG_RAX], part = (uint32_t)g[REG_RCX];
    uint32_t r[4];
    allow_cpuid(1);
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(part));
    allow_cpuid(0);
    mask(leaf, part, r);
    g[REG_RAX] = r[0], g[REG_RBX] = r[1], g[REG_RCX] = r[2], g[REG_RDX] = r[3];
    g[REG_RIP] += sizeof cpuid;
}

__attribute__((constructor)) static void begin(void)
{
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    static const char refused[] = "without_avx512: this processor or kernel cannot hide instructions\n";
    if (sigaction(SIGSEGV, &ours, NULL) || allow_cpuid(0)) {
        (void)!write(2, refused, sizeof refused - 1);
        _exit(1);
    }
}
