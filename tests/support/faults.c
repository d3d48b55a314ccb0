/* An LD_PRELOAD library that has the n-th call fail: of the C core's allocations, or of what touches files.
 *
 * Armed from the process itself: fault_arm(FILES, 3, EIO).  Only glibc has the __libc names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOTHING, ALLOCATIONS, FILES };

static _Atomic long calls, live;
static volatile long fail_at;
static volatile int armed, with;

void fault_arm(int kind, long n, int error)
{
    calls = 0, fail_at = n, with = error, armed = kind;
}

/* How many such calls there were since; the n-th has failed if there were so many. */
long fault_disarm(void)
{
    armed = NOTHING;
    return calls;
}

/* Blocks that the C core has allocated and not freed. */
long fault_live(void)
{
    return live;
}

static int fails(int kind)
{
    if (armed != kind || ++calls != fail_at)
        return 0;
    errno = with;
    return 1;
}

/* ---- memory ---- */

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

/* AddressSanitizer's, where it is loaded too: what it has not allocated it does not free. */
#define WEAK __attribute__((weak))
WEAK void *__interceptor_malloc(size_t);
WEAK void *__interceptor_calloc(size_t, size_t);
WEAK void *__interceptor_memalign(size_t, size_t);
WEAK void __interceptor_free(void *);
#define REAL(name, ...) \
    (__interceptor_##name ? __interceptor_##name(__VA_ARGS__) : __libc_##name(__VA_ARGS__))

static int in_core(const void *caller)
{
    Dl_info info;
    return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "/_core.");
}

#define ALLOCATED(expression)                                        \
    const int core = in_core(__builtin_return_address(0));           \
    void *memory = core && fails(ALLOCATIONS) ? NULL : (expression); \
    live += core && memory

void *malloc(size_t size)
{
    ALLOCATED(REAL(malloc, size));
    return memory;
}

void *calloc(size_t count, size_t size)
{
    ALLOCATED(REAL(calloc, count, size));
    return memory;
}

int posix_memalign(void **to, size_t alignment, size_t size)
{
    ALLOCATED(REAL(memalign, alignment, size));
    if (memory)
        *to = memory;
    return memory ? 0 : ENOMEM;
}

void free(void *memory)
{
    if (memory && in_core(__builtin_return_address(0)))
        live--;
    REAL(free, memory);
}

/* ---- files ---- */

#define NEXT(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                                         \
    int name(const char *path, int flags, ...)                             \
    {                                                                      \
        va_list more;                                                      \
        va_start(more, flags);                                             \
        const int mode = flags & O_CREAT ? va_arg(more, int) : 0;          \
        va_end(more);                                                      \
        if (fails(FILES))                                                  \
            return -1;                                                     \
        return NEXT(int, name, const char *, int, ...)(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int file, const void *from, size_t count)
{
    if (fails(FILES))
        return -1;
    return NEXT(ssize_t, write, int, const void *, size_t)(file, from, count);
}

int close(int file)
{
    const int status = NEXT(int, close, int)(file); /* a close that fails has closed all the same */
    return fails(FILES) ? -1 : status;
}

#define CALL_1(name)                                           \
    int name(int file)                                         \
    {                                                          \
        return fails(FILES) ? -1 : NEXT(int, name, int)(file); \
    }
CALL_1(fsync)

#define CALL_PATHS(name)                                                                  \
    int name(const char *from, const char *to)                                            \
    {                                                                                     \
        return fails(FILES) ? -1 : NEXT(int, name, const char *, const char *)(from, to); \
    }
CALL_PATHS(rename)

int chmod(const char *path, mode_t mode)
{
    return fails(FILES) ? -1 : NEXT(int, chmod, const char *, mode_t)(path, mode);
}

int fchmodat(int folder, const char *path, mode_t mode, int flags)
{
    return fails(FILES) ? -1 : NEXT(int, fchmodat, int, const char *, mode_t, int)(folder, path, mode, flags);
}

int unlink(const char *path)
{
    return fails(FILES) ? -1 : NEXT(int, unlink, const char *)(path);
}

int access(const char *path, int mode)
{
    return fails(FILES) ? -1 : NEXT(int, access, const char *, int)(path, mode);
}

#define STAT(name, type)                                                                   \
    int name(const char *path, struct type *to)                                            \
    {                                                                                      \
        return fails(FILES) ? -1 : NEXT(int, name, const char *, struct type *)(path, to); \
    }
STAT(stat, stat)
STAT(stat64, stat64)
STAT(lstat, stat)
STAT(lstat64, stat64)
