// What is known of the operators of TensorFlow, by name.
#pragma once

#include <string_view>

namespace tare {

// Whether an operator only computes, and reaches nothing outside of the process.
bool is_known_tensorflow_operator(std::string_view name);

// What an operator reaches, as the end of the sentence "the operator ..."; null if that is not
// known.
const char* tensorflow_operator_reach(std::string_view name);

}  // namespace tare
