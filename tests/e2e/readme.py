"""Every command in the README runs, and its folder map is true.

A ```sh block runs, line by line in one shell, in a scratch folder in which the
repository's entries appear as links. A block that cannot run here is preceded
by a comment that says why:

    <!-- not run by the test: REASON -->
"""

import os
import re
import unittest

import e2e

README = os.path.join(e2e.ROOT, "README.md")
FENCE = re.compile(r"^(?:<!-- (?P<note>.*?) -->\n)?```sh\n(?P<text>.*?)^```",
                   re.M | re.S)
NOT_RUN = "not run by the test: "


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(README) as file:
            cls.text = file.read()

    def test_commands(self):
        folder = e2e.scratch("readme")
        os.makedirs(os.path.join(folder, "build", "release"))
        for entry in os.listdir(e2e.ROOT):
            if entry not in ("build", ".git"):
                os.symlink(os.path.join(e2e.ROOT, entry),
                           os.path.join(folder, entry))
        os.symlink(e2e.BIN, os.path.join(folder, "build", "release", "bin"))
        env = {"SINTER_BUILD_DIR": os.path.dirname(e2e.BIN),
               "SINTER_DEMO_DIR": os.path.join(folder, "demo"),
               "HOME": folder, "TERM": "dumb",
               "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME")
               or os.path.expanduser("~/.cache")}
        script, ran = ["set -euo pipefail"], 0
        for match in FENCE.finditer(self.text):
            note = match["note"] or ""
            if note.startswith(NOT_RUN):
                self.assertGreater(len(note), len(NOT_RUN) + 10, note)
                continue
            script.append(match["text"])
            ran += 1
        self.assertGreater(ran, 2)
        print(f"{ran} blocks", end=" ... ", flush=True)
        e2e.run("bash", "-x", "-c", "\n".join(script), cwd=folder, env=env)

    def test_map(self):
        """Folders and files named in `code` with a slash or in the map."""
        names = set(re.findall(
            r"`((?:frontend|ir|passes|codegen|runtime|tests|samples|bench|"
            r"scripts|cmake|\.ci)/[\w./-]*)`", self.text))
        self.assertGreater(len(names), 8)
        for name in sorted(names):
            self.assertTrue(os.path.exists(os.path.join(e2e.ROOT, name)),
                            f"README names {name}, which does not exist")

    def test_folders_have_readmes(self):
        for folder in ("frontend", "ir", "passes", "codegen", "runtime",
                       "tests", "samples", "bench"):
            self.assertTrue(
                os.path.exists(os.path.join(e2e.ROOT, folder, "README.md")),
                folder)
            self.assertIn(f"`{folder}/`", self.text)

    def test_length(self):
        self.assertLess(len(self.text.splitlines()), 200)


if __name__ == "__main__":
    e2e.main()
