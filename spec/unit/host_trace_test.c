/* Messages between an engine and its script, as a trace of the run has them.
 * Knows: moonwire.h, core/host, observe/trace. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/host.h"
#include "moonwire.h"
#include "observe/trace.h"
#include "support/check.h"
#include "support/heard.h"

static void on_message(mw_host *h, const char *topic, const void *msgpack, size_t len, void *ud) {
    (void)h;
    (void)topic;
    (void)msgpack;
    (void)len;
    (void)ud;
}
static void steps(mw_host *h, int n) {
    struct mw_step st;
    while (n-- > 0) CHECK_INT(mw_host_step(h, 0, &st, NULL), 0);
}
static char *whole_file(const char *path) {
    static char text[65536];
    FILE *f = fopen(path, "r");

    REQUIRE(f != NULL);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}
static int times(const char *text, const char *what) {
    int n = 0;
    for (; (text = strstr(text, what)) != NULL; text++) n++;
    return n;
}

#define ADA "a3416461"                          /* what the trace has, in hexadecimal digits: the values */
#define OPENSESAME "6f70656e736573616d65"
#define ABRACADABRA "6162726163616461627261"
#define ANSWER "a6616e73776572"                 /* and the topics */
#define NOBODY "6e6f626f6479"

TEST(messages_both_ways_are_in_the_trace_of_a_run_without_its_secrets) {
    char path[] = "/tmp/moonwire-test-XXXXXX.jsonl";
    struct heard s;
    struct mw_config cfg = heard_config(&s, 200);
    struct mw_err err;
    mw_host *h;
    mw_buf b = {0};
    const char *text;
    int fd = mkstemps(path, 6);

    memset(&s, 0, sizeof s);
    REQUIRE(fd >= 0);
    close(fd);
    cfg.on_message = on_message;
    REQUIRE(mw_config_trace(&cfg, path, &err) == 0);
    h = heard_host(&cfg, NULL);
    REQUIRE(h != NULL);
    heard_load(h, "local mw = require 'moonwire' mw.host.on('door', function(v) mw.host.emit('answer', v.who, { token = 'abracadabra' }) end)");
    steps(h, 2);
    mw_buf_map(&b, 2);
    mw_buf_text(&b, "who"), mw_buf_text(&b, "Ada");
    mw_buf_text(&b, "password"), mw_buf_text(&b, "opensesame");
    CHECK_INT(mw_host_post(h, "door", b.at, b.len, NULL), 0);
    CHECK_INT(mw_host_post(h, "nobody", b.at, b.len, NULL), 0);
    mw_buf_free(&b);
    steps(h, 3);
    mw_host_free(h);
    CHECK_STR(s.error, "");
    text = whole_file(path);
    CHECK_INT(times(text, "\"event\":\"message\",\"id\":1,\"kind\":\"queue\",\"name\":\"mw.host\""), 2);
    CHECK_INT(times(text, "\"dir\":\"recv\""), 1);
    CHECK_INT(times(text, "\"dir\":\"send\""), 1);
    CHECK_INT(times(text, ADA), 2);
    CHECK_INT(times(text, ANSWER), 1);
    CHECK(strstr(text, OPENSESAME) == NULL && strstr(text, ABRACADABRA) == NULL && strstr(text, NOBODY) == NULL);
    unlink(path);
}

static int twice(mw_host *h, mw_call *call, void *ud) {
    int64_t n = 0;

    (void)h;
    (void)ud;
    if (mw_arg_integer(call, 1, &n) < 0) return mw_call_fail(call, MW_EINVAL, "no number");
    return mw_return_integer(call, n * 2);
}
#define TWICE "a57477696365"
#define HALF "a468616c66"
#define ERROR "81a56572726f72"

TEST(calls_both_ways_are_in_the_trace_of_a_run_and_in_the_scripts_taps) {
    char path[] = "/tmp/moonwire-test-XXXXXX.jsonl", own[] = "/tmp/moonwire-test-XXXXXX.jsonl", script[512];
    const char *const files[] = {path, own};
    struct heard s;
    struct mw_config cfg = heard_config(&s, 200);
    mw_policy *p = NULL;
    struct mw_err err;
    mw_buf b = {0}, out = {0};
    mw_host *h;

    memset(&s, 0, sizeof s);
    for (int i = 0; i < 2; i++) {
        int fd = mkstemps(i == 0 ? path : own, 6);
        REQUIRE(fd >= 0);
        close(fd);
    }
    cfg.on_message = on_message;
    REQUIRE(mw_policy_new(&p, &err) == 0 && mw_policy_add(p, MW_WRITE, MW_ALLOW, own, &err) == 0);
    cfg.policy = p;
    REQUIRE(mw_config_trace(&cfg, path, &err) == 0);
    h = heard_host(&cfg, NULL);
    mw_policy_free(p);
    REQUIRE(h != NULL);
    CHECK_INT(mw_host_register(h, "twice", twice, NULL, NULL), 0);
    snprintf(script, sizeof script, "local mw = require 'moonwire' mw.host.use(assert(mw.trace.tap{ to = '%s' })) mw.host.emit('note', 1)\n"
             "assert(mw.host.twice(21) == 42) pcall(mw.host.twice, print) assert(not pcall(mw.host.use, print))\n"
             "function half(n) if n == 7 then error('odd', 0) end return n // 2 end", own);
    heard_load(h, script);
    steps(h, 2);
    mw_buf_integer(&b, 84);
    CHECK_INT(mw_host_call(h, "half", b.at, b.len, &out, &err), 0);
    mw_buf_free(&b);
    b = (mw_buf){0};
    mw_buf_integer(&b, 7);
    CHECK(mw_host_call(h, "half", b.at, b.len, NULL, NULL) < 0);
    mw_buf_free(&b);
    mw_buf_free(&out);
    mw_host_free(h);
    CHECK_STR(s.error, "");
    for (int i = 0; i < 2; i++) {
        const char *text = whole_file(files[i]);
        CHECK_INT(times(text, "\"name\":\"mw.host calls\",\"dir\":\"send\"") + times(text, "\"name\":\"mw.host calls\",\"dir\":\"recv\""), 8);
        CHECK(strstr(text, TWICE "15\"") != NULL && strstr(text, TWICE "2a\"") != NULL);          /* 21, 42 */
        CHECK(strstr(text, TWICE "a866756e6374696f6e\"") != NULL && strstr(text, TWICE ERROR) != NULL);   /* "function" */
        CHECK(strstr(text, HALF "54\"") != NULL && strstr(text, HALF "2a\"") != NULL && strstr(text, HALF ERROR) != NULL);
        CHECK(strstr(text, "\"name\":\"mw.host\"") != NULL);
        unlink(files[i]);
    }
}

static mw_trace *lines(void) {
    const struct mw_trace_options o = {.format = MW_TRACE_LINES, .payload = 100};
    mw_trace *t = NULL;

    REQUIRE(mw_trace_new(&o, &t) == 0);
    return t;
}
TEST(traces_that_begin_and_end_during_a_run_have_the_messages_of_their_time) {
    struct heard s;
    struct mw_config cfg = heard_config(&s, 200);
    mw_trace *first = lines(), *second = lines();
    mw_trace *const during[] = {NULL, first, first, NULL, second, first, NULL};
    struct mw_bytes text = {0};
    mw_host *h;

    memset(&s, 0, sizeof s);
    h = heard_host(&cfg, NULL);
    REQUIRE(h != NULL);
    heard_load(h, "require 'moonwire'.host.on('t', print)");
    steps(h, 2);
    for (size_t i = 0; i < sizeof during / sizeof *during; i++) {
        char value = (char)i;
        mw_host_set_trace(h, during[i]);
        CHECK_INT(mw_host_post(h, "t", &value, 1, NULL), 0);
        steps(h, 2);
    }
    mw_host_set_trace(h, NULL);
    mw_host_free(h);
    CHECK_STR(s.print, "0\n1\n2\n3\n4\n5\n6\n");
    mw_trace_take(first, &text);
    mw_bytes_add(&text, "", 1);
    CHECK_INT(times(mw_bytes_at(&text), "\"message\""), 3);
    CHECK(strstr(mw_bytes_at(&text), "a17401") != NULL && strstr(mw_bytes_at(&text), "a17402") != NULL && strstr(mw_bytes_at(&text), "a17405") != NULL);
    mw_bytes_free(&text);
    mw_trace_take(second, &text);
    mw_bytes_add(&text, "", 1);
    CHECK_INT(times(mw_bytes_at(&text), "\"message\""), 1);
    CHECK(strstr(mw_bytes_at(&text), "a17404") != NULL);
    mw_bytes_free(&text);
    mw_trace_release(first);
    mw_trace_release(second);
}
