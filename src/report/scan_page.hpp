// Style and script of the HTML report. Its policy admits these two texts, by their digests, and
// nothing else: no request, no other script.
#pragma once

#include <string_view>

namespace tare::report {

// Colours for light and dark; a verdict is never told by colour alone.
inline constexpr std::string_view kPageStyle = R"css(
:root {
  color-scheme: light dark;
  --back: #ffffff; --front: #1b1f24; --faint: #57606a; --line: #d0d7de; --panel: #f6f8fa;
  --safe: #116329; --suspicious: #7d4e00; --unreadable: #6639ba; --dangerous: #a40e26;
  --mark: #ffe58f; --focus: #0550ae;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0d1117; --front: #e6edf3; --faint: #9198a1; --line: #3d444d; --panel: #161b22;
    --safe: #56d364; --suspicious: #e3b341; --unreadable: #d2a8ff; --dangerous: #ff7b72;
    --mark: #6b4b00; --focus: #79c0ff;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; background: var(--back);
  color: var(--front); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 0; }
h3 { font-size: 1rem; margin: 0; }
header { position: sticky; top: 0; background: var(--back); padding: .6rem 0;
  border-bottom: 1px solid var(--line); }
form { display: flex; flex-wrap: wrap; gap: .4rem 1rem; align-items: center; }
form[hidden], [hidden] { display: none; }
input[type=search] { flex: 1 1 14rem; padding: .3rem .5rem; font: inherit; color: inherit;
  background: var(--panel); border: 1px solid var(--line); border-radius: .3rem; }
button { font: inherit; color: inherit; background: var(--panel); padding: .2rem .6rem;
  border: 1px solid var(--line); border-radius: .3rem; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 1px; }
article { border: 1px solid var(--line); border-radius: .4rem; margin: .8rem 0; padding: .7rem; }
article > ol { list-style: none; margin: 0; padding: 0; }
.finding { border-top: 1px solid var(--line); margin-top: .6rem; padding-top: .6rem; }
.suppressed { border-left: 4px dotted var(--faint); padding-left: .6rem; }
.verdict { font-weight: 700; }
.safe { color: var(--safe); }
.suspicious { color: var(--suspicious); }
.unreadable, .unscanned { color: var(--unreadable); }
.dangerous { color: var(--dangerous); }
.faint { color: var(--faint); }
p { margin: .2rem 0; }
code, pre { font: .875rem/1.45 ui-monospace, monospace; }
.evidence { display: block; background: var(--panel); padding: .4rem .6rem; border-radius: .3rem;
  border-left: 4px solid currentColor; }
pre { background: var(--panel); padding: .5rem .6rem; margin: .4rem 0; overflow-x: auto;
  border-radius: .3rem; overflow-wrap: normal; }
mark { background: var(--mark); color: inherit; }
summary { cursor: pointer; }
)css";

// Shows the files and findings that the form asks for. Without it everything is shown.
inline constexpr std::string_view kPageScript = R"js(
"use strict";
(function () {
  const form = document.getElementById("filter");
  const text = document.getElementById("text");
  const shown = document.getElementById("shown");
  const boxes = Array.from(form.querySelectorAll("input[type=checkbox]"));
  const lower = (element) => element.textContent.toLowerCase();
  const files = Array.from(document.querySelectorAll("article")).map((element) => ({
    element,
    verdict: element.dataset.verdict,
    head: lower(element.querySelector(".head")),
    findings: Array.from(element.querySelectorAll(".finding")).map((finding) => (
      { element: finding, text: lower(finding) })),
  }));

  function apply() {
    const wanted = text.value.trim().toLowerCase();
    const verdicts = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    let count = 0;
    for (const file of files) {
      const named = file.head.includes(wanted);
      let any = named;
      for (const finding of file.findings) {
        const match = named || finding.text.includes(wanted);
        finding.element.hidden = !match;
        any = any || match;
      }
      const visible = any && verdicts.has(file.verdict);
      file.element.hidden = !visible;
      count += visible ? 1 : 0;
    }
    shown.textContent = count + " of " + files.length + " files";
  }

  function open_all(open) {
    for (const details of document.querySelectorAll("article details")) details.open = open;
  }

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("open").addEventListener("click", () => open_all(true));
  document.getElementById("close").addEventListener("click", () => open_all(false));
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== text) {
      event.preventDefault();
      text.focus();
    } else if (event.key === "Escape" && document.activeElement === text) {
      text.value = "";
      apply();
    }
  });
  document.getElementById("totals-place").append(document.getElementById("totals"));
  form.hidden = false;
  apply();
})();
)js";

}  // namespace tare::report
