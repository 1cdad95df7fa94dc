/* rule.h: the merge rule of the to-do list in C. merge.lua is the same rule in Lua.
 *
 *   item/ID/text, done, to, list, due, removed     one key for each field of an item, absent when it is empty
 *   item/ID/note/CLOCK                             notes, in merged order
 *
 * The last edit in merged order wins field by field. A removed item stays away unless somebody reopens it
 * later.
 */
#ifndef RULE_H
#define RULE_H

#include <autobee/autobee.h>

#include "apply/json.h"

/** Apply one edit. Returns what an apply function returns. */
int
rule_merge (autobee_apply_t *apply, const ab_json_t *edit);

/** Set a field of item `id`, 1 to 32 bytes; an empty value removes it. */
int
rule_set (autobee_apply_t *apply, ab_slice_t id, const char *field, ab_slice_t value);

/** The string that is member `name` of `object`; empty if there is none. */
ab_slice_t
rule_text (const ab_json_t *object, const char *name);

#endif
