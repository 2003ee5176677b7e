// Where C++ ends and C begins: results become a status and the last error of the thread, texts
// become text, and no exception goes further.
#pragma once

#include <cstring>
#include <expected>
#include <new>
#include <stdexcept>
#include <string_view>

#include "tare/error.hpp"
#include "tare/model.hpp"
#include "tare/tare.h"

namespace tare::capi {

// What a function of the C interface comes to.
using Outcome = std::expected<void, Failure>;

// Makes it the last error of this thread, and returns its status.
tare_status note(const Failure& failure) noexcept;
// The same for what has no Failure; `message` is a literal. Needs no memory.
tare_status note(tare_status status, const char* message) noexcept;

tare_status status_of(ErrorCode code);
// An error as C sees it; it refers to the texts.
tare_error error_of(const Error& error, const char* message, std::string_view subject);

inline tare_text text_of(std::string_view text) {
  return {text.data(), text.size()};
}
inline std::string_view view_of(const tare_text& text) {
  return {text.data, text.length};
}

// An Outcome, or the value of another function's.
inline std::unexpected<Failure> invalid(const char* what, std::string_view subject = "") {
  return std::unexpected(
      Failure(Error{ErrorCode::kInvalidArgument, 0, Error::kNoOffset, what}, std::string(subject)));
}
inline std::unexpected<Failure> null_given() {
  return invalid("NULL where an object, a path or a place for a result is needed");
}

// Runs the body of a function, which returns an Outcome.
template <typename Body>
tare_status guarded(const Body& body) noexcept {
  try {
    const Outcome outcome = body();
    return outcome ? TARE_OK : note(outcome.error());
  } catch (const std::bad_alloc&) {
    return note(TARE_NO_MEMORY, "out of memory");
  } catch (const std::length_error&) {
    return note(TARE_NO_MEMORY, "out of memory");
  } catch (...) {
    return note(TARE_INTERNAL, "an exception that should not be; please report it");
  }
}

// The bytes that a caller offers; nothing if they are NULL and not none.
inline std::expected<std::span<std::byte>, Failure> bytes_at(void* out, std::size_t size) {
  if (out == nullptr && size > 0) return null_given();
  return std::span(static_cast<std::byte*>(out), size);
}

// The options of a caller. Its struct may be that of a later version, if what is behind the fields
// of this one is 0; with a second version, it may also be that of the first.
template <typename Options>
std::expected<Options, Failure> options_from(const Options* given, const Options& defaults) {
  if (given == nullptr) return defaults;
  const std::size_t size = given->struct_size;
  if (size < sizeof(Options)) return invalid("options without their struct_size: begin with INIT");
  const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
  for (std::size_t i = sizeof(Options); i < size; ++i) {
    if (bytes[i] != 0) return invalid("an option that this version of tare does not know");
  }
  return *given;
}

}  // namespace tare::capi
