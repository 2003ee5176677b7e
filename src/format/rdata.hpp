// Serialized objects of R, as readRDS() and load() read them (docs/formats/rdata.md).
#pragma once

#include "format/format.hpp"

namespace tare::format {

// What is more than data.
enum class RCodeKind : std::uint8_t {
  kPromise,     // a value that runs code when it is first looked at
  kCall,        // an expression
  kFunction,    // a closure
  kBytecode,    // compiled code
  kBuiltin,     // a function of R itself, by name
  kName,        // a name or text inside of code
  kPackage,     // a package that is loaded to read it
  kFile,        // a file that is opened to read it
  kPersistent,  // what the reading program is asked for
  kPointer,     // an address, or a weak reference with a finalizer
};
inline constexpr std::size_t kRCodeKinds = 10;

struct RCode {
  RCodeKind kind;
  std::uint64_t offset;
  std::string text;  // a name, if it has one
};

struct RView {
  static constexpr std::size_t kMaxCode = 100'000;

  ModelContents contents;
  // Of kName all that are different, of others each; no more than kMaxCode.
  std::vector<RCode> code;
  bool has_more_code = false;
  std::uint64_t end = 0;
};

// Errors: kTruncated, kMalformed, kUnsupported (a version that is neither 2 nor 3), kLimit (names
// of more than 64 MiB and the file, more than 4 million objects).
Result<RView> read_rdata(ByteSpan bytes);

}  // namespace tare::format
