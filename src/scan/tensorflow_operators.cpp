#include "scan/tensorflow_operators.hpp"

#include <algorithm>
#include <iterator>

namespace tare {
namespace {

// No std::array: clang does not deduce the size of one with hundreds of elements.
constexpr std::string_view kKnown[] = {
#define TARE_TF_KNOWN(name) std::string_view(#name),
#define TARE_TF_REACHES(name, reason)
#include "scan/tensorflow_operators.def"
#undef TARE_TF_KNOWN
#undef TARE_TF_REACHES
};

struct Reach {
  std::string_view name;
  const char* reason;
};

constexpr Reach kReaches[] = {
#define TARE_TF_KNOWN(name)
#define TARE_TF_REACHES(name, reason) {#name, reason},
#include "scan/tensorflow_operators.def"
#undef TARE_TF_KNOWN
#undef TARE_TF_REACHES
};

static_assert(std::ranges::is_sorted(kKnown));
static_assert(std::ranges::is_sorted(kReaches, {}, &Reach::name));

}  // namespace

bool is_known_tensorflow_operator(std::string_view name) {
  return std::ranges::binary_search(kKnown, name);
}

const char* tensorflow_operator_reach(std::string_view name) {
  const Reach* const found = std::ranges::lower_bound(kReaches, name, {}, &Reach::name);
  return found != std::end(kReaches) && found->name == name ? found->reason : nullptr;
}

}  // namespace tare
