// The words of the shapes.
#include "scan/shapes.hpp"

#include <algorithm>
#include <array>

namespace tare::scan_policy {
namespace {

#define TARE_NOTHING(...)
#define TARE_WORD(identifier, word, text) std::string_view(word),

constexpr std::array kArgumentWords = {
#define TARE_ARGUMENTS TARE_WORD
#define TARE_STATE TARE_NOTHING
#define TARE_ITEMS TARE_NOTHING
#include "scan/shapes.def"
#undef TARE_ARGUMENTS
#undef TARE_STATE
#undef TARE_ITEMS
};
constexpr std::array kStateWords = {
#define TARE_ARGUMENTS TARE_NOTHING
#define TARE_STATE TARE_WORD
#define TARE_ITEMS TARE_NOTHING
#include "scan/shapes.def"
#undef TARE_ARGUMENTS
#undef TARE_STATE
#undef TARE_ITEMS
};
constexpr std::array kItemWords = {
#define TARE_ARGUMENTS TARE_NOTHING
#define TARE_STATE TARE_NOTHING
#define TARE_ITEMS TARE_WORD
#include "scan/shapes.def"
#undef TARE_ARGUMENTS
#undef TARE_STATE
#undef TARE_ITEMS
};

template <typename Shape, std::size_t kCount>
std::optional<Shape> shape_of(const std::array<std::string_view, kCount>& words,
                              std::string_view word) {
  const auto found = std::ranges::find(words, word);
  if (found == words.end()) return std::nullopt;
  return static_cast<Shape>(found - words.begin());
}

}  // namespace

std::string_view word_of(ArgumentShape shape) {
  return kArgumentWords[static_cast<std::size_t>(shape)];
}
std::string_view word_of(StateShape shape) {
  return kStateWords[static_cast<std::size_t>(shape)];
}
std::string_view word_of(ItemShape shape) {
  return kItemWords[static_cast<std::size_t>(shape)];
}

std::optional<ArgumentShape> argument_shape(std::string_view word) {
  return shape_of<ArgumentShape>(kArgumentWords, word);
}
std::optional<StateShape> state_shape(std::string_view word) {
  return shape_of<StateShape>(kStateWords, word);
}
std::optional<ItemShape> item_shape(std::string_view word) {
  return shape_of<ItemShape>(kItemWords, word);
}

}  // namespace tare::scan_policy
