// Text from files in XML, HTML and Markdown: printable ASCII without any meaning to the markup.
#pragma once

#include <string>
#include <string_view>

namespace tare::report {

// For the content of an element of XML or HTML, and for attributes in quotes of either kind.
// What is not printable ASCII, line ends included, is \xNN.
std::string escaped(std::string_view text);

// The same, but line ends stay.
std::string escaped_lines(std::string_view text);

// A code span of Markdown with a fence longer than any in the text, cut behind `max` characters.
// Nothing inside of one is a link, a mention, HTML or an end of the span.
std::string code_span(std::string_view text, std::size_t max = 300);

}  // namespace tare::report
