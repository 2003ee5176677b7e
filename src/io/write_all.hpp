// write(2) until everything is written: it may take less at a time, or be interrupted.
#pragma once

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare {

// Appends `bytes` to the file. Errors: those of the system, with `what` as the text.
Result<void> write_all(int fd, ByteSpan bytes, const char* what);

}  // namespace tare
