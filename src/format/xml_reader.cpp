#include "format/xml_reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace tare::format {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kNameEnd = " \t\r\n/>=<\"'&?";

struct Entity {
  std::string_view name;
  char character;
};
constexpr std::array kEntities = {Entity{"amp", '&'}, Entity{"apos", '\''}, Entity{"gt", '>'},
                                  Entity{"lt", '<'}, Entity{"quot", '"'}};

bool is_space(char c) {
  return kSpace.find(c) != std::string_view::npos;
}

// Encodings in which markup has the bytes that it has in ASCII.
bool is_plain_encoding(std::string_view encoding) {
  std::string lower(encoding);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  return lower == "utf-8" || lower == "us-ascii" || lower.starts_with("iso-8859-") ||
         lower.starts_with("windows-125");
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto tail = [&](unsigned shift) {
    out += static_cast<char>(0x80U | (code >> shift & 0x3FU));
  };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0U | code >> 6U);
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0U | code >> 12U);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0U | code >> 18U);
    tail(12);
    tail(6);
    tail(0);
  }
}

// "#65", "#x41", "amp".
bool append_reference(std::string_view name, std::string& out) {
  if (name.starts_with('#')) {
    const bool is_hex = name.starts_with("#x");
    const std::string_view digits = name.substr(is_hex ? 2 : 1);
    std::uint32_t code = 0;
    const auto read =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, is_hex ? 16 : 10);
    if (read.ec != std::errc() || read.ptr != digits.data() + digits.size()) return false;
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    append_utf8(out, code);
    return true;
  }
  const auto found = std::ranges::find(kEntities, name, &Entity::name);
  if (found == kEntities.end()) return false;
  out += found->character;
  return true;
}

}  // namespace

std::string_view XmlEvent::attribute(std::string_view wanted) const {
  const auto found = std::ranges::find(attributes, wanted, &XmlAttribute::name);
  return found == attributes.end() ? std::string_view() : found->value;
}

XmlReader::XmlReader(ByteSpan bytes) : text_(as_text(bytes)) {
  if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
}

bool XmlReader::fail_here(ErrorCode code, const char* what) {
  if (!failed_) error_ = Error{code, 0, at_, what};
  failed_ = true;
  return false;
}

const XmlEvent* XmlReader::next() {
  done_ = false;
  while (!failed_ && !done_) {
    if (!step()) return nullptr;
  }
  return failed_ ? nullptr : &event_;
}

bool XmlReader::take(std::string_view wanted) {
  if (!text_.substr(at_).starts_with(wanted)) return false;
  at_ += wanted.size();
  return true;
}

bool XmlReader::take_to(std::string_view end, std::string_view& out) {
  const std::size_t found = text_.find(end, at_);
  if (found == std::string_view::npos)
    return fail_here(ErrorCode::kTruncated, "the XML is cut off");
  out = text_.substr(at_, found - at_);
  at_ = found + end.size();
  return true;
}

void XmlReader::skip_space() {
  at_ = std::min(text_.find_first_not_of(kSpace, at_), text_.size());
}

std::string_view XmlReader::take_name() {
  const std::size_t end = std::min(text_.find_first_of(kNameEnd, at_), text_.size());
  const std::string_view name = text_.substr(at_, end - at_);
  at_ = end;
  return name;
}

// False at the end and after a failure.
bool XmlReader::step() {
  if (is_empty_) {
    is_empty_ = false;
    return close(open_.back());
  }
  if (at_ == text_.size()) {
    if (!open_.empty() || !has_root_) fail_here(ErrorCode::kTruncated, "the XML is cut off");
    return false;
  }
  if (text_[at_] != '<') return read_text();
  event_ = XmlEvent{};
  event_.offset = at_;
  decoded_.clear();
  std::string_view ignored;
  if (take("<!--")) return take_to("-->", ignored);
  if (take("<?")) return read_instruction();
  if (take("<!DOCTYPE")) return read_doctype();
  if (take("<![CDATA[")) {
    if (open_.empty()) return fail_here(ErrorCode::kMalformed, "a text outside of any element");
    event_.kind = XmlKind::kText;
    done_ = true;
    return take_to("]]>", event_.text);
  }
  if (take("</")) return read_end();
  ++at_;
  return read_start();
}

bool XmlReader::read_text() {
  const std::size_t end = std::min(text_.find('<', at_), text_.size());
  const std::string_view text = text_.substr(at_, end - at_);
  event_ = XmlEvent{};
  event_.offset = at_;
  decoded_.clear();
  event_.kind = XmlKind::kText;
  const bool is_blank = std::ranges::all_of(text, is_space);
  if (!is_blank && open_.empty()) {
    return fail_here(ErrorCode::kMalformed, "a text outside of any element");
  }
  if (!decode(text, event_.text)) return false;
  at_ = end;
  done_ = !is_blank;
  return true;
}

bool XmlReader::decode(std::string_view text, std::string_view& out) {
  std::size_t amp = text.find('&');
  out = text;
  if (amp == std::string_view::npos) return true;
  std::string& made = decoded_.emplace_back();
  while (amp != std::string_view::npos) {
    made += text.substr(0, amp);
    const std::size_t end = text.find(';', amp);
    if (end == std::string_view::npos ||
        !append_reference(text.substr(amp + 1, end - amp - 1), made)) {
      return fail_here(ErrorCode::kMalformed, "a reference to an entity that XML does not have");
    }
    text.remove_prefix(end + 1);
    amp = text.find('&');
  }
  made += text;
  out = made;
  return true;
}

bool XmlReader::read_instruction() {
  event_.kind = XmlKind::kInstruction;
  event_.name = take_name();
  if (!take_to("?>", event_.text)) return false;
  if (event_.name != "xml") {
    done_ = true;
    return true;
  }
  const std::size_t found = event_.text.find("encoding");
  if (found == std::string_view::npos) return true;
  const std::string_view rest = event_.text.substr(found);
  const std::size_t quote = rest.find_first_of("\"'");
  const std::size_t end =
      quote == std::string_view::npos ? quote : rest.find(rest[quote], quote + 1);
  if (end == std::string_view::npos ||
      !is_plain_encoding(rest.substr(quote + 1, end - quote - 1))) {
    return fail_here(ErrorCode::kUnsupported, "XML in an encoding that is not read here");
  }
  return true;
}

// To the ">" that stands in no quotes, brackets or comment.
bool XmlReader::read_doctype() {
  const std::size_t start = at_;
  unsigned brackets = 0;
  std::string_view ignored;
  while (at_ < text_.size()) {
    if (take("<!--")) {
      if (!take_to("-->", ignored)) return false;
      continue;
    }
    const char c = text_[at_++];
    if (c == '"' || c == '\'') {
      if (!take_to(std::string_view(&c, 1), ignored)) return false;
    } else if (c == '[') {
      ++brackets;
    } else if (c == ']') {
      brackets = 0;
    } else if (c == '>' && brackets == 0) {
      event_.kind = XmlKind::kDoctype;
      event_.text = text_.substr(start, at_ - 1 - start);
      done_ = true;
      return true;
    }
  }
  return fail_here(ErrorCode::kTruncated, "the XML is cut off");
}

bool XmlReader::read_start() {
  event_.kind = XmlKind::kStart;
  event_.name = take_name();
  if (event_.name.empty()) return fail_here(ErrorCode::kMalformed, "an element without a name");
  if (open_.empty() && has_root_) {
    return fail_here(ErrorCode::kMalformed, "a second outermost element");
  }
  if (open_.size() == kMaxDepth) {
    return fail_here(ErrorCode::kLimit, "elements stand in each other more than 512 deep");
  }
  for (skip_space(); at_ < text_.size(); skip_space()) {
    is_empty_ = take("/>");
    if (is_empty_ || take(">")) {
      open_.push_back(event_.name);
      has_root_ = done_ = true;
      return true;
    }
    if (!read_attribute()) return false;
  }
  return fail_here(ErrorCode::kTruncated, "the XML is cut off");
}

bool XmlReader::read_attribute() {
  XmlAttribute attribute{take_name(), {}};
  skip_space();
  if (attribute.name.empty() || !take("=")) {
    return fail_here(ErrorCode::kMalformed, "something else than an attribute in an element");
  }
  skip_space();
  if (at_ == text_.size()) return fail_here(ErrorCode::kTruncated, "the XML is cut off");
  const std::string_view quote = text_.substr(at_, 1);
  if (quote != "\"" && quote != "'") {
    return fail_here(ErrorCode::kMalformed, "the value of an attribute without quotes");
  }
  ++at_;
  std::string_view raw;
  if (!take_to(quote, raw) || !decode(raw, attribute.value)) return false;
  if (std::ranges::find(event_.attributes, attribute.name, &XmlAttribute::name) !=
      event_.attributes.end()) {
    return fail_here(ErrorCode::kMalformed, "an attribute stands there twice");
  }
  if (event_.attributes.size() == kMaxAttributes) {
    return fail_here(ErrorCode::kLimit, "more than 256 attributes");
  }
  event_.attributes.push_back(attribute);
  return true;
}

bool XmlReader::read_end() {
  const std::string_view name = take_name();
  skip_space();
  if (!take(">") || open_.empty() || open_.back() != name) {
    return fail_here(ErrorCode::kMalformed, "the end of another element");
  }
  return close(name);
}

bool XmlReader::close(std::string_view name) {
  const std::uint64_t offset = event_.offset;
  event_ = XmlEvent{};
  event_.kind = XmlKind::kEnd;
  event_.name = name;
  event_.offset = offset;
  open_.pop_back();
  done_ = true;
  return true;
}

std::string xml_root(ByteSpan bytes) {
  constexpr std::size_t kFront = std::size_t{64} << 10;
  XmlReader reader(bytes.first(std::min(bytes.size(), kFront)));
  while (const XmlEvent* event = reader.next()) {
    if (event->kind == XmlKind::kStart) return std::string(event->local_name());
  }
  return "";
}

}  // namespace tare::format
