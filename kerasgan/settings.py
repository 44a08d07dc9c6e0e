"""Typed settings from YAML: one owner per number, no defaults in code, every mistake named.

A model's YAML holds every number of its published run; the schema (a `Section` per part) holds types, units and
ranges and no defaults. An unknown or missing key is an error that names the nearest valid one.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from kerasgan.errors import UserError, nearest


class Section(BaseModel):
    """One part of a configuration: immutable, strict about types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


S = TypeVar("S", bound=Section)


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


def load(schema: type[S], path: Path, profile: str = "full", overrides: Iterable[str] = ()) -> S:
    """Read `path`, apply a profile and `key.path=value` overrides in this order, and validate.

    The `profiles` key of the file maps a profile's name to the values it changes; `full` is the file as it stands.
    """
    content = read_yaml(path)
    profiles = {"full": {}, **_mapping(content.pop("profiles", None) or {}, f"{path}: profiles")}
    if profile not in profiles:
        raise UserError(f"{path} has no profile {profile!r}; {nearest(profile, profiles)}")
    keys = dotted_keys(schema)
    for key, value in _flatten(_mapping(profiles[profile], f"{path}: profile {profile}")).items():
        _assign(content, key, value, keys, f"{path}, profile {profile}")
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise UserError(f"--set expects key.path=value, got {override!r}")
        try:
            value = yaml.load(text, _Loader)
        except yaml.YAMLError:
            raise UserError(f"--set {override}: the value is not readable as YAML") from None
        _assign(content, key.strip(), value, keys, "--set")
    given = "".join(f", --set {override}" for override in overrides)
    return validate(schema, content, f"{path}{given}")


def validate(schema: type[S], content: Mapping[str, Any], where: str) -> S:
    """`content` as settings; the first mistake becomes a `UserError` of one sentence."""
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{where}: {_sentence(error, dotted_keys(schema))}") from None


def dump(settings: Section) -> str:
    """Settings as YAML text, in the order of the schema."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, default_flow_style=None)


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
    section = key.rpartition(".")[0]
    return nearest(key, [k for k in keys if k.rpartition(".")[0] == section] or keys)


def _sentence(error: ValidationError, keys: list[str]) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}; {_nearest_key(key, keys)}{more}"
    if first["type"] == "missing":
        return f"the key {key!r} is missing; add it, every number of a run stands in its configuration{more}"
    return f"{key}: {first['msg'].lower()}, got {first['input']!r} ({type(first['input']).__name__}){more}"
