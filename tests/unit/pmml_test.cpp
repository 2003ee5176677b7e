// PMML models: what is found in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/scanning.hpp"

namespace tare {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

std::string pmml(const std::string& inside, const std::string& before = "") {
  return before +
         R"(<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4" )"
         R"(xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" )"
         R"(xsi:schemaLocation="http://www.dmg.org/PMML-4_4 http://www.dmg.org/pmml.xsd">)"
         R"(<Header><Extension name="user" value="SYSTEM"/></Header>)" +
         inside + "</PMML>";
}

TEST(Pmml, WholeModelsAreSafe) {
  EXPECT_THAT(rules_of(pmml("<DataDictionary><DataField name='x'/></DataDictionary>")), IsEmpty());
  EXPECT_THAT(rules_of(pmml("<InlineTable><row><anything>1</anything></row></InlineTable>")),
              IsEmpty());
  EXPECT_THAT(rules_of(pmml("<TransformationDictionary><DefineFunction name='mine'/>"
                            "</TransformationDictionary><Apply function='mine'/>"
                            "<Apply function='+'/>")),
              IsEmpty());
}

TEST(Pmml, FindsEntitiesAndInclusions) {
  const auto found = ElementsAre("TARE-XML-001");
  for (const char* type :
       {"<!DOCTYPE PMML [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>", "<!DOCTYPE PMML SYSTEM 'x'>",
        "<!DOCTYPE PMML [<!ENTITY % x PUBLIC 'x' 'http://x'> ]>"}) {
    EXPECT_THAT(rules_of(pmml("", type)), found) << type;
  }
  EXPECT_THAT(rules_of(pmml("<Extension><i:include xmlns:i='http://www.w3.org/2001/XInclude' "
                            "href='/etc/passwd'/></Extension>")),
              ElementsAre("TARE-MDL-004", "TARE-XML-001"));
  EXPECT_THAT(rules_of(pmml("", "<!DOCTYPE PMML>")), ElementsAre("TARE-MDL-004"));
  // The entity that it uses cannot be read; it was declared before that.
  EXPECT_THAT(rules_of(pmml("<Annotation>&x;</Annotation>", "<!DOCTYPE PMML [<!ENTITY x 'y'>]>")),
              ElementsAre("TARE-GEN-002", "TARE-XML-001"));
}

TEST(Pmml, FindsFunctionsOfOthers) {
  EXPECT_THAT(rules_of(pmml("<Apply function='com.example.Run'/>")), ElementsAre("TARE-MDL-003"));
}

TEST(Pmml, FindsWhatIsNotItsOwn) {
  const auto found = ElementsAre("TARE-MDL-004");
  for (const char* inside : {"<Script>x</Script>", "<Extension><x/></Extension>", "<TableLocator/>",
                             "<?php x?>", "<DataField name='x' xlink:href='file:///x'/>",
                             "<Header xsi:schemaLocation='x http://evil.example/x.xsd'/>"}) {
    EXPECT_THAT(rules_of(pmml(inside)), found) << inside;
  }
}

TEST(Pmml, WhatIsCutOffIsUnreadable) {
  const std::string file = pmml("<DataDictionary/>");
  for (std::size_t size = file.find('>') + 1; size < file.size(); ++size) {
    EXPECT_EQ(verdict_of(file.substr(0, size)), Verdict::kUnreadable) << size;
  }
}

}  // namespace
}  // namespace tare
