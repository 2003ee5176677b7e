// SHA-256 in pieces, by OpenSSL.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "tare/bytes.hpp"

namespace tare {

class Sha256 {
 public:
  using Digest = std::array<std::byte, 32>;

  Sha256();
  void update(ByteSpan bytes);
  // Both end the computation: call one of them, once.
  Digest digest();
  std::string hex_digest();  // 64 lower-case hexadecimal digits

 private:
  struct State;
  struct Free {
    void operator()(State* state) const;
  };
  std::unique_ptr<State, Free> state_;
};

}  // namespace tare
