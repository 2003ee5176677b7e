// GGUF files, field by field.
#pragma once

#include <string>
#include <vector>

#include "support/binary.hpp"

namespace tare::test {

class GgufBuilder {
 public:
  std::uint32_t version = 3;
  std::uint64_t alignment = 32;
  bool big_endian = false;
  std::string keys;
  std::uint64_t key_count = 0;
  std::string tensors;
  std::uint64_t tensor_count = 0;
  std::string data;

  std::string number(std::uint64_t value, unsigned width) const {
    std::string bytes = little(value, width);
    return big_endian ? std::string(bytes.rbegin(), bytes.rend()) : bytes;
  }
  std::string text(std::string_view value) const {
    return number(value.size(), 8) + std::string(value);
  }
  GgufBuilder& key(std::string_view name, std::uint32_t type, std::string_view value) {
    keys += text(name) + number(type, 4) + std::string(value);
    ++key_count;
    return *this;
  }
  GgufBuilder& text_key(std::string_view name, std::string_view value) {
    return key(name, 8, text(value));
  }
  // Axes as in the file: the innermost first.
  GgufBuilder& info(std::string_view name, const std::vector<std::uint64_t>& axes,
                    std::uint32_t type, std::uint64_t offset) {
    tensors += text(name) + number(axes.size(), 4);
    for (const std::uint64_t size : axes) tensors += number(size, 8);
    tensors += number(type, 4) + number(offset, 8);
    ++tensor_count;
    return *this;
  }
  // With its data, where it belongs.
  GgufBuilder& tensor(std::string_view name, const std::vector<std::uint64_t>& axes,
                      std::uint32_t type, std::string_view bytes) {
    info(name, axes, type, data.size());
    data += bytes;
    pad(data);
    return *this;
  }
  std::string build() const {
    std::string file = "GGUF" + number(version, 4) + number(tensor_count, 8) + number(key_count, 8);
    file += keys + tensors;
    pad(file);
    return file + data;
  }

 private:
  void pad(std::string& bytes) const {
    while (bytes.size() % alignment != 0) bytes += '\0';
  }
};

}  // namespace tare::test
