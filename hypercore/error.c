/* error.c: texts of the error codes and the library's version. */
#include "hypercore/ab.h"

uint32_t
ab_version (void) {
  return (uint32_t) AB_VERSION_MAJOR << 16 | (uint32_t) AB_VERSION_MINOR << 8 | (uint32_t) AB_VERSION_PATCH;
}

const char *
ab_strerror (int err) {
  switch (err) {
#define X(name, code, text) \
  case code: \
    return text;
    AB_ERROR_MAP(X)
#undef X
  case 0:
    return "success";
  default:
    return "unknown error";
  }
}

const char *
ab_err_name (int err) {
  switch (err) {
#define X(name, code, text) \
  case code: \
    return "AB_E" #name;
    AB_ERROR_MAP(X)
#undef X
  case 0:
    return "AB_OK";
  default:
    return "AB_EUNKNOWN";
  }
}
