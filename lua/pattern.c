/* pattern.c: string.find, match, gmatch and gsub. Lua's patterns, with every step counted: a pattern can take
 * time that is exponential in its length, and Lua's own matcher cannot be interrupted.
 *
 * What matches is what Lua 5.4 says, under the C locale. KEEP-IN-STEP with the manual's section 6.4.1.
 */
#define _GNU_SOURCE /* memmem, which takes time in proportion to its arguments' lengths, not to their \
                       product */
#include "lua/libs.h"

#define CAPTURES_MAX 32
#define DEPTH_MAX 200
#define STEPS_AT_ONCE 1024

enum { OPEN = -1, POSITION = -2 }; /* lengths of captures that have none */

typedef struct {
  lua_State *L;
  const uint8_t *subject, *subject_end;
  const uint8_t *pattern_end;
  uint64_t steps; /* not charged yet */
  int depth;
  int level; /* captures so far */
  struct {
    const uint8_t *start;
    ptrdiff_t len;
  } captures[CAPTURES_MAX];
} matcher_t;

static const uint8_t *
match (matcher_t *m, const uint8_t *s, const uint8_t *p);

static void
take_steps (matcher_t *m, size_t steps) {
  m->steps += steps;
  if (m->steps < STEPS_AT_ONCE) return;
  steps = (size_t) m->steps;
  m->steps = 0;
  sandbox__charge(m->L, steps);
}

/* ---- one character ---- */

static bool
is_letter (uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit (uint8_t c) {
  return c >= '0' && c <= '9';
}

static bool
is_in_class (uint8_t c, uint8_t class) {
  bool is_upper = class >= 'A' && class <= 'Z', found;
  switch (is_upper ? class | 0x20 : class) {
  case 'a':
    found = is_letter(c);
    break;
  case 'c':
    found = c < 0x20 || c == 0x7f;
    break;
  case 'd':
    found = is_digit(c);
    break;
  case 'g':
    found = c > 0x20 && c < 0x7f;
    break;
  case 'l':
    found = c >= 'a' && c <= 'z';
    break;
  case 'p':
    found = c > 0x20 && c < 0x7f && !is_letter(c) && !is_digit(c);
    break;
  case 's':
    found = c == ' ' || (c >= '\t' && c <= '\r');
    break;
  case 'u':
    found = c >= 'A' && c <= 'Z';
    break;
  case 'w':
    found = is_letter(c) || is_digit(c);
    break;
  case 'x':
    found = is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
    break;
  case 'z': /* of Lua 5.1, and still there */
    found = c == 0;
    break;
  default:
    return c == class;
  }
  return found != is_upper;
}

/* Behind the set or character that begins at `p`. */
static const uint8_t *
behind_single (matcher_t *m, const uint8_t *p) {
  uint8_t c = *p++;
  if (c == '%') {
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 1;
  }
  if (c != '[') return p;
  if (p < m->pattern_end && *p == '^') p++;
  do { /* a ] right at the beginning is one of the set */
    if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
    c = *p++;
    if (c == '%') {
      if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
      p++;
    }
  } while (p == m->pattern_end || *p != ']');
  return p + 1;
}

/* `p` is at [, `last` at the ] that ends the set. */
static bool
is_in_set (uint8_t c, const uint8_t *p, const uint8_t *last) {
  bool found = true;
  if (*++p == '^') {
    found = false;
    p++;
  }
  for (; p < last; p++) {
    if (*p == '%') {
      p++;
      if (is_in_class(c, *p)) return found;
    } else if (p + 2 < last && p[1] == '-') {
      if (p[0] <= c && c <= p[2]) return found;
      p += 2;
    } else if (*p == c) {
      return found;
    }
  }
  return !found;
}

/* Does the character at `s` match the single item in [p, behind)? */
static bool
matches_single (matcher_t *m, const uint8_t *s, const uint8_t *p, const uint8_t *behind) {
  take_steps(m, 1 + (size_t) (behind - p) / 8);
  if (s >= m->subject_end) return false;
  switch (*p) {
  case '.':
    return true;
  case '%':
    return is_in_class(*s, p[1]);
  case '[':
    return is_in_set(*s, p, behind - 1);
  default:
    return *p == *s;
  }
}

/* ---- items ---- */

static const uint8_t *
match_balance (matcher_t *m, const uint8_t *s, const uint8_t *p) {
  if (m->pattern_end - p < 2) luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  if (s >= m->subject_end || *s != p[0]) return NULL;
  size_t depth = 1;
  while (++s < m->subject_end) {
    take_steps(m, 1);
    if (*s == p[1]) {
      if (--depth == 0) return s + 1;
    } else if (*s == p[0]) {
      depth++;
    }
  }
  return NULL;
}

/* As many as there are, then fewer. */
static const uint8_t *
match_most (matcher_t *m, const uint8_t *s, const uint8_t *p, const uint8_t *behind) {
  ptrdiff_t count = 0;
  while (matches_single(m, s + count, p, behind)) count++;
  for (; count >= 0; count--) {
    const uint8_t *end = match(m, s + count, behind + 1);
    if (end != NULL) return end;
  }
  return NULL;
}

/* As few as it takes. */
static const uint8_t *
match_fewest (matcher_t *m, const uint8_t *s, const uint8_t *p, const uint8_t *behind) {
  for (;; s++) {
    const uint8_t *end = match(m, s, behind + 1);
    if (end != NULL) return end;
    if (!matches_single(m, s, p, behind)) return NULL;
  }
}

static const uint8_t *
open_capture (matcher_t *m, const uint8_t *s, const uint8_t *p, ptrdiff_t len) {
  if (m->level == CAPTURES_MAX) luaL_error(m->L, "too many captures");
  m->captures[m->level].start = s;
  m->captures[m->level].len = len;
  m->level++;
  const uint8_t *end = match(m, s, p);
  if (end == NULL) m->level--;
  return end;
}

static const uint8_t *
close_capture (matcher_t *m, const uint8_t *s, const uint8_t *p) {
  int level = m->level - 1;
  while (level >= 0 && m->captures[level].len != OPEN) level--;
  if (level < 0) luaL_error(m->L, "invalid pattern capture");
  m->captures[level].len = s - m->captures[level].start;
  const uint8_t *end = match(m, s, p);
  if (end == NULL) m->captures[level].len = OPEN;
  return end;
}

static const uint8_t *
match_capture (matcher_t *m, const uint8_t *s, uint8_t digit) {
  int level = digit - '1';
  if (level < 0 || level >= m->level || m->captures[level].len == OPEN) {
    luaL_error(m->L, "invalid capture index %%%d", level + 1);
  }
  ptrdiff_t len = m->captures[level].len;
  if (len < 0) return NULL; /* a position is no text */
  take_steps(m, (size_t) len / 16);
  if (m->subject_end - s < len || memcmp(m->captures[level].start, s, (size_t) len) != 0) return NULL;
  return s + len;
}

static bool
matches_frontier (matcher_t *m, const uint8_t *s, const uint8_t *p, const uint8_t *behind) {
  uint8_t before = s == m->subject ? 0 : s[-1], here = s == m->subject_end ? 0 : *s;
  take_steps(m, (size_t) (behind - p) / 8);
  return !is_in_set(before, p, behind - 1) && is_in_set(here, p, behind - 1);
}

/* A single item with what may follow it: ? + * -. `*next_p` NULL: the result is the answer, else the match
 * goes on at both. Only what has to come back here is a call, so that depth is what it is in Lua. */
static const uint8_t *
match_default (matcher_t *m, const uint8_t *s, const uint8_t *p, const uint8_t **next_p) {
  const uint8_t *behind = behind_single(m, p), *end;
  uint8_t suffix = behind < m->pattern_end ? *behind : 0;
  *next_p = NULL;
  if (!matches_single(m, s, p, behind)) {
    if (suffix != '*' && suffix != '?' && suffix != '-') return NULL;
    *next_p = behind + 1;
    return s;
  }
  switch (suffix) {
  case '*':
    return match_most(m, s, p, behind);
  case '+':
    return match_most(m, s + 1, p, behind);
  case '-':
    return match_fewest(m, s, p, behind);
  case '?':
    if ((end = match(m, s + 1, behind + 1)) != NULL) return end;
    *next_p = behind + 1;
    return s;
  default:
    *next_p = behind;
    return s + 1;
  }
}

/* The items that begin with %: true if this is one of them, and then `*s` is NULL or the place to go on at,
 * and
 * `*p` behind the item. */
static bool
match_percent (matcher_t *m, const uint8_t **s, const uint8_t **p) {
  if (m->pattern_end - *p < 2) return false;
  uint8_t what = (*p)[1];
  if (what == 'b') {
    *s = match_balance(m, *s, *p + 2);
    *p += 4;
    return true;
  }
  if (what == 'f') {
    const uint8_t *set = *p + 2;
    if (set == m->pattern_end || *set != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
    *p = behind_single(m, set);
    if (!matches_frontier(m, *s, set, *p)) *s = NULL;
    return true;
  }
  if (is_digit(what)) {
    *s = match_capture(m, *s, what);
    *p += 2;
    return true;
  }
  return false;
}

/* The end of what the pattern from `p` on matches at `s`, or NULL. */
static const uint8_t *
match (matcher_t *m, const uint8_t *s, const uint8_t *p) {
  if (++m->depth > DEPTH_MAX) luaL_error(m->L, "pattern too complex");
  take_steps(m, 1);
  while (s != NULL && p != NULL && p < m->pattern_end) {
    if (*p == '(') {
      bool is_position = p + 1 < m->pattern_end && p[1] == ')';
      s = open_capture(m, s, is_position ? p + 2 : p + 1, is_position ? POSITION : OPEN);
      break;
    }
    if (*p == ')') {
      s = close_capture(m, s, p + 1);
      break;
    }
    if (*p == '$' && p + 1 == m->pattern_end) {
      if (s != m->subject_end) s = NULL;
      break;
    }
    if (*p == '%' && match_percent(m, &s, &p)) continue;
    s = match_default(m, s, p, &p);
  }
  m->depth--;
  return s;
}

/* ---- captures as values ---- */

static void
push_capture (matcher_t *m, int index, const uint8_t *s, const uint8_t *end) {
  if (index >= m->level) {
    if (index != 0) luaL_error(m->L, "invalid capture index %%%d", index + 1);
    sandbox__push_bytes(m->L, ab_slice(s, (size_t) (end - s)));
    return;
  }
  ptrdiff_t len = m->captures[index].len;
  if (len == OPEN) luaL_error(m->L, "unfinished capture");
  const uint8_t *start = m->captures[index].start;
  if (len == POSITION) lua_pushinteger(m->L, start - m->subject + 1);
  else sandbox__push_bytes(m->L, ab_slice(start, (size_t) len));
}

/* All of them, or with `whole` the whole match if there are none. */
static int
push_captures (matcher_t *m, const uint8_t *s, const uint8_t *end, bool whole) {
  int count = m->level == 0 && whole ? 1 : m->level;
  luaL_checkstack(m->L, count, "too many captures");
  for (int i = 0; i < count; i++) push_capture(m, i, s, end);
  return count;
}

/* ---- find and match ---- */

static matcher_t
matcher (lua_State *L, ab_slice_t subject, ab_slice_t pattern) {
  return (matcher_t
  ){.L = L,
    .subject = subject.data,
    .subject_end = subject.data + subject.len,
    .pattern_end = pattern.data + pattern.len};
}

static const uint8_t *
match_from_start (matcher_t *m, const uint8_t *s, const uint8_t *p) {
  m->level = 0;
  m->depth = 0;
  return match(m, s, p);
}

static void
charge_steps (matcher_t *m) {
  sandbox__charge(m->L, m->steps);
  m->steps = 0;
}

/* Argument `arg` counts characters from 1, or from the end if negative: from 0. */
static size_t
start_position (lua_State *L, int arg, size_t len) {
  lua_Integer position = luaL_optinteger(L, arg, 1);
  if (position > 0) return (size_t) position - 1;
  if (position == 0 || position < -(lua_Integer) len) return 0;
  return len - (size_t) -position;
}

static bool
has_no_specials (ab_slice_t pattern) {
  for (size_t i = 0; i < pattern.len; i++) {
    if (pattern.data[i] != 0 && strchr("^$*+?.([%-", pattern.data[i]) != NULL) return false;
  }
  return true;
}

static int
find_plain (lua_State *L, ab_slice_t subject, ab_slice_t text, size_t start) {
  sandbox__charge_bytes(L, subject.len - start + text.len);
  const uint8_t *from = subject.data + start;
  const uint8_t *found = text.len == 0 ? from : memmem(from, subject.len - start, text.data, text.len);
  if (found == NULL) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, found - subject.data + 1);
  lua_pushinteger(L, found - subject.data + (lua_Integer) text.len);
  return 2;
}

static int
find_or_match (lua_State *L, bool is_find) {
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  ab_slice_t subject = sandbox__bytes(L, 1), pattern = sandbox__bytes(L, 2);
  size_t start = start_position(L, 3, subject.len);
  if (start > subject.len) {
    lua_pushnil(L);
    return 1;
  }
  sandbox__charge_bytes(L, pattern.len);
  if (is_find && (lua_toboolean(L, 4) || has_no_specials(pattern)))
    return find_plain(L, subject, pattern, start);

  matcher_t m = matcher(L, subject, pattern);
  const uint8_t *p = pattern.data, *s = subject.data + start;
  bool is_anchored = pattern.len > 0 && *p == '^';
  if (is_anchored) p++;
  for (; s <= m.subject_end; s++) {
    const uint8_t *end = match_from_start(&m, s, p);
    if (end != NULL) {
      charge_steps(&m);
      if (!is_find) return push_captures(&m, s, end, true);
      lua_pushinteger(L, s - subject.data + 1);
      lua_pushinteger(L, end - subject.data);
      return 2 + push_captures(&m, NULL, NULL, false);
    }
    if (is_anchored) break;
  }
  charge_steps(&m);
  lua_pushnil(L);
  return 1;
}

static int
pattern_find (lua_State *L) {
  return find_or_match(L, true);
}

static int
pattern_match (lua_State *L) {
  return find_or_match(L, false);
}

/* ---- gmatch ---- */

enum { GMATCH_SUBJECT = 1, GMATCH_PATTERN, GMATCH_AT, GMATCH_LAST }; /* upvalues */

static int
gmatch_next (lua_State *L) {
  ab_slice_t subject = sandbox__bytes(L, lua_upvalueindex(GMATCH_SUBJECT));
  ab_slice_t pattern = sandbox__bytes(L, lua_upvalueindex(GMATCH_PATTERN));
  lua_Integer last = lua_tointeger(L, lua_upvalueindex(GMATCH_LAST)); /* where the last one ended; -1: none */
  size_t at = (size_t) lua_tointeger(L, lua_upvalueindex(GMATCH_AT));
  matcher_t m = matcher(L, subject, pattern);

  for (; at <= subject.len; at++) {
    const uint8_t *s = subject.data + at, *end = match_from_start(&m, s, pattern.data);
    if (end == NULL || end - subject.data == last) continue;
    charge_steps(&m);
    lua_pushinteger(L, end - subject.data);
    lua_pushvalue(L, -1);
    lua_replace(L, lua_upvalueindex(GMATCH_AT));
    lua_replace(L, lua_upvalueindex(GMATCH_LAST));
    return push_captures(&m, s, end, true);
  }
  charge_steps(&m);
  lua_pushinteger(L, (lua_Integer) subject.len + 1);
  lua_replace(L, lua_upvalueindex(GMATCH_AT));
  return 0;
}

static int
pattern_gmatch (lua_State *L) {
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  size_t len = lua_rawlen(L, 1);
  size_t start = start_position(L, 3, len);
  lua_settop(L, 2);
  lua_pushinteger(L, (lua_Integer) (start > len ? len + 1 : start));
  lua_pushinteger(L, -1);
  lua_pushcclosure(L, gmatch_next, 4);
  return 1;
}

/* ---- gsub ---- */

static void
check_room (matcher_t *m, luaL_Buffer *out, size_t len) {
  sandbox__check_string(m->L, (uint64_t) luaL_bufflen(out) + len);
}

/* Captures that are positions become text. */
static void
add_capture (matcher_t *m, luaL_Buffer *out, int index, const uint8_t *s, const uint8_t *end) {
  push_capture(m, index, s, end);
  lua_tostring(m->L, -1);
  check_room(m, out, lua_rawlen(m->L, -1));
  luaL_addvalue(out);
}

static void
add_template (matcher_t *m, luaL_Buffer *out, const uint8_t *s, const uint8_t *end) {
  ab_slice_t text = sandbox__bytes(m->L, 3);
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    if (c != '%') {
      luaL_addchar(out, (char) c);
      continue;
    }
    c = ++i < text.len ? text.data[i] : 0;
    if (c == '%' && i < text.len) luaL_addchar(out, '%');
    else if (c == '0') {
      check_room(m, out, (size_t) (end - s));
      luaL_addlstring(out, (const char *) s, (size_t) (end - s));
    } else if (is_digit(c)) add_capture(m, out, c - '1', s, end);
    else luaL_error(m->L, "invalid use of '%%' in replacement string");
  }
  take_steps(m, text.len / 4);
}

static void
add_replacement (matcher_t *m, luaL_Buffer *out, const uint8_t *s, const uint8_t *end) {
  lua_State *L = m->L;
  charge_steps(m); /* the function that may follow can stop */
  switch (lua_type(L, 3)) {
  case LUA_TFUNCTION: {
    lua_pushvalue(L, 3);
    int count = push_captures(m, s, end, true);
    lua_call(L, count, 1);
    break;
  }
  case LUA_TTABLE:
    push_capture(m, 0, s, end);
    lua_gettable(L, 3);
    break;
  default:
    check_room(m, out, lua_rawlen(L, 3));
    add_template(m, out, s, end);
    return;
  }

  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    luaL_addlstring(out, (const char *) s, (size_t) (end - s));
    return;
  }
  if (lua_type(L, -1) == LUA_TNUMBER) {
    sandbox__to_text(L, -1);
    lua_remove(L, -2);
  }
  if (lua_type(L, -1) != LUA_TSTRING) {
    luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  }
  check_room(m, out, lua_rawlen(L, -1));
  luaL_addvalue(out);
}

static int
pattern_gsub (lua_State *L) {
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  int type = lua_type(L, 3);
  luaL_argexpected(
    L,
    type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE,
    3,
    "string/function/table"
  );
  if (type == LUA_TNUMBER) {
    sandbox__to_text(L, 3);
    lua_replace(L, 3);
  }
  ab_slice_t subject = sandbox__bytes(L, 1), pattern = sandbox__bytes(L, 2);
  lua_Integer most = luaL_optinteger(L, 4, (lua_Integer) subject.len + 1), count = 0;
  matcher_t m = matcher(L, subject, pattern);
  const uint8_t *p = pattern.data, *s = subject.data, *last = NULL;
  bool is_anchored = pattern.len > 0 && *p == '^';
  if (is_anchored) p++;

  luaL_Buffer out;
  sandbox__charge_bytes(L, pattern.len);
  luaL_buffinit(L, &out);
  while (count < most) {
    const uint8_t *end = match_from_start(&m, s, p);
    if (end != NULL && end != last) {
      count++;
      add_replacement(&m, &out, s, end);
      s = last = end;
    } else if (s < m.subject_end) {
      luaL_addchar(&out, (char) *s++);
    } else {
      break;
    }
    if (is_anchored) break;
  }
  charge_steps(&m);
  check_room(&m, &out, (size_t) (m.subject_end - s));
  luaL_addlstring(&out, (const char *) s, (size_t) (m.subject_end - s));
  luaL_pushresult(&out);
  lua_pushinteger(L, count);
  return 2;
}

const luaL_Reg sandbox__pattern_functions[] = {
  {"find", pattern_find},
  {"gmatch", pattern_gmatch},
  {"gsub", pattern_gsub},
  {"match", pattern_match},
  {NULL, NULL},
};
