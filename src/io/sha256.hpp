// SHA-256 in pieces, by OpenSSL.
#pragma once

#include <memory>
#include <string>

#include "tare/bytes.hpp"

struct evp_md_ctx_st;

namespace tare {

class Sha256 {
 public:
  Sha256();
  void update(ByteSpan bytes);
  // 64 lower-case hexadecimal digits. Ends the computation: call once.
  std::string hex_digest();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace tare
