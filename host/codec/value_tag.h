/* The first byte of a value, as value_write.c writes and value_read.c reads it.
 * Knows: nothing. Never: included by others.
 *
 * 00..3f  the integers 0..63            40..7f  a string of 0..63 bytes
 * 80..bf  a table: the low bits say how many elements (15: a varint says it), then a byte says how many pairs (255: until END)
 * with TABLE_META a byte before all that says which metatable it has;
 * then the elements 1..n, nil where there is none, then the pairs. Numbers are little-endian. */
#ifndef MW_CODEC_VALUE_TAG_H
#define MW_CODEC_VALUE_TAG_H

#define TAG_STRING 0x40u
#define TAG_TABLE 0x80u
#define TABLE_SHARED 0x20u      /* it is referred to later, by its offset */
#define TABLE_META 0x10u        /* a byte follows: META_... */
#define TABLE_COUNT 0x0fu
#define PAIRS_MANY 255u

enum {
    TAG_NIL = 0xc0, TAG_FALSE, TAG_TRUE,
    TAG_FLOAT,                                  /* 8 bytes */
    TAG_INT1, TAG_INT2, TAG_INT4, TAG_INT8,     /* that many bytes, two's complement */
    TAG_STR1, TAG_STR2, TAG_STR4,               /* a length of that many bytes, and the bytes */
    TAG_AGAIN1, TAG_AGAIN2,                     /* a short string that stands so many bytes before */
    TAG_TABLE_AGAIN,                            /* 4 bytes: the offset of a shared table */
    TAG_SLOT,                                   /* 4 bytes: an object that rides beside */
    TAG_NULL,
    TAG_END
};

enum { META_RECORD, META_ARRAY, META_OBJECT };   /* the metatable of the options; the marks of codec.h */

#define SHORT_MAX 40u           /* bytes of a string that Lua keeps once however often it is made */

#endif
