// Reads safetensors: a header of JSON, then the bytes of the tensors. Format:
// docs/formats/safetensors.md.
//
// parse() validates everything in one call; there is no way to get tensors out of a file that was
// not validated.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/detail/pod_vector.hpp"
#include "tare/error.hpp"
#include "tare/tensor.hpp"

namespace tare::safetensors {

// The largest header that readers accept, in bytes. Source: the reference implementation.
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

using Metadata = std::map<std::string, std::string>;

// Which files are valid.
enum class Rules : std::uint8_t {
  kStrict,     // nothing that two readers could read differently: kRefused says which rule
  kReference,  // exactly what the reference implementation accepts (version 0.8)
};

// A tensor of a header. Its name and shape live as long as the Header and the bytes it was read
// from.
struct TensorEntry {
  std::string_view name;  // UTF-8
  std::span<const std::uint64_t> shape;
  std::uint64_t begin = 0;  // bytes from the start of the data section
  std::uint64_t end = 0;
  DType dtype = DType::kF32;

  std::uint64_t byte_count() const { return end - begin; }
};

// A validated header. Memory: about as much again as its text, whatever that holds. Movable;
// safe to read from several threads.
class Header {
 public:
  // By position in the file; tensors without bytes at the same position in the order of the text.
  std::span<const TensorEntry> tensors() const { return {tensors_.data(), tensors_.size()}; }
  // nullptr if there is none of this name. Constant time.
  const TensorEntry* find(std::string_view name) const;
  bool has_metadata() const { return !metadata_json_.empty(); }
  // Read anew at each call. Of a key that occurs twice (kReference only) the last counts.
  Metadata metadata() const;

  std::uint64_t data_offset() const { return 8 + json_.size(); }  // of the data section, in bytes
  std::uint64_t data_bytes() const { return tensors_.empty() ? 0 : tensors_.back().end; }
  std::uint64_t file_bytes() const { return data_offset() + data_bytes(); }
  // A view of the file, padding included.
  std::string_view json() const { return json_; }

 private:
  friend class HeaderReader;
  // Texts and shapes that are not views of the file.
  struct Storage;

  explicit Header(std::string_view json) : json_(json) {}

  std::string_view json_;
  std::string_view metadata_json_;  // the object; empty if there is none
  detail::PodVector<TensorEntry> tensors_;
  detail::PodVector<std::uint64_t> index_;  // of names: a hash table
  std::uint64_t seed_ = 0;                  // of its hash
  std::shared_ptr<const Storage> storage_;
};

// Validates a whole file and returns its header, which refers to `file`. Errors: kTruncated (with
// the sizes), kMalformed, kOverflow, kUnsupported (unknown dtype), kLimit (header above
// kMaxHeaderBytes), kRefused (a strict rule), kWrongFormat (something else; the text says what).
Result<Header> parse(ByteSpan file, Rules rules = Rules::kStrict);

// The same when only the header is at hand: the first bytes of a file of `file_bytes` bytes.
// `front` has at least front_bytes() bytes, or the whole file if that is shorter.
Result<Header> parse_front(ByteSpan front, std::uint64_t file_bytes, Rules rules);

// The bytes in front of the data section, from the first 8 of a file. Errors: kLimit.
Result<std::uint64_t> front_bytes(std::uint64_t first_word);

// A tensor as a view of the data section, which `data` is.
TensorView view_of(const TensorEntry& entry, ByteSpan data);

}  // namespace tare::safetensors
