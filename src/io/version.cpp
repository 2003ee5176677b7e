#include "tare/version.hpp"

namespace tare {

const char* version() {
  return TARE_VERSION;
}

}  // namespace tare
