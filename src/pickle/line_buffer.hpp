// A line of text that is put together from many short pieces and then used anew. It differs from
// std::string in that short appends are inlined and that it keeps its memory.
#pragma once

#include <string_view>

#include "pickle/decimal.hpp"
#include "tare/detail/pod_vector.hpp"

namespace tare::pickle {

class LineBuffer {
 public:
  LineBuffer& operator+=(char c) {
    text_.push_back(c);
    return *this;
  }
  LineBuffer& operator+=(std::string_view text) {
    text_.append(text.data(), text.size());
    return *this;
  }
  LineBuffer& operator=(std::string_view text) {
    clear();
    return *this += text;
  }
  void append_number(std::int64_t number) {
    used_to(put_signed_number(room(kDecimalRoom), number));
  }
  void append_number(std::uint64_t number) { used_to(put_number(room(kDecimalRoom), number)); }
  // At least `count` bytes to write to. used_to() says how far they were used.
  char* room(std::size_t count) { return text_.extend(count); }
  void used_to(const char* end) { text_.truncate(static_cast<std::size_t>(end - text_.data())); }
  // A text in single quotes, if it consists of nothing but printable ASCII that needs no escape.
  bool append_quoted(std::string_view text) {
    char* const place = text_.extend(text.size() + 2);
    bool plain = true;
    place[0] = '\'';
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      place[i + 1] = c;
      plain &= (c >= 0x20) & (c != 0x7f) & (c != '\'') & (c != '\\');
    }
    place[text.size() + 1] = '\'';
    if (!plain) text_.truncate(text_.size() - text.size() - 2);
    return plain;
  }

  void clear() { text_.truncate(0); }
  std::size_t size() const { return text_.size(); }
  std::string_view view() const { return {text_.begin(), text_.size()}; }

 private:
  detail::PodVector<char> text_;
};

}  // namespace tare::pickle
