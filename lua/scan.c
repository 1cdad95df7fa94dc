/* scan.c: a lexer for Lua 5.4, as far as it takes to find operators and the ends of expressions. */
#include "lua/scan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum { END, NAME, KEYWORD, NUMBER, STRING, SIGN } kind_t;

typedef struct {
  kind_t kind;
  char sign; /* of a SIGN of one character; 0 for longer ones */
  uint32_t start, end;
  int line;
} token_t;

typedef struct {
  ab_slice_t text;
  size_t at;
  int line;
  token_t *tokens;
  size_t count, capacity;
  char *message;
  size_t message_len;
} scan_t;

static const char *const keywords[] = {
  "and", "break", "do",  "else", "elseif", "end",    "false",  "for",  "function", "goto",  "if",
  "in",  "local", "nil", "not",  "or",     "repeat", "return", "then", "true",     "until", "while",
};

static int
refuse (scan_t *scan, int line, const char *why) {
  snprintf(scan->message, scan->message_len, "%d: %s", line, why);
  return AB_EINVAL;
}

/* ---- characters; the end of the text reads as 0 ---- */

static uint8_t
peek (const scan_t *scan, size_t ahead) {
  return scan->at + ahead < scan->text.len ? scan->text.data[scan->at + ahead] : 0;
}

static bool
at_end (const scan_t *scan) {
  return scan->at >= scan->text.len;
}

static bool
is_digit (uint8_t c) {
  return c >= '0' && c <= '9';
}

static bool
is_letter (uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_space (uint8_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static void
advance (scan_t *scan) {
  if (peek(scan, 0) == '\n' || (peek(scan, 0) == '\r' && peek(scan, 1) != '\n')) scan->line++;
  scan->at++;
}

/* ---- tokens ---- */

/* The level of the long bracket that begins here: [[ 0, [=[ 1; -1: none. */
static int
long_bracket (const scan_t *scan) {
  if (peek(scan, 0) != '[') return -1;
  size_t level = 0;
  while (peek(scan, 1 + level) == '=') level++;
  return peek(scan, 1 + level) == '[' ? (int) level : -1;
}

static int
skip_long (scan_t *scan, int level) {
  const size_t width = (size_t) level + 2;
  scan->at += width;
  for (; !at_end(scan); advance(scan)) {
    if (peek(scan, 0) != ']') continue;
    size_t equals = 0;
    while (peek(scan, 1 + equals) == '=') equals++;
    if (equals != (size_t) level || peek(scan, 1 + equals) != ']') continue;
    scan->at += width;
    return 0;
  }
  return AB_ECORRUPT;
}

static int
skip_string (scan_t *scan) {
  const uint8_t quote = peek(scan, 0);
  scan->at++;
  while (!at_end(scan)) {
    uint8_t c = peek(scan, 0);
    if (c == '\n' || c == '\r') return AB_ECORRUPT;
    if (c == quote) {
      scan->at++;
      return 0;
    }
    if (c != '\\') {
      scan->at++;
      continue;
    }
    scan->at++;
    c = peek(scan, 0);
    if (c == 'z') {
      do advance(scan);
      while (is_space(peek(scan, 0)));
    } else if (c == '\r' || c == '\n') { /* a pair of them is one end of line */
      uint8_t next = peek(scan, 1);
      if ((next == '\r' || next == '\n') && next != c) scan->at++;
      scan->line++;
      scan->at++;
    } else if (!at_end(scan)) {
      scan->at++;
    }
  }
  return AB_ECORRUPT;
}

static void
skip_number (scan_t *scan) {
  bool is_hex = peek(scan, 0) == '0' && (peek(scan, 1) | 0x20) == 'x';
  if (is_hex) scan->at += 2;
  for (;;) {
    uint8_t c = peek(scan, 0);
    if ((c | 0x20) == (is_hex ? 'p' : 'e')) {
      scan->at++;
      if (peek(scan, 0) == '+' || peek(scan, 0) == '-') scan->at++;
    } else if (is_digit(c) || is_letter(c) || c == '.') {
      scan->at++;
    } else {
      return;
    }
  }
}

static int
skip_space_and_comments (scan_t *scan) {
  for (;;) {
    if (is_space(peek(scan, 0))) {
      advance(scan);
      continue;
    }
    if (peek(scan, 0) != '-' || peek(scan, 1) != '-') return 0;
    scan->at += 2;
    int level = long_bracket(scan);
    if (level >= 0) {
      int err = skip_long(scan, level);
      if (err < 0) return err;
    } else {
      while (!at_end(scan) && peek(scan, 0) != '\n' && peek(scan, 0) != '\r') scan->at++;
    }
  }
}

static ab_slice_t
text_of (const scan_t *scan, const token_t *token) {
  return ab_slice(scan->text.data + token->start, token->end - token->start);
}

static bool
is_word (const scan_t *scan, const token_t *token, const char *word) {
  return ab_slice_equal(text_of(scan, token), ab_text(word));
}

static int
skip_name (scan_t *scan, token_t *token) {
  while (is_letter(peek(scan, 0)) || is_digit(peek(scan, 0))) scan->at++;
  token->kind = NAME;
  token->end = (uint32_t) scan->at;
  if (is_word(scan, token, SCAN_LENGTH))
    return refuse(scan, token->line, "the name " SCAN_LENGTH " is taken");
  for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
    if (is_word(scan, token, keywords[i])) token->kind = KEYWORD;
  }
  return 0;
}

static int
skip_sign (scan_t *scan, token_t *token) {
  /* Longer ones first, so that the : of a label is not that of a method, nor the . of .. that of a field. */
  static const char *const longer[] = {"...", "..", "::", "//", "==", "~=", "<=", ">=", "<<", ">>"};
  size_t len = 1;
  for (size_t i = 0; len == 1 && i < sizeof(longer) / sizeof(longer[0]); i++) {
    size_t width = strlen(longer[i]);
    if (scan->text.len - scan->at >= width && memcmp(scan->text.data + scan->at, longer[i], width) == 0)
      len = width;
  }
  token->kind = SIGN;
  token->sign = len == 1 ? (char) peek(scan, 0) : 0;
  scan->at += len;
  if (token->sign == '^')
    return refuse(scan, token->line, "there is no operator ^ here; ab.pow(x, n) has integer powers");
  return 0;
}

static int
add_token (scan_t *scan, const token_t *token) {
  if (scan->count == scan->capacity) {
    size_t capacity = scan->capacity == 0 ? 1024 : 2 * scan->capacity;
    token_t *tokens = realloc(scan->tokens, capacity * sizeof(tokens[0]));
    if (tokens == NULL) return AB_ENOMEM;
    scan->tokens = tokens;
    scan->capacity = capacity;
  }
  scan->tokens[scan->count++] = *token;
  return 0;
}

static int
read_token (scan_t *scan, token_t *token) {
  int err = skip_space_and_comments(scan);
  if (err < 0) return err;
  *token =
    (token_t){.kind = END, .start = (uint32_t) scan->at, .end = (uint32_t) scan->at, .line = scan->line};
  uint8_t c = peek(scan, 0);
  int level = long_bracket(scan);

  if (at_end(scan)) return 0;
  if (is_letter(c)) err = skip_name(scan, token);
  else if (is_digit(c) || (c == '.' && is_digit(peek(scan, 1)))) {
    token->kind = NUMBER;
    skip_number(scan);
  } else if (c == '"' || c == '\'' || level >= 0) {
    token->kind = STRING;
    err = level >= 0 ? skip_long(scan, level) : skip_string(scan);
  } else {
    err = skip_sign(scan, token);
  }
  token->end = (uint32_t) scan->at;
  return err;
}

static int
read_tokens (scan_t *scan) {
  token_t token;
  do {
    int err;
    if ((err = read_token(scan, &token)) < 0) return err;
    if ((err = add_token(scan, &token)) < 0) return err;
  } while (token.kind != END);
  return 0;
}

/* ---- what # applies to ---- */

static bool
is_sign (const token_t *token, char sign) {
  return token->kind == SIGN && token->sign == sign;
}

/* From an opening bracket to behind the closing one; to the end of the text if there is none. */
static size_t
behind_brackets (const scan_t *scan, size_t at) {
  size_t depth = 0;
  for (; scan->tokens[at].kind != END; at++) {
    const token_t *token = &scan->tokens[at];
    if (is_sign(token, '(') || is_sign(token, '[') || is_sign(token, '{')) depth++;
    else if (is_sign(token, ')') || is_sign(token, ']') || is_sign(token, '}')) depth--;
    if (depth == 0) return at + 1;
  }
  return at;
}

/* Fields, indices and calls that follow a name or an expression in brackets. */
static size_t
behind_suffixes (const scan_t *scan, size_t at) {
  for (;;) {
    const token_t *token = &scan->tokens[at];
    if (token->kind == STRING) at++;
    else if (is_sign(token, '(') || is_sign(token, '[') || is_sign(token, '{'))
      at = behind_brackets(scan, at);
    else if ((is_sign(token, '.') || is_sign(token, ':')) && token[1].kind == NAME) at += 2;
    else return at;
  }
}

/* The first token behind the operand that begins at `at`; there being no ^, no operator binds tighter. 0:
 * this is no operand. */
static size_t
behind_operand (const scan_t *scan, size_t at) {
  const token_t *token = &scan->tokens[at];
  while (is_sign(token, '-') || is_sign(token, '~') || is_sign(token, '#') ||
         (token->kind == KEYWORD && is_word(scan, token, "not"))) {
    token = &scan->tokens[++at];
  }
  if (token->kind == NAME) return behind_suffixes(scan, at + 1);
  if (is_sign(token, '(')) return behind_suffixes(scan, behind_brackets(scan, at));
  if (is_sign(token, '{')) return behind_brackets(scan, at);
  if (token->kind == STRING || is_word(scan, token, "...")) return at + 1;
  return 0;
}

static int
by_value (const void *a, const void *b) {
  uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
  return (x > y) - (x < y);
}

/* `closings` has room for one place per token. */
static int
write_text (scan_t *scan, ab_buf_t *out, uint32_t *closings) {
  size_t closing_count = 0, closed = 0;
  for (size_t i = 0; i < scan->count; i++) {
    if (!is_sign(&scan->tokens[i], '#')) continue;
    size_t behind = behind_operand(scan, i + 1);
    if (behind == 0) return refuse(scan, scan->tokens[i].line, "# needs a table or a string");
    closings[closing_count++] = scan->tokens[behind - 1].end;
  }
  qsort(closings, closing_count, sizeof(closings[0]), by_value);

  uint32_t at = 0;
  ab_buf_append(out, ab_text(SCAN_PROLOGUE));
  for (size_t i = 0; i < scan->count; i++) {
    const token_t *token = &scan->tokens[i];
    ab_buf_append(out, ab_slice(scan->text.data + at, token->start - at));
    if (is_sign(token, '#')) ab_buf_append(out, ab_text(SCAN_LENGTH "("));
    else ab_buf_append(out, text_of(scan, token));
    at = token->end;
    for (; closed < closing_count && closings[closed] == at; closed++) ab_buf_append(out, ab_text(")"));
  }
  assert(closed == closing_count && at == scan->text.len);
  return out->err;
}

int
sandbox__scan (ab_slice_t script, ab_buf_t *out, char *message, size_t message_len) {
  scan_t scan = {.text = script, .line = 1, .message = message, .message_len = message_len};
  uint32_t *closings = NULL;
  assert(script.len < UINT32_MAX);

  int err = read_tokens(&scan);
  if (err == 0) {
    closings = malloc(scan.count * sizeof(closings[0]));
    err = closings == NULL ? AB_ENOMEM : write_text(&scan, out, closings);
  }
  free(closings);
  free(scan.tokens);
  return err;
}

/* Decimal digits; false if there are none, or more than a version has. */
static bool
read_version_part (scan_t *scan, uint32_t *out) {
  size_t start = scan->at;
  for (*out = 0; is_digit(peek(scan, 0)) && scan->at - start < 6; scan->at++) {
    *out = *out * 10 + (uint32_t) (peek(scan, 0) - '0');
  }
  return scan->at > start;
}

int
sandbox__scan_needs (ab_slice_t script, uint32_t *major, uint32_t *minor) {
  static const char words[] = "-- autobee: needs ";
  scan_t scan = {.text = script, .at = sizeof(words) - 1};
  *major = *minor = 0;
  if (script.len < scan.at || memcmp(script.data, words, scan.at) != 0) return 0;
  if (!read_version_part(&scan, major) || peek(&scan, 0) != '.') return AB_EINVAL;
  scan.at++;
  if (!read_version_part(&scan, minor)) return AB_EINVAL;
  return at_end(&scan) || is_space(peek(&scan, 0)) ? 0 : AB_EINVAL;
}
