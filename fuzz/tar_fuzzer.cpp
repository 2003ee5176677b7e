// Any bytes as a tar archive: whatever is listed lies inside of it, and is_tar() says what open()
// says.
#include <cstdlib>

#include "archive/tar_reader.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tare::ByteSpan bytes = std::as_bytes(std::span(data, size));
  const auto reader = tare::tar::Reader::open(bytes, {.max_header_bytes = 1 << 20});
  if (!reader) {
    require(reader.error().code == tare::ErrorCode::kLimit || !tare::tar::is_tar(bytes));
    return 0;
  }
  require(tare::tar::is_tar(bytes));
  unsigned sum = 0;
  for (const auto& member : reader->members()) {
    const auto content = reader->content(member);
    if (!content || content->empty()) continue;
    sum += static_cast<unsigned>(content->front()) + static_cast<unsigned>(content->back());
  }
  for (const auto& anomaly : reader->anomalies()) {
    require(anomaly.offset <= size);
    require(anomaly.member == tare::tar::Reader::kNoMember ||
            anomaly.member < reader->members().size());
  }
  return sum == 0xFFFFFFFF ? 1 : 0;
}
