// The XML reader: what it takes, and what it refuses.
#include "format/xml_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tare::format {
namespace {

using testing::ElementsAre;

// "<a x=1>", "</a>", "text" for each event; the error at the end.
std::vector<std::string> events(std::string_view text) {
  std::vector<std::string> out;
  XmlReader reader(as_bytes(text));
  while (const XmlEvent* event = reader.next()) {
    std::string line(event->name);
    for (const XmlAttribute& attribute : event->attributes) {
      line += " " + std::string(attribute.name) + "=" + std::string(attribute.value);
    }
    switch (event->kind) {
      case XmlKind::kStart:
        out.push_back("<" + line + ">");
        break;
      case XmlKind::kEnd:
        out.push_back("</" + line + ">");
        break;
      case XmlKind::kText:
        out.emplace_back(event->text);
        break;
      case XmlKind::kInstruction:
        out.push_back("?" + line);
        break;
      case XmlKind::kDoctype:
        out.push_back("!" + std::string(event->text));
        break;
    }
  }
  if (reader.failed()) out.emplace_back(error_code_name(reader.error().code));
  return out;
}

TEST(XmlReader, ReadsElementsAttributesAndText) {
  EXPECT_THAT(events("<?xml version=\"1.0\" encoding='UTF-8'?>\n<!-- <x> -->\n"
                     "<a x='1' y = \"&lt;&#65;&#x20AC;\"><b/>t&amp;u<![CDATA[<c>&]]></a>\n"),
              ElementsAre("<a x=1 y=<A\xE2\x82\xAC>", "<b>", "</b>", "t&u", "<c>&", "</a>"));
  EXPECT_THAT(events("\xEF\xBB\xBF<p:a/>"), ElementsAre("<p:a>", "</p:a>"));
}

TEST(XmlReader, ShowsDocumentTypesAndInstructions) {
  EXPECT_THAT(events("<!DOCTYPE a [<!ENTITY x \"]>\"> <!-- ]> -->]><?php x?><a/>"),
              ElementsAre("! a [<!ENTITY x \"]>\"> <!-- ]> -->]", "?php", "<a>", "</a>"));
}

TEST(XmlReader, RefusesWhatIsNoXml) {
  for (const char* text :
       {"<a></b>", "<a x=1/>", "<a x='1' x='2'/>", "<a>&x;</a>", "<a>&#0;</a>", "<a>&#xD800;</a>",
        "<a>&#1114112;</a>", "<a/><b/>", "text<a/>", "<a/>text", "<a x/>", "< a/>", "</a>",
        "<![CDATA[x]]><a/>", "<a>&lt</a>"}) {
    EXPECT_EQ(events(text).back(), "malformed") << text;
  }
  for (const char* text : {"", " ", "<a>", "<a", "<a x='", "<!--", "<?xml", "<!DOCTYPE a [ ]",
                           "<a><![CDATA[x]]</a>", "<a>x"}) {
    EXPECT_EQ(events(text).back(), "truncated") << text;
  }
}

TEST(XmlReader, RefusesEncodingsInWhichMarkupLooksDifferent) {
  EXPECT_THAT(events("<?xml version='1.0' encoding='UTF-7'?><a/>"), ElementsAre("unsupported"));
  EXPECT_THAT(events("<?xml version='1.0' encoding='IBM037'?><a/>"), ElementsAre("unsupported"));
  EXPECT_THAT(events("<?xml version='1.0' encoding=\"ISO-8859-1\"?><a/>"),
              ElementsAre("<a>", "</a>"));
}

TEST(XmlReader, HasLimits) {
  std::string deep;
  for (std::size_t i = 0; i <= XmlReader::kMaxDepth; ++i) deep += "<a>";
  EXPECT_EQ(events(deep).back(), "limit");
  std::string wide = "<a";
  for (std::size_t i = 0; i <= XmlReader::kMaxAttributes; ++i)
    wide += " x" + std::to_string(i) + "=''";
  EXPECT_EQ(events(wide + "/>").back(), "limit");
}

TEST(XmlReader, NamesTheOutermostElement) {
  EXPECT_EQ(xml_root(as_bytes("<?xml version='1.0'?><!DOCTYPE x [ ]><n:PMML>")), "PMML");
  EXPECT_EQ(xml_root(as_bytes("{}")), "");
}

}  // namespace
}  // namespace tare::format
