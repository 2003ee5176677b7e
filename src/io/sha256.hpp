// SHA-256 in pieces, by OpenSSL.
#pragma once

#include <memory>
#include <string>

#include "tare/bytes.hpp"

namespace tare {

class Sha256 {
 public:
  Sha256();
  void update(ByteSpan bytes);
  // 64 lower-case hexadecimal digits. Ends the computation: call once.
  std::string hex_digest();

 private:
  struct State;
  struct Free {
    void operator()(State* state) const;
  };
  std::unique_ptr<State, Free> state_;
};

}  // namespace tare
