#include "report/sizes.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace tare::report {
namespace {

struct Sized {
  std::string_view name;
  std::uint64_t bytes;
};

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// "2" before "10", numbers before words.
bool component_less(std::string_view a, std::string_view b) {
  const bool numbers = is_number(a) && is_number(b);
  if (!numbers) return is_number(a) != is_number(b) ? is_number(a) : a < b;
  const auto digits = [](std::string_view text) {
    return text.substr(std::min(text.find_first_not_of('0'), text.size()));
  };
  if (digits(a).size() != digits(b).size()) return digits(a).size() < digits(b).size();
  return digits(a) != digits(b) ? digits(a) < digits(b) : a < b;
}

// The part of a name from `start` to the next dot.
std::string_view component(std::string_view name, std::size_t start) {
  return name.substr(start, name.find('.', start) - start);
}

// By components, so that all names of one group stand together.
bool name_less(std::string_view a, std::string_view b) {
  const auto [in_a, in_b] = std::ranges::mismatch(a, b);
  const std::string_view common = a.substr(0, static_cast<std::size_t>(in_a - a.begin()));
  const auto dot = common.rfind('.');
  const std::size_t start = dot == std::string_view::npos ? 0 : dot + 1;
  const std::string_view left = component(a, start);
  const std::string_view right = component(b, start);
  // The same component: one of the names ends with it.
  return left == right ? a.size() < b.size() : component_less(left, right);
}

class TreeBuilder {
 public:
  explicit TreeBuilder(unsigned depth) : depth_(depth) {}

  // Adds the groups of names that share their first `start` bytes. Recursion ends at `depth`,
  // which is an option and not from the file.
  void add(std::span<const Sized> names, std::size_t start, unsigned depth);
  std::vector<SizeGroup> take() { return std::move(groups_); }

 private:
  void add_group(std::span<const Sized> names, std::size_t start, unsigned depth);

  unsigned depth_;
  std::vector<SizeGroup> groups_;
};

// How many names at the front of `names` have one component at `start`: those that end there are
// groups of their own.
std::size_t first_group(std::span<const Sized> names, std::size_t start) {
  const std::string_view first = component(names.front().name, start);
  const auto end = std::ranges::find_if(
      names, [&](const Sized& sized) { return component(sized.name, start) != first; });
  return static_cast<std::size_t>(end - names.begin());
}

std::uint64_t sum(std::span<const Sized> names) {
  std::uint64_t bytes = 0;
  for (const Sized& sized : names) bytes += sized.bytes;
  return bytes;
}

void TreeBuilder::add(std::span<const Sized> names, std::size_t start, unsigned depth) {
  for (std::size_t shown = 0; !names.empty(); ++shown) {
    const std::size_t count = first_group(names, start);
    if (shown + 1 == kMaxChildren && count < names.size()) {
      groups_.push_back({"", "(more)", depth, names.size(), sum(names), 0});
      return;
    }
    add_group(names.first(count), start, depth);
    names = names.subspan(count);
  }
}

void TreeBuilder::add_group(std::span<const Sized> names, std::size_t start, unsigned depth) {
  const std::string_view first = names.front().name;
  const std::string_view last = names.back().name;
  std::size_t end = first.size();
  if (names.size() > 1) {
    // As many components as all of them share: the first and the last do.
    end = start;
    for (;;) {
      const std::size_t next = end + component(first, end).size();
      end = next;
      if (next == first.size() || component(first, next + 1) != component(last, next + 1)) break;
      end = next + 1;
    }
  }
  SizeGroup group{std::string(first.substr(0, end)),
                  std::string(first.substr(start, end - start)),
                  depth,
                  names.size(),
                  sum(names),
                  0};
  // A tensor that has the name of the whole group is no group below it.
  auto below = names;
  while (!below.empty() && below.front().name.size() <= end) below = below.subspan(1);
  if (names.size() > 1 && depth + 1 >= depth_) {
    for (auto left = below; !left.empty(); left = left.subspan(first_group(left, end + 1))) {
      ++group.folded;
    }
  }
  groups_.push_back(std::move(group));
  if (names.size() > 1 && depth + 1 < depth_) add(below, end + 1, depth + 1);
}

}  // namespace

std::vector<DTypeSize> dtype_sizes(const Model& model) {
  std::array<DTypeSize, kAllDTypeCount> all{};
  for (const NamedTensor& tensor : model.tensors()) {
    DTypeSize& size = all.at(static_cast<std::size_t>(tensor.view.dtype));
    ++size.tensors;
    size.bytes += tensor.view.byte_count();
  }
  std::vector<DTypeSize> used;
  for (std::size_t i = 0; i < all.size(); ++i) {
    all.at(i).dtype = static_cast<DType>(i);
    if (all.at(i).tensors > 0) used.push_back(all.at(i));
  }
  std::ranges::stable_sort(used, std::greater{}, &DTypeSize::bytes);
  return used;
}

std::vector<SizeGroup> size_tree(const Model& model, unsigned depth) {
  std::vector<Sized> names;
  for (const NamedTensor& tensor : model.tensors()) {
    names.push_back({tensor.name, tensor.view.byte_count()});
  }
  std::ranges::sort(names, name_less, &Sized::name);
  TreeBuilder builder(depth);
  builder.add(names, 0, 0);
  return builder.take();
}

}  // namespace tare::report
