"""browser - headless Chromium for tests that look at a page.

Problem: a page has to be seen at a phone's width and in the dark, and the
command line can set neither.
Idea: Chromium's DevTools protocol over two pipes (--remote-debugging-pipe: JSON
with a zero byte behind it), which needs nothing but the standard library.
Known weakness: waits for each answer in turn, so one page at a time.
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import unittest

import e2e

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    def __init__(self):
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if not program:
            raise unittest.SkipTest(
                "no Chromium; Debian's chromium has it (scripts/setup --peers)")
        to_browser, self.commands = os.pipe()
        self.answers, from_browser = os.pipe()

        def connect():  # the browser expects descriptors 3 and 4
            first, second = os.dup(to_browser), os.dup(from_browser)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
             "--disable-background-networking", "--disable-extensions",
             "--remote-debugging-pipe",
             f"--user-data-dir={e2e.scratch('chromium')}", "about:blank"],
            preexec_fn=connect, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.unread = b""
        self.number, self.session, self.events = 0, None, []
        target = self.send("Target.createTarget", url="about:blank")
        self.session = self.send("Target.attachToTarget", flatten=True,
                                 targetId=target["targetId"])["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(domain + ".enable")

    def close(self):
        os.close(self.commands)  # the browser ends with its pipe
        os.close(self.answers)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def receive(self):
        parts = []
        while b"\0" not in self.unread:
            parts.append(self.unread)
            self.unread = os.read(self.answers, 1 << 16)
            if not self.unread:
                raise e2e.Failed("the browser ended")
        last, _, self.unread = self.unread.partition(b"\0")
        return json.loads(b"".join(parts) + last)

    def send(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise e2e.Failed(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, path, width, theme):
        """Loads a file; `theme` is light or dark."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=800,
                  deviceScaleFactor=2 if width < 600 else 1, mobile=False)
        self.send("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": theme}])
        self.events.clear()
        self.send("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired"
                      for event in self.events):
            self.events.append(self.receive())

    def evaluate(self, script):
        answer = self.send("Runtime.evaluate", expression=script,
                           returnByValue=True)
        if "exceptionDetails" in answer:
            raise e2e.Failed(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def complaints(self):
        """What the console got, and what was asked of the network."""
        texts = []
        for event in self.events:
            parameters = event.get("params", {})
            if event.get("method") == "Log.entryAdded":
                texts.append(parameters["entry"]["text"])
            elif event.get("method") == "Runtime.exceptionThrown":
                texts.append(str(parameters["exceptionDetails"]))
            elif event.get("method") == "Runtime.consoleAPICalled":
                texts.append(str(parameters["args"]))
            elif event.get("method") == "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                if not url.startswith(("file:", "data:")):
                    texts.append("request of " + url)
        return texts

    def screenshot(self, path):
        """The whole page as PNG."""
        answer = self.send("Page.captureScreenshot", format="png",
                           captureBeyondViewport=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(answer["data"]))
