// The version of the library.
#pragma once

namespace tare {

// "0.1.0".
const char* version();

}  // namespace tare
