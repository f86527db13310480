/* Text for people and for programs that read logs: one line, bounded, with nothing in it that moves a cursor.
 * Knows: base/err (how text is escaped). Never: allocates, writes anywhere. */
#ifndef MW_BASE_TEXT_H
#define MW_BASE_TEXT_H

#include <stddef.h>

#define MW_LINE_MAX 4096u        /* bytes of a log line, its newline included */

/* One log line while it is made. Zero-initialised it is empty. */
struct mw_line {
    char at[MW_LINE_MAX];
    size_t len;
    int json;                    /* a JSON object; else words and key=value */
    int cut;                     /* something did not fit: said so at the end of the line */
};

/* level: "debug", "info", "warn", "error". wall: seconds since 1970. Text beyond what fits is cut, whole characters only. */
void mw_line_begin(struct mw_line *l, int json, double wall, const char *level, const char *text, size_t len);
/* Adds a field. bare: `value` is a number, true, false or null already. A field that does not fit is cut or left out. */
void mw_line_field(struct mw_line *l, const char *key, size_t key_len, const char *value, size_t len, int bare);
/* Ends the line: no newline, and a NUL after it. Returns l->at; l->len is its length, at most MW_LINE_MAX - 1. */
const char *mw_line_end(struct mw_line *l);

/* Whatever stands where the process's locale has its decimal point, in a number that printf wrote, becomes a point. Its length. */
size_t mw_text_point(char *number);

#endif
