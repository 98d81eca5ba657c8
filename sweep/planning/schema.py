"""JSON schema of sweep files, for editors: made from the specs with which sweep files are read.

It has keys, types, ranges and names. Rules between several values, files and installed networks are left to
`exeunt plan`.
"""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import MISSING
from typing import Any, get_args, get_origin

import pydantic

from ...losses import Method, methods
from ...models import architectures, heads
from ...specs import FieldInfo, Range, Registry, Spec
from ...specs.field_texts import field_texts
from ...training import Recipe, datasets, recipes
from ...training.optimizers import optimizers
from ...training.schedules import schedules
from ..tracking.catalog import MLFLOW, TRACKERS
from .blocks import MOST_SEEDS, OWN, Axes
from .dataset_axis import Folder
from .detect import Detect
from .exclude import known_fields
from .method_configs import EXIT_KEYS, TEACHER_KEYS, Teacher
from .parsing import BOOLEANS
from .resource_rules import FIELDS as OF_A_RULE
from .resources import Resources
from .search_part import SearchKeys
from .settings import NAME, Settings
from .stopping import Stopping

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
TEXTS = {
    "name": "Name of the sweep, of its tables and of its folder in the storage.",
    "dataset": "Dataset, or folder of images with a name; a list is an axis. See `exeunt list datasets`.",
    "architectures": "Networks: the rows of the table. See `exeunt list architectures`.",
    "seeds": "Seeds with which every method trains every network: a list, or their number.",
    "methods": "Methods: the columns of the table. A list in their settings is an axis. See `exeunt list methods`.",
    "recipe": "Optimiser, schedule, augmentation and precision of all methods: a name, or changes to one.",
    "blocks": "Parts of the sweep with their own axes; they take all other keys from the file.",
    "protocol": "Reported numbers: last epoch on test, last epoch on validation, or best epoch on test.",
    "validation": "Share of each class of the training images that is held out, from 0 to 0.9.",
    "resources": "Machines, CPU cores and GPUs of a trial; or a list of rules for some trials.",
    "stopping": "Rule that stops trials early; needs validation images.",
    "order": "Order of the trials.",
    "exclude": "Combinations of values that are not trained.",
    "search": "Search of `exeunt search`: settings of each method and of the recipe, with equal budgets.",
    "detect": "Difference from the baseline that the sweep should detect, in percentage points.",
    "equivalent": "Largest difference, in percentage points, with which a method counts as equal to the baseline.",
    "tracking": "Programs that the trials are recorded in.",
    "max_trials": "Number of trials above which the file is refused.",
}
"""Descriptions of the keys at the top of a file."""
OF_RECIPE: Mapping[str, Registry[Any]] = {"optimizer": optimizers, "schedule": schedules}
"""Fields of a recipe that hold a registered name."""
_SCALAR = {"type": ["string", "number", "boolean", "null"]}
_VALUES = {"anyOf": [_SCALAR, {"type": "array", "minItems": 1}]}
_AMOUNT = {"type": "number", "minimum": 0}
_OF_RESOURCES: Mapping[str, Schema] = {
    "gpu": {"anyOf": [_AMOUNT, {"enum": ["auto", None]}]},
    "memory": {
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "null"},
            {"type": "string", "pattern": r"^\s*[\d.]+\s*\w*$"},
        ]
    },
    "custom": {"type": ["object", "null"], "additionalProperties": _AMOUNT},
    "price": {"anyOf": [_AMOUNT, {"type": ["string", "null"]}]},
}
"""Fields of the resources that have several types."""


def sweep_schema() -> Schema:
    """Return the schema (draft 2020-12) with the names that are registered now."""
    axes = _axes()
    needed = [name for name, field in Axes.model_fields.items() if field.is_required()]
    keys = axes | _of_model(Settings) | _settings()
    keys["blocks"] = {"type": "array", "minItems": 1, "items": _mapping(axes)}
    in_blocks = [{"properties": {"blocks": {"items": {"required": [name]}}}, "required": ["blocks"]} for name in needed]
    return {
        "$schema": DRAFT,
        "title": "Sweep file of Exeunt",
        **_mapping({name: {**keys[name], "description": TEXTS[name]} for name in TEXTS}, required=["name"]),
        "patternProperties": {f"^{OWN}": True},
        "allOf": [
            {"anyOf": [{"required": [name]}, of_blocks]} for name, of_blocks in zip(needed, in_blocks, strict=True)
        ],
    }


def _axes() -> dict[str, Schema]:
    named = {"anyOf": [_mapping(_of_recipe()), _name(recipes)]}
    seed = _of_model(Axes)["seeds"]
    return {
        "dataset": _axis({"anyOf": [_name(datasets), _mapping(_of_model(Folder), required=["path"])]}),
        "architectures": _axis(_name(architectures)),
        "seeds": {"anyOf": [{**seed, "minItems": 1}, {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS}]},
        "methods": {
            "anyOf": [
                {**_mapping({name: _of_method(methods[name]) for name in methods}), "minProperties": 1},
                {"type": "array", "minItems": 1, "uniqueItems": True, "items": _name(methods)},
            ]
        },
        "recipe": _axis(named),
    }


def _settings() -> dict[str, Schema]:
    """Return the schemas of the keys that their model does not describe."""
    trackers = {"enum": [MLFLOW, *TRACKERS]}
    rule = {**_of_resources(), **{field: _axis({"type": "string"}) for field in OF_A_RULE}}
    return {
        "name": {"type": "string", "pattern": f"^{NAME}$"},
        "resources": {"anyOf": [_mapping(_of_resources()), {"type": "array", "minItems": 1, "items": _mapping(rule)}]},
        "stopping": {
            "anyOf": [
                {"enum": ["none", *Stopping.field_infos()["rule"].choices]},
                _mapping(_fields(Stopping), required=["rule"]),
            ]
        },
        "exclude": {
            "type": "array",
            "items": {**_mapping(dict.fromkeys(sorted(known_fields()), _VALUES)), "minProperties": 1},
        },
        "detect": {
            "anyOf": [
                {"type": ["number", "null"], **_limits(Detect.field_infos()["difference"].limits)},
                _mapping(_fields(Detect), required=["difference"]),
            ]
        },
        "tracking": {"anyOf": [{"const": MLFLOW}, {"type": "array", "items": trackers, "contains": {"const": MLFLOW}}]},
        "search": {"anyOf": [{"type": "null"}, _search()]},
    }


def _search() -> Schema:
    range_of = {"type": ["array", "object"]}
    tuned = {"type": "object", "additionalProperties": range_of}
    return _mapping(
        _of_model(SearchKeys)
        | {
            "budget": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]},
            "objective": _axis({"type": "string"}),
            "constraints": {"type": "object", "additionalProperties": {"type": "string"}},
            "recipe": _mapping(dict.fromkeys(Recipe.field_infos(), range_of)),
            "methods": _mapping(dict.fromkeys(methods, tuned)),
        },
        required=["budget"],
    )


def _of_method(kind: type[Method]) -> Schema:
    """Return the schema of the settings of a method, with its exits and its teacher."""
    keys = _fields(kind)
    if kind.exits != "ignored":
        keys |= {name: _field(info, "") for name, info in EXIT_KEYS.items()}
        keys["exits"] = {"type": ["string", "integer"], "description": "Placement of the exits, such as all or 50%."}
        keys["head"] = _name(heads)
    keys |= {name: one for name, one in _fields(Teacher).items() if name in TEACHER_KEYS[kind.teacher]}
    properties = {name: _axis(one) for name, one in keys.items()}
    if kind.teacher == "required":
        return _mapping(properties, required=["teacher"])
    return {**_mapping(properties), "type": ["object", "null"]}


def _of_recipe() -> dict[str, Schema]:
    keys = _fields(Recipe) | {name: _name(registry) for name, registry in OF_RECIPE.items()}
    return {"base": _name(recipes)} | {name: _axis(one) for name, one in keys.items()}


def _of_resources() -> dict[str, Schema]:
    fields = _fields(Resources)
    return fields | {name: {**fields[name], **one} for name, one in _OF_RESOURCES.items()}


def _fields(kind: type[Spec]) -> dict[str, Schema]:
    """Return the schemas of the fields of a spec, with their descriptions and defaults."""
    texts = field_texts(kind)
    return {name: _field(info, texts.get(name, "")) for name, info in kind.field_infos().items()}


def _field(info: FieldInfo, text: str) -> Schema:
    schema = _value(info.kind, info.limits, info.choices)
    if info.optional:
        schema = {"anyOf": [schema, {"type": "null"}]}
    default = {} if info.default is MISSING or info.default is None else {"default": _plain(info.default)}
    return {**schema, **({"description": text} if text else {}), **default}


def _value(kind: Any, limits: Range | None, choices: Collection[Any]) -> Schema:
    """Return the schema of a value of a type; that of any value for types that are no JSON."""
    if choices:
        return {"enum": list(choices)}
    if kind is bool:
        return {"enum": [True, False, *BOOLEANS]}
    if kind in (int, float):
        return {"type": "integer" if kind is int else "number", **_limits(limits)}
    if kind is str:
        return {"type": "string"}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _value(get_args(kind)[0], None, ())}
    return {}


def _limits(limits: Range | None) -> Schema:
    if limits is None:
        return {}
    named = {"exclusiveMinimum": limits.above, "minimum": limits.minimum, "maximum": limits.maximum}
    return {name: limit for name, limit in named.items() if math.isfinite(limit)}


def _of_model(model: type[pydantic.BaseModel]) -> dict[str, Schema]:
    """Return the schemas of the fields of a pydantic model."""
    properties = model.model_json_schema()["properties"]
    return {name: {key: one for key, one in found.items() if key != "title"} for name, found in properties.items()}


def _name(registry: Registry[Any]) -> Schema:
    """Return the schema of a registered name, or of one that matches a pattern of the registry."""
    forms = [{"type": "string", "pattern": f"^{_regular(form)}$"} for form in registry.patterns]
    listed = {"enum": list(registry)}
    return {"anyOf": [listed, *forms]} if forms else listed


def _regular(form: str) -> str:
    """Return a pattern of `fnmatch` as a regular expression of JavaScript."""
    return ".*".join(map(re.escape, form.split("*"))).replace(r"\-", "-")


def _axis(value: Schema) -> Schema:
    """Return the schema of a value or of a list of values."""
    about = {name: value[name] for name in ("description", "default") if name in value}
    one = {name: part for name, part in value.items() if name not in about}
    return {"anyOf": [one, {"type": "array", "minItems": 1, "items": one}], **about}


def _mapping(properties: Mapping[str, Schema], required: Collection[str] = ()) -> Schema:
    needs = {"required": list(required)} if required else {}
    return {"type": "object", "properties": dict(properties), "additionalProperties": False, **needs}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
