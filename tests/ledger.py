"""Reads the comments of configs/PAPER.yaml, which say of each setting where its value comes from."""

import re

from kerasgan.settings import configs_folder

LINE = re.compile(r"( *)(\w+):\s*(.*?)\s*(?:# (.*))?")


def comments(config: str) -> dict[str, str]:
    """Dotted key of the full profile -> the comment on its line, "" where there is none."""
    text = (configs_folder() / f"{config}.yaml").read_text(encoding="utf-8").split("\nprofiles:")[0]
    found, path = {}, []
    for line in text.splitlines():
        if match := LINE.fullmatch(line):
            indent, name, value, comment = match.groups()
            path[len(indent) // 2 :] = [name]
            if value:
                found[".".join(path)] = comment or ""
    return found


def stated(config: str) -> dict[str, str]:
    """Dotted key -> the section of the paper, of the lines that are marked as stated."""
    found = {key: re.match(r"stated, ([^,:;]+)", comment) for key, comment in comments(config).items()}
    return {key: match[1] for key, match in found.items() if match}


def unexplained(config: str) -> list[str]:
    """The keys whose line does not say where its value comes from, or says "stated" or "assumed" and no more."""
    return [key for key, comment in comments(config).items() if re.fullmatch(r"(stated|assumed)?\W*", comment)]
