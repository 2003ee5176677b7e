// Values as the opcodes that push them, to be put together like expressions, and the documents that
// a reader makes of such a stream.
#pragma once

#include <bit>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/object_contents.hpp"
#include "object/document.hpp"
#include "support/pickle_bytes.hpp"

namespace tare::test {

// ---- values

inline const std::string kNone = "N";

// BININT, or LONG1 with eight bytes.
inline std::string integer(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (value >= INT32_MIN && value <= INT32_MAX) return "J" + u32(bits);
  return "\x8A" + u8(8) + u64(bits);
}
inline std::string real(double value) {
  const std::string bytes = u64(std::bit_cast<std::uint64_t>(value));
  return "G" + std::string(bytes.rbegin(), bytes.rend());
}
inline std::string boolean(bool value) {
  return value ? "\x88" : "\x89";
}
// BINUNICODE, BINBYTES: of any length.
inline std::string str(std::string_view text) {
  return long_text(text);
}
inline std::string bytes(std::string_view bytes) {
  return "B" + u32(bytes.size()) + std::string(bytes);
}

inline std::string joined(const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& value : values) out += value;
  return out;
}
inline std::string tuple(const std::vector<std::string>& items) {
  return "(" + joined(items) + "t";
}
inline std::string list(const std::vector<std::string>& items) {
  return "](" + joined(items) + "e";
}
// SETITEMS of keys and values, for what is on the stack.
inline std::string items(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string out = "(";
  for (const auto& [key, value] : pairs) out += key + value;
  return out + "u";
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& pairs) {
  return "}" + items(pairs);
}
inline std::string sizes(const std::vector<std::int64_t>& numbers) {
  std::vector<std::string> values;
  for (const std::int64_t number : numbers) values.push_back(integer(number));
  return tuple(values);
}

// module.name(*arguments), by REDUCE and by NEWOBJ.
inline std::string called(std::string_view module, std::string_view name,
                          const std::vector<std::string>& arguments = {}) {
  return global(module, name) + tuple(arguments) + "R";
}
inline std::string made(std::string_view module, std::string_view name,
                        const std::vector<std::string>& arguments = {}) {
  return global(module, name) + tuple(arguments) + "\x81";
}
// `state` given to what is on the stack.
inline std::string build(const std::string& state) {
  return state + "b";
}
// A whole stream.
inline std::string stream(const std::string& value, unsigned protocol = 2) {
  return proto(protocol) + value + ".";
}

// ---- values of torch

inline std::string persistent(const std::string& id) {
  return id + "Q";
}
inline std::string storage(std::string_view storage_class, std::string_view key,
                           std::int64_t numel) {
  return persistent(tuple(
      {str("storage"), global("torch", storage_class), str(key), str("cpu"), integer(numel)}));
}
inline std::string ordered_dict() {
  return called("collections", "OrderedDict");
}
// torch._utils._rebuild_tensor_v2 of a storage value.
inline std::string tensor_v2(const std::string& storage, std::int64_t offset,
                             const std::vector<std::int64_t>& shape,
                             const std::vector<std::int64_t>& strides) {
  return called(
      "torch._utils", "_rebuild_tensor_v2",
      {storage, integer(offset), sizes(shape), sizes(strides), boolean(false), ordered_dict()});
}
// All of a contiguous storage as one axis.
inline std::string vector_of(std::string_view storage_class, std::string_view key,
                             std::int64_t count) {
  return tensor_v2(storage(storage_class, key, count), 0, {count}, {1});
}

// ---- documents

// Storages by their keys, and the keys that were asked for.
class TestStorages : public object::Externals {
 public:
  explicit TestStorages(std::map<std::string, std::string> bytes, bool big_endian = false)
      : bytes_(std::move(bytes)), big_endian_(big_endian) {}

  Result<object::Storage> storage(const object::StorageId& id) override {
    const auto found = bytes_.find(id.key);
    if (found == bytes_.end()) return fail(ErrorCode::kNotFound, "no such storage");
    return object::Storage{as_bytes(found->second), big_endian_, "data/" + id.key};
  }

 private:
  std::map<std::string, std::string> bytes_;
  bool big_endian_;
};

// A document with the stream that it borrows. The stream must end with STOP.
class TestDocument {
 public:
  explicit TestDocument(std::string stream, std::map<std::string, std::string> storages = {},
                        bool big_endian = false)
      : stream_(std::move(stream)) {
    auto run = pickle::run(as_bytes(stream_));
    if (run.end != pickle::End::kStop) throw std::runtime_error(run.error.what);
    object::Surroundings surroundings;
    surroundings.externals = std::make_unique<TestStorages>(std::move(storages), big_endian);
    surroundings.nested = format::nested_opener();
    document_ = std::make_unique<object::Document>(std::move(run), std::move(surroundings));
  }

  object::Document& operator*() { return *document_; }
  object::Document* operator->() { return document_.get(); }
  const pickle::Graph& graph() const { return document_->graph(); }
  pickle::Value root() const { return document_->root(); }

 private:
  std::string stream_;
  std::unique_ptr<object::Document> document_;
};

}  // namespace tare::test
