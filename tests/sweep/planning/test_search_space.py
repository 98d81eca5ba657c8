"""Mistakes in the `search` part of a sweep file, and the messages for them."""

import pytest
from exeunt.sweep.planning.sweep_file import read_sweep
from exeunt.sweep.planning.yaml_document import DocumentError

from .searches import BEFORE, BUDGET, EED, END, FILE, KD, PLAIN, RATE, changed

NO_RANGE = "must be a range or a list of values, such as {low: 1, high: 8}, but got"
METRICS = "exit1/top1, exit1/multiply_adds"
OBJECTIVE = f"an objective is an exit (final, ensemble, exit1, ...), alone or with a metric: {METRICS}"
BUDGETS = "a budget is a number of trials or a time such as 4h"
TIMES = "a time is a number above 0 and a unit (s, min, h, d), such as 90s or 4h"
FRESH = "final results need seeds that the search has not used. Choose another seed."
AXES = "a search tunes one. Give each key one value here, and list the values to try under `search.methods`."
EQUAL = "but every method gets the same budget; add ranges under search.recipe, for all methods, or"

METRIC = "; the nearest is "
COMPARISON = 'such as "<= 50%", "<= 300M" or ">= 0.05", but got '

BAD: list[tuple[int, str, str, str]] = [
    # the line that is replaced or appended; its new text; the place in that line; a part of the message
    (RATE, "learning_rate: {low: 0.5, high: 0.5}", "learning_rate.low", "`low < high` must hold, but got low=0.5"),
    (RATE, "learning_rate: {low: 0.5, high: 0.1}", "learning_rate.low", "but got low=0.5, high=0.1"),
    (RATE, "momentum: {low: 0, high: 1, log: true}", "momentum.low", "`low > 0 with log: true` must hold, but got low"),
    (RATE, "momentum: {low: -1, high: 1, log: true}", "momentum.low", "`low > 0 with log: true` must hold, but got lo"),
    (RATE, "momentum: {low: 0.1, high: 1, log: true, step: 0.1}", "momentum.step", "`no step with log: true` must hol"),
    (RATE, "momentum: {low: 0.1, high: 1, step: 2}", "momentum.step", "`0 < step <= high - low` must hold, but got st"),
    (RATE, "momentum: {low: 0.1, high: 1, step: 0}", "momentum.step", "but got step=0.0"),
    (RATE, "momentum: {low: 0.1, high: 1, step: -0.1}", "momentum.step", "but got step=-0.1"),
    (RATE, "momentum: {low: 0.1, high: 1, step: .nan}", "momentum.step", "`step is finite` must hold, but got step=na"),
    (RATE, "momentum: {low: .nan, high: 1}", "momentum.low", "`low is finite` must hold, but got low=nan"),
    (RATE, "momentum: {low: 0, high: .inf}", "momentum.high", "`high is finite` must hold, but got high=inf"),
    (RATE, "momentum: {low: 0, high: 1e400}", "momentum.high", "`high is finite` must hold, but got high=inf"),
    (RATE, "momentum: {low: 0}", "momentum.high", "the key 'high' is missing"),
    (RATE, "momentum: {}", "momentum.low", "the key 'low' is missing"),
    (RATE, "momentum: {low: 0, high: 1, lgo: true}", "momentum.lgo", "unknown key 'lgo'; the nearest is 'low' or 'log"),
    (RATE, "momentum: {low: 0, high: 1, whole: true}", "momentum.whole", "unknown key 'whole'; choose from 'high'"),
    (RATE, "momentum: {low: '0', high: 1}", "momentum.low", "must be a number, but got '0'"),
    (RATE, "momentum: {low: true, high: 2}", "momentum.low", "must be a number, but got True"),
    (RATE, "momentum: {low: [0], high: 2}", "momentum.low", "must be a number, but got [0]"),
    (RATE, "momentum: {low: 0, high: 1, log: 1}", "momentum.log", "must be true or false, but got 1"),
    (RATE, "momentum: {low: 0.5, high: 1.5}", "momentum.high", "with 1.5, `0 <= momentum <= 1` must hold, but got"),
    (RATE, "ema_decay: {low: 0, high: 1}", "ema_decay.high", "with 1.0, `0 <= ema_decay <= 0.999999` must hold"),
    (RATE, "batch_size: {low: 2.5, high: 8}", "batch_size.low", "`low is a whole number` must hold, but got low=2.5"),
    (RATE, "batch_size: {low: 2, high: 8.5}", "batch_size.high", "`high is a whole number` must hold, but got high=8."),
    (RATE, "batch_size: {low: 2, high: 8, step: 1.5}", "batch_size.step", "`step is a whole number` must hold"),
    (RATE, "batch_size: {low: 1, high: 8}", "batch_size.low", "with 1, `2 <= batch_size` must hold, but got"),
    (RATE, "batch_size: [64, 2.5]", "batch_size[1]", "with 2.5, `2 <= batch_size, a whole number` must hold"),
    (RATE, "batch_size: [64, true]", "batch_size[1]", "but got batch_size=True"),
    (RATE, "accumulation: [1, 64]", "accumulation[1]", "with 64, `batch_size >= 2 * accumulation, since"),
    (RATE, "learning_rate: 0.1", "learning_rate", NO_RANGE),
    (RATE, "learning_rate: null", "learning_rate", NO_RANGE),
    (RATE, "learning_rate: []", "learning_rate", "must not be empty; give at least one value"),
    (RATE, "learning_rate: [0.1, 0.2, 0.1]", "learning_rate[2]", "0.1 is listed twice; remove one"),
    (RATE, "learning_rate: [1, 1.0]", "learning_rate[1]", "1.0 is listed twice"),
    (RATE, "learning_rate: [0.1, [0.2]]", "learning_rate[1]", "must be a single value, but got [0.2]"),
    (RATE, "learning_rate: [0.1, {low: 1}]", "learning_rate[1]", "must be a single value, but got {'low': 1}"),
    (RATE, "learning_rate: [0.1, hot]", "learning_rate[1]", "with 'hot', `0 < learning_rate, a number` must hold"),
    (RATE, "learning_rate: [0.1, .nan]", "learning_rate[1]", "with nan, `learning_rate is finite` must hold"),
    (RATE, "learning_rate: [0.1, -1]", "learning_rate[1]", "with -1, `0 < learning_rate` must hold, but got"),
    (RATE, "learning_rat: [0.1]", "learning_rat", "unknown key 'learning_rat'; the nearest is 'learning_rate'"),
    (RATE, "base: [fast, paper]", "base", "unknown key 'base'; the nearest is 'batch_size'"),
    (RATE, "epochs: [2, 4]", "epochs", "epochs cannot be tuned, because budgets would be unequal if some trials"),
    (RATE, "epochs: {low: 2, high: 4}", "epochs", "epochs cannot be tuned"),
    (RATE, "crop: {low: 1, high: 2}", "crop", "crop is not a number; list the values to try"),
    (RATE, "crop: pad", "crop", "must be a range or a list of values, such as [a, b], but got 'pad'"),
    (RATE, "crop: [pad, paad]", "crop[1]", "with 'paad', unknown crop 'paad'; the nearest is 'pad'"),
    (RATE, "nesterov: {low: 0, high: 1}", "nesterov", "nesterov is not a number"),
    (RATE, "nesterov: [true, 0]", "nesterov[1]", "with 0, `nesterov is true or false` must hold, but got nesterov=0"),
    (RATE, "milestones: [[1], [2]]", "milestones[0]", "must be a single value, but got [1]"),
    (KD, "kd: {temperature: {low: 0, high: 8}}", "kd.temperature.low", "with 0.0, methods.kd.temperature: `0 < temper"),
    (KD, "kd: {teacher: [self, resnet14]}", "kd.teacher", "unknown key 'teacher'; choose from 'exits', 'factor'"),
    (KD, "kd: {teacher_seed: [1, 2]}", "kd.teacher_seed", "unknown key 'teacher_seed'"),
    (KD, "kd: [temperature]", "kd", "must be a mapping of keys to values, but got ['temperature']"),
    (KD, "kd: null", "kd", "must be a mapping of keys to values, but got None"),
    (KD, "kdd: {temperature: [1]}", "kdd", "no method 'kdd' in `methods`; the nearest is 'kd'"),
    (KD, "dkd: {temperature: [1]}", "dkd", "no method 'dkd' in `methods`; the nearest is 'kd'"),
    (KD, "baseline: {temperature: [1]}", "baseline.temperature", "unknown key 'temperature'; baseline has no settings"),
    (KD, "baseline: {exits: [all]}", "baseline.exits", "unknown key 'exits'; baseline has no settings"),
    (EED, "{feature_weight: {low: -1, high: 1}}", "feature_weight.low", "with -1.0, methods.eed.feature_weight: `0 <="),
    (EED, "{feature_weight: [0, -1]}", "feature_weight[1]", "with -1, methods.eed.feature_weight: `0 <= feature_weigh"),
    (EED, '{exits: [all, "7"]}', "exits[1]", "with '7', unknown placement '7'; this network allows exits"),
    (EED, "{exits: [all, none]}", "exits[1]", "with 'none', eed trains exits, but the placement is 'none'"),
    (EED, "{exits: {low: 1, high: 2}}", "exits", "exits is not a number"),
    (EED, "{head: [conv, cov]}", "head[1]", "with 'cov', methods.eed.head: unknown head 'cov'; the nearest is 'conv'"),
    (EED, "{output_loss: [mse, kk]}", "output_loss[1]", "with 'kk', methods.eed.output_loss: unknown value 'kk'; the"),
    (EED, "{temperture: [1]}", "temperture", "unknown key 'temperture'; the nearest is 'temperature'"),
    (BUDGET, "budget: 0", "budget", "`1 <= budget` must hold, but got budget=0"),
    (BUDGET, "budget: -1", "budget", "`1 <= budget` must hold, but got budget=-1"),
    (BUDGET, "budget: true", "budget", f"{BUDGETS}, but got True"),
    (BUDGET, "budget: 2.5", "budget", f"{BUDGETS}, but got 2.5"),
    (BUDGET, "budget: [1]", "budget", f"{BUDGETS}, but got [1]"),
    (BUDGET, "budget: null", "budget", f"{BUDGETS}, but got None"),
    (BUDGET, "budget: 2x", "budget", f"{TIMES}, but got '2x'"),
    (BUDGET, "budget: 0h", "budget", f"{TIMES}, but got '0h'"),
    (BUDGET, "buget: 6", "buget", "unknown key 'buget'; the nearest is 'budget'"),
    (END, "sampler: tp", "sampler", "unknown value 'tp'; the nearest is 'tpe' or 'gp'"),
    (END, "sampler: [tpe, gp]", "sampler", "unknown value ['tpe', 'gp']; the nearest is 'tpe' or 'gp'"),
    (END, "objective: finl", "objective", f"{OBJECTIVE}, but got 'finl'"),
    (END, "objective: exit0", "objective", f"{OBJECTIVE}, but got 'exit0'"),
    (END, "objective: final/top5", "objective", f"{OBJECTIVE}, but got 'final/top5'"),
    (END, "objective: 5", "objective", "must be text, but got 5"),
    (END, "objective: {a: 1}", "objective", "must be text, but got {'a': 1}"),
    (END, "objective: [final, 5]", "objective[1]", "must be text, but got 5"),
    (END, "objective: []", "objective", "must not be empty"),
    (END, "objective: [final, final]", "objective[1]", "'final' is listed twice"),
    (END, "objective: [final, final/top1]", "objective[1]", "'final/top1' is listed twice"),
    (END, "objective: exit1", "objective", "baseline on resnet8 has no exit1; choose an exit of every method"),
    (END, "objective: ensemble", "objective", "baseline on resnet8 has no ensemble"),
    (END, "objective: [final, exit1/multiply_adds]", "objective[1]", "baseline on resnet8 has no exit1"),
    (END, "seed: 1", "seed", f"1 is also in `seeds`; {FRESH}"),
    (END, "seed: -1", "seed", "must be greater than or equal to 0, but got -1"),
    (END, "seed: 4294967296", "seed", "must be less than or equal to 4294967295, but got 4294967296"),
    (END, "seed: 1.5", "seed", "must be an integer, but got 1.5"),
    (END, "seed: true", "seed", "must be an integer, but got True"),
    (END, "repeats: 0", "repeats", "must be greater than or equal to 1, but got 0"),
    (END, "repeats: 7", "repeats", "7 seeds of one setting exceed the budget of 6 trials; lower `repeats` or raise"),
    (END, "constraints: [a]", "constraints", "must be a mapping of keys to values, but got ['a']"),
    (END, "constraints: {final/multiply_ads: '<= 5M'}", "constraints.final/multiply_ads", f"{METRIC}'final/multipl"),
    (END, "constraints: {validation/final/acc: '<= 5'}", "constraints.validation/final/acc", METRIC),
    (END, "constraints: {test/final/ece: '<= 5'}", "constraints.test/final/ece", "write validation/final/ece instead"),
    (END, "constraints: {parameters: 0.5}", "constraints.parameters", f"{COMPARISON}0.5"),
    (END, "constraints: {parameters: '< 5M'}", "constraints.parameters", f"{COMPARISON}'< 5M'"),
    (END, "constraints: {parameters: '<= -5'}", "constraints.parameters", f"{COMPARISON}'<= -5'"),
    (END, "constraints: {final/parameters: '<= 5%'}", "constraints.final/parameters", "a share of final/parameters i"),
    (END, "constraints: {validation/final/ece: '<= 5%'}", "constraints.validation/final/ece", "is no cost; remove the"),
    (END, "constraints: {exit9/parameters: '<= 5M'}", "constraints.exit9/parameters", "no method of the search has e"),
    (END, "studies: 5", "studies", "must be text, but got 5"),
    (END, "validation: 0.1", "validation", "unknown key 'validation'; choose from 'budget', 'constraints', 'methods'"),
]  # fmt: skip
WHOLE: dict[str, tuple[str, str, str]] = {
    # the file; the text after the path in the message; a part of the reason
    "a list": (PLAIN + "search: []\n", ":10: search: ", "must be a mapping of keys to values, but got []"),
    "a number": (PLAIN + "search: 6\n", ":10: search: ", "must be a mapping of keys to values, but got 6"),
    "no budget": (PLAIN + "search: {}\n", ":10: search.budget: ", "the key 'budget' is missing"),
    "nothing is tuned": (
        PLAIN + "search: {budget: 6}\n",
        ":10: search: ",
        f"baseline has no range to tune, {EQUAL} search.methods.baseline",
    ),
    "nothing of one method is tuned": (
        FILE.replace("  recipe:\n    learning_rate: {low: 0.01, high: 0.5, log: true}\n", ""),
        ":10: search: ",
        "baseline has no range to tune",
    ),
    "a method with an axis": (FILE.replace("output_loss: kl}", "output_loss: [kl, mse]}"), ":9: methods.eed: ", AXES),
    "two teachers": (FILE.replace("resnet14}", "[self, resnet14]}"), ":8: methods.kd: ", AXES),
    "a network twice": (FILE.replace("[resnet8]", "[resnet8, resnet8]"), ":7: methods.baseline: ", AXES),
    "two recipes": (FILE.replace("{base: fast,", "[crd, {base: fast,").replace("false}\n", "false}]\n"),
                    ":5: recipe: ", "a single recipe; list the values to try under `search.recipe` instead"),
    "an axis in the recipe": (FILE.replace("epochs: 4", "epochs: [4, 5]"), ":5: recipe: ", "needs a single recipe"),
    "protocol tuning": (FILE + "protocol: tuning\nvalidation: 0.1\n", ":17: protocol: ", "final with search, which"),
    "protocol paper": (FILE + "protocol: paper\n", ":17: protocol: ", "must hold, but got protocol='paper'"),
    "cmaes with two objectives": (
        FILE + "  sampler: cmaes\n  objective: [final, final/multiply_adds]\n",
        ":17: search.sampler: ",
        "cmaes supports one objective; list one objective or use another sampler",
    ),
    "constraints with another sampler": (
        FILE + "  sampler: qmc\n  constraints: {parameters: '<= 1M'}\n",
        ":17: search.sampler: ",
        "qmc ignores constraints; use tpe, gp or nsga2, or remove `constraints`.",
    ),
    "stopping with two objectives": (
        FILE + "  objective: [final, final/multiply_adds]\nstopping: {rule: asha, grace: 1}\n",
        ":17: search.objective: ",
        "must be final with `stopping`, which compares trials by the final exit; remove",
    ),
    "stopping by another number": (
        FILE + "  objective: final/multiply_adds\nstopping: {rule: asha, grace: 1}\n",
        ":17: search.objective: ",
        "must be final with `stopping`",
    ),
    "a method that is excluded": (FILE + "exclude: [{method: kd}]\n", ":15: search.methods.kd: ", "no method 'kd' in"),
    "labels that cannot be mixed": (
        FILE.replace("  eed: {output_loss: kl}", "  cs_kd: {}").replace("    eed:", "    #").replace(
            "    learning_rate: {low", "    mixup: [0, 1]\n    learning_rate: {low"),
        ":13: search.recipe.mixup[1]: ",
        "with 1, cs_kd needs unmixed labels",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "text", "place", "part"), BAD, ids=[text for _, text, _, _ in BAD])
def test_a_mistake_is_refused_with_file_line_place_value_and_rule(tmp_path, line, text, place, part):
    path = tmp_path / "sweep.yaml"
    path.write_text(changed(line, text), encoding="utf-8")
    with pytest.raises(DocumentError) as error:
        read_sweep(path)
    message = str(error.value)
    assert message.startswith(f"{path}:{line}: search.{BEFORE[line][1]}{place}: ")
    assert part in message
    assert all(line.startswith(f"{path}:") for line in message.splitlines())


@pytest.mark.parametrize("name", WHOLE)
def test_a_search_that_does_not_fit_its_file_is_refused(read, tmp_path, name):
    text, where, part = WHOLE[name]
    with pytest.raises(DocumentError) as error:
        read(text)
    assert str(error.value).startswith(f"{tmp_path / 'sweep.yaml'}{where}")
    assert part in str(error.value)


def test_the_line_is_that_of_the_value_in_a_list_of_many_lines(read):
    with pytest.raises(DocumentError, match=r"sweep.yaml:16: search.recipe.momentum\[2\]: with 2, "):
        read(changed(RATE, "momentum:\n      - 0.5\n      - 0.9\n      - 2"))
