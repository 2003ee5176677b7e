#include "tare/compare.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tensor/packed_reader.hpp"

namespace tare {
namespace {

// Equal bytes are told by memcmp; only blocks of this size that differ are looked at byte by byte.
constexpr std::uint64_t kBlock = std::uint64_t{64} << 10;
// Progress is told this often, in bytes.
constexpr std::uint64_t kStep = std::uint64_t{8} << 20;

std::vector<const NamedTensor*> by_name(const Model& model) {
  std::vector<const NamedTensor*> tensors;
  for (const NamedTensor& tensor : model.tensors()) tensors.push_back(&tensor);
  std::ranges::stable_sort(tensors, {}, [](const NamedTensor* tensor) { return tensor->name; });
  return tensors;
}

class Comparer {
 public:
  explicit Comparer(const CompareProgress& progress) : progress_(&progress) {}

  // Compares two tensors of one name. False if one cannot be walked: see error().
  bool compare(const NamedTensor& a, const NamedTensor& b);
  void add(const Difference& difference) { result_.differences.push_back(difference); }

  const Error& error() const { return error_; }
  Comparison take() { return std::move(result_); }

 private:
  bool fail(const Error& error) {
    error_ = error;
    return false;
  }
  bool compare_bytes(Difference& difference);
  void count(ByteSpan a, ByteSpan b, std::uint64_t position, Difference& difference) const;

  const CompareProgress* progress_;
  std::uint64_t told_ = 0;
  Comparison result_;
  Error error_{};
};

bool Comparer::compare(const NamedTensor& a, const NamedTensor& b) {
  Difference difference{DifferenceKind::kBytes, &a, &b};
  if (a.view.dtype != b.view.dtype) {
    difference.kind = DifferenceKind::kDType;
  } else if (a.view.shape != b.view.shape) {
    difference.kind = DifferenceKind::kShape;
  } else {
    if (!compare_bytes(difference)) return false;
    if (difference.differing_bytes == 0) {
      ++result_.equal_tensors;
      return true;
    }
  }
  add(difference);
  return true;
}

bool Comparer::compare_bytes(Difference& difference) {
  for (const NamedTensor* tensor : {difference.a, difference.b}) {
    if (auto checked = check_expansion(tensor->view); !checked) return fail(checked.error());
  }
  auto a = PackedReader::make(difference.a->view);
  auto b = PackedReader::make(difference.b->view);
  if (!a || !b) return fail(a ? b.error() : a.error());
  std::uint64_t position = 0;
  for (;;) {
    // Of one dtype and shape, so that both end at once.
    ByteSpan left = a->peek();
    ByteSpan right = b->peek();
    const std::uint64_t size = std::min({left.size(), right.size(), kBlock});
    if (size == 0) break;
    left = left.first(size);
    right = right.first(size);
    if (std::memcmp(left.data(), right.data(), size) != 0) count(left, right, position, difference);
    position += size;
    result_.compared_bytes += size;
    if (*progress_ && result_.compared_bytes - told_ >= kStep) {
      told_ = result_.compared_bytes;
      (*progress_)(told_);
    }
    a->skip(size);
    b->skip(size);
  }
  return true;
}

void Comparer::count(ByteSpan a, ByteSpan b, std::uint64_t position, Difference& difference) const {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;
    if (difference.differing_bytes++ > 0) continue;
    difference.first_byte = position + i;
    // By the first bit: elements of the packed types are smaller than bytes.
    const auto bits = static_cast<std::uint8_t>(a[i] ^ b[i]);
    const auto bit = static_cast<unsigned>(std::countr_zero(bits));
    const unsigned width = dtype_bits(difference.a->view.dtype);
    difference.first_element = width % 8 == 0 ? difference.first_byte / (width / 8)
                                              : (difference.first_byte * 8 + bit) / width;
  }
}

std::vector<MetadataDifference> compare_metadata(const ModelContents& a, const ModelContents& b) {
  std::vector<MetadataDifference> differences;
  for (const auto& [key, value] : a.metadata) {
    const auto other = b.metadata.find(key);
    if (other == b.metadata.end()) {
      differences.push_back({key, value, std::nullopt});
    } else if (other->second != value) {
      differences.push_back({key, value, other->second});
    }
  }
  for (const auto& [key, value] : b.metadata) {
    if (!a.metadata.contains(key)) differences.push_back({key, std::nullopt, value});
  }
  std::ranges::sort(differences, {}, &MetadataDifference::key);
  return differences;
}

}  // namespace

const char* difference_name(DifferenceKind kind) {
  switch (kind) {
    case DifferenceKind::kOnlyInA:
      return "only_in_a";
    case DifferenceKind::kOnlyInB:
      return "only_in_b";
    case DifferenceKind::kDType:
      return "dtype";
    case DifferenceKind::kShape:
      return "shape";
    case DifferenceKind::kBytes:
      return "bytes";
  }
  return "unknown";
}

std::expected<Comparison, Failure> compare(const Model& a, const Model& b,
                                           const CompareProgress& progress) {
  const auto left = by_name(a);
  const auto right = by_name(b);
  Comparer comparer(progress);
  auto l = left.begin();
  auto r = right.begin();
  while (l != left.end() || r != right.end()) {
    if (r == right.end() || (l != left.end() && (*l)->name < (*r)->name)) {
      comparer.add({DifferenceKind::kOnlyInA, *l++, nullptr});
    } else if (l == left.end() || (*r)->name < (*l)->name) {
      comparer.add({DifferenceKind::kOnlyInB, nullptr, *r++});
    } else {
      if (!comparer.compare(**l, **r)) {
        return std::unexpected(Failure(comparer.error(), (*l)->name));
      }
      ++l;
      ++r;
    }
  }
  Comparison result = comparer.take();
  result.metadata = compare_metadata(a.contents(), b.contents());
  return result;
}

}  // namespace tare
