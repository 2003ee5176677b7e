// Memory that runs out at every allocation in turn: each call says TARE_NO_MEMORY or goes well, and
// nothing is half done. Replaces the allocator of glibc, and so runs without sanitizers only.
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void __libc_free(void* block);

// Allocations that are still granted; no limit below 0.
static long granted = -1;
static int refused = 0;
// Blocks that were not freed yet.
static long live = 0;

static int is_refused(void) {
  long left = __atomic_load_n(&granted, __ATOMIC_RELAXED);
  while (left > 0 && !__atomic_compare_exchange_n(&granted, &left, left - 1, 1, __ATOMIC_RELAXED,
                                                  __ATOMIC_RELAXED)) {
  }
  if (left != 0) return 0;
  __atomic_store_n(&refused, 1, __ATOMIC_RELAXED);
  errno = ENOMEM;
  return 1;
}

static void* counted(void* block) {
  if (block != NULL) __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
  return block;
}

void* malloc(size_t size) {
  return is_refused() ? NULL : counted(__libc_malloc(size));
}
void* calloc(size_t count, size_t size) {
  return is_refused() ? NULL : counted(__libc_calloc(count, size));
}
void* realloc(void* old, size_t size) {
  if (is_refused()) return NULL;
  return old == NULL ? counted(__libc_malloc(size)) : __libc_realloc(old, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  return is_refused() ? NULL : counted(__libc_memalign(alignment, size));
}
void free(void* block) {
  if (block != NULL) __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
  __libc_free(block);
}

static char path[1000];

// Whether a call may return this while memory runs out.
static int is_fair(tare_status status) {
  if (status == TARE_OK) return 1;
  if (status == TARE_NO_MEMORY) return strcmp(tare_last_error()->message, "out of memory") == 0;
  fprintf(stderr, "%s: %s\n", tare_status_name(status), tare_last_error()->message);
  return 0;
}

static void read_tensor(const tare_model* model, const tare_tensor* tensor) {
  static char out[1 << 20];
  tare_read_request requests[2];
  tare_slice* slice = NULL;
  const size_t size = (size_t)tare_tensor_bytes(tensor);
  CHECK(size <= sizeof out / 2);
  CHECK(is_fair(tare_tensor_read(tensor, out, size)));
  CHECK(is_fair(tare_tensor_read_range(tensor, size / 2, out, size - size / 2)));
  CHECK(is_fair(tare_slice_create(tensor, tare_text_of("..., ::2"), &slice)));
  if (slice != NULL) {
    CHECK(is_fair(tare_slice_read(slice, out, (size_t)tare_slice_bytes(slice))));
  }
  tare_slice_free(slice);
  requests[0].tensor = requests[1].tensor = tensor;
  requests[0].out = out;
  requests[1].out = out + sizeof out / 2;
  requests[0].size = requests[1].size = size;
  CHECK(is_fair(tare_model_read(model, requests, 2, NULL)));
}

static void read_model(const char* folder, const char* name, const tare_open_options* options) {
  tare_model* model = NULL;
  size_t i;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  CHECK(is_fair(tare_open(path, options, &model)));
  for (i = 0; i < tare_model_tensor_count(model); ++i) {
    const tare_tensor* const tensor = tare_model_tensor(model, i);
    CHECK(tare_model_find(model, tare_tensor_name(tensor)) == tensor);
    if (tare_tensor_rank(tensor) > 0) read_tensor(model, tensor);
  }
  tare_close(model);
}

static void save(const char* folder) {
  static const uint64_t shape[] = {4};
  tare_new_tensor tensor;
  tare_pair metadata;
  tare_save_options options = TARE_SAVE_OPTIONS_INIT;
  tare_writer* writer = NULL;
  tare_status saved;
  snprintf(path, sizeof path, "%s/out", folder);
  memset(&tensor, 0, sizeof tensor);
  tensor.name = tare_text_of("a name too long to be stored inside a string object");
  tensor.dtype = TARE_U8;
  tensor.shape = shape;
  tensor.rank = 1;
  tensor.data = "1234";
  tensor.bytes = 4;
  metadata.key = metadata.value = tensor.name;
  options.metadata = &metadata;
  options.metadata_count = 1;
  saved = tare_save(path, &tensor, 1, &options);
  CHECK(is_fair(saved) && (unlink(path) == 0) == (saved == TARE_OK));

  saved = tare_writer_create(path, &tensor, 1, &options, &writer);
  CHECK(is_fair(saved) && (writer != NULL) == (saved == TARE_OK));
  if (writer == NULL) return;
  // Whatever fails keeps the file from being finished.
  saved = tare_writer_begin(writer, 0);
  CHECK(is_fair(saved));
  if (saved == TARE_OK) {
    saved = tare_writer_write(writer, "1234", 4);
    CHECK(is_fair(saved));
  }
  CHECK((tare_writer_finish(writer) == TARE_OK) <= (saved == TARE_OK));
  tare_writer_free(writer);
  unlink(path);
}

// Temporary files that a writer did not take away.
static int count_leftovers(const char* folder) {
  DIR* const directory = opendir(folder);
  const struct dirent* entry;
  int count = directory == NULL;
  while (directory != NULL && (entry = readdir(directory)) != NULL) {
    count += strncmp(entry->d_name, ".tare-", 6) == 0;
  }
  if (directory != NULL) closedir(directory);
  return count;
}

static void do_everything(const char* folder) {
  tare_open_options by_reading = TARE_OPEN_OPTIONS_INIT;
  by_reading.access = TARE_READ;
  read_model(folder, "names.safetensors", NULL);
  read_model(folder, "shard-1", &by_reading);
  read_model(folder, "strided.pt", NULL);
  read_model(folder, "index.json", NULL);
  save(folder);
}

int main(int argc, char** argv) {
  long limit = 0;
  int leftovers;
  if (argc != 2) return 4;
  leftovers = count_leftovers(argv[1]);
  do_everything(argv[1]);  // what the system keeps from the first time on
  do {
    const long before = live;
    refused = 0;
    granted = limit++;
    do_everything(argv[1]);
    granted = -1;
    CHECK(live == before);
  } while (refused);
  printf("memory ran out in %ld ways\n", limit - 1);
  CHECK(limit > 100);
  CHECK(count_leftovers(argv[1]) == leftovers);
  return failures == 0 ? 0 : 1;
}
