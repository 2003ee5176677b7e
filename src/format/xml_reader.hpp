// A pull reader for XML 1.0 in hostile files: elements, attributes, text, instructions and the
// document type, one after the other. It opens nothing and expands nothing but characters and the
// five entities that XML itself has; a reference to any other entity is an error. What else stands
// in a document type is for the caller to judge: its text comes as it is.
//
// No recursion. Elements stand in each other at most kMaxDepth deep, and have at most
// kMaxAttributes. Encodings that are not a superset of ASCII are refused: readers would see other
// markup.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare::format {

enum class XmlKind : std::uint8_t { kStart, kEnd, kText, kInstruction, kDoctype };

struct XmlAttribute {
  std::string_view name;
  std::string_view value;  // decoded
};

struct XmlEvent {
  XmlKind kind = XmlKind::kText;
  std::string_view name;  // of an element or instruction, with its prefix
  std::string_view text;  // of a text, instruction or document type, as it is written
  std::uint64_t offset = 0;
  std::vector<XmlAttribute> attributes;

  // Empty if it is absent.
  std::string_view attribute(std::string_view wanted) const;
  // The name without its prefix.
  std::string_view local_name() const { return name.substr(name.find(':') + 1); }
};

class XmlReader {
 public:
  static constexpr std::size_t kMaxDepth = 512;
  static constexpr std::size_t kMaxAttributes = 256;

  explicit XmlReader(ByteSpan bytes);

  // The next event, valid until the next call; null at the end, and where the bytes are no XML.
  const XmlEvent* next();
  bool failed() const { return failed_; }
  // kMalformed, kTruncated, kLimit or kUnsupported, with the offset.
  Error error() const { return error_; }

 private:
  bool step();
  bool fail_here(ErrorCode code, const char* what);
  bool take(std::string_view wanted);
  bool take_to(std::string_view end, std::string_view& out);
  void skip_space();
  std::string_view take_name();
  bool read_text();
  bool read_start();
  bool read_end();
  bool read_instruction();
  bool read_doctype();
  bool read_attribute();
  bool decode(std::string_view text, std::string_view& out);
  bool close(std::string_view name);

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::string_view> open_;
  bool has_root_ = false;
  bool is_empty_ = false;  // the end of an element without content comes next
  bool done_ = false;      // an event is ready
  XmlEvent event_;
  std::deque<std::string> decoded_;  // of the event
  bool failed_ = false;
  Error error_{};
};

// The name of the outermost element, without its prefix; empty if the front is no XML.
std::string xml_root(ByteSpan bytes);

}  // namespace tare::format
