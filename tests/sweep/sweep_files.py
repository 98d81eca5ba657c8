"""A valid sweep file, and invalid ones with the place of each mistake and a part of the expected message."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GOOD = """\
name: tiny
dataset: digits
architectures: [resnet8, resnet14]
seeds: [0, 1]
recipe: {base: fast, epochs: 2}
resources: {cpu: 1}
methods:
  baseline: {}
  kd: {teacher: [self, resnet20], temperature: 4}
  eed: {exits: [all, "1"], output_loss: [mse, kl], temperature: [1, 3]}
"""

NOT_A_NAME = "a name begins with a letter or digit"
EMPTY = "must not be empty; give at least one value."
BAD_LINES: list[tuple[str, str, str]] = [
    # the line that replaces the one with the same key or is appended; the place of the mistake; a part of the message
    ("name: 5", "name", "must be text, but got 5"),
    ("name: null", "name", "must be text, but got None, which is null."),
    ("name: true", "name", "must be text, but got True, which is a boolean."),
    ("name: {a: 1}", "name", "must be text, but got {'a': 1}"),
    ("name: ../x", "name", f"{NOT_A_NAME} and has up to 99 more letters, digits, '.', '_' and '-', but got '../x'"),
    ("name: /etc", "name", NOT_A_NAME),
    ("name: .hidden", "name", NOT_A_NAME),
    ("name: ''", "name", NOT_A_NAME),
    ("name: " + "x" * 101, "name", NOT_A_NAME),
    ("dataset: digit", "dataset", "unknown dataset 'digit'; the nearest is 'digits'"),
    ("dataset: [digits, digit]", "dataset[1]", "unknown dataset 'digit'; the nearest is 'digits'"),
    ("dataset: [[digits]]", "dataset[0]", "unknown dataset ['digits']"),
    ("dataset: []", "dataset", EMPTY),
    ("dataset: null", "dataset", "unknown dataset None; choose from"),
    ("dataset: {digits: 1}", "dataset.digits", "unknown key 'digits'; choose from 'name', 'path'"),
    ("architectures: [resnet8, resnet9]", "architectures[1]", "unknown architecture 'resnet9'; the nearest is"),
    ("architectures: [torchvision/resnet18]", "architectures", "for torchvision/resnet18 on digits, images of 8x8"),
    ("architectures: []", "architectures", EMPTY),
    ("architectures: null", "architectures", "unknown architecture None"),
    ("architectures: [1]", "architectures[0]", "unknown architecture 1;"),
    ("architectures: [[resnet8]]", "architectures[0]", "unknown architecture ['resnet8']"),
    ("seeds: 0", "seeds", "must be a list, but got 0"),
    ("seeds: 1.5", "seeds", "must be a list, but got 1.5"),
    ("seeds: null", "seeds", "must be a list, but got None"),
    ("seeds: []", "seeds", EMPTY),
    ("seeds: [0, a]", "seeds[1]", "must be an integer, but got 'a'"),
    ("seeds: ['0']", "seeds[0]", "must be an integer, but got '0'"),
    ("seeds: [0, true]", "seeds[1]", "must be an integer, but got True"),
    ("seeds: [0, 1.5]", "seeds[1]", "must be an integer, but got 1.5"),
    ("seeds: [null]", "seeds[0]", "must be an integer, but got None"),
    ("seeds: [[0]]", "seeds[0]", "must be an integer, but got [0]"),
    ("seeds: [0, -1]", "seeds[1]", "greater than or equal to 0, but got -1."),
    ("seeds: [4294967296]", "seeds[0]", "less than or equal to 4294967295, but got 4294967296."),
    ("seeds: {a: 1}", "seeds", "must be a list, but got {'a': 1}, which is a mapping."),
    ("recipe: fst", "recipe", "unknown recipe 'fst'; the nearest is 'fast'"),
    ("recipe: null", "recipe", "unknown recipe None; choose from"),
    ("recipe: []", "recipe", EMPTY),
    ("recipe: [fast, fst]", "recipe[1]", "unknown recipe 'fst'; the nearest is 'fast'"),
    ("recipe: [[fast]]", "recipe[0]", "unknown recipe ['fast']"),
    ("recipe: {base: fst}", "recipe.base", "unknown recipe 'fst'; the nearest is 'fast'"),
    ("recipe: [fast, {base: fst}]", "recipe[1].base", "unknown recipe 'fst'; the nearest is 'fast'"),
    ("recipe: {epoch: 1}", "recipe.epoch", "unknown key 'epoch'; the nearest is 'epochs'"),
    ("recipe: {epochs: 0}", "recipe.epochs", "`1 <= epochs` must hold, but got epochs=0"),
    ("recipe: {epochs: 1.5}", "recipe.epochs", "must be an integer, but got 1.5, which is a number."),
    ("recipe: {epochs: '5'}", "recipe.epochs", "must be an integer, but got '5'"),
    ("recipe: {epochs: true}", "recipe.epochs", "must be an integer, but got True"),
    ("recipe: {epochs: null}", "recipe.epochs", "must be an integer, but got None"),
    ("recipe: {epochs: []}", "recipe.epochs", EMPTY),
    ("recipe: {epochs: [1, 0]}", "recipe.epochs[1]", "but got epochs=0"),
    ("recipe: {epochs: [[1]]}", "recipe.epochs[0]", "must be an integer, but got [1]"),
    ("recipe: [fast, {epochs: [1, 0]}]", "recipe[1].epochs[1]", "but got epochs=0"),
    ("recipe: {learning_rate: '5'}", "recipe.learning_rate", "must be a number, but got '5'"),
    ("recipe: {learning_rate: true}", "recipe.learning_rate", "must be a number, but got True"),
    ("recipe: {learning_rate: .nan}", "recipe.learning_rate", "learning_rate=nan"),
    ("recipe: {weight_decay: [5e-4, -1e-4]}", "recipe.weight_decay[1]", "but got weight_decay=-0.0001"),
    ("recipe: {nesterov: 1}", "recipe.nesterov", "must be true or false, but got 1, which is an integer."),
    ("recipe: {schedule: step}", "recipe.schedule", "unknown schedule 'step'; the nearest is 'multistep'"),
    ("recipe: {milestones: 5}", "recipe.milestones", "must be a list, but got 5"),
    ("recipe: {milestones: [1, a]}", "recipe.milestones[1]", "must be an integer, but got 'a'"),
    ("recipe: {milestones: [2, 1]}", "recipe.milestones", "milestones=(2, 1)"),
    ("recipe: {milestones: [[1, 2], [2, 1]]}", "recipe.milestones[1]", "milestones=(2, 1)"),
    ("recipe: {milestones: [[1], [2, a]]}", "recipe.milestones[1][1]", "must be an integer, but got 'a'"),
    ("resources: null", "resources", "must be a mapping of keys to values, but got None"),
    ("resources: [1]", "resources[0]", "must be a mapping of keys to values, but got 1, which is an integer."),
    ("resources: []", "resources", EMPTY),
    ("resources: [{cpus: 1}]", "resources[0].cpus", "unknown key 'cpus'; the nearest is 'cpu'"),
    ("resources: [{architectures: resnet8, cpu: 1}]", "resources[0].architectures", "the nearest is 'architecture'"),
    ("resources: [{cpu: 1}, {method: kd, cpu: 0}]", "resources[1].cpu", "`1 <= cpu` must hold, but got cpu=0"),
    ("resources: [{cpu: 3}, {method: kd, processes: 2}]", "resources[0].cpu", "cpu is a multiple of processes"),
    ("resources: [{method: kd}]", "resources[0]", "sets no resource; add one, such as cpu, or remove the rule."),
    (
        "resources: [{method: kd, retries: 1}]",
        "resources[0].retries",
        "applies to all trials; move it to a rule",
    ),
    ("resources: [{method: [kd, dkd], cpu: 2}]", "resources[0].method", "no trial of this sweep has method 'dkd'"),
    (
        "resources: [{method: eed, architecture: resnet20, cpu: 2}]",
        "resources[0]",
        "no trial of this sweep matches",
    ),
    ("resources: {memory: 16 GX}", "resources.memory", "could not interpret byte unit: GX"),
    ("resources: {memory: -1}", "resources.memory", "could not parse value and unit from byte string"),
    ("resources: {custom: {disk: 0}}", "resources.custom", "`0 < disk <= 1 or disk is a whole number` must hold"),
    ("resources: {custom: {GPU: 1}}", "resources.custom", "'GPU' is no custom resource; set `gpu` instead."),
    ("resources: {accelerator: A100, gpu: 0}", "resources.accelerator", "`gpu > 0 with accelerator` must hold"),
    ("resources: {nodes: 2, processes: 3}", "resources.processes", "`processes is a multiple of nodes` must hold"),
    ("resources: {nodes: 2, gpu: 1}", "resources.gpu", "`gpu == 0 or gpu == processes: each process uses one GPU`"),
    ("resources: {nodes: 2, gpu: auto}", "resources.nodes", "`nodes == 1 with gpu: auto` must hold, but got nodes=2"),
    ("resources: {cpus: 1}", "resources.cpus", "unknown key 'cpus'; the nearest is 'cpu'"),
    ("resources: {cpu: 0}", "resources.cpu", "`1 <= cpu` must hold, but got cpu=0"),
    ("resources: {cpu: 1.5}", "resources.cpu", "must be an integer, but got 1.5"),
    ("resources: {gpu: '1'}", "resources.gpu", "`0 <= gpu, or gpu is auto` must hold, but got gpu='1'"),
    ("resources: {gpu: atuo}", "resources.gpu", "`0 <= gpu, or gpu is auto` must hold, but got gpu='atuo'"),
    ("resources: {gpu: true}", "resources.gpu", "but got gpu=True"),
    ("resources: {gpu: .nan}", "resources.gpu", "but got gpu=nan"),
    ("resources: {gpu: -1}", "resources.gpu", "`0 <= gpu, or gpu is auto` must hold, but got gpu=-1"),
    ("resources: {gpu: auto, processes: 2}", "resources.processes", "`processes == 1 with gpu: auto` must hold"),
    ("resources: {retries: -1}", "resources.retries", "`0 <= retries` must hold, but got retries=-1"),
    ("resources: {retries: 1.5}", "resources.retries", "must be an integer, but got 1.5"),
    ("resources: {gpu: 1.5}", "resources.gpu", "gpu is a whole number"),
    ("resources: {processes: 0}", "resources.processes", "`1 <= processes` must hold, but got processes=0"),
    ("resources: {processes: two}", "resources.processes", "must be an integer, but got 'two'"),
    ("resources: {gpu: 0.5, processes: 2}", "resources.gpu", "gpu == processes: each process uses one GPU"),
    ("resources: {gpu: 4, processes: 2}", "resources.gpu", "but got gpu=4, processes=2"),
    ("resources: {gpu: 4, processes: 1}", "resources.gpu", "but got gpu=4, processes=1"),
    ("resources: {gpu: 4, cpu: 2}", "resources.cpu", "`cpu is a multiple of processes` must hold, but got cpu=2"),
    ("resources: {cpu: 3, processes: 2}", "resources.cpu", "but got cpu=3, processes=2"),
    ("resources: {gpu: [0.5]}", "resources.gpu", "but got gpu=[0.5]"),
    ("detect: true", "detect", "must be a number, but got True, which is a boolean."),
    ("detect: 0", "detect", "`0 < difference <= 100` must hold, but got difference=0"),
    ("detect: {spread: 1}", "detect.difference", "the key 'difference' is missing"),
    ("detect: {difference: 1, spred: 1}", "detect.spred", "unknown key 'spred'; the nearest is 'spread'."),
    ("equivalent: -1", "equivalent", "must be greater than 0, but got -1"),
    ("equivalent: [0.3]", "equivalent", "must be a number"),
    ("stopping: null", "stopping", "unknown rule None; the nearest is 'none'"),
    ("stopping: ahsa", "stopping", "unknown rule 'ahsa'; the nearest is 'asha'"),
    ("stopping: [asha]", "stopping", "unknown rule ['asha']"),
    ("stopping: {}", "stopping.rule", "the key 'rule' is missing"),
    ("stopping: {rule: ahsa}", "stopping.rule", "unknown value 'ahsa'; the nearest is 'asha'"),
    ("stopping: {rule: [asha, median]}", "stopping.rule", "unknown value ['asha', 'median']"),
    ("stopping: {rule: asha, grace: 0}", "stopping.grace", "`1 <= grace` must hold, but got grace=0"),
    ("stopping: {rule: asha, factor: 1}", "stopping.factor", "`2 <= factor` must hold, but got factor=1"),
    ("stopping: {rule: asha, factors: 3}", "stopping.factors", "the nearest is 'factor'"),
    ("stopping: {rule: asha, metric: test/final/top1}", "stopping.metric", "unknown key 'metric'"),
    ("stopping: {rule: asha, grace: 1}", "stopping", "`validation > 0 with stopping, since the test set must not"),
    ("validation: 1", "validation", "less than or equal to 0.9, but got 1"),
    ("methods: null", "methods", "must be a mapping of keys to values, but got None"),
    ("methods: [eed, eed]", "methods", "'eed' is listed twice; remove one."),
    ("methods: [3]", "methods", "must be a mapping of keys to values, but got [3]"),
    ("methods: eed", "methods", "must be a mapping of keys to values, but got 'eed'"),
    ("methods: {}", "methods", EMPTY),
    ("methods: {1: {}}", "methods.1", "unknown method '1'; choose from"),
    ("baseline: []", "methods.baseline", "must be a mapping of keys to values, but got []"),
    ("baseline: {exits: all}", "methods.baseline.exits", "unknown key 'exits'; baseline has no settings"),
    ("kd: {}", "methods.kd", "the key 'teacher' is missing"),
    ("kd: {teacher: null}", "methods.kd.teacher", "must be text, but got None"),
    ("kd: {teacher: [self, resnet21]}", "methods.kd.teacher[1]", "unknown teacher 'resnet21'; the nearest is"),
    ("kd: {teacher: [self, 5]}", "methods.kd.teacher[1]", "must be text, but got 5"),
    ("kd: {teacher: self, teacher_seed: -1}", "methods.kd.teacher_seed", "teacher_seed=-1"),
    (
        "kd: {teacher: self, temperature: hot}",
        "methods.kd.temperature",
        "must be a number, but got 'hot', which is text.",
    ),
    ("eed: {outputloss: kl}", "methods.eed.outputloss", "unknown key 'outputloss'; the nearest is 'output_loss'"),
    ("eed: {output_loss: [mse, kk]}", "methods.eed.output_loss[1]", "unknown value 'kk'; the nearest is 'kl'"),
    ("eed: {output_loss: kl, temperature: [1, 0]}", "methods.eed.temperature[1]", "but got temperature=0.0"),
    ("eed: {temperature: [[1, 3]]}", "methods.eed.temperature[0]", "must be a number, but got [1, 3]"),
    ("eed: {exits: [all, '7']}", "methods.eed.exits[1]", "unknown placement '7'"),
    ("eed: {exits: [[all]]}", "methods.eed.exits[0]", "must be text, but got ['all']"),
    ("eed: {exits: {a: 1}}", "methods.eed.exits", "must be text, but got {'a': 1}"),
    ("eed: {exits: []}", "methods.eed.exits", EMPTY),
    ("eed: {exits: none}", "methods.eed.exits", "eed trains exits, but the placement is 'none'"),
    ("eed: {exits: 1.5}", "methods.eed.exits", "must be text, but got 1.5"),
    ("eed: {head: [conv, cov]}", "methods.eed.head[1]", "unknown head 'cov'; the nearest is 'conv'"),
    ("eed: !!python/object:os.system 1", "", "python/object:os.system"),
    ("eed: !!python/object/apply:os.system ['touch /tmp/owned']", "", "python/object/apply:os.system"),
    ("eed: !!bool perhaps", "", "'perhaps' is not a valid bool"),
    ("eed: !!timestamp now", "", "'now' is not a valid timestamp"),
    ("eed: !!int ''", "", "'' is not a valid int"),
    ("eed: {2024-01-01: 1}", "methods.eed.2024-01-01", "unknown key '2024-01-01'; choose from"),
    ("eed: {? [a] : 1}", "", "is not"),
    ("eed: {? [a] : 1}", "", "the key ['a'] is not text"),
    ("eed: {exits: all, exits: all}", "", "duplicate key 'exits' in lines 10 and 10"),
    ("order: cheap", "order", "unknown value 'cheap'; the nearest is 'cheap-first'"),
    ("order: [file]", "order", "unknown value ['file']"),
    ("exclude: {method: kd}", "exclude", "must be a list, but got {'method': 'kd'}"),
    ("exclude: [kd]", "exclude[0]", "must be a mapping of keys to values, but got 'kd'"),
    ("exclude: [{}]", "exclude[0]", "an empty rule would exclude every trial; add a field"),
    ("exclude: [{methods: kd}]", "exclude[0].methods", "unknown field 'methods'; the nearest is 'method'"),
    ("exclude: [{recipe.epoch: 2}]", "exclude[0].recipe.epoch", "the nearest is 'recipe.epochs'"),
    ("exclude: [{method: []}]", "exclude[0].method", EMPTY),
    ("exclude: [{method: {a: 1}}]", "exclude[0].method", "must be a value or a list of values"),
    ("exclude: [[kd, eed]]", "exclude[0]", "must be a mapping of keys to values, but got ['kd', 'eed']"),
    ("exclude: [{method: [[kd, ed]]}]", "exclude[0].method[0]", "no trial of this sweep has method ('kd', 'ed')"),
    ("exclude: [{method: [[[kd]]]}]", "exclude[0].method", "must be a value or a list of values"),
    ("exclude: [{recipe.milestones: [[{a: 1}]]}]", "exclude[0].recipe.milestones", "must be a value or a list of"),
    ("exclude: [{method: [kd, ed]}]", "exclude[0].method[1]", "no trial of this sweep has method 'ed'; the nearest is"),
    (
        "exclude: [{method: kd}, {seed: 2}]",
        "exclude[1].seed",
        "no trial of this sweep has seed 2; choose from '0'",
    ),
    ("exclude: [{exits: '7'}]", "exclude[0].exits", "no trial of this sweep has exits '7'"),
    ("exclude: [{temperature: 2}]", "exclude[0].temperature", "no trial of this sweep has temperature 2; choose from"),
    ("exclude: [{networks: 2}]", "exclude[0].networks", "no choices are available"),
    ("exclude: [{method: kd, exits: all}]", "exclude[0]", "no trial of this sweep matches all fields of the rule"),
    ("exclude: [{method: [baseline, kd, eed]}]", "exclude", "the rules exclude every trial; remove or narrow a rule"),
    ("blocks: {}", "blocks", "must be a list, but got {}"),
    ("blocks: []", "blocks", EMPTY),
    ("blocks: [resnet8]", "blocks[0]", "must be a mapping of keys to values, but got 'resnet8'"),
    ("blocks: [{seed: [1]}]", "blocks[0].seed", "unknown key 'seed'; the nearest is 'seeds'"),
    ("blocks: [{name: a}]", "blocks[0].name", "unknown key 'name'"),
    ("blocks: [{}, {seeds: []}]", "blocks[1].seeds", EMPTY),
    ("blocks: [{}, {architectures: [resnet8, resnet9]}]", "blocks[1].architectures[1]", "unknown architecture"),
    ("blocks: [{}, {recipe: {epochs: 0}}]", "blocks[1].recipe.epochs", "`1 <= epochs` must hold"),
    ("blocks: [{}, {recipe: [fast, fst]}]", "blocks[1].recipe[1]", "unknown recipe 'fst'"),
    ("blocks: [{}, {dataset: digit}]", "blocks[1].dataset", "unknown dataset 'digit'"),
    ("blocks: [{}, {methods: {eed: {exits: '7'}}}]", "blocks[1].methods.eed.exits", "unknown placement '7'"),
    ("blocks: [{}, {methods: {eed: {temperature: [0]}}}]", "blocks[1].methods.eed.temperature[0]", "temperature=0.0"),
    ("blocks: [{}, {methods: {ed: {}}}]", "blocks[1].methods.ed", "unknown method 'ed'; the nearest is 'eed'"),
    ("frobnicate: 1", "frobnicate", "unknown key 'frobnicate'; choose from 'architectures', 'blocks', 'dataset'"),
    ("  ed: {exits: all}", "methods.ed", "unknown method 'ed'; the nearest is 'eed'"),
]
WHOLE: dict[str, tuple[bytes, str, str]] = {
    # the content of the file; the text between path and reason in the message; a part of the reason
    "empty": (b"", ": ", "a sweep file must be a mapping of keys to values, but this is None"),
    "only a comment": (b"# nothing\n", ": ", "a sweep file must be a mapping of keys to values, but this is None"),
    "a list": (b"- a\n- b\n", ": ", "a sweep file must be a mapping of keys to values, but this is ['a', 'b']"),
    "a word": (b"sweep", ": ", "a sweep file must be a mapping of keys to values, but this is 'sweep'"),
    "a missing key": (GOOD.replace("dataset: digits\n", "").encode(), ": dataset: ", "the key 'dataset' is missing"),
    "a misspelt key": (GOOD.replace("dataset", "datset").encode(), ":2: datset: ", "the nearest is 'dataset'"),
    "a key twice": (b"name: a\nseeds: [0]\nname: b", ":3: ", "duplicate key 'name' in lines 1 and 3; remove one"),
    "a colon too many": (b"name: a\ndataset: digits: b", ":2: ", "mapping values are not allowed here"),
    "not UTF-8": (b"name: \xff\xfe", ": ", "cannot be read: it is not UTF-8 text"),
    "a zero byte": (b"name: \x00", ": ", "is not valid YAML"),
    "cut off": (b"name: [a,\n", ":2: ", "is not valid YAML: expected the node content"),
    "a tab": (b"name: a\n\tdataset: b", ":2: ", "is not valid YAML"),
    "two documents": (b"name: a\n---\nname: b", ":2: ", "another document"),
    "an alias of nothing": (b"name: *a", ":1: ", "undefined alias 'a'"),
    "a list within itself": (b"name: &a [*a]", ": ", "is not valid YAML"),
    "too deep": (b"name: " + b"[" * 1200, ": ", "is not valid YAML"),
    "half a character": (rb'name: "\ud800"', ": ", "is not valid YAML"),
    "a huge number": (b"seeds: [0x" + b"f" * 5000 + b"]", ":1: ", "is too large (maximum absolute value 1.8e+308)"),
    "a number beyond all": (GOOD.replace("epochs: 2", f"epochs: 1{'0' * 400}").encode(), ":5: ", "is too large"),
    "a number below all": (GOOD.replace("[0, 1]", f"[0, -1{'0' * 400}]").encode(), ":4: ", "is too large"),
}


@dataclass(frozen=True, kw_only=True)
class BadFile:
    """An invalid file, the text between path and reason in the message, and a part of the reason."""

    path: Path
    where: str
    part: str


def _bad_lines() -> Iterator[tuple[str, tuple[bytes, str, str]]]:
    for new, place, part in BAD_LINES:
        lines = GOOD.splitlines()
        key = new.partition(":")[0] + ":"
        found = next((number for number, line in enumerate(lines) if line.strip().startswith(key)), len(lines))
        indent = "" if found == len(lines) else lines[found].removesuffix(lines[found].lstrip())
        lines[found:] = [indent + new, *([] if key == "methods:" else lines[found + 1 :])]
        yield new[:60], ("\n".join(lines).encode(), f":{found + 1}: {place}{place and ': '}", part)


BAD_FILES = WHOLE | dict(_bad_lines())
UNREADABLE = {"missing": "No such file", "a directory": "Is a directory", "forbidden": "Permission denied"}
NAMES_OF_BAD_FILES = (*BAD_FILES, *UNREADABLE)


def write_bad_file(name: str, path: Path) -> BadFile:
    """Write one of these files, or a path that cannot be read as a file."""
    match name:
        case "missing":
            pass
        case "a directory":
            path.mkdir()
        case "forbidden":
            path.touch(mode=0)
        case _:
            content, where, part = BAD_FILES[name]
            path.write_bytes(content)
            return BadFile(path=path, where=where, part=part)
    return BadFile(path=path, where=": cannot be read: ", part=UNREADABLE[name])
