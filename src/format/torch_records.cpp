#include "format/torch_records.hpp"

#include "format/torch_archive.hpp"

namespace tare::format {
namespace {

// Names that stand in the directory twice, as PyTorch compares them, in lower case: which record a
// loader takes is its own affair.
std::unordered_set<std::string> ambiguous_names(const zip::Reader& archive) {
  std::unordered_set<std::string> names;
  for (const auto& anomaly : archive.anomalies()) {
    if (anomaly.kind == zip::AnomalyKind::kDuplicateName ||
        anomaly.kind == zip::AnomalyKind::kCaseCollision) {
      names.insert(lower_case(archive.entries()[anomaly.entry].name));
    }
  }
  return names;
}

}  // namespace

Records::Records(zip::Reader archive, std::uint64_t inflate_left)
    : archive_(std::move(archive)),
      folder_(folder_of(archive_)),
      ambiguous_(ambiguous_names(archive_)),
      inflate_left_(inflate_left) {
  for (const zip::Entry& entry : archive_.entries()) by_name_.try_emplace(entry.name, &entry);
}

Result<ByteSpan> Records::content(const zip::Entry& entry) {
  if (ambiguous_.contains(lower_case(entry.name))) {
    return fail(ErrorCode::kRefused, "the archive has more than one record of this name",
                entry.central_offset);
  }
  if (entry.method == zip::kStored) return archive_.stored_bytes(entry);
  const auto known = inflated_.find(&entry);
  if (known != inflated_.end()) return ByteSpan(known->second);
  if (entry.size > inflate_left_) {
    return fail(ErrorCode::kLimit, "the archive inflates to more than tare is willing to hold",
                entry.central_offset);
  }
  auto inflated = archive_.inflate(entry);
  if (!inflated) return std::unexpected(inflated.error());
  inflate_left_ -= entry.size;
  return ByteSpan(inflated_.emplace(&entry, std::move(*inflated)).first->second);
}

Result<void> Records::read_byte_order() {
  const zip::Entry* const record = find("byteorder");
  if (record == nullptr) return {};
  const auto order = content(*record);
  if (!order) return std::unexpected(order.error());
  big_endian_ = as_text(*order) == "big";
  if (big_endian_ || as_text(*order) == "little") return {};
  return fail(ErrorCode::kUnsupported, "the record `byteorder` is neither little nor big",
              record->data_offset);
}

}  // namespace tare::format
