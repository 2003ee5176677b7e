// The recipes that are more than a pickle: archives, compressed files, files with a name that
// promises something else.
#pragma once

#include "tare/craft.hpp"

namespace tare::craft {

std::span<const Recipe> containers();

}  // namespace tare::craft
