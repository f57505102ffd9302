"""A headless Chromium that tests drive over DevTools' pipe: real keys and clicks, reloads, downloads, in real time."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HEADLESS = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def need_chromium() -> None:
    """Skip the test where there is no Chromium, or fail where CI says that there must be one."""
    if CHROMIUM is None:
        assert not os.environ.get("CI_NEEDS_CHROMIUM"), "no Chromium"
        pytest.skip("no Chromium: apt-get install chromium")


HAND_OVER = """
import os, sys
ends = [os.dup(int(number)) for number in sys.argv[1:3]]  # first to others, as one of them may be 3 or 4
for end, number in zip(ends, (3, 4)):
    os.dup2(end, number)
    os.set_inheritable(number, True)  # which dup2 leaves as it is where both are one
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads commands from file descriptor 3 and writes to 4."""

KEYS = {
    "Enter": 13,
    "Tab": 9,
    "End": 35,
    "ArrowLeft": 37,
    "ArrowRight": 39,
    **{digit: 48 + int(digit) for digit in "12345"},
}


class Page:
    """One page in the browser.

    Args:
        reader: what the browser says, messages that end in a zero byte.
        writer: what it is told.
        folder: where downloads go.
    """

    def __init__(self, reader: Any, writer: Any, folder: Path) -> None:
        self._reader, self._writer, self._number = reader, writer, 0
        self.folder, self.events, self._session = folder, list[dict[str, Any]](), ""
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.tell(f"{domain}.enable")
        self.tell("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder), eventsEnabled=True)

    def _read(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._reader.read(1)) != b"\0":
            assert byte, "Chromium ended"
            text += byte
        found: dict[str, Any] = json.loads(text)
        return found

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of DevTools; events that come meanwhile are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session and not method.startswith(("Browser", "Target")):
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        self._writer.flush()
        while (found := self._read()).get("id") != self._number:
            self.events.append(found)
        assert "error" not in found, (method, found)
        result: dict[str, Any] = found["result"]
        return result

    def wait_for(self, method: str) -> dict[str, Any]:
        """The next event of a kind, which may have come already; it is taken out of those that are kept."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._read())
        place = next(place for place, event in enumerate(self.events) if event.get("method") == method)
        found: dict[str, Any] = self.events.pop(place)["params"]
        return found

    def visit(self, url: str) -> None:
        self.tell("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")

    def reload(self) -> None:
        self.tell("Page.reload")
        self.wait_for("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """Of an expression of JavaScript, awaited if it is a promise."""
        found = self.tell("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until an expression is true, which is looked at before every frame."""
        self.value(
            f"new Promise(done => {{ const look = () => ({condition}) ? done() : requestAnimationFrame(look); look(); }})"
        )

    def press(self, key: str) -> None:
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            self.tell(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key],
                **(text if kind == "keyDown" else {}),
            )  # fmt: skip

    def click(self, selector: str) -> None:
        """The middle of an element, with the mouse."""
        x, y = self.value(
            f"(() => {{ const e = document.querySelector({selector!r}); e.scrollIntoView({{block: 'center'}}); "
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.tell("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def download(self) -> Path:
        """The file whose download has begun or begins, once it is whole."""
        name = self.wait_for("Browser.downloadWillBegin")["suggestedFilename"]
        while self.wait_for("Browser.downloadProgress")["state"] != "completed":
            pass
        return self.folder / name

    def screen(self, width: int, height: int, scheme: str = "light") -> None:
        self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.tell("Page.captureScreenshot")["data"]))

    def requests(self) -> list[str]:
        """What was asked for so far, but for data in the page itself."""
        sent = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent if not each["request"]["url"].startswith("data:")]

    def problems(self) -> list[Any]:
        """Exceptions and messages of the console so far."""
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [event for event in self.events if event.get("method") in kinds]


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A page in a Chromium of its own; the test is skipped where there is none, and fails where CI says there must be."""
    need_chromium()
    (to_child, writing), (reading, from_child) = os.pipe(), os.pipe()

    command = [*HEADLESS, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"]
    pipes = (to_child, from_child)
    words = [sys.executable, "-S", "-c", HAND_OVER, *map(str, pipes), *command]
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=pipes)
    limit = threading.Timer(600, child.kill)  # what waits for a page that hangs fails then
    limit.start()
    os.close(to_child)
    os.close(from_child)
    try:
        with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb") as writer:
            page = Page(reader, writer, folder)
            yield page
            page.tell("Browser.close")
        child.wait(timeout=60)
    finally:
        limit.cancel()
        child.kill()
        child.wait()


LISTEN = (
    '<script>window.failed = []; window.addEventListener("error", event => window.failed.push(event.message));</script>'
)

PROBE = """
<script>
window.addEventListener("load", () => {
  const found = {errors: window.failed};
  found.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  found.requests = performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.startsWith("data:"));
  %s
  const answer = document.createElement("pre");
  answer.id = "answer";
  answer.textContent = JSON.stringify(found);
  document.body.append(answer);
});
</script>
"""


def seen_in_chromium(page: Path, probe: str, profile: Path, width: int = 800) -> dict[str, Any]:
    """What a script finds on a page: errors, requests, what hangs out at the side, and what ``probe`` puts into ``found``.

    Args:
        page: the file.
        probe: JavaScript.
        profile: a folder for Chromium.
        width: of the window, in pixels.
    """
    need_chromium()
    text = page.read_text(encoding="utf-8")
    probed = page.with_name("probed.html")
    text = text.replace("<title>", LISTEN + "<title>", 1).replace("</html>", PROBE % probe + "</html>")
    probed.write_text(text, encoding="utf-8")
    command = [*HEADLESS, f"--window-size={width},600", f"--user-data-dir={profile}", "--virtual-time-budget=20000"]
    result = subprocess.run(
        [*command, "--dump-dom", probed.as_uri()], capture_output=True, text=True, check=True, timeout=600
    )
    answer = re.search(r'<pre id="answer">(.*?)</pre>', result.stdout, re.DOTALL)
    assert answer is not None, result.stdout[-2000:] + result.stderr
    found: dict[str, Any] = json.loads(answer[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    return found
