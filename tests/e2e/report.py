"""`train --report` writes one page that is well-formed, complete and loads
nothing; and, where Chromium is installed, that fits a phone and a desk, in the
light and in the dark, with every text legible."""

import html.parser
import json
import os
import random
import re
import unittest
import xml.etree.ElementTree

import browser
import e2e

VOID = {"meta", "link", "img", "br", "hr", "input"}

MANY_CLASSES = """model: many_classes
input: {shape: [4]}
layers:
  - dense: {units: 8, activation: relu, name: a_layer_with_quite_a_long_name}
  - dense: {units: 24, name: output}
loss: {sparse_categorical_crossentropy: {from_logits: true}}
optimizer: adam
metrics: [accuracy]
data:
  train: {csv: many.csv, label: -1}
  validation_split: 0.5
train: {epochs: 40, batch_size: 32, seed: 1}
"""


class Page(html.parser.HTMLParser):
    """Checks that elements nest, and keeps them."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), (tag, attributes)
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def all(self, tag):
        return [found for name, found in self.elements if name == tag]

    def text(self):
        return " ".join(" ".join(self.words).split())


def write_page(spec, data, *flags, name):
    trainer = e2e.Trainer(spec, name)
    path = e2e.scratch(name + ".html")
    history = trainer.train(data, "--report", path, *flags)
    return path, history


def many_classes():
    draw = random.Random(1)
    rows = [f"{draw.random()},{draw.random()},{draw.random()},{draw.random()},"
            f"{i % 24}" for i in range(4000)]
    e2e.write("many.csv", "\n".join(rows) + "\n")
    return write_page(MANY_CLASSES, e2e.scratch(), name="many_classes")


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        data = e2e.data_dir("fashion-mnist")
        sample = e2e.sample("fashion_mlp/model.yaml")
        cls.path, cls.history = write_page(sample, data, "--epochs", "4",
                                           name="fashion_mlp")
        cls.pages = {
            "fashion_mlp": cls.path,
            "xor": write_page(e2e.sample("xor/model.yaml"),
                              e2e.sample("xor"), name="xor")[0],
            "line": write_page(e2e.sample("linear_regression/model.yaml"),
                               e2e.sample("linear_regression"),
                               name="line")[0],
            "many_classes": many_classes()[0],
        }
        cls.texts = {}
        for name, path in cls.pages.items():
            with open(path, encoding="utf-8") as file:
                cls.texts[name] = file.read()

    def test_pages_are_well_formed(self):
        for name, text in self.texts.items():
            with self.subTest(name):
                page = Page(text)
                self.assertEqual(len(page.all("h1")), 1)
                for image in page.all("img"):
                    self.assertTrue(image.get("alt"))
                for svg in re.findall(r"<svg role.*?</svg></div>", text, re.S):
                    self.assertIn(' aria-label="', svg)
                    xml.etree.ElementTree.fromstring(svg[:-len("</div>")])
                for number in ("nan", "inf"):
                    self.assertNotRegex(text, rf"[\">= ]-?{number}[%\"< ]")

    def test_pages_load_nothing(self):
        for name, text in self.texts.items():
            with self.subTest(name):
                page = Page(text)
                self.assertEqual(page.all("script"), [])
                for _, attributes in page.elements:
                    for key in ("src", "href", "srcset", "xlink:href"):
                        value = attributes.get(key, "data:")
                        self.assertTrue(value.startswith("data:"), value)
                self.assertNotRegex(text, r"@import|url\(|https?:")
                self.assertLess(len(text), 150_000)

    def test_the_page_tells_the_run(self):
        page = Page(self.texts["fashion_mlp"])
        text = page.text()
        best = 1 + min(range(4), key=self.history["val_loss"].__getitem__)
        for part in ("fashion_mlp", "4 epochs on 48,000 samples",
                     f"The best epoch by val_loss is epoch {best} of 4.",
                     f"{100 * self.history['val_accuracy'][-1]:.1f} %",
                     "79,510", "hidden (Dense)", "(None, 100)", "78,500",
                     "Seed 42", "Batch size 32", "Most frequent mistakes",
                     "The surest mistakes", "exactly the lower bound"):
            self.assertIn(part, text)
        self.assertEqual(len(page.all("img")), 24)

    def test_the_matrix_counts_the_validation_data(self):
        rows = re.findall(r'<tr><th scope="row">\d</th>((?:<td class="[rw].*?'
                          r"</td>)+)</tr>", self.texts["fashion_mlp"])
        matrix = [[int(n) for n in re.findall(r">(\d+)</td>", row)]
                  for row in rows]
        self.assertEqual([len(row) for row in matrix], [10] * 10)
        self.assertEqual(sum(map(sum, matrix)), 12000)
        right = sum(matrix[i][i] for i in range(10)) / 12000
        self.assertAlmostEqual(right, self.history["val_accuracy"][-1],
                               places=4)

    def test_the_memory_plan_holds(self):
        info = e2e.Trainer(e2e.sample("fashion_mlp/model.yaml"),
                           "fashion_mlp").info()
        function = info["functions"]["train_step"]
        buffers = [tuple(int(n.replace(",", "")) for n in found)
                   for found in re.findall(
                       r"\(([\d,]+) bytes\) at ([\d,]+)\n"
                       r"kernels (\d+) to (\d+)</title>",
                       self.texts["fashion_mlp"])]
        self.assertGreater(len(buffers), 8)
        lines = {}  # which buffers use a cache line at a kernel
        for number, (size, offset, first, last) in enumerate(buffers):
            self.assertLessEqual(first, last)
            self.assertLessEqual(last, len(function["kernels"]))
            for kernel in range(first, last + 1):
                for line in range(offset // 64, (offset + size + 63) // 64):
                    lines.setdefault((kernel, line), []).append(number)
        for (kernel, _), users in lines.items():
            if len(users) > 1:  # only a result in its operand's place
                self.assertEqual(len(users), 2)
                self.assertEqual({buffers[users[0]][3], buffers[users[1]][2]},
                                 {kernel})
        used = [0] * (len(function["kernels"]) + 1)
        for kernel, _ in lines:
            used[kernel] += 64
        self.assertEqual(max(used), function["lower_bound_bytes"])
        self.assertEqual(64 + 64 * max(line for _, line in lines),
                         function["arena_bytes"])

    def test_what_does_not_apply_is_left_out(self):
        self.assertNotIn("<table class=\"matrix", self.texts["line"])
        self.assertNotIn("<img", self.texts["many_classes"])
        self.assertIn("4 training samples", self.texts["xor"])


# ---- In a browser ------------------------------------------------------------

# Returns what is wrong with the page as a list of texts.
LOOK = r"""(() => {
  const wrong = [], say = text => wrong.length < 20 && wrong.push(text);
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth)
    say(`page is ${root.scrollWidth} wide, window ${innerWidth}`);
  const describe = e => `${e.tagName} "${e.textContent.trim().slice(0, 30)}"`;
  const overlap = (a, b) => {
    const p = a.getBoundingClientRect(), q = b.getBoundingClientRect();
    return p.width && q.width && p.left + 1 < q.right && q.left + 1 < p.right
      && p.top + 1 < q.bottom && q.top + 1 < p.bottom;
  };
  const apart = elements => elements.forEach((a, i) => elements.slice(i + 1)
    .forEach(b => overlap(a, b) && say(`${describe(a)} over ${describe(b)}`)));
  apart([...document.querySelectorAll(".card, .tiles > div, h1, h2, footer")]);
  for (const chart of document.querySelectorAll(".plot > svg"))
    apart([...chart.querySelectorAll(":scope > text")]);
  for (const legend of document.querySelectorAll(".legend"))
    apart([...legend.children]);
  for (const row of document.querySelectorAll("tr")) apart([...row.cells]);
  for (const cell of document.querySelectorAll(".matrix td"))
    if (cell.scrollWidth > cell.clientWidth
        && getComputedStyle(cell).color !== "rgba(0, 0, 0, 0)")
      say(`cut off: ${describe(cell)}`);

  const shown = text => {  // within what clips it, and the window
    const range = document.createRange();
    range.selectNodeContents(text);
    const box = range.getBoundingClientRect();
    if (box.width && (box.left < -1 || box.right > innerWidth + 1)
        && !text.parentElement.closest(".scroll"))
      say(`outside the window: ${describe(text.parentElement)}`);
  };
  const canvas = document.createElement("canvas").getContext("2d",
    {willReadFrequently: true});
  const rgba = color => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const d = canvas.getImageData(0, 0, 1, 1).data;
    return [d[0], d[1], d[2], d[3] / 255];
  };
  const over = (top, below) => below.map((v, i) =>
    i < 3 ? top[i] * top[3] + v * (1 - top[3]) : 1);
  const ground = e => {
    const color = rgba(getComputedStyle(e).backgroundColor);
    if (color[3] >= 1 || !e.parentElement) return color;
    return over(color, ground(e.parentElement));
  };
  const light = color => {
    const [r, g, b] = color.map(v => (v /= 255) <= .04045 ? v / 12.92
      : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + .05) / (y + .05);
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; text = walk.nextNode();) {
    const e = text.parentElement;
    if (!text.data.trim() || e.closest("title, style, .sr") ||
        !e.getClientRects().length) continue;
    if (!e.closest("svg svg")) shown(text);  // an inner one clips
    const style = getComputedStyle(e);
    const ink = rgba(e.closest("svg") ? style.fill : style.color);
    if (ink[3] === 0) continue;  // hidden on purpose
    let below = ground(e);
    const buffer = e.parentElement.querySelector(":scope > .buffer");
    if (buffer) {
      const fill = rgba(getComputedStyle(buffer).fill);
      fill[3] = +getComputedStyle(buffer).fillOpacity;
      below = over(fill, below);
    }
    const ratio = contrast(over(ink, below), below);
    if (ratio < 4.5)
      say(`contrast ${ratio.toFixed(2)}: ${describe(e)}`);
  }
  return wrong;
})()"""


class InABrowser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = browser.Browser()
        cls.addClassCleanup(cls.browser.close)
        Report.setUpClass()

    def look(self, name, width, theme):
        self.browser.open(Report.pages[name], width, theme)
        self.browser.evaluate("document.querySelectorAll('details')"
                              ".forEach(d => d.open = true)")
        wrong = self.browser.evaluate(LOOK)
        folder = os.environ.get("SINTER_SCREENSHOTS")
        if folder:
            self.browser.screenshot(
                os.path.join(folder, f"{name}-{width}-{theme}.png"))
        self.assertEqual(wrong, [], json.dumps(wrong, indent=1))
        self.assertEqual(self.browser.complaints(), [])

    def test_every_width_and_theme(self):
        for name in ("fashion_mlp", "xor", "line", "many_classes"):
            for width in (360, 768, 1280):
                for theme in ("light", "dark"):
                    with self.subTest(name, width=width, theme=theme):
                        self.look(name, width, theme)


if __name__ == "__main__":
    e2e.main()
