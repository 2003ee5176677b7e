// SHA-256 in pieces, by OpenSSL.
#pragma once

#include <memory>
#include <string>

#include "tare/bytes.hpp"

struct SHA256state_st;

namespace tare {

class Sha256 {
 public:
  Sha256();
  void update(ByteSpan bytes);
  // 64 lower-case hexadecimal digits. Ends the computation: call once.
  std::string hex_digest();

 private:
  struct Free {
    void operator()(SHA256state_st* state) const;
  };
  std::unique_ptr<SHA256state_st, Free> state_;
};

}  // namespace tare
