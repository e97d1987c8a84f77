/* Shows a program another processor than it runs on, to measure what it does there.
 *
 *   cc -shared -fPIC -O1 -o cpu-mask.so cpu-mask.c
 *   CPU_MASK=avx2    LD_PRELOAD=./cpu-mask.so PROGRAM   no AVX-512, no AVX-VNNI, no AMX
 *   CPU_MASK=avxvnni LD_PRELOAD=./cpu-mask.so PROGRAM   as above, but AVX-VNNI: only where the processor has it and
 *                                                       something (a hypervisor, say) hides it
 *
 * Linux can make the CPUID instruction fault (arch_prctl ARCH_SET_CPUID) where processor and hypervisor allow it; the
 * handler here then answers with the bits changed. Where they don't, CPU_MASK_PATCHED=1 says that the program's own
 * files have ud2 in CPUID's place, as scripts/compare-runtimes patches copies. Other instructions run as ever.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static int show_avxvnni;

static void answer(int signal, siginfo_t *info, void *context) {
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *instruction = (const unsigned char *)registers[REG_RIP];
    /* cpuid, or the ud2 in its place */
    if (instruction[0] != 0x0f || (instruction[1] != 0xa2 && instruction[1] != 0x0b)) {
        struct sigaction fatal = {.sa_handler = SIG_DFL};
        sigaction(signal, &fatal, NULL);
        return;
    }
    unsigned leaf = registers[REG_RAX], subleaf = registers[REG_RCX], a, b, c, d;
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
    __cpuid_count(leaf, subleaf, a, b, c, d);
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
    if (leaf == 7 && subleaf == 0) {
        if (show_avxvnni && a < 1) a = 1;
        /* AVX-512 F, DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ; 4VNNIW, 4FMAPS,
           VP2INTERSECT, AMX-BF16, FP16, AMX-TILE, AMX-INT8 */
        b &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31);
        c &= ~(1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14);
        d &= ~(1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25);
    } else if (leaf == 7 && subleaf == 1) {
        a &= ~(1u << 5 | 1u << 4); /* AVX512_BF16, AVX-VNNI */
        if (show_avxvnni) a |= 1u << 4;
        d &= ~(1u << 4 | 1u << 10 | 1u << 19); /* AVX-VNNI-INT8, AVX-VNNI-INT16, AVX10 */
    }
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void) {
    const char *mask = getenv("CPU_MASK");
    if (mask == NULL) return;
    show_avxvnni = strcmp(mask, "avxvnni") == 0;
    if (!show_avxvnni && strcmp(mask, "avx2") != 0) {
        fprintf(stderr, "CPU_MASK=%s: avx2 or avxvnni\n", mask);
        _exit(2);
    }
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) != 0 && getenv("CPU_MASK_PATCHED") == NULL) {
        fprintf(stderr, "cpu-mask: CPUID can't be made to fault here\n");
        _exit(1);
    }
}
