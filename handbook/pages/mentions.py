"""The names that a page mentions, by kind, and those of them that do not exist.

Found by shape: in blocks, in code spans of prose and tables, and variables and ports anywhere. What is shaped like
nothing of the node's is left alone; what is retired is left to `names`, which knows what was meant.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from handbook import document
from handbook.pages import names
from handbook.pages.names import Line
from handbook.pages.page import Page
from handbook.pages.vocabulary import HOMES, KINDS, Vocabulary
from handbook.problem import Problem

METRIC_ENDS = ("total", "seconds", "bucket", "sum", "count", "timestamp", "ratio", "bytes", "state", "failures")
FILE_ENDS = frozenset(
    ["bin", "cfg", "css", "db", "html", "ini", "js", "json", "log", "md", "pem", "png", "py", "rs", "sh", "sqlite",
     "toml", "tmpl", "txt", "yaml", "yml"]
)  # fmt: skip
FUNCTIONS = {"start_node": "handbook node"}
"""Shell functions of the pages that hand their flags on."""
SKIPPED = frozenset(
    ["!", "{", "(", "if", "while", "until", "then", "do", "else", "elif", "sudo", "exec", "nice", "time", "env",
     "nohup", "command"]
)  # fmt: skip
"""What stands before a command."""
HELP = frozenset({"--help", "-h", "--version"})

_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_VARIABLE = re.compile(r"\bTB_[A-Z0-9_]+[*…]?")
_PORT = re.compile(r"(?:127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1?\]):(\d{3,5})\b|\bports? (\d{4,5})\b")
"""Ports below 100, at which nothing listens, stand for a node that is not there."""
_SENT = re.compile(r'\\?"method\\?"\s*:\s*\\?"([\w.*]+)\\?"')
_METHOD = re.compile(r"[a-z][\w.]*")
_QUOTED = re.compile(r"""["']([a-z_]+(?:\.[a-z_]+)+)["']""")
_DOTTED = re.compile(r"[a-z_]+(?:\.[a-z_]+)*(?:\.\*|\.…)?")
_SERIES = re.compile(r"(?<![\w./:-])[a-z][a-z0-9]*(?:[_:][a-z0-9_]+)+(?![\w/.-]|:\w)")
_SPLIT = re.compile(r"\|\||&&|[|;&\n]|\$\(|<\(|`")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")


@dataclass(frozen=True)
class Mention:
    line: int
    kind: str
    name: str
    scope: str = ""
    """Of a flag: the command it is given to, if that is known. Of a command: what it begins with."""


def check(page: Page, known: Vocabulary) -> tuple[list[str], Counter[str]]:
    """Unknown names as `page:line: unknown metric 'x'`, and how many names of each kind were looked at.

    A page that invents a name on purpose says so in its front matter: `invents: [gov.treasury.pay]`.
    """
    invented = page.meta.get("invents", [])
    found, counts = [], Counter[str]()
    for mention in dict.fromkeys(mentions(page, known)):
        counts[mention.kind] += 1
        if mention.name not in invented and not exists(mention, known) and not _is_retired(mention.name):
            found.append(str(_problem(page.path, mention, known)))
    text = "\n".join(line.text for line in page.text)
    found += [
        f"{page.path}:1: invents {name!r}, which is nowhere on the page" for name in invented if str(name) not in text
    ]
    return found, counts


def check_facts(file: Path, known: Vocabulary) -> tuple[list[str], Counter[str]]:
    """The same for a fact file, whose texts become parts of pages."""
    found, counts = [], Counter[str]()
    lines = (Line(number, text, in_block=False) for number, text in enumerate(file.read_text().splitlines(), 1))
    for mention in dict.fromkeys(found_in(lines, known)):
        counts[mention.kind] += 1
        if not exists(mention, known) and not _is_retired(mention.name):
            found.append(str(_problem(document.shown(file), mention, known)))
    return found, counts


def idle(counts: Counter[str]) -> list[str]:
    """A kind of which no page names anything: then the search for it is broken."""
    return [
        f"handbook/pages/mentions.py: no page names a {kind}: is the search broken?"
        for kind in KINDS
        if not counts[kind]
    ]


def mentions(page: Page, known: Vocabulary) -> Iterator[Mention]:
    """In order of lines, commands of bash blocks last. A name that stands twice on a line is there twice."""
    yield from found_in(names.lines(page), known)
    for block in page.blocks:
        if block.lang == "bash":
            for number, text in _shell_lines(block.text, block.body_line):
                yield from _commands(number, text, known)


def found_in(lines: Iterable[Line], known: Vocabulary) -> Iterator[Mention]:
    """What can be seen line by line."""
    for line in lines:
        for name in _VARIABLE.findall(line.text):
            yield Mention(line.number, "variable", name)
        for match in _PORT.finditer(line.text):
            yield Mention(line.number, "port", match[1] or match[2])
        texts = [line.text] if line.in_block else [match[2].strip() for match in _SPAN.finditer(line.text)]
        for text in texts:
            yield from _methods(line, text, known.segments)
            yield from _metrics(line, text, known.families)
            if not line.in_block:
                yield from _commands(line.number, text, known, bare=True)


def _methods(line: Line, text: str, segments: frozenset[str]) -> Iterator[Mention]:
    for name in _SENT.findall(text) if line.in_block else ():
        yield Mention(line.number, "method", name)
    dotted = _QUOTED.findall(text) if line.in_block else [text] if _DOTTED.fullmatch(text) else []
    for name in dotted:
        first, _, rest = name.partition(".")
        if (rest and first in segments and name.rpartition(".")[2] not in FILE_ENDS) or first.startswith("gov_"):
            yield Mention(line.number, "method", name.replace("…", "*"))


def _metrics(line: Line, text: str, families: frozenset[str]) -> Iterator[Mention]:
    """In blocks only what ends as a metric does; a whole code span counts by how it begins."""
    whole, span = text.partition("{")[0].rstrip("*…"), not line.in_block and ":" not in text
    for match in _SERIES.finditer(text):
        name = match[0]
        behind = text[match.end() : match.end() + 1]
        if re.split("[_:]", name, maxsplit=1)[0] not in families or behind in ("(", "="):
            continue
        if name.endswith("_"):
            yield Mention(line.number, "metric", f"{name}*")
        elif name.count(":") == 2 or name.rpartition("_")[2] in METRIC_ENDS or (whole == name and span):
            yield Mention(line.number, "metric", name)


def _commands(number: int, text: str, known: Vocabulary, bare: bool = False) -> Iterator[Mention]:
    """`bare`: a code span, which may be a flag and nothing else."""
    if bare and re.match(r"--?[a-z][\w-]*\b", text):
        if (flag := text.split()[0].partition("=")[0]).startswith("--"):
            yield Mention(number, "flag", flag)
        return
    for part in _SPLIT.split(text):
        words = _words(part)
        while words and (words[0] in SKIPPED or re.fullmatch(r"\w+=.*", words[0], re.DOTALL)):
            words = words[1:]
        if words[:1] == ["timeout"] and len(words) > 2:
            words = words[2:]
        if words[1:3] == ["-m", "handbook"]:
            words = words[2:]
        if words and words[0] in FUNCTIONS:
            words = [*FUNCTIONS[words[0]].split(), *words[1:]]
        if words[:1] in (["rpc"], ["mock"]) and len(words) > 1 and _METHOD.fullmatch(words[1]):
            yield Mention(number, "method", f"mock.{words[1]}" if words[0] == "mock" else words[1])
        elif len(words) > 1 and (program := words[0].rpartition("/")[2]) in known.programs:
            yield from _parts(number, [program, *words[1:]], known)


def _parts(number: int, words: list[str], known: Vocabulary) -> Iterator[Mention]:
    """The command that the words begin with, and its flags."""
    path = words[0]
    rest = words[1:]
    while rest and any(f"{name} ".startswith(f"{path} {rest[0]} ") for name in known.commands):
        path, rest = f"{path} {rest[0]}", rest[1:]
    if path not in known.commands and rest and re.fullmatch(r"[a-z][\w-]*", rest[0]):
        path, rest = f"{path} {rest[0]}", rest[1:]
    if " " in path:
        yield Mention(number, "command", path)
    for word in rest:
        if word == "--":
            return
        if word.startswith("--") and word not in HELP:
            yield Mention(number, "flag", word.partition("=")[0], path)


def exists(mention: Mention, known: Vocabulary) -> bool:
    name = mention.name
    match mention.kind:
        case "port":
            return name in known.ports
        case "variable":
            return name in known.variables or _begins(name, known.variables)
        case "command":
            return any(f"{one} ".startswith(f"{name} ") for one in known.commands)
        case "flag":
            return name in known.commands.get(mention.scope, known.flags)
        case "method":
            return (
                name in known.methods
                or _begins(name, known.methods)
                or any(fnmatchcase(name, family) for family in known.methods if family.endswith("*"))
                or ("*" in name and any(fnmatchcase(one, name) for one in known.methods))
                or name in known.metrics | known.words
            )
        case _:
            return name in known.metrics or name in known.words or _begins(name, known.metrics | known.words)


def _begins(name: str, known: Iterable[str]) -> bool:
    """`TB_RPC_*` names all that begin so, if any does; so does a name that breaks off at `_`."""
    stem = name.rstrip("*…")
    return (stem != name or name.endswith("_")) and any(one.startswith(stem) for one in known)


def _is_retired(name: str) -> bool:
    return any(entry.pattern.search(name) for entry in names.retired())


def _problem(path: str, mention: Mention, known: Vocabulary) -> Problem:
    what, candidates = f"unknown {mention.kind} {mention.name!r}", known.names(mention.kind)
    if mention.scope:
        what += f" of {mention.scope}"
        candidates = known.commands.get(mention.scope, candidates)
    near = difflib.get_close_matches(mention.name, sorted(candidates), 1, 0.6)
    hint = f"{near[0]}? " if near else ""
    return Problem(f"{path}:{mention.line}", what, f"{hint}{mention.kind}s are listed in {HOMES[mention.kind]}")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def _shell_lines(text: str, first: int) -> Iterator[tuple[int, str]]:
    """Commands with the line they begin on: continued lines joined, here-documents left out."""
    number, joined, end = first, "", ""
    for offset, line in enumerate(text.splitlines()):
        if end:
            end = "" if line.strip() == end else end
            continue
        number = number if joined else first + offset
        joined += line.removesuffix("\\")
        if line.endswith("\\"):
            continue
        if heredoc := _HEREDOC.search(joined):
            end = heredoc[2]
        yield number, joined
        joined = ""
