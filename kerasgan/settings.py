"""Typed settings from YAML: one owner per number, no defaults in code, every mistake named.

A model's YAML holds every number of its published run; the schema (a `Section` per part) holds types, units and
ranges and no defaults. An unknown or missing key is an error that names the nearest valid one.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from kerasgan.errors import UserError, nearest


class Section(BaseModel):
    """One part of a configuration: immutable, strict about types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


S = TypeVar("S", bound=Section)

SHOWN = 60  # characters of a wrong value in a message

# Numbers that many settings are.
Count = Annotated[int, Field(ge=1)]
Counts = Annotated[tuple[Count, ...], Strict(False), Field(min_length=1)]
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]  # which Keras takes
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Part = Annotated[float, Field(ge=0, lt=1)]  # never the whole
Decay = Part
Confidence = Annotated[float, Field(gt=0, lt=1)]  # of an interval


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with `2e-4` read as a number (YAML 1.2) and a key given twice refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def configs_folder() -> Path:
    """Where the shipped YAML files are: inside an installed wheel, or at the top of a checkout."""
    package = Path(__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; anything else is a `UserError`."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a SafeLoader: builds plain data only
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give --config an existing YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a mapping of sections, got {type(content).__name__}")
    return content


def read_json(path: Path, advice: str) -> dict[str, Any]:
    """The mapping in a JSON file; anything else is a `UserError` that ends in `advice`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {advice}") from None
    except ValueError as error:  # of encoding too
        raise UserError(f"{path}: not readable as JSON ({error}); {advice}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, got {type(content).__name__}; {advice}")
    return content


def load(schema: type[S], path: Path, profile: str = "full", overrides: Iterable[str] = ()) -> S:
    """Read `path`, apply a profile and `key.path=value` overrides in this order, and validate.

    The `profiles` key of the file maps a profile's name to the values it changes; `full` is the file as it stands.
    """
    content = read_yaml(path)
    profiles = {"full": {}, **_mapping(content.pop("profiles", None) or {}, f"{path}: profiles")}
    if profile not in profiles:
        raise UserError(f"{path} has no profile {profile!r}; {nearest(profile, profiles)}")
    keys, given = dotted_keys(schema), {}
    for key, value in _flatten(_mapping(profiles[profile], f"{path}: profile {profile}")).items():
        _assign(content, key, value, keys, f"{path}, profile {profile}")
        given[key] = f"profile {profile}"
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise UserError(f"--set expects key.path=value, got {override!r}")
        try:
            value = yaml.load(text, _Loader)
        except yaml.YAMLError:
            raise UserError(f"--set {override}: the value is not readable as YAML") from None
        _assign(content, key.strip(), value, keys, "--set")
        given[key.strip()] = f"--set {override}"
    return validate(schema, content, str(path), given)


def validate(schema: type[S], content: Mapping[str, Any], where: str, given: Mapping[str, str] | None = None) -> S:
    """`content` as settings; the first mistake becomes a `UserError` of one sentence.

    The sentence begins with `where`, and with what is `given` for the keys that are wrong: their values' own places.
    """
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        wrong, mistake = _first_mistake(error, content, dotted_keys(schema))
        places = dict.fromkeys([where, *(given[key] for key in wrong if given and key in given)])
        raise UserError(f"{', '.join(places)}: {mistake}") from None


def dump(settings: Section, sections: Sequence[str] | None = None) -> str:
    """Settings, or some sections of them, as YAML text, in the order of the schema."""
    content = settings.model_dump(mode="json", include=set(sections) if sections else None)
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None)


def flat(settings: Section) -> dict[str, Any]:
    """Settings as {dotted key: value}, JSON types."""
    return _flatten(settings.model_dump(mode="json"))


def differences(old: Section, new: Section, ignore: Iterable[str] = ()) -> list[str]:
    """The keys in which two settings differ, each as `key: old, not new`."""
    before, after = flat(old), flat(new)
    keys = [key for key in {**before, **after} if key not in set(ignore)]
    return [f"{key}: {before.get(key)}, not {after.get(key)}" for key in keys if before.get(key) != after.get(key)]


def dotted_keys(schema: type[BaseModel], prefix: str = "") -> list[str]:
    """Every key of a schema, nested ones dotted: `training.epochs`."""
    keys = []
    for name, field in schema.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            keys += dotted_keys(inner, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def _flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _assign(content: dict[str, Any], key: str, value: Any, keys: list[str], where: str) -> None:
    if key not in keys:
        raise UserError(f"{where}: unknown key {key!r}; {_nearest_key(key, keys)}")
    *sections, last = key.split(".")
    for section in sections:
        content = _mapping(content.setdefault(section, {}), f"{where}: {section}")
    content[last] = value


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{what}: expected a mapping of keys, got {type(value).__name__}")
    return value


def _nearest_key(key: str, keys: list[str]) -> str:
    """The hint on an unknown key: the keys below it, beside it, or of its name elsewhere, else the sections."""
    section, _, name = key.rpartition(".")
    below = [known for known in keys if known.startswith(f"{key}.")]
    beside = [known for known in keys if section and known.startswith(f"{section}.")]
    namesakes = [known for known in keys if known.rpartition(".")[2] == name]
    return nearest(key, below or beside or namesakes or dict.fromkeys(known.partition(".")[0] for known in keys))


def _first_mistake(error: ValidationError, content: Mapping[str, Any], keys: list[str]) -> tuple[list[str], str]:
    """The keys that are wrong, and in one sentence what was expected and what came."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    wrong = [known for known in keys if f"{key}.".startswith(f"{known}.")]
    if first["type"] == "extra_forbidden":
        mistake = f"unknown key {key!r}; {_nearest_key(key, keys)}"
    elif first["type"] == "missing":
        mistake = f"the key {key!r} is missing; add it, every number of a run stands in its configuration"
    elif first["type"] == "value_error":  # of a validator that looks at several keys of a section
        reason = str(first["ctx"]["error"])
        wrong = wrong or _named_in(reason, key, keys)
        found = _flatten(content)
        came = ", ".join(f"{own} is {_shown(found[own])}" for own in wrong if own in found)
        mistake = f"{key}: {reason}".removeprefix(": ") + (f"; here {came}" if came else "")
    else:
        expected = "must be a mapping of keys" if first["type"].startswith("model") else first["msg"]
        expected = re.sub(r"^\w+ should ", "must ", expected).partition(" after validation")[0]
        mistake = f"{key} {expected}, got {_shown(first['input'])} ({type(first['input']).__name__})"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return wrong, mistake + more


def _named_in(reason: str, section: str, keys: list[str]) -> list[str]:
    """The keys of a section that a validator's sentence names."""
    own = {key: key.removeprefix(f"{section}.") for key in keys if not section or key.startswith(f"{section}.")}
    return [key for key, name in own.items() if re.search(rf"(?<![\w.]){re.escape(name)}(?!\w|\.\w)", reason)]


def _shown(value: Any) -> str:
    """A value in a sentence: short, and of a mapping no more than that it is one."""
    text = "a mapping" if isinstance(value, Mapping) else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
