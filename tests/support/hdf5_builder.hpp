// HDF5 files byte by byte: superblock 2, object headers 2, and any message in them. What a library
// writes is tested with files of h5py (tests/cli/test_hdf5.py); these are for what none writes.
#pragma once

#include <string>
#include <vector>

#include "support/binary.hpp"

namespace tare::test {

struct Hdf5Message {
  std::uint8_t type;
  std::string data;
  std::uint8_t flags = 0;
};

inline const std::string kNowhere = std::string(8, '\xFF');

class Hdf5Builder {
 public:
  // Appends bytes; returns their address.
  std::uint64_t put(std::string_view bytes) {
    body_ += bytes;
    return kFront + body_.size() - bytes.size();
  }
  std::uint64_t object(const std::vector<Hdf5Message>& messages) {
    std::string all;
    for (const Hdf5Message& message : messages) {
      all += u8(message.type) + u16(message.data.size()) + u8(message.flags) + message.data;
    }
    return put("OHDR\x02\x02" + u32(all.size()) + all + u32(0));
  }
  std::uint64_t next() const { return kFront + body_.size(); }
  std::string build(std::uint64_t root, const std::string& user_block = "") const {
    std::string out =
        "\x89HDF\r\n\x1a\n" + u8(2) + u8(8) + u8(8) + u8(0) + u64(user_block.size()) + kNowhere;
    out += u64(user_block.size() + next()) + u64(root) + u32(0);
    return user_block + out + body_;
  }

 private:
  static constexpr std::uint64_t kFront = 48;
  std::string body_;
};

inline std::string hdf5_space(const std::vector<std::uint64_t>& shape) {
  std::string out = u8(2) + u8(shape.size()) + u8(0) + u8(1);
  for (const std::uint64_t length : shape) out += u64(length);
  return out;
}
inline std::string hdf5_f32() {
  return u8(0x11) + u8(0x20) + u8(0x1F) + u8(0) + u32(4) + u16(0) + u16(32) + u8(23) + u8(8) +
         u8(0) + u8(23) + u32(127);
}
inline std::string hdf5_text(std::uint64_t size) {
  return u8(0x13) + u8(0) + u8(0) + u8(0) + u32(size);
}
inline Hdf5Message hdf5_contiguous(std::uint64_t address, std::uint64_t size) {
  return {0x08, u8(3) + u8(1) + u64(address) + u64(size)};
}
inline Hdf5Message hdf5_link(const std::string& name, std::uint64_t address) {
  return {0x06, u8(1) + u8(0) + u8(name.size()) + name + u64(address)};
}
// Soft (1), external (64) or of the user (65 ...).
inline Hdf5Message hdf5_odd_link(const std::string& name, unsigned kind, const std::string& value) {
  return {0x06, u8(1) + u8(8) + u8(kind) + u8(name.size()) + name + u16(value.size()) + value};
}
// A text of fixed length.
inline Hdf5Message hdf5_attribute(const std::string& name, const std::string& value) {
  const std::string type = hdf5_text(value.size());
  const std::string space = u8(2) + u8(0) + u8(0) + u8(0);
  return {0x0C, u8(3) + u8(0) + u16(name.size() + 1) + u16(type.size()) + u16(space.size()) +
                    u8(0) + name + u8(0) + type + space + value};
}

}  // namespace tare::test
