"""A page as a person sees it: opened in Chromium, offline, and asked by a script."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

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
    if CHROMIUM is None:
        assert not os.environ.get("CI_NEEDS_CHROMIUM"), "no Chromium"
        pytest.skip("no Chromium: apt-get install chromium")
    text = page.read_text(encoding="utf-8")
    probed = page.with_name("probed.html")
    text = text.replace("<title>", LISTEN + "<title>", 1).replace("</html>", PROBE % probe + "</html>")
    probed.write_text(text, encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--window-size={width},600", f"--user-data-dir={profile}", "--virtual-time-budget=20000"]
    result = subprocess.run(
        [*command, "--dump-dom", probed.as_uri()], capture_output=True, text=True, check=True, timeout=600
    )
    answer = re.search(r'<pre id="answer">(.*?)</pre>', result.stdout, re.DOTALL)
    assert answer is not None, result.stdout[-2000:] + result.stderr
    found: dict[str, Any] = json.loads(answer[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    return found
