/* What the parts of the load generator share. */
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>

struct account { /* the server's own */
    uint64_t frames, sum;
};

void load_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2))); /* with errno's text, unless 0 */
uint64_t load_now(void);                                                                 /* nanoseconds */
void load_open_files(void);
int load_dial(int port);                                                                 /* given */
void load_say(int fd, const void *data, size_t len);                                     /* all of it */
void load_hear(int fd, void *data, size_t len);                                          /* all of it */
struct account load_account(int port);

int load_lines(const char *path, long count, int echo);
int load_requests(int port, int conns, int depth, int millis, int size);

#endif
