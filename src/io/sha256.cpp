#include "io/sha256.hpp"

// The functions of one algorithm are deprecated in favour of EVP. But EVP refers to every algorithm
// that there is, so that a program cannot link the one that it needs.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "io/hex.hpp"

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
  return hex_text(digest());
}

}  // namespace tare
