/* What ThreadSanitizer must be told, linked where MW_SANITIZE=thread.
 * Knows: longjmp(3). Never: part of what is installed. */
#include <setjmp.h>

/* Debian's Lua is compiled with _FORTIFY_SOURCE, where longjmp(3) goes by a name that libtsan does not know: each error and each yield would
 * leave the functions that it jumped over on the sanitizer's own stack of calls, until reports name strangers and that stack is full. */
_Noreturn void __longjmp_chk(struct __jmp_buf_tag to[1], int value);
_Noreturn void __longjmp_chk(struct __jmp_buf_tag to[1], int value) {
    longjmp(to, value);
}

/* libuv closes descriptors by the bare system call, which is not seen: the next thread that is given the number, or closes it, is told of
 * as a race with whoever had it before. So numbers are not watched; what is in memory is. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
    return "race_top:close\nrace_top:epoll_create1\nrace_top:eventfd\nrace_top:pipe2\nrace_top:socketpair\nrace_top:dup\n"
           "race:uv__epoll_init\nrace:uv_async_init\nrace:uv_pipe\n";
}
