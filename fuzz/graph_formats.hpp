// What must hold for any bytes taken as one format.
#pragma once

#include <cstdlib>

#include "format/format.hpp"
#include "tare/scan.hpp"

namespace tare {

inline bool inside(ByteSpan part, ByteSpan whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// Parts lie in the file, tensors are legal views, and what cannot be read is not safe.
inline void check_format(const format::Format& format, ByteSpan bytes) {
  const auto parts = tare::format::parts_of(format, bytes);
  for (const format::Part& part : parts ? parts->parts : std::vector<format::Part>()) {
    if (!inside(part.bytes, bytes)) std::abort();
  }
  if (format.recognises(bytes)) {
    const auto report = scan(bytes);
    if (!report || (!parts && report->verdict == Verdict::kSafe)) std::abort();
  }
  if (format.read_tensors == nullptr) return;
  auto context = format::context_of(bytes);
  const auto contents = format.read_tensors(bytes, context);
  if (!contents) return;
  for (const NamedTensor& tensor : contents->tensors) {
    if (!check_view(tensor.view)) std::abort();
  }
  for (const SpecialTensor& tensor : contents->specials) {
    for (const NamedTensor& part : tensor.parts) {
      if (!check_view(part.view)) std::abort();
    }
  }
}

}  // namespace tare
