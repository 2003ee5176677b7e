// The opcodes of one call.
#pragma once

#include "tare/craft.hpp"
#include "tare/pickle_writer.hpp"

namespace tare::craft {

// Appends what pushes the result of the call: one value, no memo slot. Errors: those of
// pickle_of().
Result<void> write_call(pickle::Writer& out, const Call& call, Form form, unsigned protocol);

// The record of an archive of torch.save that holds kMarker.
inline constexpr std::string_view kMarkerEntry = ".tare-crafted";

// The number that the first of torch's five stacked pickles holds: 0x1950a86a20f9469cfc6c.
inline constexpr std::string_view kTorchMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

// Behind a whole file that allows bytes there.
void append_marker(Bytes& file, Marker marker);

}  // namespace tare::craft
