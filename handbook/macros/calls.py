"""Cases as blocks: the request, the same as curl and as Python, what came before, the answer."""

from __future__ import annotations

import json
from typing import Any

from handbook.rpc.cases import Case
from handbook.rpc.layout import as_json, as_python, flat_text, lay_out

WIDTH = 72
NODE = '"${NODE:-http://127.0.0.1:3030}"'


def tabs(case: Case, effect: str) -> str:
    """Content tabs: curl, Python, the request itself as JSON; under them the answer."""
    fences = {
        "curl": _fence("bash", case, curl(case), effect),
        "Python": _fence("python", case, python(case), effect),
        "JSON": _fence("json .request", case, _envelope(case.request, as_json, "", "")),
    }
    drawn = "\n\n".join(f'=== "{label}"\n\n{indented(fence)}' for label, fence in fences.items())
    return f"{drawn}\n\n{answer(case)}"


def answer(case: Case) -> str:
    return _fence("json .output .no-copy", case, lay_out(case.answer, WIDTH))


def command(case: Case, effect: str) -> str:
    return _fence("bash", case, curl(case), effect)


def before(case: Case) -> str:
    """What the case finds done, as commands; empty if that is nothing."""
    if not case.before:
        return ""
    lines = [
        "call() {  # call METHOD PARAMS [TOKEN]",
        f"  curl -sS -o answer {NODE} \\",
        '    ${3:+-H} ${3:+"Authorization: Bearer $3"} --data-binary \\',
        '    "{\\"jsonrpc\\":\\"2.0\\",\\"id\\":1,\\"method\\":\\"$1\\",\\"params\\":$2}"',
        "}",
    ]
    for step in case.before:
        params = _quoted(_params(step.get("params", {}), as_json, 2 + len(step.get("method", ""))))
        if "control" in step:
            lines.append(f'NODE="${{CONTROL:-http://127.0.0.1:3031}}" call {step["control"]} \\\n  {params}')
        else:
            token = f' "${_variable(step["token"])}"' if step.get("token") else ""
            lines.append(f"call {step['method']} {params}{token}")
    return _fence("bash .before", case, "\n".join(lines), "write")


def curl(case: Case) -> str:
    token = f' \\\n  -H "Authorization: Bearer ${_variable(case.token)}"' if case.token else ""
    body = _envelope(case.request, as_json, "", "")
    return f"curl -sS {NODE}{token} --data-binary {_quoted(body)} | jq ."


def python(case: Case) -> str:
    bearer = f"f\"Bearer {{os.environ['{_variable(case.token)}']}}\""
    token = f'    headers={{"Authorization": {bearer}}},\n' if case.token else ""
    return (
        "import json\nimport os\n\nimport httpx\n\n"
        "answer = httpx.post(\n"
        '    os.environ.get("NODE", "http://127.0.0.1:3030"),\n'
        f"{token}    json={_envelope(case.request, as_python, '    ', ',')},\n"
        ").json()\n"
        "print(json.dumps(answer, indent=2))"
    )


def _envelope(request: dict[str, Any], scalar: Any, indent: str, end: str) -> str:
    """The envelope's own members on one line, params from the next on."""
    own = {name: value for name, value in request.items() if name != "params"}
    inner = indent + "  "
    lines = [f"{inner}{flat_text(own, scalar)[1:-1]}"]
    if "params" in request:
        lines.append(f'{inner}"params": ' + lay_out(request["params"], WIDTH, scalar, inner, 10))
    return "{\n" + ",\n".join(lines) + f"{end}\n{indent}}}"


def _params(params: Any, scalar: Any, used: int) -> str:
    return lay_out(params, WIDTH, scalar, "", used + 8)


def _quoted(text: str) -> str:
    """For the shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _variable(role: str | None) -> str:
    return f"{role or ''}_token".upper()


def _fence(header: str, case: Case, text: str, effect: str = "read") -> str:
    marks = f' effect="{effect}"' if effect != "read" else ""
    return f'```{{.{header} case="{case.id}"{marks}}}\n{text}\n```'


def indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.split("\n"))


def title(case: Case) -> str:
    """The case's sentence, and the error that it ends with."""
    said = case.name[0].upper() + case.name[1:]
    if case.error_code is None:
        return said
    status = f", HTTP {case.status}" if case.status != 200 else ""
    return f"{said} <code>{json.dumps(case.error_code)}</code>{status}"
