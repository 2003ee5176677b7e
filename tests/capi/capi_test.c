// The C interface from C: capi_test FOLDER, where capi_fixtures wrote its files.
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static int text_is(tare_text text, const char* bytes, size_t length) {
  return text.data != NULL && text.length == length && memcmp(text.data, bytes, length) == 0 &&
         text.data[length] == '\0';
}

static int text_equals(tare_text text, const char* expected) {
  return text_is(text, expected, strlen(expected));
}

static int error_is(tare_status got, tare_status status, const char* part) {
  const tare_error* const error = tare_last_error();
  if (got == status && error->status == status && strstr(error->message, part) != NULL) return 1;
  fprintf(stderr, "returned %s, the last error is %s: %s\n", tare_status_name(got),
          tare_status_name(error->status), error->message);
  return 0;
}

static const char* folder;

// The path of a file in the folder; valid until the next but three.
static const char* in_folder(const char* name) {
  static char paths[4][1000];
  static int next = 0;
  char* const path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static tare_model* open_file(const char* name, int32_t rules, int32_t access) {
  tare_open_options options = TARE_OPEN_OPTIONS_INIT;
  tare_model* model = NULL;
  options.rules = rules;
  options.access = access;
  CHECK_OK(tare_open(in_folder(name), &options, &model));
  return model;
}

static const tare_tensor* find(const tare_model* model, const char* name) {
  return tare_model_find(model, tare_text_of(name));
}

// ---- constants

static void test_constants(void) {
  static const char* const names[] = {
      "BOOL",    "F4",          "F6_E2M3",     "F6_E3M2", "U8",  "I8",  "F8_E5M2", "F8_E4M3",
      "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I16",     "U16", "F16", "BF16",    "I32",
      "U32",     "F32",         "C64",         "F64",     "I64", "U64"};
  static const char* const statuses[] = {"ok",
                                         "not_found",
                                         "no_permission",
                                         "not_a_file",
                                         "empty",
                                         "io",
                                         "no_space",
                                         "exists",
                                         "truncated",
                                         "malformed",
                                         "unsupported",
                                         "limit",
                                         "overflow",
                                         "wrong_format",
                                         "refused",
                                         "mismatch",
                                         "invalid_argument",
                                         "no_memory",
                                         "internal"};
  int i;
  CHECK(strcmp(tare_version(), "0.1.0") == 0);
  for (i = 0; i < 22; ++i) CHECK(strcmp(tare_dtype_name(TARE_BOOL + i), names[i]) == 0);
  CHECK(tare_dtype_name(0) == NULL && tare_dtype_name(-1) == NULL && tare_dtype_name(23) == NULL);
  CHECK(tare_dtype_bits(TARE_F4) == 4 && tare_dtype_bits(TARE_F6_E3M2) == 6);
  CHECK(tare_dtype_bits(TARE_BF16) == 16 && tare_dtype_bits(TARE_U64) == 64);
  CHECK(tare_dtype_bits(0) == 0 && tare_dtype_bits(23) == 0);
  for (i = 0; i <= TARE_INTERNAL; ++i) CHECK(strcmp(tare_status_name(i), statuses[i]) == 0);
  CHECK(strcmp(tare_status_name(-1), "unknown") == 0);
  CHECK(strcmp(tare_status_name(TARE_INTERNAL + 1), "unknown") == 0);
  CHECK(tare_text_of(NULL).data == NULL && tare_text_of(NULL).length == 0);
  CHECK(text_equals(tare_text_of("abc"), "abc"));
}

// Programs that are compiled already know these sizes and places.
static void test_layout(void) {
  if (sizeof(void*) != 8) return;
  CHECK(sizeof(tare_text) == 16 && sizeof(tare_pair) == 32 && sizeof(tare_read_request) == 24);
  CHECK(sizeof(tare_new_tensor) == 56 && offsetof(tare_new_tensor, dtype) == 48);
  CHECK(offsetof(tare_error, offset) == 8 && offsetof(tare_error, message) == 32);
  CHECK(offsetof(tare_error, subject) == 40);
  CHECK(offsetof(tare_open_options, rules) == 8 && offsetof(tare_open_options, access) == 12);
  CHECK(offsetof(tare_read_options, threads) == 8 && offsetof(tare_read_options, past_cache) == 12);
  CHECK(offsetof(tare_save_options, overwrite) == 8 && offsetof(tare_save_options, metadata) == 16);
  CHECK(offsetof(tare_save_options, metadata_count) == 24);
}

// ---- NULL and options

static void test_null(void) {
  tare_model* model = (tare_model*)1;
  tare_slice* slice = (tare_slice*)1;
  tare_writer* writer = (tare_writer*)1;
  const tare_text none = {NULL, 0};
  tare_read_request request = {NULL, NULL, 0};
  tare_new_tensor tensor;
  tare_save_options options = TARE_SAVE_OPTIONS_INIT;
  tare_close(NULL);
  tare_slice_free(NULL);
  tare_writer_free(NULL);
  CHECK(tare_open(NULL, NULL, &model) == TARE_INVALID_ARGUMENT && model == NULL);
  CHECK(error_is(tare_open("x", NULL, NULL), TARE_INVALID_ARGUMENT, "NULL"));
  CHECK(tare_model_format(NULL).data == NULL && tare_model_tensor_count(NULL) == 0);
  CHECK(tare_model_tensor(NULL, 0) == NULL && tare_model_find(NULL, none) == NULL);
  CHECK(tare_model_metadata_count(NULL) == 0 && tare_model_metadata(NULL, 0) == NULL);
  CHECK(tare_model_problem_count(NULL) == 0 && tare_model_problem(NULL, 0) == NULL);
  CHECK(tare_tensor_name(NULL).data == NULL && tare_tensor_dtype(NULL) == 0);
  CHECK(tare_tensor_rank(NULL) == 0 && tare_tensor_shape(NULL) == NULL);
  CHECK(tare_tensor_bytes(NULL) == 0 && tare_tensor_data(NULL) == NULL);
  CHECK(tare_tensor_read(NULL, NULL, 0) == TARE_INVALID_ARGUMENT);
  CHECK(tare_tensor_read_range(NULL, 0, NULL, 0) == TARE_INVALID_ARGUMENT);
  CHECK(tare_model_read(NULL, NULL, 0, NULL) == TARE_INVALID_ARGUMENT);
  CHECK(tare_slice_create(NULL, tare_text_of("0"), &slice) == TARE_INVALID_ARGUMENT);
  CHECK(slice == NULL && tare_slice_rank(NULL) == 0 && tare_slice_shape(NULL) == NULL);
  CHECK(tare_slice_bytes(NULL) == 0 && tare_slice_read(NULL, NULL, 0) == TARE_INVALID_ARGUMENT);
  CHECK(tare_save(NULL, NULL, 0, NULL) == TARE_INVALID_ARGUMENT);
  CHECK(tare_save(in_folder("null"), NULL, 1, NULL) == TARE_INVALID_ARGUMENT);
  CHECK(tare_writer_create(NULL, NULL, 0, NULL, &writer) == TARE_INVALID_ARGUMENT);
  CHECK(writer == NULL);
  CHECK(tare_writer_create(in_folder("null"), NULL, 0, NULL, NULL) == TARE_INVALID_ARGUMENT);
  CHECK(tare_writer_create(in_folder("null"), NULL, 1, NULL, &writer) == TARE_INVALID_ARGUMENT);
  CHECK(tare_writer_order(NULL, 0) == SIZE_MAX);
  CHECK(tare_writer_begin(NULL, 0) == TARE_INVALID_ARGUMENT);
  CHECK(tare_writer_write(NULL, "", 0) == TARE_INVALID_ARGUMENT);
  CHECK(tare_writer_finish(NULL) == TARE_INVALID_ARGUMENT);

  model = open_file("shard-1", TARE_STRICT, TARE_MAP);
  CHECK(tare_model_find(model, none) == NULL);
  CHECK(tare_tensor_read(find(model, "a"), NULL, 2) == TARE_INVALID_ARGUMENT);
  CHECK(tare_tensor_read_range(find(model, "a"), 1, NULL, 1) == TARE_INVALID_ARGUMENT);
  CHECK_OK(tare_tensor_read_range(find(model, "a"), 1, NULL, 0));
  CHECK(tare_slice_create(find(model, "a"), none, &slice) == TARE_INVALID_ARGUMENT);
  CHECK(tare_slice_create(find(model, "a"), tare_text_of("0"), NULL) == TARE_INVALID_ARGUMENT);
  CHECK(tare_model_read(model, NULL, 1, NULL) == TARE_INVALID_ARGUMENT);
  CHECK(tare_model_read(model, &request, 1, NULL) == TARE_INVALID_ARGUMENT);
  CHECK_OK(tare_model_read(model, NULL, 0, NULL));
  tare_close(model);

  memset(&tensor, 0, sizeof tensor);
  CHECK(error_is(tare_save(in_folder("null"), &tensor, 1, NULL), TARE_INVALID_ARGUMENT, "name"));
  tensor.name = tare_text_of("t");
  CHECK(error_is(tare_save(in_folder("null"), &tensor, 1, NULL), TARE_INVALID_ARGUMENT, "dtype"));
  CHECK(text_equals(tare_last_error()->subject, "t"));
  tensor.dtype = TARE_U8;
  tensor.rank = 1;
  CHECK(error_is(tare_save(in_folder("null"), &tensor, 1, NULL), TARE_INVALID_ARGUMENT, "shape"));
  tensor.rank = 0;
  tensor.bytes = 1;
  CHECK(error_is(tare_save(in_folder("null"), &tensor, 1, NULL), TARE_INVALID_ARGUMENT, "data"));
  options.metadata_count = 1;
  CHECK(tare_save(in_folder("null"), NULL, 0, &options) == TARE_INVALID_ARGUMENT);
  CHECK(access(in_folder("null"), F_OK) != 0);
}

static void test_options(void) {
  // The struct of a later version.
  struct {
    tare_open_options known;
    int64_t later;
  } more = {TARE_OPEN_OPTIONS_INIT, 0};
  tare_open_options options = TARE_OPEN_OPTIONS_INIT;
  tare_model* model = NULL;
  more.known.struct_size = sizeof more;
  CHECK_OK(tare_open(in_folder("shard-1"), &more.known, &model));
  tare_close(model);
  more.later = 1;
  CHECK(error_is(tare_open(in_folder("shard-1"), &more.known, &model), TARE_INVALID_ARGUMENT,
                 "does not know"));
  CHECK(model == NULL);
  options.struct_size = 0;
  CHECK(tare_open(in_folder("shard-1"), &options, &model) == TARE_INVALID_ARGUMENT);
  options.struct_size = sizeof options;
  options.rules = 2;
  CHECK(tare_open(in_folder("shard-1"), &options, &model) == TARE_INVALID_ARGUMENT);
  options.rules = TARE_STRICT;
  options.access = -1;
  CHECK(tare_open(in_folder("shard-1"), &options, &model) == TARE_INVALID_ARGUMENT);
}

// ---- saving and reading

static const uint64_t shape_a[] = {2, 3};
static const float data_a[] = {1, 2, 3, 4, 5, 6};
static const uint64_t shape_b[] = {4};
static const unsigned char data_b[] = {'w', 'x', 'y', 'z'};

// "b" U8 [4], "a" F32 [2, 3], "e" F64 [4, 0], "s" I8 []: not in the order of the file.
static void make_tensors(tare_new_tensor* tensors) {
  static const uint64_t shape_e[] = {4, 0};
  memset(tensors, 0, 4 * sizeof *tensors);
  tensors[0].name = tare_text_of("b");
  tensors[0].dtype = TARE_U8;
  tensors[0].shape = shape_b;
  tensors[0].rank = 1;
  tensors[0].data = data_b;
  tensors[0].bytes = 4;
  tensors[1].name = tare_text_of("a");
  tensors[1].dtype = TARE_F32;
  tensors[1].shape = shape_a;
  tensors[1].rank = 2;
  tensors[1].data = data_a;
  tensors[1].bytes = sizeof data_a;
  tensors[2].name = tare_text_of("e");
  tensors[2].dtype = TARE_F64;
  tensors[2].shape = shape_e;
  tensors[2].rank = 2;
  tensors[3].name = tare_text_of("s");
  tensors[3].dtype = TARE_I8;
  tensors[3].data = "!";
  tensors[3].bytes = 1;
}

static void save_model(void) {
  tare_new_tensor tensors[4];
  tare_pair metadata[2];
  tare_save_options options = TARE_SAVE_OPTIONS_INIT;
  make_tensors(tensors);
  metadata[0].key = tare_text_of("format");
  metadata[0].value = tare_text_of("pt");
  metadata[1].key = tare_text_of("author");
  metadata[1].value = tare_text_of("");
  options.metadata = metadata;
  options.metadata_count = 2;
  options.overwrite = 1;
  CHECK_OK(tare_save(in_folder("model"), tensors, 4, &options));
}

static void test_tensors(int32_t access) {
  static const char* const order[] = {"e", "a", "s", "b"};
  tare_model* const model = open_file("model", TARE_STRICT, access);
  const tare_tensor* const a = find(model, "a");
  const tare_tensor* const s = find(model, "s");
  float floats[6];
  unsigned char bytes[4];
  size_t i;
  CHECK(text_equals(tare_model_format(model), "safetensors"));
  CHECK(tare_model_tensor_count(model) == 4 && tare_model_tensor(model, 4) == NULL);
  CHECK(tare_model_problem_count(model) == 0 && tare_model_problem(model, 0) == NULL);
  for (i = 0; i < 4; ++i) {
    CHECK(text_equals(tare_tensor_name(tare_model_tensor(model, i)), order[i]));
    CHECK(find(model, order[i]) == tare_model_tensor(model, i));
  }
  CHECK(find(model, "none") == NULL && find(model, "") == NULL);
  CHECK(tare_model_metadata_count(model) == 2 && tare_model_metadata(model, 2) == NULL);
  CHECK(text_equals(tare_model_metadata(model, 0)->key, "author"));
  CHECK(text_equals(tare_model_metadata(model, 0)->value, ""));
  CHECK(text_equals(tare_model_metadata(model, 1)->key, "format"));
  CHECK(text_equals(tare_model_metadata(model, 1)->value, "pt"));

  CHECK(tare_tensor_dtype(a) == TARE_F32 && tare_tensor_rank(a) == 2);
  CHECK(tare_tensor_shape(a)[0] == 2 && tare_tensor_shape(a)[1] == 3);
  CHECK(tare_tensor_bytes(a) == sizeof data_a);
  CHECK(tare_tensor_rank(s) == 0 && tare_tensor_bytes(s) == 1);
  CHECK((tare_tensor_data(a) != NULL) == (access == TARE_MAP));
  if (access == TARE_MAP) CHECK(memcmp(tare_tensor_data(a), data_a, sizeof data_a) == 0);
  CHECK_OK(tare_tensor_read(a, floats, sizeof floats));
  CHECK(memcmp(floats, data_a, sizeof data_a) == 0);
  CHECK_OK(tare_tensor_read_range(find(model, "b"), 1, bytes, 2));
  CHECK(bytes[0] == 'x' && bytes[1] == 'y');
  CHECK_OK(tare_tensor_read(find(model, "e"), NULL, 0));
  CHECK(error_is(tare_tensor_read(a, floats, 23), TARE_INVALID_ARGUMENT, "size"));
  CHECK(text_equals(tare_last_error()->subject, "a"));
  CHECK(error_is(tare_tensor_read_range(a, 20, floats, 5), TARE_INVALID_ARGUMENT, "outside"));
  CHECK(tare_tensor_read_range(a, UINT64_MAX, floats, 2) == TARE_INVALID_ARGUMENT);
  tare_close(model);
}

static void test_slices(int32_t access) {
  tare_model* const model = open_file("model", TARE_STRICT, access);
  const tare_tensor* const a = find(model, "a");
  tare_slice* slice = NULL;
  float out[4];
  CHECK_OK(tare_slice_create(a, tare_text_of("[:, ::-2]"), &slice));
  CHECK(tare_slice_rank(slice) == 2 && tare_slice_bytes(slice) == sizeof out);
  CHECK(tare_slice_shape(slice)[0] == 2 && tare_slice_shape(slice)[1] == 2);
  CHECK_OK(tare_slice_read(slice, out, sizeof out));
  CHECK(out[0] == 3 && out[1] == 1 && out[2] == 6 && out[3] == 4);
  CHECK(tare_slice_read(slice, out, 15) == TARE_INVALID_ARGUMENT);
  CHECK(tare_slice_read(slice, NULL, sizeof out) == TARE_INVALID_ARGUMENT);
  tare_slice_free(slice);
  CHECK_OK(tare_slice_create(a, tare_text_of("-1, 0"), &slice));
  CHECK(tare_slice_rank(slice) == 0 && tare_slice_bytes(slice) == 4);
  CHECK_OK(tare_slice_read(slice, out, 4));
  CHECK(out[0] == 4);
  tare_slice_free(slice);
  CHECK(error_is(tare_slice_create(a, tare_text_of("2, 0"), &slice), TARE_INVALID_ARGUMENT,
                 "out of range"));
  CHECK(slice == NULL && text_equals(tare_last_error()->subject, "a"));
  CHECK(tare_slice_create(a, tare_text_of("x"), &slice) == TARE_INVALID_ARGUMENT);
  tare_close(model);
}

static void test_many(int32_t access) {
  tare_model* const model = open_file("model", TARE_STRICT, access);
  tare_model* const other = open_file("shard-1", TARE_STRICT, access);
  tare_read_options options = TARE_READ_OPTIONS_INIT;
  tare_read_request requests[2];
  float a[6];
  unsigned char b[4];
  requests[0].tensor = find(model, "a");
  requests[0].out = a;
  requests[0].size = sizeof a;
  requests[1].tensor = find(model, "b");
  requests[1].out = b;
  requests[1].size = sizeof b;
  for (options.threads = 0; options.threads < 4; ++options.threads) {
    for (options.past_cache = 0; options.past_cache < 2; ++options.past_cache) {
      memset(a, 0, sizeof a);
      memset(b, 0, sizeof b);
      CHECK_OK(tare_model_read(model, requests, 2, &options));
      CHECK(memcmp(a, data_a, sizeof a) == 0 && memcmp(b, data_b, sizeof b) == 0);
    }
  }
  CHECK(error_is(tare_model_read(other, requests, 1, NULL), TARE_INVALID_ARGUMENT, "another"));
  requests[1].size = 3;
  CHECK(tare_model_read(model, requests, 2, NULL) == TARE_INVALID_ARGUMENT);
  options.struct_size = 1;
  CHECK(tare_model_read(model, requests, 1, &options) == TARE_INVALID_ARGUMENT);
  tare_close(other);
  tare_close(model);
}

static void test_save_errors(void) {
  tare_new_tensor tensors[4];
  tare_pair metadata[2];
  tare_save_options options = TARE_SAVE_OPTIONS_INIT;
  struct stat before;
  struct stat after;
  make_tensors(tensors);
  CHECK(stat(in_folder("model"), &before) == 0);
  CHECK(error_is(tare_save(in_folder("model"), tensors, 4, NULL), TARE_EXISTS, ""));
  options.overwrite = 1;
  tensors[2].name = tare_text_of("a");
  CHECK(error_is(tare_save(in_folder("model"), tensors, 4, &options), TARE_INVALID_ARGUMENT,
                 "same name"));
  make_tensors(tensors);
  tensors[3].bytes = 2;
  CHECK(
      error_is(tare_save(in_folder("model"), tensors, 4, &options), TARE_INVALID_ARGUMENT, "size"));
  CHECK(text_equals(tare_last_error()->subject, "s"));
  metadata[0].key = metadata[0].value = metadata[1].key = metadata[1].value = tare_text_of("k");
  options.metadata = metadata;
  options.metadata_count = 2;
  CHECK(error_is(tare_save(in_folder("model"), NULL, 0, &options), TARE_INVALID_ARGUMENT, "twice"));
  metadata[1].value = tare_text_of(NULL);
  CHECK(tare_save(in_folder("model"), NULL, 0, &options) == TARE_INVALID_ARGUMENT);
  options.struct_size = 8;
  CHECK(tare_save(in_folder("model"), NULL, 0, &options) == TARE_INVALID_ARGUMENT);
  CHECK(error_is(tare_save(in_folder("none/x"), NULL, 0, NULL), TARE_NOT_FOUND, "No such file"));
  CHECK(tare_last_error()->system_errno == ENOENT);
  CHECK(stat(in_folder("model"), &after) == 0 && before.st_ino == after.st_ino);
}

// ---- the writer

static int same_files(const char* name, const char* other) {
  FILE* const a = fopen(in_folder(name), "rb");
  FILE* const b = fopen(in_folder(other), "rb");
  int same = a != NULL && b != NULL;
  while (same) {
    const int c = fgetc(a);
    same = c == fgetc(b);
    if (c == EOF) break;
  }
  if (a != NULL) fclose(a);
  if (b != NULL) fclose(b);
  return same;
}

static void test_writer(void) {
  tare_new_tensor tensors[4];
  tare_writer* writer = NULL;
  size_t position;
  size_t i;
  make_tensors(tensors);
  unlink(in_folder("saved"));
  unlink(in_folder("written"));
  CHECK_OK(tare_save(in_folder("saved"), tensors, 4, NULL));
  CHECK_OK(tare_writer_create(in_folder("written"), tensors, 4, NULL, &writer));
  CHECK(tare_writer_order(writer, 4) == SIZE_MAX);
  for (position = 0; position < 4; ++position) {
    const size_t index = tare_writer_order(writer, position);
    const tare_new_tensor* const tensor = &tensors[index];
    CHECK_OK(tare_writer_begin(writer, index));
    for (i = 0; i < tensor->bytes; ++i) {
      CHECK_OK(tare_writer_write(writer, (const char*)tensor->data + i, 1));
    }
  }
  // Harmless mistakes.
  CHECK(tare_writer_begin(writer, 4) == TARE_INVALID_ARGUMENT);
  CHECK(tare_writer_write(writer, NULL, 1) == TARE_INVALID_ARGUMENT);
  CHECK(access(in_folder("written"), F_OK) != 0);
  CHECK_OK(tare_writer_finish(writer));
  CHECK(same_files("saved", "written"));
  CHECK(error_is(tare_writer_finish(writer), TARE_INVALID_ARGUMENT, "finished"));
  tare_writer_free(writer);
  CHECK(same_files("saved", "written"));

  CHECK(tare_writer_create(in_folder("written"), tensors, 4, NULL, &writer) == TARE_EXISTS);
  CHECK(writer == NULL);
  unlink(in_folder("written"));
  CHECK_OK(tare_writer_create(in_folder("written"), tensors, 4, NULL, &writer));
  CHECK(error_is(tare_writer_begin(writer, 0), TARE_INVALID_ARGUMENT, "next"));
  CHECK(error_is(tare_writer_begin(writer, 2), TARE_INVALID_ARGUMENT, "next"));  // for ever
  CHECK(tare_writer_finish(writer) == TARE_INVALID_ARGUMENT);
  tare_writer_free(writer);
  CHECK_OK(tare_writer_create(in_folder("written"), tensors, 4, NULL, &writer));
  tare_writer_free(writer);
  CHECK(access(in_folder("written"), F_OK) != 0);
}

// ---- files of other kinds

static void test_names(void) {
  tare_model* const model = open_file("names.safetensors", TARE_STRICT, TARE_MAP);
  const tare_text name = {"x\0y", 3};
  const tare_text cut = {"x", 1};
  const tare_tensor* const tensor = tare_model_find(model, name);
  CHECK(tensor != NULL && text_is(tare_tensor_name(tensor), "x\0y", 3));
  CHECK(tare_model_find(model, cut) == NULL);
  CHECK(tare_model_find(model, tare_text_of("")) == tare_model_tensor(model, 1));
  CHECK(text_is(tare_model_metadata(model, 0)->key, "a\0b", 3));
  CHECK(text_equals(tare_model_metadata(model, 0)->value, "\xC3\xA9"));
  tare_close(model);
}

static void test_strided(void) {
  static const float transposed[] = {0, 3, 1, 4, 2, 5};
  tare_model* const model = open_file("strided.pt", TARE_STRICT, TARE_MAP);
  const tare_tensor* const w = find(model, "w");
  const tare_tensor* const t = find(model, "t");
  tare_read_request requests[2];
  tare_slice* slice = NULL;
  float out[6];
  float more[6];
  int first;
  int size;
  CHECK(text_equals(tare_model_format(model), "torch-zip"));
  CHECK(tare_model_tensor_count(model) == 3 && tare_tensor_dtype(t) == TARE_F32);
  CHECK(tare_tensor_data(w) != NULL);
  memcpy(more, tare_tensor_data(w), sizeof more);  // at any alignment
  CHECK(more[5] == 5);
  memset(more, 0, sizeof more);
  CHECK(tare_tensor_data(t) == NULL);
  CHECK(tare_tensor_data(find(model, "n")) != NULL && tare_tensor_bytes(find(model, "n")) == 0);
  CHECK(find(model, "x") == NULL);
  CHECK_OK(tare_tensor_read(t, out, sizeof out));
  CHECK(memcmp(out, transposed, sizeof out) == 0);
  for (first = 0; first <= 24; ++first) {
    for (size = 0; size <= 24 - first; ++size) {
      CHECK_OK(tare_tensor_read_range(t, (uint64_t)first, out, (size_t)size));
      CHECK(memcmp(out, (const char*)transposed + first, (size_t)size) == 0);
    }
  }
  CHECK_OK(tare_slice_create(t, tare_text_of("::2, 1"), &slice));
  CHECK_OK(tare_slice_read(slice, out, 8));
  CHECK(out[0] == 3 && out[1] == 5);
  tare_slice_free(slice);
  CHECK_OK(tare_slice_create(w, tare_text_of("1"), &slice));
  CHECK_OK(tare_slice_read(slice, out, 12));
  CHECK(out[0] == 3 && out[2] == 5);
  tare_slice_free(slice);
  requests[0].tensor = t;
  requests[0].out = out;
  requests[1].tensor = w;
  requests[1].out = more;
  requests[0].size = requests[1].size = sizeof out;
  CHECK_OK(tare_model_read(model, requests, 2, NULL));
  CHECK(memcmp(out, transposed, sizeof out) == 0 && more[5] == 5);
  tare_close(model);
}

static void test_large_strided(void) {
  tare_model* const model = open_file("large.pt", TARE_STRICT, TARE_MAP);
  const tare_tensor* const t = find(model, "t");
  static const uint64_t places[] = {0, 1, 262143, 262144, 524287, 1048570};
  size_t i;
  // Element i of the transpose of a [512, 2048] array of 0, 1, 2 ...
  for (i = 0; i < sizeof places / sizeof places[0]; ++i) {
    float out[4];
    CHECK_OK(tare_tensor_read_range(t, 4 * places[i], out, sizeof out));
    CHECK(out[3] == (float)((places[i] + 3) % 512 * 2048 + (places[i] + 3) / 512));
  }
  tare_close(model);
}

static void test_expanded(void) {
  tare_model* const model = open_file("expanded.pt", TARE_STRICT, TARE_MAP);
  const tare_tensor* const e = find(model, "e");
  tare_slice* slice = NULL;
  float out;
  CHECK(tare_tensor_bytes(e) == (uint64_t)16 << 30);
  CHECK(tare_tensor_data(e) == NULL);
  CHECK(error_is(tare_tensor_read_range(e, 0, &out, 4), TARE_LIMIT, "1 GiB"));
  CHECK(text_equals(tare_last_error()->subject, "e"));
  CHECK_OK(tare_slice_create(e, tare_text_of("0, 0"), &slice));
  CHECK(tare_slice_read(slice, &out, 4) == TARE_LIMIT);
  tare_slice_free(slice);
  tare_close(model);
}

static void test_problems(void) {
  tare_model* model = open_file("problem.pt", TARE_STRICT, TARE_MAP);
  CHECK(tare_model_tensor_count(model) == 1 && find(model, "good") != NULL);
  CHECK(tare_model_problem_count(model) == 1);
  CHECK(text_equals(tare_model_problem(model, 0)->subject, "bad"));
  CHECK(tare_model_problem(model, 0)->status == TARE_MALFORMED);
  CHECK(strlen(tare_model_problem(model, 0)->message) > 0);
  tare_close(model);

  model = open_file("index.json", TARE_STRICT, TARE_MAP);
  CHECK(tare_model_tensor_count(model) == 2 && tare_model_problem_count(model) == 1);
  CHECK(tare_model_problem(model, 0)->status == TARE_MISMATCH);
  CHECK(memcmp(tare_tensor_data(find(model, "b")), "BB", 2) == 0);
  CHECK(text_equals(tare_model_metadata(model, 0)->value, "v"));
  tare_close(model);
}

static tare_status open_error(const char* name, int32_t rules, int32_t access) {
  tare_open_options options = TARE_OPEN_OPTIONS_INIT;
  tare_model* model = (tare_model*)1;
  tare_status status;
  options.rules = rules;
  options.access = access;
  status = tare_open(in_folder(name), &options, &model);
  CHECK(status != TARE_OK && model == NULL);
  return status;
}

static void test_open_errors(int32_t access) {
  const tare_error* const error = tare_last_error();
  CHECK(error_is(open_error("none", TARE_STRICT, access), TARE_NOT_FOUND, "No such file"));
  CHECK(error->system_errno == ENOENT && error->offset == TARE_NO_OFFSET);
  CHECK(error->subject.length == 0);
  CHECK(error_is(open_error(".", TARE_STRICT, access), TARE_NOT_A_FILE, "directory"));
  CHECK(open_error("empty", TARE_STRICT, access) == TARE_EMPTY);
  CHECK(error_is(open_error("page.html", TARE_STRICT, access), TARE_WRONG_FORMAT, "HTML"));
  CHECK(error_is(open_error("broken.safetensors", TARE_STRICT, access), TARE_MALFORMED, "integer"));
  CHECK(error->offset == 8 + strlen("{\"t\":{\"dtype\":\"F32\",\"shape\":["));
  CHECK(error_is(open_error("twice.safetensors", TARE_STRICT, access), TARE_REFUSED, "strict: "));
  tare_close(open_file("twice.safetensors", TARE_REFERENCE, access));
  tare_close(open_file("space.safetensors", TARE_REFERENCE, access));
  CHECK(open_error("space.safetensors", TARE_STRICT, access) != TARE_OK);
  // A success leaves the last error.
  CHECK(error_is(open_error("none", TARE_STRICT, access), TARE_NOT_FOUND, ""));
  tare_close(open_file("shard-1", TARE_STRICT, access));
  CHECK(error->status == TARE_NOT_FOUND);
}

static void test_read_only_safetensors(void) {
  CHECK(error_is(open_error("index.json", TARE_STRICT, TARE_READ), TARE_UNSUPPORTED, "shards"));
  CHECK(error_is(open_error("strided.pt", TARE_STRICT, TARE_READ), TARE_WRONG_FORMAT, "zip"));
}

static void test_shrinking_file(void) {
  static unsigned char data[100000];
  const uint64_t shape[] = {sizeof data};
  tare_new_tensor tensor;
  tare_save_options options = TARE_SAVE_OPTIONS_INIT;
  tare_model* model;
  struct stat whole;
  memset(&tensor, 0, sizeof tensor);
  tensor.name = tare_text_of("t");
  tensor.dtype = TARE_U8;
  tensor.shape = shape;
  tensor.rank = 1;
  tensor.data = data;
  tensor.bytes = sizeof data;
  options.overwrite = 1;
  CHECK_OK(tare_save(in_folder("shrinks"), &tensor, 1, &options));
  model = open_file("shrinks", TARE_STRICT, TARE_READ);
  CHECK(stat(in_folder("shrinks"), &whole) == 0);
  CHECK(truncate(in_folder("shrinks"), whole.st_size / 2) == 0);
  CHECK(error_is(tare_tensor_read(find(model, "t"), data, sizeof data), TARE_TRUNCATED, "shorter"));
  CHECK(text_equals(tare_last_error()->subject, "t"));
  tare_close(model);

  CHECK(error_is(open_error("shrinks", TARE_STRICT, TARE_MAP), TARE_TRUNCATED, "expected"));
  CHECK(tare_last_error()->expected == (uint64_t)whole.st_size);
  CHECK(tare_last_error()->actual == (uint64_t)whole.st_size / 2);
}

// A subject of many characters of two bytes, behind one of one.
static void test_long_subject(void) {
  static char name[5001] = "x";
  tare_new_tensor tensor;
  size_t i;
  for (i = 1; i < sizeof name - 1; ++i) name[i] = "\xC3\xA9"[(i + 1) % 2];
  memset(&tensor, 0, sizeof tensor);
  tensor.name = tare_text_of(name);
  CHECK(tare_save(in_folder("long"), &tensor, 1, NULL) == TARE_INVALID_ARGUMENT);
  CHECK(tare_last_error()->subject.length == TARE_MAX_SUBJECT - 1);
  CHECK(memcmp(tare_last_error()->subject.data, name, TARE_MAX_SUBJECT - 1) == 0);
  CHECK(tare_last_error()->subject.data[TARE_MAX_SUBJECT - 1] == '\0');
}

// ---- threads

static void* read_in_thread(void* given) {
  const tare_model* const model = given;
  float out[6];
  int i;
  int good = 0;
  for (i = 0; i < 1000; ++i) {
    const tare_tensor* const a = find(model, "a");
    good += tare_tensor_read(a, out, sizeof out) == TARE_OK &&
            memcmp(out, data_a, sizeof out) == 0 &&
            tare_tensor_read(a, out, 1) == TARE_INVALID_ARGUMENT &&
            text_equals(tare_last_error()->subject, "a");
  }
  return good == 1000 ? given : NULL;
}

static void test_threads(int32_t access) {
  tare_model* const model = open_file("model", TARE_STRICT, access);
  pthread_t threads[4];
  int i;
  CHECK(tare_open("", NULL, NULL) == TARE_INVALID_ARGUMENT);
  for (i = 0; i < 4; ++i) CHECK(pthread_create(&threads[i], NULL, read_in_thread, model) == 0);
  for (i = 0; i < 4; ++i) {
    void* result = NULL;
    CHECK(pthread_join(threads[i], &result) == 0 && result == model);
  }
  CHECK(tare_last_error()->subject.length == 0);  // those of the others are theirs
  tare_close(model);
}

static void* new_thread_has_no_error(void* unused) {
  const tare_error* const error = tare_last_error();
  const int fine = error->status == TARE_OK && error->message[0] == '\0' &&
                   error->subject.length == 0 && error->offset == TARE_NO_OFFSET;
  return fine ? (void*)error : unused;
}

static void test_first_error(void) {
  pthread_t thread;
  void* result = NULL;
  CHECK(pthread_create(&thread, NULL, new_thread_has_no_error, NULL) == 0);
  CHECK(pthread_join(thread, &result) == 0 && result != NULL);
}

int main(int argc, char** argv) {
  int32_t access;
  if (argc != 2) return 4;
  folder = argv[1];
  test_constants();
  test_layout();
  test_first_error();
  save_model();
  test_null();
  test_options();
  for (access = TARE_MAP; access <= TARE_READ; ++access) {
    test_tensors(access);
    test_slices(access);
    test_many(access);
    test_open_errors(access);
    test_threads(access);
  }
  test_save_errors();
  test_writer();
  test_names();
  test_strided();
  test_large_strided();
  test_expanded();
  test_problems();
  test_read_only_safetensors();
  test_shrinking_file();
  test_long_subject();
  if (failures != 0) fprintf(stderr, "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
