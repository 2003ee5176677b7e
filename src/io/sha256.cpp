#include "io/sha256.hpp"

// The functions of one algorithm are deprecated in favour of EVP. But EVP refers to every algorithm
// that there is, so that a program cannot link the one that it needs.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

namespace tare {

struct Sha256::State {
  SHA256_CTX context;
};

void Sha256::Free::operator()(State* state) const {
  delete state;
}

Sha256::Sha256() : state_(new State) {
  SHA256_Init(&state_->context);
}

void Sha256::update(ByteSpan bytes) {
  SHA256_Update(&state_->context, bytes.data(), bytes.size());
}

Sha256::Digest Sha256::digest() {
  Digest digest{};
  SHA256_Final(reinterpret_cast<unsigned char*>(digest.data()), &state_->context);
  return digest;
}

std::string Sha256::hex_digest() {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const std::byte byte : digest()) {
    hex += kDigits[std::to_integer<unsigned>(byte >> 4)];
    hex += kDigits[std::to_integer<unsigned>(byte & std::byte{15})];
  }
  return hex;
}

}  // namespace tare
