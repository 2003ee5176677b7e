"""A headless Chromium under the control of a test, by the DevTools protocol over two pipes.

Only the standard library is needed. The browser has a profile of its own in a temporary directory.
"""

import json
import os
import select
import shutil
import subprocess
import time


def chromium():
    """The path of Debian's Chromium, or nothing."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """Opens one page. `events` are the messages of the protocol that were no answers."""

    def __init__(self, profile):
        to_browser, self._to = os.pipe()
        self._from, from_browser = os.pipe()

        def wire():
            # The protocol is spoken on descriptors 3 and 4. Numbers above them first: one of the
            # pipes may have 3 or 4 itself.
            source, sink = os.dup(to_browser), os.dup(from_browser)
            high_source, high_sink = source + 20, sink + 20
            os.dup2(source, high_source)
            os.dup2(sink, high_sink)
            os.dup2(high_source, 3)
            os.dup2(high_sink, 4)

        self._process = subprocess.Popen(
            [chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions",
             "--disable-component-update", "--user-data-dir=" + profile,
             "--window-size=1000,760", "--remote-debugging-pipe", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            close_fds=False, preexec_fn=wire)
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._number = 0
        self._session = None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def close(self):
        self._process.terminate()
        self._process.wait(20)
        os.close(self._to)
        os.close(self._from)

    def _receive(self, limit):
        """The next message, or nothing within `limit` seconds."""
        end = time.monotonic() + limit
        while b"\0" not in self._buffer:
            ready = select.select([self._from], [], [], max(0, end - time.monotonic()))[0]
            if not ready:
                return None
            piece = os.read(self._from, 1 << 16)
            if not piece:
                raise RuntimeError("the browser has ended")
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive(60)
            if answer is None:
                raise RuntimeError(f"no answer to {method}")
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer["result"]
            self.events.append(answer)

    def open(self, path):
        """Loads a file and waits until nothing more happens for a moment."""
        self.events.clear()
        self.call("Page.navigate", url="file://" + path)
        while "Page.loadEventFired" not in self.seen():
            event = self._receive(60)
            if event is None:
                raise RuntimeError("the page does not load")
            self.events.append(event)
        self.wait(0.3)

    def wait(self, seconds):
        """Takes what the browser says until it is quiet for so long."""
        while (event := self._receive(seconds)) is not None:
            self.events.append(event)

    def seen(self):
        return [event.get("method") for event in self.events]

    def requests(self):
        return [event["params"]["request"]["url"] for event in self.events
                if event.get("method") == "Network.requestWillBeSent"]

    def value(self, expression):
        """What an expression of JavaScript has for a value in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def press(self, key, text=""):
        """Presses and lets go of a key, as a person does."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27, "/": 191}[key]
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=text,
                      windowsVirtualKeyCode=code)

    def type(self, text):
        self.call("Input.insertText", text=text)
