// The C interface of tare: a model file as named tensors, read and written without running a byte
// of it. docs/c-api.md has a complete program.
//
// C99. The functions are those of libtare.so.0 and keep their meaning as long as it has that name:
// later versions add functions, status and dtype numbers, and fields at the end of structs that
// say so. No C++ exception leaves them; what runs out of memory is TARE_NO_MEMORY.
//
// Errors: a function that can fail returns a tare_status; tare_last_error() has the rest. A place
// for a result is NULL after an error.
//
// NULL: where an object, a path or a place for a result is needed it is TARE_INVALID_ARGUMENT; a
// function that only looks at an object gives 0, NULL or a text without data for it; what closes or
// frees does nothing with it.
//
// Threads: models, tensors and slices may be used by several threads at once, but for what closes
// or frees them. A writer belongs to one thread at a time. A thread inside a call must not be
// cancelled.
#ifndef TARE_TARE_H
#define TARE_TARE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Of the library that is loaded: "0.1.0".
const char* tare_version(void);

// ---- texts

// Bytes with their length: names and metadata may hold any character, NUL among them. Texts from
// tare are UTF-8 and also end with a NUL behind their last byte. They come from the file: do not
// print them to a terminal, or use them as a path, as they are. Those given to tare need no NUL.
typedef struct tare_text {
  const char* data;
  size_t length;
} tare_text;

// The text that ends before the first NUL. Of NULL, one without data, which is no text.
tare_text tare_text_of(const char* text);

// ---- errors

typedef int32_t tare_status;
enum {
  TARE_OK = 0,
  TARE_NOT_FOUND = 1,          // no such file
  TARE_NO_PERMISSION = 2,      // the system refused
  TARE_NOT_A_FILE = 3,         // a directory, device, socket or FIFO where a file is needed
  TARE_EMPTY = 4,              // zero bytes
  TARE_IO = 5,                 // the system failed
  TARE_NO_SPACE = 6,           // the disk, a quota or a size limit is full
  TARE_EXISTS = 7,             // the output exists and was not to be replaced
  TARE_TRUNCATED = 8,          // the file ends before what it declares
  TARE_MALFORMED = 9,          // the file breaks the rules of its format
  TARE_UNSUPPORTED = 10,       // legal, but this version does not do it
  TARE_LIMIT = 11,             // more than a limit that keeps memory and time bounded
  TARE_OVERFLOW = 12,          // a size does not fit
  TARE_WRONG_FORMAT = 13,      // something else than a model; the message says what
  TARE_REFUSED = 14,           // readers could read it differently; the message says which rule
  TARE_MISMATCH = 15,          // two things that must be equal are not
  TARE_INVALID_ARGUMENT = 16,  // the caller's mistake
  TARE_NO_MEMORY = 17,
  TARE_INTERNAL = 18  // a mistake in tare: please report it
};

// "not_found"; "unknown" for other numbers. Literals.
const char* tare_status_name(tare_status status);

#define TARE_NO_OFFSET UINT64_MAX
// Bytes of the subject of the last error; a longer one is cut.
#define TARE_MAX_SUBJECT 1000

// Made by tare only; later versions may add fields at the end.
typedef struct tare_error {
  tare_status status;
  int32_t system_errno;  // errno of the system call that failed, or 0
  uint64_t offset;       // bytes from the start of the file; TARE_NO_OFFSET if none is known
  uint64_t expected;     // TARE_TRUNCATED: bytes that there should be, and are; both 0 if not known
  uint64_t actual;
  const char* message;  // a sentence without the name of the file; no text of the input is in it
  tare_text subject;    // the tensor, file or key that it is about, text of the input; may be empty
} tare_error;

// The last error of a function called by this thread; a call that succeeds leaves it. Never NULL:
// TARE_OK if nothing failed yet. Valid until the next error in this thread.
const tare_error* tare_last_error(void);

// ---- element types

typedef int32_t tare_dtype;
enum {
  TARE_BOOL = 1,
  TARE_F4 = 2,
  TARE_F6_E2M3 = 3,
  TARE_F6_E3M2 = 4,
  TARE_U8 = 5,
  TARE_I8 = 6,
  TARE_F8_E5M2 = 7,
  TARE_F8_E4M3 = 8,
  TARE_F8_E8M0 = 9,
  TARE_F8_E4M3FNUZ = 10,
  TARE_F8_E5M2FNUZ = 11,
  TARE_I16 = 12,
  TARE_U16 = 13,
  TARE_F16 = 14,
  TARE_BF16 = 15,
  TARE_I32 = 16,
  TARE_U32 = 17,
  TARE_F32 = 18,
  TARE_C64 = 19,  // two F32
  TARE_F64 = 20,
  TARE_I64 = 21,
  TARE_U64 = 22
};

// As safetensors writes it, "F32"; NULL for other numbers. Literals.
const char* tare_dtype_name(tare_dtype dtype);
// Bits of an element: below 8 for packed types, 0 for other numbers.
unsigned tare_dtype_bits(tare_dtype dtype);

// ---- a model

typedef struct tare_model tare_model;
typedef struct tare_tensor tare_tensor;  // of a model, and valid as long as that is open

typedef struct tare_pair {
  tare_text key;
  tare_text value;
} tare_pair;

// tare_open_options.rules: which safetensors files are valid (docs/formats/safetensors.md).
enum {
  TARE_STRICT = 0,    // nothing that two readers could read differently
  TARE_REFERENCE = 1  // exactly what the reference implementation accepts
};

// tare_open_options.access: how tensors are reached.
enum {
  // Through a mapping: no copy, and what is not touched is not read. If another process makes the
  // file shorter meanwhile, touching what is gone raises SIGBUS, which ends the process.
  TARE_MAP = 0,
  // By pread: a file that shrinks is TARE_TRUNCATED. For network file systems, and for files that
  // others write. Single safetensors files only.
  TARE_READ = 1
};

// An options struct begins as its INIT has it, which is also what NULL in its place means. Later
// versions may add fields at the end, where 0 is what they did before: struct_size tells the
// library which fields there are. TARE_INVALID_ARGUMENT: a value or a field that it does not know.
typedef struct tare_open_options {
  size_t struct_size;
  int32_t rules;
  int32_t access;
} tare_open_options;
#define TARE_OPEN_OPTIONS_INIT {sizeof(tare_open_options), TARE_STRICT, TARE_MAP}

// Opens a model by content: safetensors, the index of a sharded model, or any other format that
// tare reads. Everything but the elements of tensors is validated. `path` is as the system takes
// it. Rules apply to a single safetensors file; shards are read by the strict ones.
tare_status tare_open(const char* path, const tare_open_options* options, tare_model** model);
// Closes a model; its tensors, slices and all that they gave are no longer valid.
void tare_close(tare_model* model);

// "safetensors", "torch-zip". Later versions know more.
tare_text tare_model_format(const tare_model* model);

// In file order.
size_t tare_model_tensor_count(const tare_model* model);
// NULL if `index` is not below the count.
const tare_tensor* tare_model_tensor(const tare_model* model, size_t index);
// NULL if there is none of this name, which is no error.
const tare_tensor* tare_model_find(const tare_model* model, tare_text name);

// Texts that the file keeps beside the tensors, sorted by key, each once.
size_t tare_model_metadata_count(const tare_model* model);
const tare_pair* tare_model_metadata(const tare_model* model, size_t index);

// What could not be read while the rest could: a tensor of an unknown kind, one that a shard lacks.
// A model that has problems is not whole.
size_t tare_model_problem_count(const tare_model* model);
const tare_error* tare_model_problem(const tare_model* model, size_t index);

// ---- a tensor

tare_text tare_tensor_name(const tare_tensor* tensor);
// 0 for NULL.
tare_dtype tare_tensor_dtype(const tare_tensor* tensor);
size_t tare_tensor_rank(const tare_tensor* tensor);
// Elements per axis, as many as the rank.
const uint64_t* tare_tensor_shape(const tare_tensor* tensor);
// Of the elements, packed.
uint64_t tare_tensor_bytes(const tare_tensor* tensor);

// The elements in place, row-major, little-endian, at any alignment: tare_tensor_bytes() of them,
// valid as long as the model is open. NULL if they are not in memory like that: the model was
// opened with TARE_READ, or the file keeps them in another order. Then they can be read.
const void* tare_tensor_data(const tare_tensor* tensor);

// Reading copies elements to memory of the caller, row-major, little-endian. `out` may be NULL if
// `size` is 0. After an error, what is there is not defined. TARE_LIMIT: a tensor that repeats few
// bytes of a file to more than 1 GiB.

// `size` must be tare_tensor_bytes().
tare_status tare_tensor_read(const tare_tensor* tensor, void* out, size_t size);
// `size` bytes from byte `first` of the tensor on.
tare_status tare_tensor_read_range(const tare_tensor* tensor, uint64_t first, void* out,
                                   size_t size);

typedef struct tare_read_request {
  const tare_tensor* tensor;
  void* out;
  size_t size;  // tare_tensor_bytes()
} tare_read_request;

typedef struct tare_read_options {
  size_t struct_size;
  uint32_t threads;    // 0: as many as there are processors; never more than 16
  int32_t past_cache;  // not 0: O_DIRECT, where it can be had, for what is read only once
} tare_read_options;
#define TARE_READ_OPTIONS_INIT {sizeof(tare_read_options), 0, 0}

// Reads many tensors of a model by several threads at once. The first error ends it.
tare_status tare_model_read(const tare_model* model, const tare_read_request* requests,
                            size_t count, const tare_read_options* options);

// ---- slices

typedef struct tare_slice tare_slice;

// Plans a slice, as numpy means it: "[1:5, ::-2, ..., 3]"; the brackets may be left out. Nothing
// is read yet. TARE_UNSUPPORTED: an edge inside a byte, for packed types.
tare_status tare_slice_create(const tare_tensor* tensor, tare_text index, tare_slice** slice);
void tare_slice_free(tare_slice* slice);
// Of the result.
size_t tare_slice_rank(const tare_slice* slice);
const uint64_t* tare_slice_shape(const tare_slice* slice);
uint64_t tare_slice_bytes(const tare_slice* slice);
// `size` must be tare_slice_bytes(). What is not asked for is not read, but where the file keeps
// the elements in another order: then the whole tensor is, into memory of its size.
tare_status tare_slice_read(const tare_slice* slice, void* out, size_t size);

// ---- writing safetensors

// A tensor to write. `data` and `bytes` are for tare_save() only.
typedef struct tare_new_tensor {
  tare_text name;         // UTF-8
  const uint64_t* shape;  // as many as the rank; may be NULL if that is 0
  size_t rank;
  const void* data;  // packed, row-major, little-endian
  size_t bytes;      // of data: what dtype and shape come to
  tare_dtype dtype;
} tare_new_tensor;

typedef struct tare_save_options {
  size_t struct_size;
  int32_t overwrite;          // not 0: replace a file that is there
  const tare_pair* metadata;  // in any order, no key twice
  size_t metadata_count;
} tare_save_options;
#define TARE_SAVE_OPTIONS_INIT {sizeof(tare_save_options), 0, NULL, 0}

// The file has the bytes that the reference implementation writes (metadata sorted by key). It
// appears complete and flushed to disk, or not at all, under a name that may be that of a mapped
// model. What is wrong with names and shapes is told before anything is created.

// Writes tensors, given in any order, from memory.
tare_status tare_save(const char* path, const tare_new_tensor* tensors, size_t count,
                      const tare_save_options* options);

// Writes tensors one after the other, in memory that does not depend on their size. After an error
// the file is given up: later calls return that error again. Only NULL and an index that is none
// leave the writer as it was.
typedef struct tare_writer tare_writer;
tare_status tare_writer_create(const char* path, const tare_new_tensor* tensors, size_t count,
                               const tare_save_options* options, tare_writer** writer);
// Which of the tensors, by its index in the array, must come as number `position`. SIZE_MAX if
// there are not so many.
size_t tare_writer_order(const tare_writer* writer, size_t position);
// Begins the next tensor: `index` says which it is meant to be.
tare_status tare_writer_begin(tare_writer* writer, size_t index);
// Its next bytes, packed, row-major, little-endian; as many calls as it takes.
tare_status tare_writer_write(tare_writer* writer, const void* data, size_t size);
// Puts the file on disk and gives it its name.
tare_status tare_writer_finish(tare_writer* writer);
// An unfinished file goes, with nothing left behind.
void tare_writer_free(tare_writer* writer);

#ifdef __cplusplus
}
#endif

#endif
