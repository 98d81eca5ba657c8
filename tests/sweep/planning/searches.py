"""A sweep file with a search, and changes of its lines for tests."""

PLAIN = """\
name: tuned
dataset: digits
architectures: [resnet8]
seeds: [0, 1, 2]
recipe: {base: fast, epochs: 4, batch_size: 64, crop: none, flip: false}
methods:
  baseline: {}
  kd: {teacher: resnet14}
  eed: {output_loss: kl}
"""
SEARCH = """\
search:
  budget: 6
  recipe:
    learning_rate: {low: 0.01, high: 0.5, log: true}
  methods:
    kd: {temperature: {low: 1, high: 8}}
    eed: {temperature: {low: 1, high: 8}, feature_weight: [0, 1], exits: [all, "1"], output_loss: [mse, kl]}
"""
FILE = PLAIN + SEARCH
BUDGET, RATE, KD, EED, END = 11, 13, 15, 16, 17
"""Line numbers of `budget`, `learning_rate`, `kd` and `eed`, and of a line appended at the end."""
BEFORE = {
    BUDGET: ("  ", ""),
    RATE: ("    ", "recipe."),
    KD: ("    ", "methods."),
    EED: ("    eed: ", "methods.eed."),
    END: ("  ", ""),
}
"""Text before a replaced line, and place before the place of its mistake."""


def changed(line: int, text: str) -> str:
    """Return the file with this text in a line."""
    lines = FILE.splitlines()
    lines[line - 1 : line] = [BEFORE[line][0] + text]
    return "\n".join(lines) + "\n"
