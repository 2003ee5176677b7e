// The undefined symbols of the libtare that this program was linked with, as `nm -u` lists them.
#pragma once

#include <span>
#include <string_view>

namespace tare::demo {

std::span<const std::string_view> library_symbols();

}  // namespace tare::demo
