// What the C tests have in place of a framework: CHECK goes on after a failure, and counts it.
#ifndef TARE_TESTS_CHECK_H
#define TARE_TESTS_CHECK_H

#include <stdio.h>
#include <string.h>

#include "tare/tare.h"

static int failures = 0;

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                               \
    }                                                                           \
  } while (0)

// Says what went wrong where a call should have gone well.
#define CHECK_OK(call)                                                      \
  do {                                                                      \
    if ((call) != TARE_OK) {                                                \
      fprintf(stderr, "%s:%d: %s: %s (%s)\n", __FILE__, __LINE__, #call,    \
              tare_last_error()->message, tare_last_error()->subject.data); \
      ++failures;                                                           \
    }                                                                       \
  } while (0)

#endif
