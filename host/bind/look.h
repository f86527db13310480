/* What a type with an __index function of its own shows to completion.
 * Knows: nothing. Never: more than two words. */
#ifndef MW_BIND_LOOK_H
#define MW_BIND_LOOK_H

#define MW_LOOK_METHODS "__methods"  /* in the metatable: the table of methods; no name that a script's metatable could lend power to */
#define MW_LOOK_FIELDS 2             /* the user value of the box that holds its fields */

#endif
