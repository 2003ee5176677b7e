// Chat templates: what real ones use is safe, a way out of them is dangerous, the rest suspicious.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scan/template_analyzer.hpp"
#include "support/binary.hpp"
#include "support/scanning.hpp"
#include "tare/scan.hpp"

namespace tare {
namespace {

using test::scanned;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Verdict verdict_of(const std::string& expression) {
  return scanned("{% if a %}" + expression + "{% endif %}").verdict;
}

TEST(Template, WhatChatTemplatesUseIsSafe) {
  for (const std::string text :
       {"{{ bos_token + message['role'] + '\\n' + message.content | trim }}",
        "{%- for m in messages[::-1] if m.role in ['user', 'tool'] %}{{ loop.index0 % 2 }}{%- "
        "endfor %}",
        "{% set ns = namespace(found=false, index=0) %}{% set ns.found = true %}{{ ns.index + 1 }}",
        "{{ content.split('</think>')[-1].lstrip('\\n') }}",
        "{{ raise_exception('roles must alternate') }}{{ strftime_now('%d %b %Y') }}",
        "{%- macro show(item, name='x') -%}{{ item|tojson(indent=2) }}{%- endmacro -%}{{ show(a) "
        "}}",
        "{% raw %}{{ x.__class__ }}{% endraw %}", "{# {{ x.__class__ }} #}",
        "{% if x is not mapping and (x is string or x is none) %}{% endif %}",
        "{{ {'a': {'b': 1}}.items() | list }}", "{{ tools | map(attribute='name') | join(', ') }}",
        "{{ names | map('trim') | select('string') | list }}",
        "{{ '{\"name\": \"' + tool.name + '\"}' }}{{ \"it's\" }}{{ '____' }}",
        "{% generation %}{{ x }}{% endgeneration %}{% filter trim %} a {% endfilter %}",
        "{% call(x) show() %}{{ x }}{% endcall %}{% macro show() %}{{ caller(1) }}{% endmacro %}",
        "{%- if not (a and b) -%}{%- endif -%}{{- x[0]['a']['b'][1:] -}}"}) {
    EXPECT_EQ(verdict_of(text), Verdict::kSafe) << text;
  }
}

TEST(Template, AWalkIsDangerous) {
  for (const std::string text :
       {"{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ ''['__class__'] }}",
        "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}", "{{ ''[\"\\137\\137class\\137\\137\"] }}",
        "{{ ''['\\u005f_class__'] }}", "{{ ''|attr('x') }}", "{{ [x]|map('attr', 'x')|list }}",
        "{{ '{0.__class__}'.format(x) }}", "{{ x.gi_frame.f_back }}", "{{ x['mro'] }}",
        "{{ __import__('os') }}", "{% filter attr('x') %}{% endfilter %}",
        "{{ {'a': {'b': ''.__class__}} }}", "{%- if x.__class__ -%}{%- endif -%}"}) {
    EXPECT_EQ(verdict_of(text), Verdict::kDangerous) << text;
  }
}

TEST(Template, WhatIsNotKnownIsSuspicious) {
  for (const std::string text : {"{{ lipsum }}",
                                 "{{ x|pprint }}",
                                 "{{ x.update(y) }}",
                                 "{{ x._private }}",
                                 "{{ f(x) }}",
                                 "{% include 'x' %}",
                                 "{% import 'x' as y %}",
                                 "{% do x %}",
                                 "{{ x is weird }}",
                                 "{{ x['__cla' ~ 'ss__'] }}",
                                 "{{ x['a' ~ b] }}",
                                 "{{ x[('a' + b)] }}",
                                 "{{ x[a]() }}",
                                 "{{ (x)(y) }}",
                                 "{{ range(99999999999) }}",
                                 "{{ 9 ** 9 ** 9 }}",
                                 "{{ 9**9**9 }}",
                                 "{% set range = x %}{{ range(1) }}",
                                 "{% for range in x %}{{ range(1) }}{% endfor %}",
                                 "{% set a, range = x %}{{ range(1) }}",
                                 "{{ namespace(split=x).split('id') }}",
                                 "{{ {'split': x}.split('id') }}",
                                 "{{ dict([['split', x]]).split('id') }}",
                                 "{% set ns.split = x %}{{ ns.split('id') }}",
                                 "{% macro m(range) %}{{ range(1) }}{% endmacro %}",
                                 "{% macro m() %}{% endmacro %}{% set m = x %}{{ m(1) }}",
                                 "{{ [x]|map(a, 'b')|list }}",
                                 "{{ x|map('weird')|list }}",
                                 "{{ x|select('filter')|list }}"}) {
    EXPECT_EQ(verdict_of(text), Verdict::kSuspicious) << text;
  }
}

TEST(Template, WhatCannotBeReadIsSuspicious) {
  for (const std::string text :
       {"{% if x %}{{ 'a }}", "{% if x %}{{ a", "{% if x %}{# a", "{% if x %}{{ a) }}",
        "{% if x %}{{ '\\N{LOW LINE}' }}", "{% if x %}{{ `a` }}", "{% if x %}{% raw %}a",
        "{% if x %}{{ '\\xg0' }}"}) {
    const auto report = scanned(text);
    EXPECT_EQ(report.verdict, Verdict::kSuspicious) << text;
    ASSERT_FALSE(report.findings.empty());
    EXPECT_STREQ(report.findings.front().rule->id, "TARE-TPL-003") << text;
  }
}

TEST(Template, SaysWhereAndWhat) {
  const auto report = scanned("{% if a %}\n{{ x.__class__ }}{% endif %}");
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].offset, 16U);
  EXPECT_EQ(report.findings[0].evidence, "{{ x.__class__ }}{% endif %}");
  EXPECT_THAT(report.findings[0].detail, HasSubstr("__class__"));
  EXPECT_THAT(report.formats, ElementsAre("jinja"));
}

TEST(Template, OtherTextIsNone) {
  for (const std::string text : {"hello {{ name }}", "a {% b %} c", "{\"a\": \"{% if x %}\"}",
                                 "\\frac{{a}}{b}", "{% if x %}\x01", "{% if x %}\xFF"}) {
    EXPECT_FALSE(scan(as_bytes(text)).has_value()) << text;
  }
}

TEST(Template, CutOffAnywhereIsRead) {
  const std::string text =
      "{% if a %}{{ x['a']|map(attribute='b')|list }}{% set y = '\\x41' %}{# c #}{% endif %}";
  for (std::size_t length = 10; length < text.size(); ++length) {
    EXPECT_LE(scanned(text.substr(0, length)).verdict, Verdict::kSuspicious) << length;
  }
}

}  // namespace
}  // namespace tare
