// SHA-256 of a model: of its files, of each tensor, and of all tensors together, which is the same
// in every format and for every way to spread them over files. docs/models.md says how to compute
// each without tare.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tare/model.hpp"

namespace tare {

struct FileDigest {
  std::string name;  // as in the index; empty for a model of one file
  std::uint64_t bytes = 0;
  std::string sha256;  // 64 lower-case hexadecimal digits, as everywhere here
};

struct TensorDigest {
  const NamedTensor* tensor = nullptr;
  std::string sha256;  // of the packed elements in row-major order
};

struct ModelDigest {
  std::vector<FileDigest> files;      // in the order of the model, an index first
  std::vector<TensorDigest> tensors;  // by name
  std::string tensors_sha256;         // of all; empty if part of the model could not be read
};

struct DigestOptions {
  bool files = true;
  bool tensors = true;
  unsigned threads = 0;  // 0: as many as there are processors, 16 at most
  // Called with the number of bytes hashed so far, by one thread at a time.
  std::function<void(std::uint64_t)> progress;
};

// Reads everything that `options` names. Memory: a megabyte for each thread. Errors: kLimit (a
// tensor repeats its storage to more than 1 GiB), kUnsupported (strided packed types), with the
// tensor's name.
std::expected<ModelDigest, Failure> digest(const Model& model, const DigestOptions& options = {});

// How many bytes digest() reads.
std::uint64_t digest_work(const Model& model, const DigestOptions& options);

}  // namespace tare
