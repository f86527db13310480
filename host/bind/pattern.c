/* Lua's patterns: a backtracking matcher that counts its steps, so that no pattern runs longer than its script may.
 * Knows: core/hook, lua.h. Never: allocates. Results and error texts are those of Lua 5.4's own. */
#include "bind/pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#define DEPTH 200               /* nested calls: the C stack is finite */
#define ESC '%'
#define SET_LONG 64             /* bytes of a set that is counted */
#define SET_STEP 8              /* bytes of it that cost a step each time it is gone through */

typedef unsigned char uchar;

void mw_match_init(struct mw_match *m, lua_State *L, const char *text, size_t len, const char *pattern, size_t pattern_len) {
    m->text = text;
    m->text_end = text + len;
    m->pattern_end = pattern + pattern_len;
    m->L = L;
    m->budget = (struct mw_budget)MW_BUDGET_OF(L);
    m->looks = 0;
}

/* ---- One character against one item ---------------------------------------------------------------------------------- */

/* Is c in the class that the letter names? A capital is the opposite; what is no letter stands for itself. */
static int in_class(int c, int letter) {
    int in;

    switch (tolower(letter)) {
    case 'a': in = isalpha(c); break;
    case 'c': in = iscntrl(c); break;
    case 'd': in = isdigit(c); break;
    case 'g': in = isgraph(c); break;
    case 'l': in = islower(c); break;
    case 'p': in = ispunct(c); break;
    case 's': in = isspace(c); break;
    case 'u': in = isupper(c); break;
    case 'w': in = isalnum(c); break;
    case 'x': in = isxdigit(c); break;
    case 'z': in = c == 0; break;
    default: return letter == c;
    }
    return isupper(letter) ? !in : in != 0;
}

/* Is c in the set whose '[' is at `at` and whose ']' is at `end`? */
static int in_set(int c, const char *at, const char *end) {
    int yes = 1;

    at++;
    if (*at == '^') {
        yes = 0;
        at++;
    }
    for (; at < end; at++) {
        if (*at == ESC) {
            at++;
            if (in_class(c, (uchar)*at)) return yes;
        } else if (at[1] == '-' && at + 2 < end) {
            if ((uchar)at[0] <= c && c <= (uchar)at[2]) return yes;
            at += 2;
        } else if ((uchar)*at == c) {
            return yes;
        }
    }
    return !yes;
}

/* Where the item at p ends. */
static const char *item_end(struct mw_match *m, const char *p) {
    int first = (uchar)*p++;

    if (first == ESC) {
        if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (first != '[') return p;
    if (*p == '^') p++;
    do { /* a ']' that comes first is a member */
        if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
        if (*p++ == ESC && p < m->pattern_end) p++;
    } while (*p != ']');
    return p + 1;
}

/* Does the character at s match the item p..end? */
static inline int fits(const struct mw_match *m, const char *s, const char *p, const char *end) {
    int c;

    if (s >= m->text_end) return 0;
    c = (uchar)*s;
    switch (*p) {
    case '.': return 1;
    case ESC: return in_class(c, (uchar)p[1]);
    case '[': return in_set(c, p, end - 1);
    default: return (uchar)*p == c;
    }
}

/* ---- Items that take more than one ------------------------------------------------------------------------------------- */

static const char *go(struct mw_match *m, const char *s, const char *p);

static void look(struct mw_match *m) {
    if (m->looks > 0 && --m->looks == 0) luaL_error(m->L, "pattern too slow");
    mw_budget_look(&m->budget);
}

static inline void step(struct mw_match *m, int steps) {
    if ((m->budget.left -= steps) <= 0) look(m);
}

static void spend(struct mw_match *m, ptrdiff_t bytes, int each) { /* so many bytes are a step */
    bytes /= each;
    step(m, bytes < 1 << 24 ? (int)bytes : 1 << 24);
}

/* As many as there are, then fewer. p..end is the item, the rest of the pattern follows its '*' or '+'. */
static const char *longest(struct mw_match *m, const char *s, const char *p, const char *end) {
    ptrdiff_t n = 0;

    if (*p == '.') {
        n = m->text_end - s;
    } else if (end - p < SET_LONG) {
        while (fits(m, s + n, p, end)) n++;
        spend(m, n, 4);
    } else {
        for (; fits(m, s + n, p, end); n++) spend(m, end - p, SET_STEP);
    }
    for (; n >= 0; n--) {
        const char *to = go(m, s + n, end + 1);
        if (to != NULL) return to;
    }
    return NULL;
}

/* None, then more. */
static const char *shortest(struct mw_match *m, const char *s, const char *p, const char *end) {
    for (;; s++) {
        const char *to = go(m, s, end + 1);
        if (to != NULL) return to;
        if (!fits(m, s, p, end)) return NULL;
        spend(m, end - p + SET_STEP, SET_STEP);
    }
}

/* %bxy, with p at x. */
static const char *balanced(struct mw_match *m, const char *s, const char *p) {
    const char *at = s;
    int open, shut, level = 1;

    if (p >= m->pattern_end - 1) luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
    if (*s != *p) return NULL;
    open = p[0];
    shut = p[1];
    while (++at < m->text_end) {
        if (*at == shut) {
            if (--level == 0) break;
        } else if (*at == open) {
            level++;
        }
    }
    spend(m, at - s, 4);
    return at < m->text_end ? at + 1 : NULL;
}

/* ---- Captures ------------------------------------------------------------------------------------------------------------ */

static const char *begin_capture(struct mw_match *m, const char *s, const char *p, ptrdiff_t len) {
    const char *to;

    if (m->captures >= MW_CAPTURES) luaL_error(m->L, "too many captures");
    m->capture[m->captures].at = s;
    m->capture[m->captures].len = len;
    m->captures++;
    to = go(m, s, p);
    if (to == NULL) m->captures--;
    return to;
}

static const char *end_capture(struct mw_match *m, const char *s, const char *p) {
    int i = m->captures - 1;
    const char *to;

    while (i >= 0 && m->capture[i].len != MW_CAPTURE_OPEN) i--;
    if (i < 0) luaL_error(m->L, "invalid pattern capture");
    m->capture[i].len = s - m->capture[i].at;
    to = go(m, s, p);
    if (to == NULL) m->capture[i].len = MW_CAPTURE_OPEN;
    return to;
}

/* The text of an earlier capture once more. */
static const char *same_again(struct mw_match *m, const char *s, int digit) {
    int i = digit - '1';
    size_t len;

    if (i < 0 || i >= m->captures || m->capture[i].len == MW_CAPTURE_OPEN) luaL_error(m->L, "invalid capture index %%%d", i + 1);
    len = (size_t)m->capture[i].len;
    if ((size_t)(m->text_end - s) < len) return NULL; /* a place is longer than any text */
    spend(m, (ptrdiff_t)len, 32);
    return memcmp(m->capture[i].at, s, len) == 0 ? s + len : NULL;
}

/* ---- The whole ----------------------------------------------------------------------------------------------------------- */

/* %f[set], with p at the set: where it ends if s is such a border, else NULL. */
static const char *frontier(struct mw_match *m, const char *s, const char *p) {
    const char *end;
    int before = s == m->text ? 0 : (uchar)s[-1];

    if (*p != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
    end = item_end(m, p);
    spend(m, 3 * (end - p), SET_STEP);
    return !in_set(before, p, end - 1) && in_set((uchar)*s, p, end - 1) ? end : NULL;
}

/* Items that are no single characters. 0: it is one; 1: *s and *p have moved on; -1: no match; 2: *s is the outcome. */
static inline int special(struct mw_match *m, const char **s, const char **p) {
    switch (**p) {
    case '(':
        *s = (*p)[1] == ')' ? begin_capture(m, *s, *p + 2, MW_CAPTURE_PLACE) : begin_capture(m, *s, *p + 1, MW_CAPTURE_OPEN);
        return 2;
    case ')':
        *s = end_capture(m, *s, *p + 1);
        return 2;
    case '$':
        if (*p + 1 != m->pattern_end) return 0;
        return *s == m->text_end ? 2 : -1;
    case ESC:
        break;
    default:
        return 0;
    }
    switch ((*p)[1]) {
    case 'b':
        *s = balanced(m, *s, *p + 2);
        *p += 4;
        return *s != NULL ? 1 : -1;
    case 'f':
        *p = frontier(m, *s, *p + 2);
        return *p != NULL ? 1 : -1;
    case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
        *s = same_again(m, *s, (uchar)(*p)[1]);
        *p += 2;
        return *s != NULL ? 1 : -1;
    default:
        return 0;
    }
}

static inline const char *leave(struct mw_match *m, const char *to) {
    m->depth++;
    return to;
}

/* The match of the pattern from p that begins at s. */
static const char *go(struct mw_match *m, const char *s, const char *p) {
    if (m->depth-- == 0) luaL_error(m->L, "pattern too complex");
    while (p != m->pattern_end) {
        const char *end, *to;
        int is = special(m, &s, &p);

        step(m, 1);
        if (is == 1) continue;
        if (is != 0) return leave(m, is > 0 ? s : NULL);
        end = item_end(m, p);
        if (end - p >= SET_LONG) spend(m, 2 * (end - p), SET_STEP);
        if (!fits(m, s, p, end)) {
            if (*end != '*' && *end != '?' && *end != '-') return leave(m, NULL);
            p = end + 1;
            continue;
        }
        switch (*end) {
        case '*': return leave(m, longest(m, s, p, end));
        case '+': return leave(m, longest(m, s + 1, p, end));
        case '-': return leave(m, shortest(m, s, p, end));
        case '?':
            to = go(m, s + 1, end + 1);
            if (to != NULL) return leave(m, to);
            p = end + 1;
            break;
        default:
            s++;
            p = end;
        }
    }
    return leave(m, s);
}

const char *mw_match_at(struct mw_match *m, const char *at, const char *pattern) {
    m->depth = DEPTH;
    m->captures = 0;
    return go(m, at, pattern);
}

void mw_match_push(struct mw_match *m, int i, const char *from, const char *to) {
    if (i >= m->captures) {
        if (i != 0) luaL_error(m->L, "invalid capture index %%%d", i + 1);
        lua_pushlstring(m->L, from, (size_t)(to - from));
        return;
    }
    if (m->capture[i].len == MW_CAPTURE_OPEN) luaL_error(m->L, "unfinished capture");
    if (m->capture[i].len == MW_CAPTURE_PLACE) lua_pushinteger(m->L, m->capture[i].at - m->text + 1);
    else lua_pushlstring(m->L, m->capture[i].at, (size_t)m->capture[i].len);
}

int mw_match_push_all(struct mw_match *m, const char *from, const char *to) {
    int n = m->captures == 0 && from != NULL ? 1 : m->captures;

    luaL_checkstack(m->L, n, "too many captures");
    for (int i = 0; i < n; i++) mw_match_push(m, i, from, to);
    return n;
}
